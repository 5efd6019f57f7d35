/*
 * Error replies of the server for the log: for each kind one line a minute,
 * which says how many there were since the line before.
 *
 * The cache itself says when it closes the tier off; here is what it serves
 * through: a server without memory, a replica, a key of another type. Any
 * thread.
 */
#ifndef MTCI_TIER_REDIS_REFUSALS_H
#define MTCI_TIER_REDIS_REFUSALS_H

#include <stdatomic.h>

#include "redis/reply.h"

#define MTCI_REFUSALS_GAP_MS 60000

/* A zeroed one is ready for use. */
typedef struct mtci_redis_refusals {
    _Atomic int64_t due_ms[MTCI_REPLY_ERROR_KINDS]; /* of the next line */
    _Atomic uint64_t untold[MTCI_REPLY_ERROR_KINDS];
} mtci_redis_refusals;

/* Counts an error reply, and writes the line if it is due. No lock of the
 * cache may be held. host may be NULL. */
void mtci_redis_refusals_note(mtci_redis_refusals *refusals,
                              const mtc_tier_host *host,
                              const mtci_reply *error);

#endif
