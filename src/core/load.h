/*
 * Running a loader and ending its flight with what it answered.
 */
#ifndef MTCI_CORE_LOAD_H
#define MTCI_CORE_LOAD_H

#include "core/ask.h"
#include "core/lease.h"

/* Whether this thread is inside a loader of the same key. */
bool mtci_load_is_mine(const mtci_ask *ask);

/* The load of the key failed lately. True: the flight has ended without
 * another, with the stale copy or that failure. */
bool mtci_load_is_held_back(mtci_ask *ask);

/* The load may not be run: ends the flight with the stale copy or with why. */
void mtci_load_refuse(mtci_ask *ask, mtc_status why);

/* The flight has ended with the ask's result: its value is the caller's now. */
void mtci_load_take_value(mtci_ask *ask);

/* Whether callers are to make do with a stale copy for now. */
bool mtci_load_is_throttled(mtc_cache *cache, mtc_slice key, uint64_t hash);

/* The caller's own time is over before its load had a turn: others may try. */
void mtci_load_leave_untried(mtci_ask *ask);

/* A load begins, and belongs to whoever answers it: it keeps flight and cache,
 * and has the ask's turn or a count of the bulk. */
void mtci_load_begin(mtci_ask *ask, struct mtc_bulk *bulk);

/* Ends the flight with the answer: stores it, or what it failed with, unless
 * the key was written meanwhile. The value of the result is the flight's or
 * the load's. */
mtci_result mtci_load_finish(mtc_load *load, mtc_status status);

/* The load ends without an answer: somebody else may take over, and the
 * flight's load is then his. */
void mtci_load_pass(mtc_cache *cache, mtci_flight *flight);

/* The answer comes later: the leader becomes a follower, if anybody waits in
 * it, who does not take over again what it has given away. */
void mtci_load_leave_open(mtci_ask *ask);

/* Has a thread of the cache end a load that holds a lease, which takes a round
 * trip: the leader's thread is not held up. False: it holds none. */
bool mtci_load_answer_behind(mtci_ask *ask, mtc_status status);

/* After finish or pass: gives back what the load held, which was noted before
 * the flight had an heir. */
void mtci_load_end(mtc_cache *cache, mtci_flight *flight, mtci_load_hold hold);

/* Runs the loader of an ask that leads. True: result is final. False: the
 * answer comes later, and the ask follows its own flight. */
bool mtci_load_run(mtci_ask *ask);

/* Its parts, for a caller that does not block. hand_over: a thread of the cache
 * loads, and the ask follows. needs_turn: it has none, and is in no load.
 * run_here: as run, with a turn. */
bool mtci_load_hand_over(mtci_ask *ask);
bool mtci_load_needs_turn(const mtci_ask *ask);
bool mtci_load_run_here(mtci_ask *ask);

/* Whether another process loads the key of an ask that leads; waits for what
 * comes of that: true: result is final. */
static inline bool mtci_load_is_elsewhere(const mtci_ask *ask)
{
    return mtci_lease_is_foreign(ask->flight);
}
bool mtci_load_await_elsewhere(mtci_ask *ask);

#endif
