/*
 * Who waits for the end of a lease: requests that are complete when their tier
 * hears of that, when the lease that was seen has run out, or at their
 * deadline. For tiers that keep leases.
 *
 * Owned by the tier. Any thread; requests are completed without a lock.
 */
#ifndef MTCI_TIER_AWAITS_H
#define MTCI_TIER_AWAITS_H

#include <pthread.h>
#include <stdatomic.h>

#include "mtc/tier.h"

typedef struct mtci_awaits {
    pthread_mutex_t mutex;  /* guards first, and writing due_ms */
    mtc_request *first;     /* the next by link; lease_ms: when it is due */
    _Atomic int64_t due_ms; /* of the earliest; INT64_MAX: nobody waits */
} mtci_awaits;

/* Which of those who wait are meant. Runs with the mutex held. */
typedef bool (*mtci_awaits_match)(const void *ctx, const mtc_request *request);

void mtci_awaits_init(mtci_awaits *awaits);

/* Completes whoever waits with MTC_E_CLOSED. No other call is under way. */
void mtci_awaits_fini(mtci_awaits *awaits);

/* Takes a request for a lease that has so much left at now_ms. True: it is the
 * earliest to be due. */
bool mtci_awaits_add(mtci_awaits *awaits, mtc_request *request, int64_t left_ms,
                     int64_t now_ms);

/* Completes those whose time has come: MTC_OK where the lease has run out,
 * MTC_E_TIMEOUT at the deadline. */
void mtci_awaits_expire(mtci_awaits *awaits, int64_t now_ms);

/* Completes those that match: their leases may have ended. */
void mtci_awaits_wake(mtci_awaits *awaits, mtci_awaits_match match,
                      const void *ctx);
void mtci_awaits_wake_all(mtci_awaits *awaits);

/* Ends the wait of one as MTC_E_CANCELLED, if it is here. */
void mtci_awaits_drop(mtci_awaits *awaits, const mtc_request *request);

static inline int64_t mtci_awaits_due_ms(mtci_awaits *awaits)
{
    return atomic_load_explicit(&awaits->due_ms, memory_order_acquire);
}

static inline bool mtci_awaits_any(mtci_awaits *awaits)
{
    return mtci_awaits_due_ms(awaits) != INT64_MAX;
}

#endif
