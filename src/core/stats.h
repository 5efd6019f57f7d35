/*
 * Counters of a cache: one stripe for each few threads, summed when asked.
 *
 * The list below defines each counter once. Any thread.
 */
#ifndef MTCI_CORE_STATS_H
#define MTCI_CORE_STATS_H

#include <stdalign.h>
#include <stdatomic.h>

#include "core/thread.h"
#include "mtc/stats.h"

#define MTCI_STRIPES 16u

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
    mtci_stripe stripes[MTCI_STRIPES];
} mtci_counters;

static inline void mtci_count(mtci_counters *counters, unsigned counter)
{
    mtci_stripe *stripe =
        &counters->stripes[mtci_thread_stripe() % MTCI_STRIPES];
    atomic_fetch_add_explicit(&stripe->counts[counter], 1,
                              memory_order_relaxed);
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
