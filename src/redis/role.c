/*
 * The role of the driver. See role.h. Any thread.
 */
#include "redis/role.h"

#include <stdatomic.h>

#include "base/sync.h"

/* What a waiter's word says. */
enum { WAITS = 0, IS_ANSWERED = 1, LEADS = 2 };

struct mtci_waiter {
    mtci_waiter *next, *former;
    const mtci_awaited *awaited;
    _Atomic uint32_t word;
    bool is_listed; /* under the mutex */
};

static bool is_over(const mtci_waiter *w)
{
    return w->awaited->is_complete(w->awaited->ctx);
}

static void list_locked(mtci_role *role, mtci_waiter *w)
{
    w->next = NULL;
    w->former = role->last;
    if (w->former)
        w->former->next = w;
    else
        role->first = w;
    role->last = w;
    w->is_listed = true;
}

static void unlist_locked(mtci_role *role, mtci_waiter *w)
{
    if (w->former)
        w->former->next = w->next;
    else
        role->first = w->next;
    if (w->next)
        w->next->former = w->former;
    else
        role->last = w->former;
    w->is_listed = false;
}

/* The waiter may be gone as soon as it sees the word; waking an address that
 * nobody waits on does no harm. */
static void tell(mtci_waiter *w, uint32_t word)
{
    atomic_store_explicit(&w->word, word, memory_order_release);
    mtci_word_wake(&w->word);
}

/* Sleeps until told or until_ms. Whether this thread is to drive now. */
static bool wait_turn(mtci_role *role, mtci_waiter *w, const mtci_clock *clock,
                      int64_t until_ms)
{
    for (;;) {
        uint32_t word = atomic_load_explicit(&w->word, memory_order_acquire);
        if (word != WAITS)
            return word == LEADS;
        int64_t wait_ms = MTCI_FOREVER;
        if (until_ms != MTCI_FOREVER)
            wait_ms = until_ms - mtci_clock_ms(clock);
        if (wait_ms > 0) {
            mtci_word_wait(&w->word, WAITS, wait_ms);
            continue;
        }
        pthread_mutex_lock(role->mutex);
        bool is_listed = w->is_listed;
        if (is_listed)
            unlist_locked(role, w);
        pthread_mutex_unlock(role->mutex);
        if (is_listed)
            return false;
        until_ms = MTCI_FOREVER; /* being told at this moment */
    }
}

bool mtci_role_take(mtci_role *role, const mtci_awaited *awaited,
                    const mtci_clock *clock, int64_t until_ms)
{
    mtci_waiter w = {.awaited = awaited};
    pthread_mutex_lock(role->mutex);
    bool must_go = awaited && is_over(&w);
    bool is_mine = !must_go && !role->is_taken;
    bool must_wait = !must_go && !is_mine && awaited;
    if (is_mine)
        role->is_taken = true;
    if (must_wait)
        list_locked(role, &w);
    pthread_mutex_unlock(role->mutex);
    return is_mine || (must_wait && wait_turn(role, &w, clock, until_ms));
}

void mtci_role_hand_on(mtci_role *role)
{
    pthread_mutex_lock(role->mutex);
    mtci_waiter *heir = role->first;
    role->is_taken = heir != NULL;
    if (heir)
        unlist_locked(role, heir);
    pthread_mutex_unlock(role->mutex);
    if (heir)
        tell(heir, LEADS);
}

mtci_waiter *mtci_role_answered_locked(mtci_role *role)
{
    mtci_waiter *answered = NULL;
    mtci_waiter *next;
    for (mtci_waiter *w = role->first; w; w = next) {
        next = w->next;
        if (!is_over(w))
            continue;
        unlist_locked(role, w);
        w->next = answered;
        answered = w;
    }
    return answered;
}

void mtci_role_tell(mtci_waiter *answered)
{
    while (answered) {
        mtci_waiter *next = answered->next;
        tell(answered, IS_ANSWERED);
        answered = next;
    }
}
