/*
 * The public statistics and health: what the counters and lanes have seen.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/cache.h"
#include "core/flight.h"
#include "core/sized.h"
#include "mtc/stats.h"

#define PING_KEY "mtc:ping"
/* Of a tier with parts: keys for each, and for all. */
#define PART_KEYS     8u
#define PART_KEYS_MAX 256u

/* The parts before the tiers, in version 0.1. */
#define STATS_SIZE_MIN  offsetof(mtc_stats, tiers)
#define HEALTH_SIZE_MIN offsetof(mtc_health, tiers)

/* -- statistics --------------------------------------------------------- */

static uint64_t load_count(const _Atomic uint64_t *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

static void fill_tier(const mtc_cache *cache, unsigned i, mtc_tier_stats *out)
{
    mtci_lane *lane = (mtci_lane *)&cache->lanes[i];
    const mtci_counters *counters = &cache->counters;
    snprintf(out->scheme, sizeof(out->scheme), "%s", lane->ops->scheme);
    out->hits = mtci_counted(counters, MTCI_COUNT_HITS + i);
    out->hits_stale = mtci_counted(counters, MTCI_COUNT_HITS_STALE + i);
    out->hits_absent = mtci_counted(counters, MTCI_COUNT_HITS_ABSENT + i);
    out->promotions = mtci_counted(counters, MTCI_COUNT_PROMOTIONS + i);
    out->reads = load_count(&lane->reads);
    out->errors = load_count(&lane->errors);
    out->timeouts = load_count(&lane->timeouts);
    out->skipped = load_count(&lane->skipped);
    out->debts = mtci_debts_count(&lane->debts);
    out->storing = load_count(&lane->open);
    out->usage = mtci_lane_usage(lane);
}

static uint64_t count_flights(mtc_cache *cache)
{
    uint64_t count = 0;
    for (size_t i = 0; i < MTCI_SLOTS; i++) {
        mtci_slot *slot = &cache->slots.slots[i];
        pthread_mutex_lock(&slot->mutex);
        for (mtci_flight *f = slot->flights; f; f = f->next)
            count++;
        pthread_mutex_unlock(&slot->mutex);
    }
    return count;
}

static void fill_totals(mtc_cache *cache, mtc_stats *out)
{
    const mtci_counters *counters = &cache->counters;
    uint64_t memory_hits = 0;
    for (unsigned i = 0; i < out->tier_count; i++) {
        out->hits += out->tiers[i].hits;
        out->promotions += out->tiers[i].promotions;
        if (i < cache->front_count)
            memory_hits += out->tiers[i].hits;
    }
    out->misses = mtci_counted(counters, MTCI_COUNT_MISSES);
    out->errors = mtci_counted(counters, MTCI_COUNT_ERRORS);
    out->requests = out->hits + out->misses + out->errors;
    out->loads = mtci_counted(counters, MTCI_COUNT_LOADS);
    out->load_errors = mtci_counted(counters, MTCI_COUNT_LOAD_ERRORS);
    out->followers = mtci_counted(counters, MTCI_COUNT_FOLLOWERS);
    out->sets = mtci_counted(counters, MTCI_COUNT_SETS);
    out->removes = mtci_counted(counters, MTCI_COUNT_REMOVES);
    out->in_flight = count_flights(cache);
    mtci_loads_count(cache->loads, &out->loads_running, &out->loads_waiting);
    if (out->requests > 0) {
        out->hit_rate = (double)out->hits / (double)out->requests;
        out->memory_hit_rate = (double)memory_hits / (double)out->requests;
    }
}

static mtc_status fill_stats(mtc_cache *cache, mtc_stats *stats)
{
    mtc_stats full = {.tier_count = (uint32_t)cache->lane_count};
    for (unsigned i = 0; i < full.tier_count; i++)
        fill_tier(cache, i, &full.tiers[i]);
    fill_totals(cache, &full);
    return mtci_sized_give(stats, &full, sizeof(full), STATS_SIZE_MIN)
               ? MTC_OK
               : MTC_E_INVALID;
}

mtc_status mtc_cache_stats(mtc_cache *cache, mtc_stats *stats)
{
    if (!cache || !stats)
        return MTC_E_INVALID;
    mtci_cache_enter(cache);
    mtc_status status = mtci_cache_gate(cache);
    if (status == MTC_OK)
        status = fill_stats(cache, stats);
    mtci_cache_leave(cache);
    return status;
}

/* -- health ------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The median of the last calls, in microseconds; 0: there were none. */
static int64_t median_us(const mtci_lane *lane)
{
    uint32_t samples[MTCI_LANE_SAMPLES];
    size_t count = load_count(&lane->sample_count);
    if (count > MTCI_LANE_SAMPLES)
        count = MTCI_LANE_SAMPLES;
    for (size_t i = 0; i < count; i++)
        samples[i] =
            atomic_load_explicit(&lane->samples_us[i], memory_order_relaxed);
    if (count == 0)
        return 0;
    qsort(samples, count, sizeof(*samples), by_size);
    return samples[count / 2];
}

static void fill_tier_health(mtci_lane *lane, mtc_tier_health *out)
{
    snprintf(out->scheme, sizeof(out->scheme), "%s", lane->ops->scheme);
    out->median_us = median_us(lane);
    out->debts = mtci_debts_count(&lane->debts);
    mtc_tier_usage usage = mtci_lane_usage(lane);
    out->parts = usage.parts;
    out->parts_down = usage.parts_down;
    out->state = MTC_HEALTH_UP;
    if (out->median_us > lane->deadline_ms * 1000 / 2 || out->parts_down > 0)
        out->state = MTC_HEALTH_DEGRADED;
    if (mtci_lane_is_down(lane))
        out->state = MTC_HEALTH_DOWN;
    out->last_error_age_ms = -1;
    pthread_mutex_lock(&lane->mutex);
    if (lane->last_error != MTC_OK) {
        out->last_error = lane->last_error;
        out->last_error_age_ms =
            mtci_clock_ms(&lane->clock) - lane->last_error_ms;
        memcpy(out->last_error_text, lane->last_error_text,
               sizeof(out->last_error_text));
    }
    pthread_mutex_unlock(&lane->mutex);
}

static mtc_status fill_health(mtc_cache *cache, mtc_health *health)
{
    mtc_health full = {.tier_count = (uint32_t)cache->lane_count};
    uint32_t up = 0, down = 0;
    for (size_t i = 0; i < cache->lane_count; i++) {
        fill_tier_health(&cache->lanes[i], &full.tiers[i]);
        up += full.tiers[i].state == MTC_HEALTH_UP;
        down += full.tiers[i].state == MTC_HEALTH_DOWN;
    }
    memcpy(full.note, cache->note, sizeof(full.note));
    if (up < full.tier_count || full.note[0])
        full.state = MTC_HEALTH_DEGRADED;
    if (down == full.tier_count)
        full.state = MTC_HEALTH_DOWN;
    return mtci_sized_give(health, &full, sizeof(full), HEALTH_SIZE_MIN)
               ? MTC_OK
               : MTC_E_INVALID;
}

mtc_status mtc_cache_health(mtc_cache *cache, mtc_health *health)
{
    if (!cache || !health)
        return MTC_E_INVALID;
    mtci_cache_enter(cache);
    mtc_status status = mtci_cache_gate(cache);
    if (status == MTC_OK)
        status = fill_health(cache, health);
    mtci_cache_leave(cache);
    return status;
}

/* Keys enough that each part has one of them, almost surely. */
static void ping_parts(mtci_lane *lane)
{
    mtci_op *ops[PART_KEYS_MAX];
    char key[sizeof PING_KEY + 8];
    size_t parts = mtci_lane_usage(lane).parts;
    size_t wanted = parts > 1 ? parts * PART_KEYS : 0;
    size_t count = 0;
    if (wanted > PART_KEYS_MAX)
        wanted = PART_KEYS_MAX;
    for (unsigned i = 0; i < wanted; i++) {
        snprintf(key, sizeof(key), "%s:%u", PING_KEY, i);
        ops[count] = mtci_op_new(lane, MTC_VERB_READ, mtc_str(key), 0);
        if (!ops[count])
            break;
        ops[count++]->is_probe = true;
    }
    mtci_lane_submit(lane, ops, count);
    for (size_t i = 0; i < count; i++) {
        mtci_lane_wait(lane, ops[i], MTC_NO_END);
        mtci_op_release(ops[i]);
    }
}

static void ping(mtc_cache *cache)
{
    mtci_op *ops[MTC_TIERS_MAX];
    for (size_t i = 0; i < cache->lane_count; i++) {
        mtci_lane *lane = &cache->lanes[i];
        ops[i] = mtci_op_new(lane, MTC_VERB_READ, mtc_str(PING_KEY), 0);
        if (!ops[i])
            continue;
        ops[i]->is_probe = true;
        mtci_lane_submit(lane, &ops[i], 1);
        mtci_lane_kick(lane);
    }
    for (size_t i = 0; i < cache->lane_count; i++) {
        /* Set above, for as many.
         * NOLINTNEXTLINE(clang-analyzer-core.uninitialized.Branch) */
        if (ops[i])
            mtci_lane_wait(&cache->lanes[i], ops[i], MTC_NO_END);
        mtci_op_release(ops[i]);
        ping_parts(&cache->lanes[i]);
    }
}

mtc_status mtc_cache_ping(mtc_cache *cache, mtc_health *health)
{
    if (!cache || !health)
        return MTC_E_INVALID;
    int cancel_state;
    mtci_cache_enter(cache);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    mtc_status status = mtci_cache_gate(cache);
    if (status == MTC_OK)
        ping(cache);
    if (status == MTC_OK)
        status = mtc_cache_health(cache, health);
    mtci_cache_leave(cache);
    pthread_setcancelstate(cancel_state, NULL);
    return status;
}
