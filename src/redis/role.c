/*
 * The role of the driver. See role.h. Any thread.
 */
#include "redis/role.h"

#include "base/sync.h"

/* What a waiter is told. */
enum { WAITS = 0, IS_ANSWERED = 1, LEADS = 2 };

#define BITS 32u

struct mtci_waiter {
    mtci_waiter *next, *former;
    const mtci_awaited *awaited;
    _Atomic uint32_t told;
    uint32_t number; /* says its word and its bit there */
    bool is_listed;  /* under the mutex */
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
    w->number = role->listed++;
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

static uint32_t word_of(const mtci_waiter *w)
{
    return w->number / BITS % MTCI_ROLE_WORDS;
}

static uint32_t bit_of(const mtci_waiter *w)
{
    return (uint32_t)1 << w->number % BITS;
}

/* After they were told. Who is about to sleep sees that the word has changed;
 * the others sleep on. */
static void wake(mtci_role *role, uint32_t word, uint32_t bits)
{
    atomic_fetch_add_explicit(&role->words[word], 1, memory_order_release);
    mtci_word_wake_bits(&role->words[word], bits);
}

/* Sleeps until told or until_ms. Whether this thread is to drive now. */
static bool wait_turn(mtci_role *role, mtci_waiter *w, const mtci_clock *clock,
                      int64_t until_ms)
{
    _Atomic uint32_t *word = &role->words[word_of(w)];
    for (;;) {
        uint32_t seen = atomic_load_explicit(word, memory_order_acquire);
        uint32_t told = atomic_load_explicit(&w->told, memory_order_acquire);
        if (told != WAITS)
            return told == LEADS;
        int64_t wait_ms = MTCI_FOREVER;
        if (until_ms != MTCI_FOREVER)
            wait_ms = until_ms - mtci_clock_ms(clock);
        if (wait_ms > 0) {
            mtci_word_wait_as(word, seen, wait_ms, bit_of(w));
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
    if (!heir)
        return;
    uint32_t word = word_of(heir);
    uint32_t bit = bit_of(heir);
    atomic_store_explicit(&heir->told, LEADS, memory_order_release);
    wake(role, word, bit);
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

/* A waiter may be gone as soon as it sees that it was told. */
void mtci_role_tell(mtci_role *role, mtci_waiter *answered)
{
    uint32_t bits[MTCI_ROLE_WORDS] = {0};
    if (!answered)
        return;
    while (answered) {
        mtci_waiter *next = answered->next;
        bits[word_of(answered)] |= bit_of(answered);
        atomic_store_explicit(&answered->told, IS_ANSWERED,
                              memory_order_release);
        answered = next;
    }
    for (uint32_t word = 0; word < MTCI_ROLE_WORDS; word++)
        if (bits[word])
            wake(role, word, bits[word]);
}
