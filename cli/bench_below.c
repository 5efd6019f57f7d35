/*
 * Workloads of mtc bench for memory over a second tier: a Redis, mostly.
 *
 * In each round a cache of its own is opened, so that its memory is cold, and
 * the callers share the keys: each key is got, or set, once. The main thread
 * opens and closes; the workers are those of every workload.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "command.h"
#include "session.h"

/* Keys that one call stores beforehand. */
#define FILL_BATCH 1000

bool bench_below_args_init(bench_below_args *own, const bench *bench,
                           const args *args)
{
    const char *url = getenv("REDIS_URL");
    own->args = *args;
    if (args->tiers != NULL)
        return true;
    if (url != NULL && url[0] != '\0') {
        int length = snprintf(own->tiers, sizeof own->tiers, "%s %s",
                              bench->workload->front, url);
        own->args.tiers = own->tiers;
        if (length < (int)sizeof own->tiers)
            return true;
    }
    complain("bench: %s needs a tier below memory: set REDIS_URL, or name "
             "both with --tiers",
             bench->workload->name);
    return false;
}

/* Every key, in every tier. */
static bool fill(mtc_cache *cache, const char *group, uint32_t count)
{
    static char keys[FILL_BATCH][BENCH_KEY_ROOM];
    mtc_item items[FILL_BATCH];
    const mtc_strategy strategy = MTC_LONG_TERM;
    memset(items, 0, sizeof items);
    for (uint32_t at = 0; at < count; at += FILL_BATCH) {
        for (uint32_t i = 0; i < FILL_BATCH; i++) {
            snprintf(keys[i], BENCH_KEY_ROOM, "%s:%08u", group, at + i);
            items[i].key = mtc_str(keys[i]);
            items[i].bytes = bench_value();
        }
        if (mtc_cache_set_many(cache, items, FILL_BATCH, &strategy) != MTC_OK)
            return false;
    }
    return true;
}

tool_exit bench_below_fill(bench *bench, const args *args, const char *group,
                           uint32_t count)
{
    tool_exit exit = session_open(args, &bench->cache);
    if (exit != TOOL_DONE)
        return exit;
    if (!fill(bench->cache, group, count)) {
        session_complain(bench->cache, "bench", "the keys cannot be stored");
        exit = TOOL_FAILED;
    }
    mtc_cache_close(&bench->cache);
    return exit;
}

/* All keys are to be done again. */
static void begin_anew(bench_crew *crew)
{
    for (unsigned i = 0; i < crew->count; i++) {
        crew->workers[i].position = 0;
        crew->workers[i].is_done = false;
    }
}

static tool_exit work_round(bench *bench, const args *args, int round)
{
    bench_result *result = &bench->results[BENCH_WORKLOAD];
    tool_exit exit = session_open(args, &bench->cache);
    if (exit != TOOL_DONE)
        return exit;
    begin_anew(&result->crew);
    if (!bench_turn(result, round, bench->duration_ns / BENCH_ROUNDS)) {
        complain("bench: no threads for it");
        exit = TOOL_FAILED;
    } else if (result->counts.failed > 0) {
        session_complain(bench->cache, "bench", "calls failed");
        exit = TOOL_FAILED;
    }
    mtc_cache_close(&bench->cache);
    return exit;
}

tool_exit bench_below(bench *bench, const args *args)
{
    bench_below_args own;
    const bench_workload *workload = bench->workload;
    if (!bench_below_args_init(&own, bench, args))
        return TOOL_USAGE;
    bench_block block = bench->batch > 1 ? workload->in_batch : workload->block;
    if (!bench_keys_make(bench) ||
        !bench_crew_init(&bench->results[BENCH_WORKLOAD].crew, bench,
                         bench->threads, block, 0)) {
        complain("bench: no memory for it");
        return TOOL_FAILED;
    }
    tool_exit exit = TOOL_DONE;
    if (workload->is_filled)
        exit = bench_below_fill(bench, &own.args, "user", workload->keys);
    for (int i = 0; i < BENCH_ROUNDS && exit == TOOL_DONE; i++)
        exit = work_round(bench, &own.args, i);
    return exit;
}
