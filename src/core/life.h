/*
 * Lives: what a strategy says of how long an entry is fresh, and how long it
 * is kept as a stale copy after that. Stateless; any thread.
 */
#ifndef MTCI_CORE_LIFE_H
#define MTCI_CORE_LIFE_H

#include "mtc/strategy.h"
#include "mtc/tier.h"

struct mtci_lane;

/* What mtc_strategy held in version 0.1. */
#define MTCI_STRATEGY_SIZE_MIN 16u

/* An entry ends softly after ttl_ms and for good after window_ms more. */
typedef struct mtci_life {
    int64_t ttl_ms, window_ms;
    int32_t load_ms; /* what loading it took, to be kept; 0: not */
} mtci_life;

/* A field of a strategy, and what it may be. */
typedef struct mtci_strategy_field {
    const char *name;
    int64_t value, min, max;
} mtci_strategy_field;

/* Whether a field is out of range, and which. */
bool mtci_strategy_fault(const mtc_strategy *strategy,
                         mtci_strategy_field *fault);

/* Checks a strategy of any version and copies what is known of it.
 * MTC_E_INVALID: it is none, or out of range. */
mtc_status mtci_strategy_take(const mtc_strategy *given, mtc_strategy *taken);

/* The life of an entry that is stored now; the thread's chance shortens it. */
mtci_life mtci_life_of(const mtc_strategy *strategy);

/* Whether a strategy has entries loaded anew before they end. */
static inline bool mtci_refreshes(const mtc_strategy *strategy)
{
    return strategy->refresh_percent > 0 || strategy->refresh_beta > 0;
}

/* Whether an entry that is not past its soft end is to be loaded anew now;
 * facts without a ttl: ttl_ms. By the thread's chance. */
bool mtci_life_is_due(const mtc_strategy *strategy, const mtc_facts *facts,
                      int64_t ttl_ms);

/* The facts of such an entry in a tier, cut to what the tier can keep. */
mtc_facts mtci_life_facts(const struct mtci_lane *lane, mtci_life life);

/* The same with a ttl of this tier's own, which is cut and not scaled. */
mtc_facts mtci_life_facts_of(const struct mtci_lane *lane, mtci_life life,
                             int64_t ttl_ms);

/* The same for a copy of an entry with these facts. */
mtc_facts mtci_life_copied(const struct mtci_lane *lane,
                           const mtc_facts *facts);

#endif
