/*
 * Counting requests and summing the stripes; see stats.h.
 */
#include "core/stats.h"

#include <stdlib.h>
#include <string.h>

#include "core/flight.h"

void mtci_counters_fini(mtci_counters *counters)
{
    for (size_t i = 0; i < MTCI_STRIPES; i++)
        free(atomic_load_explicit(&counters->own[i], memory_order_relaxed));
}

/* The stripe of the calling thread, made if need be; NULL: it has none. */
static mtci_stripe *stripe_here(mtci_counters *counters)
{
    const mtci_pins *pins = mtci_pins_here();
    if (!pins || pins->index >= MTCI_STRIPES)
        return NULL;
    _Atomic(mtci_stripe *) *own = &counters->own[pins->index];
    mtci_stripe *stripe = atomic_load_explicit(own, memory_order_relaxed);
    if (stripe)
        return stripe;
    stripe = aligned_alloc(alignof(mtci_stripe), sizeof(*stripe));
    if (!stripe)
        return NULL;
    memset(stripe, 0, sizeof(*stripe));
    atomic_store_explicit(own, stripe, memory_order_release);
    return stripe;
}

void mtci_count_slowly(mtci_counters *counters, unsigned counter, uint64_t more)
{
    if (stripe_here(counters)) {
        mtci_count_for(counters, mtci_self.pins, counter, more);
        return;
    }
    atomic_fetch_add_explicit(&counters->shared.counts[counter], more,
                              memory_order_relaxed);
}

void mtci_count_request(mtci_counters *counters, mtc_status status, int outcome)
{
    if (outcome == MTCI_OUTCOME_MISS) {
        mtci_count(counters, MTCI_COUNT_MISSES);
        return;
    }
    if (outcome == MTCI_OUTCOME_ERROR) {
        mtci_count(counters, MTCI_COUNT_ERRORS);
        return;
    }
    unsigned tier = (unsigned)outcome;
    mtci_count(counters, MTCI_COUNT_HITS + tier);
    if (status == MTC_STALE)
        mtci_count(counters, MTCI_COUNT_HITS_STALE + tier);
    if (status == MTC_ABSENT)
        mtci_count(counters, MTCI_COUNT_HITS_ABSENT + tier);
}

uint64_t mtci_counted(const mtci_counters *counters, unsigned counter)
{
    uint64_t sum = atomic_load_explicit(&counters->shared.counts[counter],
                                        memory_order_relaxed);
    for (size_t i = 0; i < MTCI_STRIPES; i++) {
        const mtci_stripe *stripe =
            atomic_load_explicit(&counters->own[i], memory_order_acquire);
        if (stripe)
            sum += atomic_load_explicit(&stripe->counts[counter],
                                        memory_order_relaxed);
    }
    return sum;
}

uint64_t mtci_counted_requests(const mtci_counters *counters)
{
    uint64_t sum = mtci_counted(counters, MTCI_COUNT_MISSES) +
                   mtci_counted(counters, MTCI_COUNT_ERRORS);
    for (unsigned i = 0; i < MTC_TIERS_MAX; i++)
        sum += mtci_counted(counters, MTCI_COUNT_HITS + i);
    return sum;
}
