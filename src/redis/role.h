/*
 * The role of the driver: of all threads that wait for one client, one drives
 * it. The others sleep until what they await is complete, their time is up, or
 * the role comes to them.
 *
 * Waiters lie on the stacks of their threads, and sleep on a word of the role,
 * 32 of them on each, so that one call of the kernel wakes all who were
 * answered together. The mutex is the client's.
 */
#ifndef MTCI_REDIS_ROLE_H
#define MTCI_REDIS_ROLE_H

#include <pthread.h>
#include <stdatomic.h>

#include "redis/client.h"

typedef struct mtci_waiter mtci_waiter;

/* Beyond so many times 32 waiters, some share a bit, and wake in vain. */
#define MTCI_ROLE_WORDS 32

typedef struct mtci_role {
    pthread_mutex_t *mutex; /* guards the waiters, is_taken and listed */
    mtci_waiter *first, *last;
    bool is_taken;
    uint32_t listed; /* waiters ever */
    _Atomic uint32_t words[MTCI_ROLE_WORDS];
} mtci_role;

/* Whether this thread is the driver now; otherwise what it awaits is complete
 * or until_ms has passed. awaited NULL: only if nobody else is. */
bool mtci_role_take(mtci_role *role, const mtci_awaited *awaited,
                    const mtci_clock *clock, int64_t until_ms);

/* The role goes to the one who has waited longest, or to nobody. */
void mtci_role_hand_on(mtci_role *role);

/* Unlists those for whom all is complete; tell wakes them, without the
 * mutex. */
mtci_waiter *mtci_role_answered_locked(mtci_role *role);
void mtci_role_tell(mtci_role *role, mtci_waiter *answered);

#endif
