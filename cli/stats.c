/*
 * mtc stats: what each tier holds, and what became of the rest. The tiers are
 * asked once: what parts one has is known afterwards.
 *
 * One thread.
 */
#include <inttypes.h>
#include <string.h>

#include "command.h"
#include "figures.h"
#include "session.h"

/* A row of a table: how JSON and a person call a counter, and its place. */
typedef struct counter {
    const char *name;
    size_t offset;
} counter;

static const counter CACHE_COUNTERS[] = {
    {"requests", offsetof(mtc_stats, requests)},
    {"hits", offsetof(mtc_stats, hits)},
    {"misses", offsetof(mtc_stats, misses)},
    {"errors", offsetof(mtc_stats, errors)},
    {"loads", offsetof(mtc_stats, loads)},
    {"load_errors", offsetof(mtc_stats, load_errors)},
    {"followers", offsetof(mtc_stats, followers)},
    {"in_flight", offsetof(mtc_stats, in_flight)},
    {"loads_running", offsetof(mtc_stats, loads_running)},
    {"loads_waiting", offsetof(mtc_stats, loads_waiting)},
    {"promotions", offsetof(mtc_stats, promotions)},
    {"sets", offsetof(mtc_stats, sets)},
    {"removes", offsetof(mtc_stats, removes)},
};

static const counter TIER_COUNTERS[] = {
    {"hits", offsetof(mtc_tier_stats, hits)},
    {"hits_stale", offsetof(mtc_tier_stats, hits_stale)},
    {"hits_absent", offsetof(mtc_tier_stats, hits_absent)},
    {"promotions", offsetof(mtc_tier_stats, promotions)},
    {"reads", offsetof(mtc_tier_stats, reads)},
    {"errors", offsetof(mtc_tier_stats, errors)},
    {"timeouts", offsetof(mtc_tier_stats, timeouts)},
    {"skipped", offsetof(mtc_tier_stats, skipped)},
    {"debts", offsetof(mtc_tier_stats, debts)},
    {"storing", offsetof(mtc_tier_stats, storing)},
    {"bytes", offsetof(mtc_tier_stats, usage.bytes)},
    {"bytes_max", offsetof(mtc_tier_stats, usage.bytes_max)},
    {"entries", offsetof(mtc_tier_stats, usage.entries)},
    {"evicted_size", offsetof(mtc_tier_stats, usage.evicted_size)},
    {"evicted_expired", offsetof(mtc_tier_stats, usage.evicted_expired)},
    {"evicted_replaced", offsetof(mtc_tier_stats, usage.evicted_replaced)},
    {"evicted_removed", offsetof(mtc_tier_stats, usage.evicted_removed)},
    {"damaged", offsetof(mtc_tier_stats, usage.damaged)},
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void write_counters(json *json, const counter *counters, size_t count,
                           const void *from)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t number = 0;
        memcpy(&number, (const char *)from + counters[i].offset, sizeof number);
        json_int(json, counters[i].name, (int64_t)number);
    }
}

static void write_json(const mtc_stats *stats)
{
    json json = session_json(MTC_OK);
    write_counters(&json, CACHE_COUNTERS, COUNT(CACHE_COUNTERS), stats);
    json_real(&json, "hit_rate", stats->hit_rate);
    json_real(&json, "memory_hit_rate", stats->memory_hit_rate);
    json_open(&json, "tiers", '[');
    for (uint32_t i = 0; i < stats->tier_count; i++) {
        const mtc_tier_stats *tier = &stats->tiers[i];
        json_open(&json, NULL, '{');
        json_text(&json, "scheme", tier->scheme);
        write_counters(&json, TIER_COUNTERS, COUNT(TIER_COUNTERS), tier);
        if (tier->usage.parts > 0) {
            json_int(&json, "parts", tier->usage.parts);
            json_int(&json, "parts_down", tier->usage.parts_down);
        }
        json_close(&json, '}');
    }
    json_close(&json, ']');
    session_json_end(&json);
}

static void write_text(const mtc_stats *stats)
{
    printf("%-10s %12s %10s %10s %12s %8s %6s\n", "tier", "entries", "bytes",
           "of", "evicted", "damaged", "debts");
    for (uint32_t i = 0; i < stats->tier_count; i++) {
        const mtc_tier_stats *tier = &stats->tiers[i];
        const mtc_tier_usage *usage = &tier->usage;
        uint64_t evicted = usage->evicted_size + usage->evicted_expired;
        printf("%-10s %12s %10s %10s %12s %8s %6s\n", tier->scheme,
               figure_count(usage->entries).text,
               figure_bytes(usage->bytes).text,
               usage->bytes_max > 0 ? figure_bytes(usage->bytes_max).text : "-",
               figure_count(evicted).text, figure_count(usage->damaged).text,
               figure_count(tier->debts).text);
        if (usage->parts > 0)
            printf("%-10s %12u of %u parts down\n", "", usage->parts_down,
                   usage->parts);
    }
}

tool_exit command_stats(const args *args, char **words)
{
    (void)words;
    mtc_cache *cache = NULL;
    mtc_stats stats;
    tool_exit opened = session_open(args, &cache);
    if (opened != TOOL_DONE)
        return opened;
    memset(&stats, 0, sizeof stats);
    stats.struct_size = (uint32_t)sizeof stats;
    mtc_health asked = {.struct_size = (uint32_t)sizeof asked};
    mtc_status status = mtc_cache_ping(cache, &asked);
    if (status == MTC_OK)
        status = mtc_cache_stats(cache, &stats);
    if (status != MTC_OK)
        session_complain(cache, "stats", mtc_status_text(status));
    else if (args->json)
        write_json(&stats);
    else
        write_text(&stats);
    mtc_cache_close(&cache);
    return status == MTC_OK ? TOOL_DONE : TOOL_FAILED;
}
