/*
 * A search: looking keys up along the tiers for a task, without blocking.
 *
 * What mtci_chain_look does, in steps: each tier is asked for all keys
 * together, and the next one when all of its answers are there or due.
 */
#ifndef MTCI_CORE_SEARCH_H
#define MTCI_CORE_SEARCH_H

#include "core/chain.h"
#include "core/task.h"

typedef struct mtci_search {
    mtc_cache *cache;
    mtci_task *task;
    mtci_look *looks;
    size_t count;
    int64_t until_ms; /* of the whole call */
    size_t lane;      /* that is asked */
    bool is_sent;
    int64_t lane_due_ms; /* of what was sent, for the tier */
    int64_t due_ms;      /* when to step again, whatever comes */
} mtci_search;

/* The looks have flight, flags, and what is called when they are found. */
void mtci_search_begin(mtci_search *search, mtci_look *looks, size_t count);

/* Goes on; why: MTC_OK, or what to leave operations with that were not
 * answered. True: each look has its result. False: to be stepped at due_ms. */
bool mtci_search_step(mtci_search *search, mtc_status why, int64_t now_ms);

#endif
