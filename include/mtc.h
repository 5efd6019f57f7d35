/*
 * libmtc: a multi-tier cache for C. Memory in front of Redis or Valkey, an
 * embedded disk tier or memcached; one load per key however many ask; what
 * was invalidated stays away.
 *
 * This header brings in the whole interface but mtc/json.h. All functions
 * begin with mtc_, all macros with MTC_.
 */
#ifndef MTC_H
#define MTC_H

#include "mtc/cache.h"
#include "mtc/group.h"
#include "mtc/key.h"
#include "mtc/load.h"
#include "mtc/memoize.h"
#include "mtc/object.h"
#include "mtc/queue.h"
#include "mtc/stats.h"
#include "mtc/status.h"
#include "mtc/strategy.h"
#include "mtc/stream.h"
#include "mtc/tier.h"
#include "mtc/value.h"

#endif
