/*
 * What mtc bench measured: a small table for a person, or one JSON object.
 * The main thread alone writes it.
 */
#include <inttypes.h>
#include <stdio.h>

#include "bench.h"
#include "figures.h"
#include "session.h"

static double hit_ratio(const bench *bench)
{
    const bench_counts *counts = &bench->counts;
    if (counts->gets == 0)
        return 0;
    return (double)counts->hits / (double)counts->gets;
}

static double of_limit(const bench *bench)
{
    double limit = bench_rate(&bench->limit_counts, bench->limit_took_ns);
    if (limit <= 0)
        return 0;
    return bench_rate(&bench->counts, bench->took_ns) / limit;
}

static bool is_against_limit(const bench *bench)
{
    return bench->workload->drawn > 0;
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
    times all = bench->counts.get_times;
    times_merge(&all, &bench->counts.set_times);
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
    times all = all_times(bench);
    printf("\n  %-11s %9s %9s %9s %9s\n", "time", "p50", "p99", "p99.9", "max");
    write_times(bench->batch > 1 ? "a batch" : "a call", &all);
    if (bench->counts.get_times.count == 0 ||
        bench->counts.set_times.count == 0)
        return;
    write_times("a get", &bench->counts.get_times);
    write_times("a set", &bench->counts.set_times);
}

static void write_notes(const bench *bench)
{
    uint64_t limit =
        (uint64_t)bench_rate(&bench->limit_counts, bench->limit_took_ns);
    if (is_against_limit(bench))
        printf("\n  limit: %s operations/s; of it %.3f to %.3f by round\n",
               figure_count(limit).text, bench->of_limit_min,
               bench->of_limit_max);
    else
        printf("\n  %s entries, each %.1f bytes beyond its key and value\n",
               figure_count(bench->entries).text, overhead_bytes(bench));
    if (bench->warm_up_ops > 0)
        printf("  warmed up by %s operations\n",
               figure_count(bench->warm_up_ops).text);
}

void bench_report(const bench *bench)
{
    const bench_counts *counts = &bench->counts;
    uint64_t rate = (uint64_t)bench_rate(counts, bench->took_ns);
    printf("  %-8s %7s %7s %13s %13s %9s %9s\n", "workload", "threads",
           "seconds", "operations", "a second", "of limit", "hit ratio");
    printf("  %-8s %7u %7.2f %13s %13s ", bench->workload->name, bench->threads,
           (double)bench->took_ns / 1e9, figure_count(counts->ops).text,
           figure_count(rate).text);
    if (is_against_limit(bench))
        printf("%9.3f", of_limit(bench));
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

static void add_limit(json *json, const bench *bench)
{
    json_real(json, "limit_ops_per_s",
              bench_rate(&bench->limit_counts, bench->limit_took_ns));
    json_real(json, "of_limit", of_limit(bench));
    json_real(json, "of_limit_min", bench->of_limit_min);
    json_real(json, "of_limit_max", bench->of_limit_max);
}

static void add_memory(json *json, const bench *bench)
{
    json_int(json, "entries", (int64_t)bench->entries);
    json_int(json, "growth_bytes", bench->growth_bytes);
    json_real(json, "overhead_bytes_per_entry", overhead_bytes(bench));
}

void bench_report_json(const bench *bench)
{
    const bench_counts *counts = &bench->counts;
    times all = all_times(bench);
    json json = session_json(counts->failed == 0 ? MTC_OK : MTC_PARTIAL);
    json_text(&json, "workload", bench->workload->name);
    json_int(&json, "threads", bench->threads);
    json_int(&json, "batch", (int64_t)bench->batch);
    json_real(&json, "seconds", (double)bench->took_ns / 1e9);
    json_int(&json, "ops", (int64_t)counts->ops);
    json_real(&json, "ops_per_s", bench_rate(counts, bench->took_ns));
    add_times(&json, &all);
    add_part(&json, "get", &counts->get_times);
    add_part(&json, "set", &counts->set_times);
    json_real(&json, "hit_ratio", hit_ratio(bench));
    json_int(&json, "failed", (int64_t)counts->failed);
    json_int(&json, "warm_up_ops", (int64_t)bench->warm_up_ops);
    if (is_against_limit(bench))
        add_limit(&json, bench);
    else
        add_memory(&json, bench);
    session_json_end(&json);
}
