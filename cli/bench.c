/*
 * mtc bench: one workload against a cache, beside the ceiling of the machine.
 *
 * Owns the cache, the keys and both crews. The main thread starts and joins
 * all others. Workload and ceiling take turns, so that a change of the
 * machine's mood meets both.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "session.h"

#define THREADS_DEFAULT     1
#define DURATION_NS_DEFAULT INT64_C(5000000000)
#define ROUNDS              5

/* A run of less than a second is warmed up by that share of them. */
#define WARM_UP_OPS 10000000
#define WARM_UP_NS  INT64_C(1000000000)

double bench_rate(const bench_counts *counts, int64_t took_ns)
{
    return took_ns > 0 ? (double)counts->ops * 1e9 / (double)took_ns : 0;
}

static bool make_keys(bench *bench, uint32_t count)
{
    bench->keys = calloc(count, sizeof *bench->keys);
    if (bench->keys == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++)
        snprintf(bench->keys[i], BENCH_KEY_ROOM, "user:%08u", i);
    return true;
}

/* Everything that the run needs beside the cache. */
static bool prepare(bench *bench)
{
    const bench_workload *workload = bench->workload;
    bench_block block = bench->batch > 1 ? workload->in_batch : workload->block;
    if (!make_keys(bench, workload->keys))
        return false;
    if (block != NULL &&
        !bench_crew_init(&bench->crew, bench, block, workload->drawn))
        return false;
    if (workload->drawn == 0)
        return true;
    bench->limit = limit_table_new(bench, BENCH_READ_KEYS);
    return bench->limit != NULL &&
           bench_crew_init(&bench->limit_crew, bench, bench_block_limit,
                           BENCH_READ_KEYS);
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
    bool is_done =
        bench_crew_work(&bench->crew, 0, bench->warm_up_ops, unused, &took_ns);
    free(unused);
    return is_done;
}

static void note_round(bench *bench, double of_limit)
{
    if (bench->of_limit_min == 0 || of_limit < bench->of_limit_min)
        bench->of_limit_min = of_limit;
    if (of_limit > bench->of_limit_max)
        bench->of_limit_max = of_limit;
}

/* One turn each; how fast the workload was in it beside the limit. */
static bool work_round(bench *bench)
{
    int64_t turn_ns = bench->duration_ns / ROUNDS;
    bench_counts *counts = &bench->counts;
    bench_counts *limit = &bench->limit_counts;
    uint64_t ops = counts->ops, limit_ops = limit->ops;
    int64_t took_ns = bench->took_ns, limit_ns = bench->limit_took_ns;
    if (bench->crew.count > 0 &&
        !bench_crew_work(&bench->crew, turn_ns, 0, counts, &bench->took_ns))
        return false;
    if (!bench_crew_work(&bench->limit_crew, turn_ns, 0, limit,
                         &bench->limit_took_ns))
        return false;
    double rate =
        (double)(counts->ops - ops) / (double)(bench->took_ns - took_ns);
    double limit_rate = (double)(limit->ops - limit_ops) /
                        (double)(bench->limit_took_ns - limit_ns);
    if (bench->crew.count > 0)
        note_round(bench, rate / limit_rate);
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
    for (int i = 0; i < ROUNDS; i++) {
        if (!work_round(bench))
            return false;
    }
    if (bench->crew.count > 0)
        return true;
    bench->counts = bench->limit_counts;
    bench->took_ns = bench->limit_took_ns;
    note_round(bench, 1);
    return true;
}

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
    if (!prepare(bench) || !work(bench)) {
        complain("bench: no memory or threads for it");
        return TOOL_FAILED;
    }
    if (bench->is_json)
        bench_report_json(bench);
    else
        bench_report(bench);
    if (bench->counts.failed == 0)
        return TOOL_DONE;
    complain("bench: %llu calls failed",
             (unsigned long long)bench->counts.failed);
    return TOOL_FAILED;
}

static void clean_up(bench *bench)
{
    bench_crew_fini(&bench->crew);
    bench_crew_fini(&bench->limit_crew);
    limit_table_free(bench->limit);
    free(bench->keys);
    if (bench->cache != NULL)
        mtc_cache_close(&bench->cache);
    free(bench);
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
    if (args->tiers != NULL && workload->tiers == NULL) {
        complain("bench: %s uses no cache and takes no --tiers", name);
        return false;
    }
    return true;
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
    bench->threads =
        args->threads > 0 ? (unsigned)args->threads : THREADS_DEFAULT;
    bench->batch = args->batch > 0 ? (size_t)args->batch : 1;
    bench->duration_ns = args->duration_ms > 0 ? args->duration_ms * 1000000
                                               : DURATION_NS_DEFAULT;
    tool_exit exit = run(bench, args);
    clean_up(bench);
    return exit;
}
