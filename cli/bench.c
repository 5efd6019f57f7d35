/*
 * mtc bench: one workload against a cache, beside the ceiling of the machine.
 *
 * Owns the cache, the keys and the crews. The main thread starts and joins all
 * others. Workload and ceiling take turns, so that a change of the machine's
 * mood meets both.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "session.h"

#define THREADS_DEFAULT     1
#define THREADS_MAX         256 /* each draws 4 MiB of indices beforehand */
#define CALLERS_DEFAULT     1000
#define DURATION_NS_DEFAULT INT64_C(5000000000)

/* A run of less than a second is warmed up by that share of them. */
#define WARM_UP_OPS 10000000
#define WARM_UP_NS  INT64_C(1000000000)

static bool prepare_crew(bench *bench, bench_side side)
{
    const bench_workload *workload = bench->workload;
    bench_crew *crew = &bench->results[side].crew;
    if (side == BENCH_LIMIT)
        return bench_crew_init(crew, bench, bench->threads, bench_block_limit,
                               BENCH_READ_KEYS);
    bench_block block = bench->batch > 1 ? workload->in_batch : workload->block;
    unsigned count = side == BENCH_ONE_THREAD ? 1 : bench->threads;
    return bench_crew_init(crew, bench, count, block, workload->drawn);
}

/* Everything that the run needs beside the cache. */
static bool prepare(bench *bench)
{
    const bench_workload *workload = bench->workload;
    if (!bench_keys_make(bench))
        return false;
    if (workload->block != NULL && !prepare_crew(bench, BENCH_WORKLOAD))
        return false;
    if (workload->is_against_one && bench->threads > 1 &&
        !prepare_crew(bench, BENCH_ONE_THREAD))
        return false;
    if (workload->drawn == 0)
        return true;
    bench->limit = limit_table_new(bench, BENCH_READ_KEYS);
    return bench->limit != NULL && prepare_crew(bench, BENCH_LIMIT);
}

static bool warm_up(bench *bench)
{
    bench_counts *unused = calloc(1, sizeof *unused);
    int64_t took_ns = 0;
    if (unused == NULL)
        return false;
    bench->warm_up_ops = WARM_UP_OPS;
    if (bench->duration_ns < WARM_UP_NS)
        bench->warm_up_ops =
            (uint64_t)(WARM_UP_OPS / 1000 * (bench->duration_ns / 1000000));
    bool is_done = bench_crew_work(&bench->results[BENCH_WORKLOAD].crew, 0,
                                   bench->warm_up_ops, unused, &took_ns);
    free(unused);
    return is_done;
}

/* One turn for each side that has a crew. */
static bool work_round(bench *bench, int round)
{
    int64_t turn_ns = bench->duration_ns / BENCH_ROUNDS;
    for (int side = 0; side < BENCH_SIDES; side++) {
        bench_result *result = &bench->results[side];
        if (result->crew.count > 0 && !bench_turn(result, round, turn_ns))
            return false;
    }
    return true;
}

static bool work(bench *bench)
{
    const bench_workload *workload = bench->workload;
    if (workload->drawn == 0)
        return bench_memory(bench);
    if (workload->is_filled)
        bench_fill(bench);
    if (workload->is_warmed && !warm_up(bench))
        return false;
    for (int i = 0; i < BENCH_ROUNDS; i++) {
        if (!work_round(bench, i))
            return false;
    }
    if (workload->block != NULL)
        return true;
    /* The limit is the workload: it is all of itself. */
    bench_result *result = &bench->results[BENCH_WORKLOAD];
    *result = bench->results[BENCH_LIMIT];
    result->crew = (bench_crew){0};
    return true;
}

void bench_note_stats(bench *bench)
{
    mtc_stats stats = {.struct_size = (uint32_t)sizeof stats};
    bench_counts *counts = &bench->results[BENCH_WORKLOAD].counts;
    if (mtc_cache_stats(bench->cache, &stats) != MTC_OK)
        return;
    counts->gets = stats.requests;
    counts->hits = stats.hits;
    bench->loads = stats.loads;
    bench->reads_below = stats.tiers[1].reads;
}

/* What runs a workload of a kind; NULL: this file does. */
static tool_exit (*const PARTS[])(bench *bench, const args *args) = {
    [BENCH_OF_MEMORY] = NULL,
    [BENCH_OF_BELOW] = bench_below,
    [BENCH_OF_STAMPEDE] = bench_stampede,
    [BENCH_OF_STORM] = bench_storm,
};

