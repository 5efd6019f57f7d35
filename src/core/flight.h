/*
 * Flights: one look-up or load of a key, however many callers ask.
 *
 * The first caller leads, the others follow; the seat of the leader is handed
 * to exactly one follower when a leader without a loader finds nothing, or
 * when a leader vanishes. A flight is counted: one for the slot's list until
 * it is done, one for each party, one for a load whose answer comes later.
 * The fields are guarded by the slot's mutex unless said otherwise; what the
 * flight ended with is written before MTCI_FLIGHT_DONE is set in word, and
 * read-only after that.
 */
#ifndef MTCI_CORE_FLIGHT_H
#define MTCI_CORE_FLIGHT_H

#include <stdatomic.h>

#include "core/life.h"
#include "core/loads.h"
#include "core/slot.h"
#include "core/thread.h"
#include "mtc/load.h"
#include "mtc/tier.h"

/* Bit of word: the flight has ended. The rest counts hand-overs. */
#define MTCI_FLIGHT_DONE 1u

/* Outcomes beside the index of the tier that had the key. */
#define MTCI_OUTCOME_MISS  (-1)
#define MTCI_OUTCOME_ERROR (-2)

struct mtc_bulk;
struct mtc_cache;
struct mtci_lane;
struct mtci_task;

/* How a request ended. */
typedef struct mtci_result {
    mtc_status status;
    int outcome; /* index of a tier, or MTCI_OUTCOME_* */
    mtc_value value;
} mtci_result;

/* Where a copy was found. */
typedef struct mtci_copy {
    int tier;
    int64_t age_ms;  /* INT64_MAX: not known */
    bool is_fresh;   /* not past its soft end */
    mtc_facts facts; /* of a tier below the front ones, as of sent_ms */
    int64_t sent_ms;
} mtci_copy;

/* The youngest copy that the look-up has come across and that will not do: past
 * its soft end, or about to be refreshed. What a failed load falls back on. */
typedef struct mtci_stale {
    mtc_value value; /* without ops: none */
    mtci_copy copy;
} mtci_stale;

/* The lease of the flight's key across processes; see lease.h. */
typedef struct mtci_lease {
    struct mtci_lane *lane; /* that keeps it; NULL: there is none */
    uint64_t ticket;        /* guarded by the slot; 0: another process has it */
    int64_t left_ms;        /* of another's */
    int64_t length_ms, renew_at_ms;
    struct mtci_flight *next; /* that are renewed: the cache's leases_mutex */
    bool is_held;             /* has come into that list */
    bool is_asked;            /* a look-up wanted one */
} mtci_lease;

/* One caller in a flight; lives on the caller's stack, or in its task. */
typedef struct mtci_party {
    struct mtci_party *next;
    struct mtci_task *task; /* woken when the party is answered, gets the seat,
                               or the flight ends; NULL: a thread waits */
    bool is_listed;         /* has followed; the caller's */
    bool has_loader;
    bool can_look;    /* waits for nothing else meanwhile */
    bool is_opener;   /* opened the flight, and so leads it at first */
    bool is_answered; /* with result, before the flight ended */
    mtci_result result;
} mtci_party;

/* What a load holds while it is open. */
typedef struct mtci_load_hold {
    bool has_turn;         /* of the cache's loads */
    struct mtc_bulk *bulk; /* that it is part of, or NULL */
} mtci_load_hold;

/* The load of a flight; what its loader sees. Owned by who answers it. */
struct mtc_load {
    struct mtc_cache *cache;
    struct mtci_flight *flight;
    mtc_strategy strategy; /* the leader's */
    mtci_life life;        /* of what is stored */
    mtc_value value;
    int64_t begun_ms;
    int64_t tier_ttl_ms[MTC_TIERS_MAX]; /* 0: as life says */
    uint32_t weight;                    /* 0: ask the cache's weigher */
    mtc_value etag;                     /* without ops: none was set */
    bool has_value;
    bool is_unchanged;  /* the value is the stale copy's */
    bool is_kept_out;   /* stored nowhere */
    mtc_status failure; /* as a bulk loader said */
    mtc_status answer;  /* that is to be taken in on a loader thread */
    mtci_errand errand;
    mtci_load_hold hold;
};

