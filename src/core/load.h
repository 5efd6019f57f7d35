/*
 * Running a loader and ending its flight with what it answered.
 */
#ifndef MTCI_CORE_LOAD_H
#define MTCI_CORE_LOAD_H

#include "core/ask.h"

/* Whether this thread is inside a loader of the same key. */
bool mtci_load_is_mine(const mtci_ask *ask);

/* The load of the key failed lately. True: the flight has ended without
 * another, with the stale copy or that failure. */
bool mtci_load_is_held_back(mtci_ask *ask);

/* The load may not be run: ends the flight with the stale copy or with why. */
void mtci_load_refuse(mtci_ask *ask, mtc_status why);

/* Whether callers are to make do with a stale copy for now. */
bool mtci_load_is_throttled(mtc_cache *cache, mtc_slice key, uint64_t hash);

/* Runs the loader of an ask that leads. True: result is final. False: the
 * answer comes later, and the ask follows its own flight. */
bool mtci_load_run(mtci_ask *ask);

#endif
