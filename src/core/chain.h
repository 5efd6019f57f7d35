/*
 * The chain: the tiers of a cache from the fastest to the slowest.
 *
 * Looks keys up tier by tier, and stores what was promoted or loaded. Owns
 * nothing. Any thread; functions in _locked expect the key's slot held.
 */
#ifndef MTCI_CORE_CHAIN_H
#define MTCI_CORE_CHAIN_H

#include "core/cache.h"
#include "core/flight.h"
#include "core/life.h"

/* One key that is looked up for a flight. */
typedef struct mtci_look {
    mtci_flight *flight;
    uint32_t flags; /* MTC_CALL_* */
    /* Not NULL: finds only what this strategy would not refresh. */
    const mtc_strategy *refresh;
    /* The caller waits for less if there is a stale copy, or in any case; 0 or
     * MTC_NO_END: it does not. */
    int64_t soft_at_ms, hard_at_ms;
    int64_t lease_ms; /* of the lease that it takes if it can; 0: none */
    bool is_found;
    /* Optional: called once the key is found, while others are looked up. */
    void (*found)(struct mtci_look *look);
    void *ctx;
    mtci_op *op;            /* under way in the tier that is being asked */
    struct mtci_task *task; /* is told when op is complete; NULL: nobody */
    mtc_status error;       /* first error of a tier, or 0 */
    int64_t sent_ms;        /* of a hit: when its request left */
    mtc_facts facts;        /* of a hit */
    mtci_result result;     /* hit, miss or error */
} mtci_look;

/* On what terms an entry is stored. */
typedef struct mtci_terms {
    mtc_kind kind;
    mtci_life life;
    mtc_slice etag;
    const int64_t *tier_ttl_ms; /* of each tier, 0: as life says; or NULL */
    const mtci_lane *but;       /* it is stored there already; or NULL */
} mtci_terms;

/* Asks the leading tiers that answer at once. True: result is a hit. */
bool mtci_chain_find(mtc_cache *cache, mtc_slice key, uint64_t hash,
                     uint32_t flags, mtci_result *result);

/* Tells the first of them which keys will be looked up next. */
void mtci_chain_expect(const mtc_cache *cache, const uint64_t *hashes,
                       size_t count);

/* Asks every tier, one after the other, for all keys together. Each look ends
 * with a result. */
void mtci_chain_look(mtc_cache *cache, mtci_look *looks, size_t count,
                     int64_t until_ms);

/* The parts of a look, for callers that do not block. front: asks a tier that
 * answers at once. send: asks another one for all that was not found yet; how
 * many operations are under way. take: one of them has ended so. end: no tier
 * is left to be asked. */
void mtci_chain_front(const mtci_lane *lane, mtci_look *looks, size_t count);
size_t mtci_chain_send(mtci_lane *lane, mtci_look *looks, size_t count);
void mtci_chain_take(mtci_lane *lane, mtci_look *look, mtc_status status);
void mtci_chain_end(mtci_look *looks, size_t count);

/* Until when the caller waits for a tier. */
int64_t mtci_chain_until(const mtci_look *look, int64_t until_ms);

/* Copies a hit into the tiers above, with what is left of its life. */
void mtci_chain_promote_locked(mtc_cache *cache, const mtci_look *look);

/* What an entry on these terms is in one tier. */
mtc_facts mtci_terms_facts(const mtci_terms *terms, const mtci_lane *lane);

/* Stores what was loaded in every tier: a value, or that there is none. */
void mtci_chain_store_locked(mtc_cache *cache, mtci_flight *flight,
                             const mtc_value *value, const mtci_terms *terms);

/* Puts the flight's stale copy, if it is from below, into the tiers that
 * answer at once. */
void mtci_chain_keep_stale_locked(mtc_cache *cache, mtci_flight *flight);

/* Sends what the calls above have queued. */
void mtci_chain_kick(mtc_cache *cache);

#endif
