/*
 * Batches: replies to XREAD and XREVRANGE, checked, with accessors.
 * Immutable once made; any thread.
 */
#ifndef MTCI_STREAM_BATCH_H
#define MTCI_STREAM_BATCH_H

#include "mtc/stream.h"
#include "redis/reply.h"

/* Takes over a list of entries, [[id, [name, value, ...]], ...]. MTC_OK;
 * MTC_MISS: it is empty or nil; MTC_E_CORRUPT: it has another shape;
 * MTC_E_NO_MEMORY. The reply is given back in any case. */
mtc_status mtci_batch_new(mtci_reply *entries, mtc_stream_batch **out);

/* The same of [[key, entries]] (RESP2) or {key: entries} (RESP3), for one
 * key. */
mtc_status mtci_batch_new_keyed(mtci_reply *reply, mtc_stream_batch **out);

#endif
