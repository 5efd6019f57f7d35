/*
 * The first look: what the first tier has, with nothing around it.
 */
#ifndef MTCI_CORE_FIND_H
#define MTCI_CORE_FIND_H

#include "core/ask.h"

/* What the first tier has; what value holds before does not
 * matter, nor does what it holds after a miss. */
static inline mtc_status mtci_find_first(mtc_cache *cache, mtc_slice key,
                                         uint64_t hash, mtc_value *value)
{
    int64_t now_ms = mtci_clock_soon_ms(&cache->clock);
    return cache->find(cache->first, key, hash, now_ms, value);
}

/* It had a plain hit: counts it and ends the visit. */
static inline mtc_status mtci_find_counted(mtc_cache *cache)
{
    mtci_pins *pins = mtci_self.pins;
    mtci_count_for(&cache->counters, pins, MTCI_COUNT_HITS, 1);
    mtci_pins_part(pins);
    return MTC_OK;
}

#endif