typedef struct mtci_flight {
    struct mtci_flight *next; /* in the slot */
    mtci_slot *slot;
    uint64_t hash;
    _Atomic uint32_t refs;
    _Atomic uint32_t word;     /* futex: what the followers wait on */
    _Atomic uint32_t sleepers; /* who may sleep on it; any thread */
    bool is_void;              /* stores nothing, is not joined */
    bool is_marked;            /* born during a write: stores nothing */
    bool has_looked;           /* every tier was asked and has nothing */
    mtci_party *seat;          /* who leads; NULL: nobody, or a later answer */
    mtci_party *parties;       /* who follows, the first comer first */
    mtci_party **last;
    bool has_tasks;             /* among those who ever followed */
    struct mtci_thread *leader; /* who runs its loader; this and what follows
                                   is guarded by thread.c */
    mtci_wait_edge *edges;      /* of its load */
    struct mtci_flight *seen_next;
    bool is_seen;
    uint64_t tickets[MTC_TIERS_MAX];
    mtci_lease lease;
    mtci_stale stale; /* set by the leader, until the flight ends */
    struct mtc_load load;
    mtci_result result;
    uint32_t weight; /* of what is about to be stored */
    size_t key_size;
    char key[];
} mtci_flight;

static inline mtc_slice mtci_flight_key(const mtci_flight *flight)
{
    return mtc_bytes(flight->key, flight->key_size);
}

/* Joins the key's flight or opens one. NULL: out of memory. */
mtci_flight *mtci_flight_enter(mtci_slots *slots, mtc_slice key, uint64_t hash,
                               mtci_party *party);

/* Opens a flight that the party leads; NULL: there is one, or no memory. */
mtci_flight *mtci_flight_open(mtci_slots *slots, mtc_slice key, uint64_t hash,
                              mtci_party *party);

/* Takes a value past its soft end if it is the youngest yet, and tells those
 * who would have it. The leader's, without the slot. */
void mtci_flight_keep_stale(mtci_flight *flight, mtc_value *value,
                            const mtci_copy *copy);

/* What is returned where a load fails: the stale copy, of which the flight
 * keeps its share, or else the failure. */
static inline mtci_result mtci_flight_fall_back(const mtci_flight *flight,
                                                mtc_status failure)
{
    const mtci_stale *stale = &flight->stale;
    if (!stale->value.ops)
        return (mtci_result){failure, MTCI_OUTCOME_ERROR, {0}};
    return (mtci_result){stale->copy.is_fresh ? MTC_OK : MTC_STALE,
                         stale->copy.tier, stale->value};
}

/* Whether a flight of the key is open that a caller would join. */
bool mtci_flight_is_open_locked(mtci_slot *slot, mtc_slice key, uint64_t hash);

/* Gives back one count; the last one frees. */
void mtci_flight_release(mtci_flight *flight);

/* Whether what the flight found may be stored. */
static inline bool mtci_flight_stores(const mtci_flight *flight)
{
    return !flight->is_void && !flight->is_marked;
}

/* Whether there is something to fall back on. */
static inline bool mtci_flight_has_stale(const mtci_flight *flight)
{
    return flight->stale.value.ops != NULL;
}

/* Whether some queue's call follows: its drain comes when the flight ends. */
bool mtci_flight_has_task_locked(const mtci_flight *flight);

/* Ends a flight: takes it from the slot and publishes the result, which gets
 * a share of its own of the value. Followers are woken by mtci_flight_wake,
 * once the slot is free. */
void mtci_flight_finish_locked(mtci_flight *flight, const mtci_result *result);

/* Hands the seat to the first follower with a loader. With answer, followers
 * without one end with it. Nobody with a loader: the flight ends with
 * otherwise. */
void mtci_flight_pass_locked(mtci_flight *flight, const mtci_result *answer,
                             const mtci_result *otherwise);

/* The leader leaves while it looks: the first follower that can looks again.
 * Without one the flight ends with otherwise. */
void mtci_flight_resign_locked(mtci_flight *flight,
                               const mtci_result *otherwise);

/* The party, which has a count of the flight, follows from now on. */
void mtci_flight_follow_locked(mtci_flight *flight, mtci_party *party);

/* The party no longer follows. */
void mtci_flight_leave_locked(mtci_flight *flight, mtci_party *party);

/* Around the sleep on word, the look at it included. */
static inline void mtci_flight_sleep_begin(mtci_flight *flight)
{
    atomic_fetch_add_explicit(&flight->sleepers, 1, memory_order_seq_cst);
}

static inline void mtci_flight_sleep_end(mtci_flight *flight)
{
    atomic_fetch_sub_explicit(&flight->sleepers, 1, memory_order_relaxed);
}

/* Wakes the followers, once word has changed; most flights have none. */
void mtci_flight_wake(mtci_flight *flight);

#endif
