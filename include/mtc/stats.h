/*
 * Statistics and health: what happened, and how each tier is doing.
 */
#ifndef MTC_STATS_H
#define MTC_STATS_H

#include "mtc/cache.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Counters of one tier since the cache was opened. */
typedef struct mtc_tier_stats {
    /** Scheme of the tier: "memory". */
    char scheme[16];
    /** Requests that ended as a hit of this tier. */
    uint64_t hits;
    /** Of those, stale ones. */
    uint64_t hits_stale;
    /** Of those, hits of negative entries. */
    uint64_t hits_absent;
    /** Entries copied from this tier into one above. */
    uint64_t promotions;
    /** Calls that ended with an error, time-outs included. */
    uint64_t errors;
    /** Calls that had no answer by their deadline. */
    uint64_t timeouts;
    /** Calls not made because the tier was down. */
    uint64_t skipped;
    /** Removals owed to the tier now. */
    uint64_t debts;
    /** Stores under way now that nobody waits for. */
    uint64_t storing;
    /** Keys that it was asked for. Of a tier that answers at once (memory)
     *  those of the requests are not counted: it is asked by every one. */
    uint64_t reads;
    /** What it holds, and evictions by cause. */
    mtc_tier_usage usage;
} mtc_tier_stats;

/** Counters of a cache, about 1.5 KiB; set struct_size to
 *  sizeof(mtc_stats). */
typedef struct mtc_stats {
    /** sizeof(mtc_stats); a smaller struct gets its first fields. */
    uint32_t struct_size;
    /** Count of tiers. */
    uint32_t tier_count;
    /** Keys asked: hits + misses + errors, bulk calls counted by key. */
    uint64_t requests;
    /** Requests that ended as a hit of some tier. */
    uint64_t hits;
    /** Requests that no tier could answer; loaded ones are among them. */
    uint64_t misses;
    /** Requests that ended with an error. */
    uint64_t errors;
    /** Loaders that were run. */
    uint64_t loads;
    /** Of those, failed or vanished ones. */
    uint64_t load_errors;
    /** Requests that waited for another's flight. */
    uint64_t followers;
    /** Flights open now. */
    uint64_t in_flight;
    /** Entries copied from a tier into one above. */
    uint64_t promotions;
    /** Keys set. */
    uint64_t sets;
    /** Keys removed or expired. */
    uint64_t removes;
    /** hits / requests, 0 to 1; 0 without requests. */
    double hit_rate;
    /** Hits of memory tiers / requests, 0 to 1. */
    double memory_hit_rate;
    /** Per tier, the first tier_count of them. */
    mtc_tier_stats tiers[MTC_TIERS_MAX];
    /** Loads that run now, but for those inside another. */
    uint64_t loads_running;
    /** Loads that wait for their turn now: see loads_max. */
    uint64_t loads_waiting;
} mtc_stats;

/** How well a tier or a cache is. */
typedef enum mtc_health_state {
    /** Works. */
    MTC_HEALTH_UP = 0,
    /** Works slowly: the median of the last 100 calls is above half the
     *  deadline. Or works in part: some of its parts are down. For a cache:
     *  some tier is not up. */
    MTC_HEALTH_DEGRADED = 1,
    /** Does not work; for a cache: no tier does. */
    MTC_HEALTH_DOWN = 2
} mtc_health_state;

/** Health of one tier. */
typedef struct mtc_tier_health {
    /** Scheme of the tier: "redis". */
    char scheme[16];
    /** Up, slow or partly down, or down: mtc_health_state. */
    int32_t state;
    /** Status of the last failure, or 0: mtc_status. */
    int32_t last_error;
    /** Milliseconds since that failure; -1: there was none. */
    int64_t last_error_age_ms;
    /** Median of the last 100 calls, in microseconds. */
    int64_t median_us;
    /** Removals owed to the tier. */
    uint64_t debts;
    /** The last failure in words; no password. */
    char last_error_text[160];
    /** Parts that fail each by itself, as in mtc_tier_usage. */
    uint32_t parts;
    /** Of those, how many are down now. */
    uint32_t parts_down;
} mtc_tier_health;

/** Health of a cache; set struct_size to sizeof(mtc_health). */
typedef struct mtc_health {
    /** sizeof(mtc_health); a smaller struct gets its first fields. */
    uint32_t struct_size;
    /** Count of tiers. */
    uint32_t tier_count;
    /** Healthy, degraded or down as a whole: mtc_health_state. */
    int32_t state;
    /** Must be ignored. */
    int32_t reserved;
    /** Why the cache runs without a second tier that the default would have
     *  had; empty otherwise. */
    char note[160];
    /** Per tier, the first tier_count of them. */
    mtc_tier_health tiers[MTC_TIERS_MAX];
} mtc_health;

/**
 * The counters of a cache. They are summed while others count: each is right
 * for some moment during the call.
 *
 * @param cache the cache.
 * @param stats struct_size set by the caller; receives the counters.
 * @return MTC_OK; MTC_E_INVALID for NULL or a struct_size that no version
 *         had; MTC_E_CLOSED; MTC_E_FORKED.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_stats(mtc_cache *cache, mtc_stats *stats);

/**
 * How the cache and each tier are doing. Asks nobody: it tells what the calls
 * so far have shown.
 *
 * @param cache the cache.
 * @param health struct_size set by the caller; receives the facts.
 * @return MTC_OK; MTC_E_INVALID for NULL or a struct_size that no version
 *         had; MTC_E_CLOSED; MTC_E_FORKED.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_health(mtc_cache *cache, mtc_health *health);

/**
 * Asks every tier for a key that does not exist, one with parts for several,
 * and so brings health up to date.
 *
 * @param cache the cache.
 * @param health as for mtc_cache_health, filled after the answers.
 * @return as mtc_cache_health.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** until the tiers' deadlines, twice for one with parts.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_ping(mtc_cache *cache, mtc_health *health);

#ifdef __cplusplus
}
#endif

#endif
