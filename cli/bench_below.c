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

/* The memory in front; the second tier is REDIS_URL, or --tiers say both. */
#define MEMORY "memory?size=1GiB"

/* Keys that one call stores beforehand. */
#define FILL_BATCH 1000

/* The tiers that are measured; NULL: none are named. Points to text, or into
 * args. */
static const char *tiers_for(const args *args, char *text, size_t size)
{
    const char *url = getenv("REDIS_URL");
    if (args->tiers != NULL)
        return args->tiers;
    if (url == NULL || url[0] == '\0')
        return NULL;
    int length = snprintf(text, size, MEMORY " %s", url);
    return length < (int)size ? text : NULL;
}

/* Every key, in every tier. */
static bool fill(bench *bench)
{
    mtc_item items[FILL_BATCH];
    const mtc_strategy strategy = MTC_LONG_TERM;
    memset(items, 0, sizeof items);
    for (uint32_t at = 0; at < bench->workload->keys; at += FILL_BATCH) {
        for (uint32_t i = 0; i < FILL_BATCH; i++) {
            items[i].key = bench_key(bench, at + i);
            items[i].bytes = bench_value();
        }
        if (mtc_cache_set_many(bench->cache, items, FILL_BATCH, &strategy) !=
            MTC_OK)
            return false;
    }
    return true;
}

static tool_exit fill_below(bench *bench, const args *args)
{
    tool_exit exit = session_open(args, &bench->cache);
    if (exit != TOOL_DONE)
        return exit;
    if (!fill(bench)) {
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
    char text[1024];
    const bench_workload *workload = bench->workload;
    struct args own = *args;
    own.tiers = tiers_for(args, text, sizeof text);
    if (own.tiers == NULL) {
        complain("bench: %s needs a tier below memory: set REDIS_URL, or name "
                 "both with --tiers",
                 workload->name);
        return TOOL_USAGE;
    }
    bench_block block = bench->batch > 1 ? workload->in_batch : workload->block;
    if (!bench_keys_make(bench) ||
        !bench_crew_init(&bench->results[BENCH_WORKLOAD].crew, bench,
                         bench->threads, block, 0)) {
        complain("bench: no memory for it");
        return TOOL_FAILED;
    }
    tool_exit exit = TOOL_DONE;
    if (workload->is_filled)
        exit = fill_below(bench, &own);
    for (int i = 0; i < BENCH_ROUNDS && exit == TOOL_DONE; i++)
        exit = work_round(bench, &own, i);
    return exit;
}
