/*
 * mtc replay: what was asked of a cache once is asked again.
 */
#ifndef MTC_CLI_REPLAY_H
#define MTC_CLI_REPLAY_H

#include <stdint.h>

#include "mtc/cache.h"
#include "trace.h"

/* One replay: what is asked for, then what came of it. */
typedef struct replay {
    const trace *trace;
    mtc_cache *cache;
    unsigned threads;
    /* Out. */
    uint64_t hits;
    uint64_t failed;
} replay;

/* Gets every key of the trace from the cache, and sets it when it is missing.
 * False when the threads cannot be started. */
bool replay_run(replay *replay);

#endif
