/*
 * Loads that run behind their callers, on loader threads: what leads the
 * flight then is an ask that nobody waits in.
 */
#ifndef MTCI_CORE_BACKGROUND_H
#define MTCI_CORE_BACKGROUND_H

#include "core/ask.h"

/* Whether loads with this strategy run behind their callers. */
static inline bool mtci_is_background(const mtc_strategy *strategy)
{
    return strategy->soft_ms >= 0 || strategy->hard_ms > 0 ||
           strategy->refresh_percent > 0 || strategy->refresh_beta > 0 ||
           strategy->lease_ms > 0;
}

/* Has the flight of an ask that leads it led from here on by another one, on
 * a loader thread; the ask follows. False: out of memory, nothing is done. */
bool mtci_background_lead(mtci_ask *ask);

/* Loads the ask's key anew behind it, unless the key is in flight or was not
 * to be had lately. Without memory nothing is done. */
void mtci_background_refresh(const mtci_ask *ask);

/* Whether the ask's strategy wants that for a hit of it, with this value. */
bool mtci_background_is_due(const mtci_ask *ask, const mtc_value *value);

#endif
