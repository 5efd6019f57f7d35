/*
 * mtc health and mtc ping: whether the tiers answer, and how fast.
 *
 * One thread.
 */
#include <string.h>

#include "command.h"
#include "figures.h"
#include "session.h"

#define PING_COUNT_DEFAULT 10

static const char *cache_word(int32_t state)
{
    static const char *const WORDS[] = {"healthy", "degraded", "down"};
    return WORDS[state];
}

static const char *tier_word(const mtc_tier_health *tier)
{
    static const char *const WORDS[] = {"up", "slow", "down"};
    if (tier->state == MTC_HEALTH_DEGRADED && tier->parts_down > 0)
        return "partly down";
    return WORDS[tier->state];
}

static void write_tier_json(json *json, const mtc_tier_health *tier)
{
    json_open(json, NULL, '{');
    json_text(json, "scheme", tier->scheme);
    json_text(json, "state", tier_word(tier));
    if (tier->parts > 0) {
        json_int(json, "parts", tier->parts);
        json_int(json, "parts_down", tier->parts_down);
    }
    json_int(json, "median_us", tier->median_us);
    json_int(json, "debts", (int64_t)tier->debts);
    if (tier->last_error != MTC_OK) {
        json_text(json, "last_error",
                  mtc_status_name((mtc_status)tier->last_error));
        json_text(json, "last_error_text", tier->last_error_text);
        json_int(json, "last_error_age_ms", tier->last_error_age_ms);
    }
    json_close(json, '}');
}

static void write_json(const mtc_health *health)
{
    json json = session_json(MTC_OK);
    json_text(&json, "state", cache_word(health->state));
    json_text(&json, "note", health->note);
    json_open(&json, "tiers", '[');
    for (uint32_t i = 0; i < health->tier_count; i++)
        write_tier_json(&json, &health->tiers[i]);
    json_close(&json, ']');
    session_json_end(&json);
}

static void write_health(const mtc_health *health)
{
    printf("%s\n", cache_word(health->state));
    if (health->note[0] != '\0')
        printf("  %s\n", health->note);
    for (uint32_t i = 0; i < health->tier_count; i++) {
        const mtc_tier_health *tier = &health->tiers[i];
        printf("  %-10s %s", tier->scheme, tier_word(tier));
        if (tier->parts > 0)
            printf("  %u of %u parts down", tier->parts_down, tier->parts);
        if (tier->last_error != MTC_OK)
            printf("  %s: %s", mtc_status_name((mtc_status)tier->last_error),
                   tier->last_error_text);
        if (tier->debts > 0)
            printf("  owes %s removals", figure_count(tier->debts).text);
        putchar('\n');
    }
}

static void write_ping(const mtc_health *health)
{
    for (uint32_t i = 0; i < health->tier_count; i++) {
        const mtc_tier_health *tier = &health->tiers[i];
        if (tier->state == MTC_HEALTH_DOWN)
            printf("%-10s down  %s\n", tier->scheme, tier->last_error_text);
        else
            printf("%-10s %-5s %s\n", tier->scheme, tier_word(tier),
                   tier->median_us > 0 ? figure_ns(tier->median_us * 1000).text
                                       : "below 1 us");
    }
}

/* Asks every tier rounds times; health is that after the last round. */
static tool_exit ask(const args *args, int64_t rounds, mtc_health *health)
{
    mtc_cache *cache = NULL;
    tool_exit opened = session_open(args, &cache);
    if (opened != TOOL_DONE)
        return opened;
    memset(health, 0, sizeof *health);
    health->struct_size = (uint32_t)sizeof *health;
    mtc_status status = MTC_OK;
    for (int64_t i = 0; i < rounds && status == MTC_OK; i++)
        status = mtc_cache_ping(cache, health);
    if (status != MTC_OK)
        session_complain(cache, "ping", mtc_status_text(status));
    mtc_cache_close(&cache);
    return status == MTC_OK ? TOOL_DONE : TOOL_FAILED;
}

tool_exit command_health(const args *args, char **words)
{
    (void)words;
    mtc_health health;
    tool_exit asked = ask(args, 1, &health);
    if (asked != TOOL_DONE)
        return asked;
    if (args->json)
        write_json(&health);
    else
        write_health(&health);
    return health.state == MTC_HEALTH_UP ? TOOL_DONE : TOOL_FAILED;
}

tool_exit command_ping(const args *args, char **words)
{
    (void)words;
    mtc_health health;
    int64_t rounds = args->count > 0 ? args->count : PING_COUNT_DEFAULT;
    tool_exit asked = ask(args, rounds, &health);
    if (asked != TOOL_DONE)
        return asked;
    if (args->json)
        write_json(&health);
    else
        write_ping(&health);
    for (uint32_t i = 0; i < health.tier_count; i++) {
        if (health.tiers[i].state == MTC_HEALTH_DOWN)
            return TOOL_FAILED;
    }
    return TOOL_DONE;
}
