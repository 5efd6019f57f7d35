/*
 * Counting requests and summing the stripes; see stats.h.
 */
#include "core/stats.h"

#include "core/flight.h"

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
    uint64_t sum = 0;
    for (size_t i = 0; i < MTCI_STRIPES; i++)
        sum += atomic_load_explicit(&counters->stripes[i].counts[counter],
                                    memory_order_relaxed);
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
