/*
 * What mtc bench measured: a small table for a person, or one JSON object.
 * The main thread alone writes it.
 */
#include <inttypes.h>
#include <stdio.h>

#include "bench.h"
#include "figures.h"
#include "session.h"

static const bench_result *result_of(const bench *bench)
{
    return &bench->results[BENCH_WORKLOAD];
}

static double hit_ratio(const bench *bench)
{
    const bench_counts *counts = &result_of(bench)->counts;
    if (counts->gets == 0)
        return 0;
    return (double)counts->hits / (double)counts->gets;
}

static bool is_against_limit(const bench *bench)
{
    return bench->workload->drawn > 0;
}

static bool is_against_one(const bench *bench)
{
    return bench->results[BENCH_ONE_THREAD].took_ns > 0;
}

/* What the rounds of one side alone tell. */
static bool has_rounds(const bench *bench)
{
    return bench->workload->kind == BENCH_OF_BELOW ||
           bench->workload->kind == BENCH_OF_STORM;
}

static bench_spread beside(const bench *bench, bench_side side)
{
    return bench_beside(result_of(bench), &bench->results[side]);
}

static double overhead_bytes(const bench *bench)
{
    if (bench->entries == 0)
        return 0;
    return (double)bench->growth_bytes / (double)bench->entries -
           (BENCH_KEY_SIZE + BENCH_VALUE_SIZE);
}

/* Gets and sets together. */
static times all_times(const bench *bench)
{
    times all = result_of(bench)->counts.get_times;
    times_merge(&all, &result_of(bench)->counts.set_times);
    return all;
}

static void write_times(const char *name, const times *times)
{
    printf("  %-11s %9s %9s %9s %9s\n", name,
           figure_ns(times_share_ns(times, 0.5)).text,
           figure_ns(times_share_ns(times, 0.99)).text,
           figure_ns(times_share_ns(times, 0.999)).text,
           figure_ns(times->max_ns).text);
}

static void write_all_times(const bench *bench)
{
    const bench_counts *counts = &result_of(bench)->counts;
    times all = all_times(bench);
    printf("\n  %-11s %9s %9s %9s %9s\n", "time", "p50", "p99", "p99.9", "max");
    write_times(bench->batch > 1 ? "a batch" : "a call", &all);
    if (counts->get_times.count == 0 || counts->set_times.count == 0)
        return;
    write_times("a get", &counts->get_times);
    write_times("a set", &counts->set_times);
}

static void write_one_thread(const bench *bench)
{
    bench_spread times = beside(bench, BENCH_ONE_THREAD);
    uint64_t rate = (uint64_t)bench_rate(&bench->results[BENCH_ONE_THREAD]);
    printf("  one thread: %s operations/s; %u are %.2f times as fast, "
           "%.2f to %.2f\n",
           figure_count(rate).text, bench->threads, times.median, times.min,
           times.max);
}

/* Lowest and highest rate of the rounds. */
static void write_turns(const bench *bench)
{
    const double *rates = result_of(bench)->rates;
    double min = rates[0], max = rates[0];
    for (int i = 1; i < BENCH_ROUNDS; i++) {
        min = rates[i] < min ? rates[i] : min;
        max = rates[i] > max ? rates[i] : max;
    }
    printf("\n  by round: %s to %s operations/s\n",
           figure_count((uint64_t)min).text, figure_count((uint64_t)max).text);
}

static void write_waits(const bench *bench)
{
    const bench_waits *waits = &bench->waits;
    printf("\n  slowest caller, beyond what the load took: %.3g ms, %.3g to "
           "%.3g\n",
           waits->over_load_ms.median, waits->over_load_ms.min,
           waits->over_load_ms.max);
    printf("  last answer, after the end of the load: %.3g ms, %.3g to %.3g\n",
           waits->after_load_ms.median, waits->after_load_ms.min,
           waits->after_load_ms.max);
    if (bench->is_async)
        return;
    printf("  slowest of %u threads after a bare broadcast: %.3g ms, %.3g to "
           "%.3g\n",
           bench->threads, waits->floor_ms.median, waits->floor_ms.min,
           waits->floor_ms.max);
    printf("  that caller %.2f times as long, %.2f to %.2f\n",
           waits->of_floor.median, waits->of_floor.min, waits->of_floor.max);
}

static void write_notes(const bench *bench)
{
    bench_spread of_limit = beside(bench, BENCH_LIMIT);
    uint64_t limit = (uint64_t)bench_rate(&bench->results[BENCH_LIMIT]);
    if (bench->waits.keys > 0)
        write_waits(bench);
    else if (has_rounds(bench))
        write_turns(bench);
    if (bench->callers > 0)
        printf("  %u callers%s; %s loads, %s keys read below memory\n",
               bench->callers, bench->is_async ? " that do not block" : "",
               figure_count(bench->loads).text,
               figure_count(bench->reads_below).text);
    if (bench->workload->kind != BENCH_OF_MEMORY)
        return;
    if (is_against_limit(bench))
        printf("\n  limit: %s operations/s; of it %.3f to %.3f by round\n",
               figure_count(limit).text, of_limit.min, of_limit.max);
    else
        printf("\n  %s entries, each %.1f bytes beyond its key and value\n",
               figure_count(bench->entries).text, overhead_bytes(bench));
    if (is_against_one(bench))
        write_one_thread(bench);
    if (bench->warm_up_ops > 0)
        printf("  warmed up by %s operations\n",
               figure_count(bench->warm_up_ops).text);
}

