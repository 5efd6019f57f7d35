/*
 * Seeing how a cache is doing: health, statistics, and the log.
 *
 * The second tier is a Redis that is not there. The cache opens all the same,
 * answers from memory, and says what is wrong.
 */
#include <mtc.h>
#include <stdio.h>
#include <stdlib.h>

static void expect(bool fact, const char *what)
{
    if (fact)
        return;
    fprintf(stderr, "health_monitoring: it does not hold that %s\n", what);
    exit(1);
}

/* Any thread of the cache may call this; lines are rate-limited already. */
static void write_line(void *ctx, mtc_log_level level, const char *part,
                       const char *text)
{
    (void)ctx;
    printf("log: level %d, %s: %s\n", (int)level, part, text);
}

static void show_health(const mtc_health *health)
{
    static const char *const CACHE[] = {"healthy", "degraded", "down"};
    static const char *const TIER[] = {"up", "slow", "down"};
    printf("the cache is %s\n", CACHE[health->state]);
    for (unsigned i = 0; i < health->tier_count; i++) {
        const mtc_tier_health *tier = &health->tiers[i];
        printf("  %s is %s %s\n", tier->scheme, TIER[tier->state],
               tier->last_error_text);
    }
}

static void show_stats(const mtc_stats *stats)
{
    printf("%llu requests, %llu hits, hit rate %.2f\n",
           (unsigned long long)stats->requests, (unsigned long long)stats->hits,
           stats->hit_rate);
    for (unsigned i = 0; i < stats->tier_count; i++)
        printf("  %s: %llu hits, %llu errors, %llu calls spared\n",
               stats->tiers[i].scheme, (unsigned long long)stats->tiers[i].hits,
               (unsigned long long)stats->tiers[i].errors,
               (unsigned long long)stats->tiers[i].skipped);
}

static void use(mtc_cache *cache)
{
    mtc_value value;
    /* Not every tier holds it: done in part, which is no error. */
    expect(mtc_cache_set(cache, mtc_str("k"), mtc_str("v"), NULL) ==
               MTC_PARTIAL,
           "a set without Redis is done in part");
    expect(mtc_cache_get(cache, mtc_str("k"), &value) == MTC_OK,
           "memory answers");
    mtc_value_free(&value);

    /* Redis might have this one: nobody can say that it is a miss. */
    expect(mtc_cache_get(cache, mtc_str("other"), &value) < 0,
           "an error is not called a miss");
}

int main(void)
{
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    mtc_cache *cache;
    mtc_health health = {.struct_size = sizeof health};
    mtc_stats stats = {.struct_size = sizeof stats};
    options.tiers = "memory redis://127.0.0.1:1"; /* nobody listens there */
    options.log = write_line;
    expect(mtc_cache_open(&options, NULL, &cache) == MTC_OK,
           "a cache opens without its Redis");
    use(cache);

    /* ping asks every tier; mtc_cache_health tells what is known already. */
    expect(mtc_cache_ping(cache, &health) == MTC_OK, "health can be asked");
    show_health(&health);
    expect(health.state == MTC_HEALTH_DEGRADED, "the cache is degraded");
    expect(health.tiers[1].state == MTC_HEALTH_DOWN, "Redis is down");

    expect(mtc_cache_stats(cache, &stats) == MTC_OK, "there are statistics");
    show_stats(&stats);
    expect(stats.requests == stats.hits + stats.misses + stats.errors,
           "every request ends as one of three");
    return mtc_cache_close(&cache) < 0;
}
