/*
 * Counters of a cache: a stripe for each thread, summed when asked.
 *
 * A stripe is written by one living thread alone, so that counting is a load
 * and a store; a thread that comes later goes on with the stripe of one that
 * has gone. Threads beyond the last stripe share one, with atomic additions.
 * The list below defines each counter once. Any thread.
 */
#ifndef MTCI_CORE_STATS_H
#define MTCI_CORE_STATS_H

#include <stdalign.h>
#include <stdatomic.h>

#include "base/pin.h"
#include "mtc/stats.h"

#define MTCI_STRIPES 256u

typedef enum mtci_counter {
    MTCI_COUNT_MISSES,
    MTCI_COUNT_ERRORS,
    MTCI_COUNT_LOADS,
    MTCI_COUNT_LOAD_ERRORS,
    MTCI_COUNT_FOLLOWERS,
    MTCI_COUNT_SETS,
    MTCI_COUNT_REMOVES,
    MTCI_COUNT_HITS, /* one for each tier from here on */
    MTCI_COUNT_HITS_STALE = MTCI_COUNT_HITS + MTC_TIERS_MAX,
    MTCI_COUNT_HITS_ABSENT = MTCI_COUNT_HITS_STALE + MTC_TIERS_MAX,
    MTCI_COUNT_PROMOTIONS = MTCI_COUNT_HITS_ABSENT + MTC_TIERS_MAX,
    MTCI_COUNTERS = MTCI_COUNT_PROMOTIONS + MTC_TIERS_MAX
} mtci_counter;

typedef struct mtci_stripe {
    alignas(64) _Atomic uint64_t counts[MTCI_COUNTERS];
} mtci_stripe;

typedef struct mtci_counters {
    _Atomic(mtci_stripe *) own[MTCI_STRIPES]; /* by index of the thread */
    mtci_stripe shared;
} mtci_counters;

/* Zeroed counters are valid. Frees the stripes. */
void mtci_counters_fini(mtci_counters *counters);

/* Counts for a thread that has no stripe yet, or none to have. */
void mtci_count_slowly(mtci_counters *counters, unsigned counter,
                       uint64_t more);

/* Counts for the calling thread, whose record is known (or NULL). */
static inline void mtci_count_for(mtci_counters *counters,
                                  const mtci_pins *pins, unsigned counter,
                                  uint64_t more)
{
    mtci_stripe *own = NULL;
    if (pins && pins->index < MTCI_STRIPES)
        own = atomic_load_explicit(&counters->own[pins->index],
                                   memory_order_relaxed);
    if (__builtin_expect(!own, 0)) {
        mtci_count_slowly(counters, counter, more);
        return;
    }
    _Atomic uint64_t *count = &own->counts[counter];
    uint64_t so_far = atomic_load_explicit(count, memory_order_relaxed);
    atomic_store_explicit(count, so_far + more, memory_order_relaxed);
}

static inline void mtci_count(mtci_counters *counters, unsigned counter)
{
    mtci_count_for(counters, mtci_self.pins, counter, 1);
}

/* Counts a request that ended with status at tier outcome, MTCI_OUTCOME_MISS
 * or MTCI_OUTCOME_ERROR. */
void mtci_count_request(mtci_counters *counters, mtc_status status,
                        int outcome);

/* The sum of one counter over the stripes. */
uint64_t mtci_counted(const mtci_counters *counters, unsigned counter);

/* Requests that have ended so far. */
uint64_t mtci_counted_requests(const mtci_counters *counters);

#endif
