/*
 * Who waits for the end of a lease: requests that are complete when a message
 * about their key comes, when the connection that would bring it is lost, when
 * the lease that was seen has run out, or at their deadline.
 *
 * Owned by the tier. Any thread; requests are completed without a lock.
 */
#ifndef MTCI_TIER_REDIS_AWAIT_H
#define MTCI_TIER_REDIS_AWAIT_H

#include <pthread.h>
#include <stdatomic.h>

#include "redis/reply.h"

typedef struct mtci_redis_awaits {
    pthread_mutex_t mutex;  /* guards first, and writing due_ms */
    mtc_request *first;     /* the next by link; lease_ms: when it is due */
    _Atomic int64_t due_ms; /* of the earliest; INT64_MAX: nobody waits */
} mtci_redis_awaits;

void mtci_redis_awaits_init(mtci_redis_awaits *awaits);

/* Completes whoever waits with MTC_E_CLOSED. No other call is under way. */
void mtci_redis_awaits_fini(mtci_redis_awaits *awaits);

/* Takes a request for a lease that has so much left at now_ms. */
void mtci_redis_awaits_add(mtci_redis_awaits *awaits, mtc_request *request,
                           int64_t left_ms, int64_t now_ms);

/* Completes those whose time has come: MTC_OK where the lease has run out,
 * MTC_E_TIMEOUT at the deadline. */
void mtci_redis_awaits_expire(mtci_redis_awaits *awaits, int64_t now_ms);

/* Completes those of a key: its lease may have ended. */
void mtci_redis_awaits_wake(mtci_redis_awaits *awaits, mtc_slice key);

/* Ends the wait of one as MTC_E_CANCELLED, if it is here. */
void mtci_redis_awaits_drop(mtci_redis_awaits *awaits,
                            const mtc_request *request);

/* For settings.push, with the awaits as ctx. */
bool mtci_redis_awaits_push(void *ctx, const mtci_reply *push);

/* Whether anybody waits; for settings.is_awaited, with the awaits as ctx. */
bool mtci_redis_awaits_any(void *ctx);

static inline int64_t mtci_redis_awaits_due_ms(mtci_redis_awaits *awaits)
{
    return atomic_load_explicit(&awaits->due_ms, memory_order_acquire);
}

#endif
