/*
 * Writes: set, remove and expire of one key, in three steps, so that a bulk
 * call begins all of them before it waits for any.
 */
#ifndef MTCI_CORE_WRITE_H
#define MTCI_CORE_WRITE_H

#include "core/ask.h"

typedef struct mtci_write {
    mtci_mark mark; /* key and hash */
    mtc_verb verb;
    mtci_life life;
    mtc_status status; /* of preparing, then of the whole */
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

/* Waits for every tier, lowers the fence, and tells how it went. */
mtc_status mtci_write_end(mtc_cache *cache, mtci_write *write,
                          int64_t until_ms);

#endif
