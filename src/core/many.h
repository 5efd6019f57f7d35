/*
 * Bulk calls: every key is begun before any is waited for, so that each tier
 * sees one round trip.
 */
#ifndef MTCI_CORE_MANY_H
#define MTCI_CORE_MANY_H

#include "core/ask.h"
#include "mtc/cache.h"

/* Keys that are under way at a time; a longer list goes in several rounds,
 * so that no queue of a tier overflows. */
#define MTCI_MANY_WINDOW 1024u

/* What memory did not have is marked with this until it is asked below. */
#define MTCI_MANY_NOT_YET MTC_PENDING

/* What memory has of some items with zeroed values, each with its status; with
 * a bulk loader stale copies as well, if the strategy lets callers have them,
 * and what is due is loaded anew behind the call. How many are NOT_YET. The
 * cache is visited, and the values are this thread's. */
size_t mtci_many_find(const mtci_ask *first, mtc_item *items, size_t count);

/* What a call returns whose items have ended. */
static inline mtc_status mtci_many_status(const mtc_item *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (items[i].status != MTC_OK)
            return MTC_PARTIAL;
    }
    return MTC_OK;
}

#endif
