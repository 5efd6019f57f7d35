/*
 * One caller asking for one key: get and get_or_load beyond memory.
 *
 * An ask lives on its caller's stack. It takes part in a flight: it leads,
 * and looks the key up, or follows, and waits.
 */
#ifndef MTCI_CORE_ASK_H
#define MTCI_CORE_ASK_H

#include "core/chain.h"

typedef struct mtci_ask {
    mtc_cache *cache;
    mtc_slice key;
    uint64_t hash;
    uint32_t flags;
    int64_t until_ms; /* MTC_NO_END: no deadline of the call's own */
    int64_t soft_at_ms, hard_at_ms; /* of the strategy; MTC_NO_END: none */
    const mtc_strategy *strategy;   /* the cache's, or own */
    mtc_strategy own;
    uint32_t weight; /* of what is set */
    mtc_loader loader;
    void *ctx;
    bool has_turn;       /* may load */
    bool is_behind;      /* nobody waits in it */
    bool is_refresh;     /* wants better than what memory has */
    bool is_bulk;        /* one of many, with a bulk loader behind its loader */
    bool has_passed_on;  /* another ask leads the flight that it opened */
    bool is_circle;      /* it would wait for the load that it is made for */
    int cancel_state;    /* of the thread, before the library switched it off */
    mtci_wait_edge edge; /* from the load that it is made for */
    mtci_flight *flight;
    mtci_party party;
    mtci_result result;
} mtci_ask;

/* Checks a call's cache and options and fills the ask with them; call NULL:
 * none. MTC_OK, MTC_E_INVALID, MTC_E_CLOSED, MTC_E_FORKED. */
mtc_status mtci_ask_init(mtci_ask *ask, mtc_cache *cache, const mtc_call *call);

/* MTC_OK, or why these bytes cannot be a key. */
static inline mtc_status mtci_key_status(mtc_slice key)
{
    if (__builtin_expect(!key.data && key.size > 0, 0))
        return MTC_E_INVALID;
    return __builtin_expect(key.size > MTC_KEY_SIZE_MAX, 0) ? MTC_E_TOO_LARGE
                                                            : MTC_OK;
}

/* Whether a call is as most are: of a thread that has its record, on an open
 * cache, with a key that can be hashed as it is. The cache is visited then,
 * and else nothing is done. */
static inline bool mtci_visit_plain(mtc_cache *cache, mtc_slice key)
{
    mtci_pins *pins = mtci_self.pins;
    if (__builtin_expect(!pins || !cache || !key.data ||
                             key.size > MTC_KEY_SIZE_MAX,
                         0))
        return false;
    mtci_pins_visit(pins, cache);
    if (__builtin_expect(mtci_cache_gate(cache) == MTC_OK, 1))
        return true;
    mtci_pins_part(pins);
    return false;
}

/* A strategy of this version with nothing out of range; NULL is one. */
static inline bool mtci_is_plain(const mtc_strategy *strategy)
{
    const uint64_t max = MTC_TTL_MS_MAX;
    return !strategy ||
           (strategy->struct_size == sizeof(*strategy) &&
            strategy->ttl_ms >= 1 && strategy->ttl_ms <= MTC_TTL_MS_MAX &&
            strategy->jitter_percent <= 100 &&
            (uint64_t)strategy->stale_ms <= max &&
            (uint64_t)strategy->throttle_ms <= max &&
            (uint64_t)strategy->absent_ms <= max &&
            (uint64_t)strategy->error_ms <= max && strategy->soft_ms >= -1 &&
            strategy->soft_ms <= MTC_TTL_MS_MAX &&
            (uint64_t)strategy->hard_ms <= max &&
            strategy->refresh_percent <= 99 && strategy->reserved == 0 &&
            strategy->refresh_beta >= 0 && strategy->refresh_beta <= 1000 &&
            (uint64_t)strategy->lease_ms <= MTC_LEASE_MS_MAX);
}

/* Checks a key and hashes it. MTC_OK, MTC_E_INVALID, MTC_E_TOO_LARGE. */
mtc_status mtci_ask_key(mtci_ask *ask, mtc_slice key);

/* What the tiers that answer at once have; a load that failed lately is not
 * run again where they have a stale copy. True: result is a hit. */
bool mtci_ask_find(mtci_ask *ask);

/* Enters the key's flight. False: out of memory, and result says so. */
bool mtci_ask_enter(mtci_ask *ask);

/* The same for a caller that does not block: the cache is kept by others. */
bool mtci_ask_join(mtci_ask *ask);

/* How long a lease the ask's look-up takes; 0: none. A load inside another one
 * takes none where it must not wait. */
static inline int64_t mtci_ask_lease_ms(const mtci_ask *ask)
{
    return ask->loader && !ask->edge.parent ? ask->strategy->lease_ms : 0;
}

/* Whether a leader has to look: nobody has, or not for a lease. */
static inline bool mtci_ask_must_look(const mtci_ask *ask)
{
    return !ask->flight->has_looked ||
           (mtci_ask_lease_ms(ask) > 0 && !ask->flight->lease.is_asked);
}

/* Whether this ask opened its flight. */
static inline bool mtci_ask_leads(const mtci_ask *ask)
{
    return ask->party.is_opener;
}

/* The leader's look-up has ended with look: promotes and ends the flight, or
 * hands the seat over. True: result is final. */
bool mtci_ask_looked(mtci_ask *ask, mtci_look *look);

/* A loader removed its own key and asks for it again, in a flight of its own:
 * others may load, this thread would never end. */
void mtci_ask_end_circle(mtci_ask *ask);

/* The leader found nothing, and has a loader. False: it is not to be run, and
 * result is final. */
bool mtci_ask_may_load(mtci_ask *ask);

/* What a follower does next; END: result is final. */
typedef enum { MTCI_WAIT, MTCI_LEAD, MTCI_END } mtci_ask_next;

/* Looks how the flight of a follower stands; why: MTC_OK, or what to leave it
 * with if it has not ended. Brings *left_ms down to when to look again. */
mtci_ask_next mtci_ask_step(mtci_ask *ask, mtc_status why, int64_t *left_ms);

/* Leaves the flight, be it as its leader, and ends with status. */
void mtci_ask_leave(mtci_ask *ask, mtc_status status);

/* Leads to the end, or waits for the flight to end; result is final. */
void mtci_ask_lead(mtci_ask *ask);
void mtci_ask_follow(mtci_ask *ask);

/* The caller's thread ends while it follows, or after. */
void mtci_ask_abandon(mtci_ask *ask);

/* Leaves the flight, counts the request, hands the value out. end: of one that
 * joined, finish: of one that entered. */
mtc_status mtci_ask_end(mtci_ask *ask, mtc_value *value);
mtc_status mtci_ask_finish(mtci_ask *ask, mtc_value *value);

#endif
