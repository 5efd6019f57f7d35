/*
 * Bulk calls: every key is begun before any is waited for, so that each tier
 * sees one round trip.
 */
#ifndef MTCI_CORE_MANY_H
#define MTCI_CORE_MANY_H

#include "mtc/cache.h"

/* Keys that are under way at a time; a longer list goes in several rounds,
 * so that no queue of a tier overflows. */
#define MTCI_MANY_WINDOW 1024u

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
