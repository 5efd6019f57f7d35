/*
 * The threads of mtc replay: blocks of requests from one cursor.
 *
 * Owns the workers of a run. The main thread starts and joins them.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "replay.h"

/* Requests that a thread takes at a time. */
#define BLOCK ((size_t)64)

/* A year: nothing expires. */
static const mtc_strategy KEPT = MTC_STRATEGY_INIT(INT64_C(365) * 86400000);

typedef struct replay_crew {
    const trace *trace;
    mtc_cache *cache;
    pthread_mutex_t gate;  /* held while the threads are started */
    _Atomic size_t cursor; /* the next request that nobody has taken */
} replay_crew;

/* On cache lines of its own. */
typedef struct replay_worker {
    _Alignas(128) replay_crew *crew;
    pthread_t thread;
    uint64_t hits;
    uint64_t failed;
} replay_worker;

static void ask(replay_worker *worker, mtc_slice key)
{
    mtc_value value;
    mtc_cache *cache = worker->crew->cache;
    mtc_status status = mtc_cache_get(cache, key, &value);
    if (status == MTC_OK)
        worker->hits++;
    if (status == MTC_MISS)
        status = mtc_cache_set(cache, key, mtc_str("v"), &KEPT);
    worker->failed += status != MTC_OK;
    mtc_value_free(&value);
}

static void *work(void *ctx)
{
    replay_worker *worker = ctx;
    replay_crew *crew = worker->crew;
    size_t count = crew->trace->count;
    pthread_mutex_lock(&crew->gate);
    pthread_mutex_unlock(&crew->gate);
    for (;;) {
        size_t at = atomic_fetch_add(&crew->cursor, BLOCK);
        if (at >= count)
            return NULL;
        size_t end = count - at > BLOCK ? at + BLOCK : count;
        for (; at < end; at++)
            ask(worker, trace_key(crew->trace, at));
        /* Who lost the processor in the middle of a block would come with the
         * rest of it thousands of requests late. */
        sched_yield();
    }
}

/* Starts every worker behind the gate, or as many as can be started. */
static unsigned start_locked(replay_crew *crew, replay_worker *workers,
                             unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        workers[i].crew = crew;
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            return i;
    }
    return count;
}

bool replay_run(replay *replay)
{
    replay_crew crew = {.trace = replay->trace, .cache = replay->cache};
    size_t size = replay->threads * sizeof(replay_worker);
    replay_worker *workers = aligned_alloc(_Alignof(replay_worker), size);
    if (workers == NULL)
        return false;
    memset(workers, 0, size);
    pthread_mutex_init(&crew.gate, NULL);
    pthread_mutex_lock(&crew.gate);
    unsigned started = start_locked(&crew, workers, replay->threads);
    if (started < replay->threads)
        atomic_store(&crew.cursor, replay->trace->count);
    pthread_mutex_unlock(&crew.gate);
    for (unsigned i = 0; i < started; i++) {
        pthread_join(workers[i].thread, NULL);
        replay->hits += workers[i].hits;
        replay->failed += workers[i].failed;
    }
    pthread_mutex_destroy(&crew.gate);
    free(workers);
    return started == replay->threads;
}
