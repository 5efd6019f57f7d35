/*
 * Writes: set, remove and expire of one key, in three steps, so that a bulk
 * call begins all of them before it waits for any.
 */
#ifndef MTCI_CORE_WRITE_H
#define MTCI_CORE_WRITE_H

#include "core/ask.h"
#include "core/task.h"

typedef struct mtci_write {
    mtci_mark mark; /* key and hash */
    mtc_verb verb;
    mtci_life life;
    mtc_status status; /* of preparing, then of the whole */
    bool is_open;      /* for a task: it has begun and not ended */
    int64_t due_ms;    /* when to look at it again */
    mtci_op *ops[MTC_TIERS_MAX];
} mtci_write;

/* Makes the operations; nothing has changed when this fails. ask has key,
 * hash and strategy; value is borrowed for the call. */
mtc_status mtci_write_prepare(mtci_write *write, const mtci_ask *ask,
                              mtc_verb verb, mtc_slice value);

/* Changes memory, queues the rest, and raises the fence. */
void mtci_write_begin(mtc_cache *cache, mtci_write *write);

/* Sends what tiers have queued that are not the first to be waited for. */
void mtci_write_send(mtc_cache *cache);

/* For a task: between prepare and begin, so that it is told of answers; how
 * many it will get. */
size_t mtci_write_attach(mtc_cache *cache, mtci_write *write, mtci_task *task);

/* For a task: settles what was answered, and the rest with why unless that is
 * MTC_OK, or where its time is over. True: that was all, the fence is down,
 * and status is that of the whole. */
bool mtci_write_step(mtc_cache *cache, mtci_write *write, mtc_status why,
                     int64_t now_ms);

/* Waits for every tier, lowers the fence, and tells how it went. */
mtc_status mtci_write_end(mtc_cache *cache, mtci_write *write,
                          int64_t until_ms);

#endif
