/*
 * The cache object: its lanes, slots, counters, keeper and settings.
 *
 * It is counted: one for the user, one for each call that may wait. close
 * takes the user's; the last one out frees. The gate is one page that the
 * kernel wipes in a forked child, so that every call there can tell.
 */
#ifndef MTCI_CORE_CACHE_H
#define MTCI_CORE_CACHE_H

#include "base/log.h"
#include "core/keeper.h"
#include "core/lane.h"
#include "core/loads.h"
#include "core/slot.h"
#include "core/stats.h"
#include "mtc/cache.h"
#include "mtc/queue.h"

#define MTCI_GRACE_MS       2000
#define MTCI_STOP_MS        500 /* for a worker, once the grace time is over */
#define MTCI_VALUE_SIZE_MAX ((size_t)64 << 20)
#define MTCI_VALUE_SIZE_TOP ((size_t)512 << 20)

/* States of the gate. A forked child reads 0. */
enum { MTCI_GATE_FORKED = 0, MTCI_GATE_OPEN = 1, MTCI_GATE_CLOSED = 2 };

struct mtc_cache {
    _Atomic uint32_t *gate;
    _Atomic uint32_t users;
    _Atomic uint32_t queue_count; /* of the users: completion queues */
    pthread_mutex_t queues_mutex; /* guards queues */
    mtc_queue *queues;
    _Atomic int64_t driven_ms; /* boot time: when a queue last drove tiers */
    mtci_clock clock;
    uint64_t seed;
    /* Of the first tier if it answers at once, else a miss. */
    mtc_status (*find)(mtc_tier *tier, mtc_slice key, uint64_t hash,
                       int64_t now_ms, mtc_value *out);
    mtc_tier *first;
    mtci_counters counters; /* what hits read is kept together */
    size_t lane_count;
    size_t front_count; /* leading lanes that answer at once */
    size_t value_size_max;
    int64_t grace_ms;
    int64_t close_by_ms; /* boot time; the closing thread's */
    mtc_strategy strategy;
    mtc_eviction_function evicted;
    void *evicted_ctx;
    mtc_weigh_function weigh;
    void *weigh_ctx;
    char note[160];
    mtci_log log;
    mtci_keeper keeper;
    mtci_loads *loads;
    pthread_mutex_t leases_mutex; /* leaf */
    struct mtci_flight *leases;   /* that are renewed */
    mtc_tier_host hosts[MTC_TIERS_MAX];
    mtci_lane lanes[MTC_TIERS_MAX];
    mtci_slots slots;
};

/* MTC_OK, or why no call can be served. */
static inline mtc_status mtci_cache_gate(const mtc_cache *cache)
{
    uint32_t gate = atomic_load_explicit(cache->gate, memory_order_relaxed);
    if (gate == MTCI_GATE_OPEN)
        return MTC_OK;
    return gate == MTCI_GATE_CLOSED ? MTC_E_CLOSED : MTC_E_FORKED;
}

static inline int64_t mtci_cache_now_ms(const mtc_cache *cache)
{
    return mtci_clock_ms(&cache->clock);
}

/* Opens with a clock of the caller's; mtc_cache_open takes the real one. */
mtc_status mtci_cache_open_at(const mtc_cache_options *options,
                              mtci_clock clock, mtc_error *error,
                              mtc_cache **cache);

/* What the user's weigher says; no lock may be held. */
static inline uint32_t mtci_cache_weigh(const mtc_cache *cache, mtc_slice key,
                                        mtc_slice value)
{
    if (!cache->weigh || (!value.data && value.size > 0))
        return 0;
    return cache->weigh(cache->weigh_ctx, key, value);
}

/* Tells the user's listener what has left memory. No lock may be held; the
 * cache is entered. What a listener drives out itself is told next time. */
void mtci_cache_report(mtc_cache *cache);

/* A call that may wait begins and ends. */
void mtci_cache_enter(mtc_cache *cache);
void mtci_cache_leave(mtc_cache *cache);

/* A call that does not wait begins: what it looks at stays until it parts, and
 * other threads see nothing of it. The thread's record; NULL: it has none, and
 * the call is counted as one that may wait. */
static inline mtci_pins *mtci_cache_visit(mtc_cache *cache)
{
    mtci_pins *pins = mtci_pins_here();
    if (pins)
        mtci_pins_visit(pins, cache);
    else
        mtci_cache_enter(cache);
    return pins;
}

/* From here on it may wait, and call the user. */
static inline void mtci_cache_stay(mtc_cache *cache, mtci_pins **pins)
{
    if (!*pins)
        return;
    mtci_cache_enter(cache);
    mtci_pins_part(*pins);
    *pins = NULL;
}

/* It ends, whether it stayed or not. */
static inline void mtci_cache_part(mtc_cache *cache, mtci_pins *pins)
{
    if (pins)
        mtci_pins_part(pins);
    else
        mtci_cache_leave(cache);
}

/* The tier at an index; NULL past the last. */
mtc_tier *mtci_cache_tier_at(mtc_cache *cache, size_t index);

#endif