void bench_report(const bench *bench)
{
    const bench_result *result = result_of(bench);
    uint64_t rate = (uint64_t)bench_rate(result);
    printf("  %-8s %7s %7s %13s %13s %9s %9s\n", "workload", "threads",
           "seconds", "operations", "a second", "of limit", "hit ratio");
    printf("  %-8s %7u %7.2f %13s %13s ", bench->workload->name, bench->threads,
           (double)result->took_ns / 1e9, figure_count(result->counts.ops).text,
           figure_count(rate).text);
    if (is_against_limit(bench))
        printf("%9.3f", beside(bench, BENCH_LIMIT).median);
    else
        printf("%9s", "-");
    printf(" %9.4f\n", hit_ratio(bench));
    write_all_times(bench);
    write_notes(bench);
}

static void add_times(json *json, const times *times)
{
    json_int(json, "p50_ns", times_share_ns(times, 0.5));
    json_int(json, "p99_ns", times_share_ns(times, 0.99));
    json_int(json, "p999_ns", times_share_ns(times, 0.999));
    json_int(json, "max_ns", times->max_ns);
}

static void add_part(json *json, const char *name, const times *times)
{
    if (times->count == 0)
        return;
    json_open(json, name, '{');
    add_times(json, times);
    json_close(json, '}');
}

static void add_rounds(json *json, const char *name, const bench_result *result)
{
    json_open(json, name, '[');
    for (int i = 0; i < BENCH_ROUNDS; i++)
        json_real(json, NULL, result->rates[i]);
    json_close(json, ']');
}

static void add_limit(json *json, const bench *bench)
{
    const bench_result *limit = &bench->results[BENCH_LIMIT];
    bench_spread of_limit = beside(bench, BENCH_LIMIT);
    json_real(json, "limit_ops_per_s", bench_rate(limit));
    json_real(json, "of_limit", of_limit.median);
    json_real(json, "of_limit_min", of_limit.min);
    json_real(json, "of_limit_max", of_limit.max);
    add_rounds(json, "rounds", result_of(bench));
    add_rounds(json, "limit_rounds", limit);
}

static void add_one_thread(json *json, const bench *bench)
{
    const bench_result *one = &bench->results[BENCH_ONE_THREAD];
    bench_spread times = beside(bench, BENCH_ONE_THREAD);
    json_real(json, "one_thread_ops_per_s", bench_rate(one));
    json_real(json, "of_one_thread", times.median);
    json_real(json, "of_one_thread_min", times.min);
    json_real(json, "of_one_thread_max", times.max);
}

static void add_memory(json *json, const bench *bench)
{
    json_int(json, "entries", (int64_t)bench->entries);
    json_int(json, "growth_bytes", bench->growth_bytes);
    json_real(json, "overhead_bytes_per_entry", overhead_bytes(bench));
}

static void add_callers(json *json, const bench *bench)
{
    json_int(json, "callers", bench->callers);
    json_bool(json, "async", bench->is_async);
}

static void add_spread(json *json, const char *name, bench_spread spread)
{
    char ends[2][32];
    snprintf(ends[0], sizeof ends[0], "%s_min", name);
    snprintf(ends[1], sizeof ends[1], "%s_max", name);
    json_real(json, name, spread.median);
    json_real(json, ends[0], spread.min);
    json_real(json, ends[1], spread.max);
}

static void add_waits(json *json, const bench *bench)
{
    const bench_waits *waits = &bench->waits;
    double keys = waits->keys;
    json_int(json, "keys", waits->keys);
    json_real(json, "loads_per_key", (double)bench->loads / keys);
    json_real(json, "l2_gets_per_key", (double)bench->reads_below / keys);
    add_spread(json, "max_over_load_ms", waits->over_load_ms);
    add_spread(json, "last_after_load_ms", waits->after_load_ms);
    add_spread(json, "wake_floor_ms", waits->floor_ms);
    add_spread(json, "of_wake_floor", waits->of_floor);
}

/* What is told of the workloads of a kind alone. */
static void add_own(json *json, const bench *bench)
{
    if (is_against_limit(bench))
        add_limit(json, bench);
    else if (bench->workload->kind == BENCH_OF_MEMORY)
        add_memory(json, bench);
    if (has_rounds(bench))
        add_rounds(json, "rounds", result_of(bench));
    if (bench->waits.keys > 0)
        add_waits(json, bench);
    if (bench->workload->kind == BENCH_OF_STORM)
        json_int(json, "loads", (int64_t)bench->loads);
}

void bench_report_json(const bench *bench)
{
    const bench_result *result = result_of(bench);
    const bench_counts *counts = &result->counts;
    times all = all_times(bench);
    json json = session_json(counts->failed == 0 ? MTC_OK : MTC_PARTIAL);
    json_text(&json, "workload", bench->workload->name);
    json_int(&json, "threads", bench->threads);
    if (bench->callers > 0)
        add_callers(&json, bench);
    json_int(&json, "batch", (int64_t)bench->batch);
    json_real(&json, "seconds", (double)result->took_ns / 1e9);
    json_int(&json, "ops", (int64_t)counts->ops);
    json_real(&json, "ops_per_s", bench_rate(result));
    add_times(&json, &all);
    add_part(&json, "get", &counts->get_times);
    add_part(&json, "set", &counts->set_times);
    json_real(&json, "hit_ratio", hit_ratio(bench));
    json_int(&json, "failed", (int64_t)counts->failed);
    json_int(&json, "warm_up_ops", (int64_t)bench->warm_up_ops);
    add_own(&json, bench);
    if (is_against_one(bench))
        add_one_thread(&json, bench);
    session_json_end(&json);
}
