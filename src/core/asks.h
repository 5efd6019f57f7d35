/*
 * The asks of a task for many keys, each a party in the flight of its own.
 *
 * Those that lead are looked up together, by one search, and what that does not
 * find is loaded in one call of the bulk loader; the others follow. Nothing
 * here blocks but a loader that a drain calls.
 */
#ifndef MTCI_CORE_ASKS_H
#define MTCI_CORE_ASKS_H

#include "core/ask.h"
#include "core/search.h"
#include "core/turn.h"

typedef struct mtci_key_ask mtci_key_ask;

typedef struct mtci_asks {
    mtci_task *task;
    const mtci_ask *first; /* what all have in common; the task's */
    mtci_key_ask *asks;
    size_t count;
    mtci_look *looks; /* of those that are in the search */
    mtci_search search;
    bool is_searching;
    mtci_ask **loads;    /* of those that are loaded together */
    mtci_task_turn turn; /* for them */
    bool waits_for_turn;
} mtci_asks;

/* Zeroed before; for so many keys at a time. False: out of memory; fini is due
 * in either case. */
bool mtci_asks_init(mtci_asks *all, mtci_task *task, const mtci_ask *first,
                    size_t room);
void mtci_asks_fini(mtci_asks *all);

/* Joins or opens the flight of a key, which is checked, and which memory does
 * not have. */
void mtci_asks_add(mtci_asks *all, mtc_item *item);

/* Goes on as far as it can; why: MTC_OK, or what to end with that has no
 * result. True: each item has its status and value, and others may be added.
 * False: the task awaits what comes next. */
bool mtci_asks_step(mtci_asks *all, mtc_status why, int64_t now_ms);

#endif
