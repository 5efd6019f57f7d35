/*
 * What the demo measured, as JSON. The main thread alone writes it.
 */
#include "demo.h"
#include "session.h"

static const char *const OUTCOME_NAMES[] = {"memory", "second", "load",
                                            "waited", "failed"};

static void write_times(json *json, const char *name, const times *times)
{
    json_open(json, name, '{');
    json_int(json, "requests", (int64_t)times->count);
    json_int(json, "p50_ns", times_share_ns(times, 0.5));
    json_int(json, "p99_ns", times_share_ns(times, 0.99));
    json_int(json, "max_ns", times->max_ns);
    json_close(json, '}');
}

static void write_reads(json *json, const char *name, const demo_reads *reads)
{
    json_open(json, name, '{');
    json_int(json, "duration_ns", reads->duration_ns);
    write_times(json, "all", &reads->all);
    for (unsigned i = 0; i < OUTCOMES && !reads->is_uncached; i++)
        write_times(json, OUTCOME_NAMES[i], &reads->outcomes[i]);
    json_close(json, '}');
}

static void write_stats(json *json, const mtc_stats *stats)
{
    json_open(json, "stats", '{');
    json_int(json, "requests", (int64_t)stats->requests);
    json_int(json, "hits_memory", (int64_t)stats->tiers[0].hits);
    json_int(json, "hits_second", (int64_t)stats->tiers[1].hits);
    json_int(json, "misses", (int64_t)stats->misses);
    json_int(json, "errors", (int64_t)stats->errors);
    json_int(json, "promotions", (int64_t)stats->promotions);
    json_int(json, "loads", (int64_t)stats->loads);
    json_int(json, "followers", (int64_t)stats->followers);
    json_close(json, '}');
}

static void write_stampede(json *json, const demo_stampede *stampede)
{
    json_open(json, "stampede", '{');
    json_int(json, "callers", stampede->callers);
    json_int(json, "loads", stampede->loads);
    json_int(json, "waited", stampede->waited);
    json_int(json, "failed", stampede->failed);
    json_int(json, "duration_ns", stampede->duration_ns);
    json_close(json, '}');
}

static void write_reopened(json *json, const demo *demo)
{
    json_int(json, "closing_ns", demo->closing_ns);
    json_int(json, "opening_ns", demo->opening_ns);
    json_int(json, "warm_entries", (int64_t)demo->warm_entries);
    write_reads(json, "reopened", &demo->again);
}

void demo_report_json(const demo *demo)
{
    json json = session_json(MTC_OK);
    json_bool(&json, "is_as_promised", !demo->is_broken);
    json_text(&json, "second_tier", demo->second);
    json_int(&json, "products", (int64_t)demo->products);
    json_int(&json, "threads", DEMO_THREADS);
    json_int(&json, "source_created_ns", demo->created_ns);
    write_reads(&json, "with_cache", &demo->cached);
    write_stats(&json, &demo->stats);
    write_reads(&json, "without_cache", &demo->uncached);
    write_stampede(&json, &demo->stampede);
    write_reopened(&json, demo);
    json_open(&json, "notes", '[');
    for (unsigned i = 0; i < demo->oddity_count; i++)
        json_text(&json, NULL, demo->oddities[i]);
    json_close(&json, ']');
    json_int(&json, "took_ns", times_now_ns() - demo->begun_ns);
    session_json_end(&json);
}