static tool_exit run(bench *bench, const args *args)
{
    struct args own = *args;
    if (own.tiers == NULL)
        own.tiers = bench->workload->tiers;
    if (bench->workload->tiers != NULL) {
        tool_exit opened = session_open(&own, &bench->cache);
        if (opened != TOOL_DONE)
            return opened;
    }
    tool_exit worked = TOOL_DONE;
    if (PARTS[bench->workload->kind] != NULL)
        worked = PARTS[bench->workload->kind](bench, args);
    else if (!prepare(bench) || !work(bench)) {
        complain("bench: no memory or threads for it");
        worked = TOOL_FAILED;
    }
    if (worked != TOOL_DONE)
        return worked;
    if (bench->is_json)
        bench_report_json(bench);
    else
        bench_report(bench);
    uint64_t failed = bench->results[BENCH_WORKLOAD].counts.failed;
    if (failed == 0)
        return TOOL_DONE;
    complain("bench: %llu calls failed", (unsigned long long)failed);
    return TOOL_FAILED;
}

static void clean_up(bench *bench)
{
    for (int side = 0; side < BENCH_SIDES; side++)
        bench_crew_fini(&bench->results[side].crew);
    limit_table_free(bench->limit);
    free(bench->keys);
    if (bench->cache != NULL)
        mtc_cache_close(&bench->cache);
    free(bench);
}

/* Whether it is one of many callers of get_or_load. */
static bool has_callers(const bench_workload *workload)
{
    return workload->kind == BENCH_OF_STAMPEDE ||
           workload->kind == BENCH_OF_STORM;
}

/* Whether the counts of threads and callers fit the workload; it complains. */
static bool is_manned(const bench_workload *workload, const args *args)
{
    if (!has_callers(workload) && (args->callers > 0 || args->is_async)) {
        complain("bench: %s takes no --%s", workload->name,
                 args->is_async ? "async" : "callers");
        return false;
    }
    if (!has_callers(workload) && args->threads > THREADS_MAX) {
        complain("bench: %s works in %d threads at most", workload->name,
                 THREADS_MAX);
        return false;
    }
    if (!args->is_async && args->callers > 0 && args->threads > 0 &&
        args->callers != args->threads) {
        complain("bench: %s has a thread for each caller unless they are "
                 "--async: give one of --callers and --threads",
                 workload->name);
        return false;
    }
    return true;
}

/* Whether the options fit the workload; it complains. */
static bool is_sensible(const bench_workload *workload, const args *args,
                        const char *name)
{
    if (workload == NULL) {
        complain("bench: %s: no such workload; mtc help bench lists them",
                 name);
        return false;
    }
    if (args->batch > 1 && workload->in_batch == NULL) {
        complain("bench: %s takes no --batch", name);
        return false;
    }
    if (args->tiers != NULL && workload->tiers == NULL &&
        workload->front == NULL) {
        complain("bench: %s uses no cache and takes no --tiers", name);
        return false;
    }
    return is_manned(workload, args);
}

/* The callers of an asynchronous run have no more threads than they are. */
static void set_counts(bench *bench, const args *args)
{
    int64_t threads = args->threads > 0 ? args->threads : THREADS_DEFAULT;
    int64_t callers = args->callers > 0 ? args->callers : CALLERS_DEFAULT;
    if (has_callers(bench->workload)) {
        if (!args->is_async && args->callers == 0 && args->threads > 0)
            callers = threads;
        if (!args->is_async || threads > callers)
            threads = callers;
        bench->callers = (unsigned)callers;
        bench->is_async = args->is_async;
    }
    bench->threads = (unsigned)threads;
    bench->batch = args->batch > 0 ? (size_t)args->batch : 1;
}

tool_exit command_bench(const args *args, char **words)
{
    const bench_workload *workload = bench_workload_find(words[0]);
    if (!is_sensible(workload, args, words[0]))
        return TOOL_USAGE;
    bench *bench = calloc(1, sizeof *bench);
    if (bench == NULL) {
        complain("bench: out of memory");
        return TOOL_FAILED;
    }
    bench->workload = workload;
    bench->is_json = args->json;
    set_counts(bench, args);
    bench->duration_ns = args->duration_ms > 0 ? args->duration_ms * 1000000
                                               : DURATION_NS_DEFAULT;
    tool_exit exit = run(bench, args);
    clean_up(bench);
    return exit;
}
