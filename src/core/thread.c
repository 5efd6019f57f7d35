/*
 * The per-thread record and the deadlock check; see thread.h.
 */
#include "core/thread.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#include "core/flight.h"

static _Thread_local mtci_thread self;

/* Guards leader of every flight and waiting of every thread. Taken around
 * loads and nested waits only; nothing else is taken while it is held. */
static pthread_mutex_t circle_mutex = PTHREAD_MUTEX_INITIALIZER;

static _Atomic unsigned stripes_given;

mtci_thread *mtci_thread_self(void)
{
    return &self;
}

unsigned mtci_thread_stripe(void)
{
    if (self.stripe == 0)
        self.stripe = 1 + atomic_fetch_add_explicit(&stripes_given, 1,
                                                    memory_order_relaxed);
    return self.stripe;
}

bool mtci_thread_one_in(int64_t n)
{
    if (n <= 1)
        return true;
    if (self.random == 0)
        self.random = mtci_thread_stripe() * 2654435761u | 1u;
    self.random ^= self.random << 13;
    self.random ^= self.random >> 17;
    self.random ^= self.random << 5;
    return self.random % (uint64_t)n == 0;
}

void mtci_thread_lead(mtci_leading *leading)
{
    pthread_mutex_lock(&circle_mutex);
    leading->flight->leader = &self;
    pthread_mutex_unlock(&circle_mutex);
    leading->outer = self.leading;
    self.leading = leading;
}

void mtci_thread_unlead(mtci_leading *leading)
{
    self.leading = leading->outer;
    pthread_mutex_lock(&circle_mutex);
    if (leading->flight->leader == &self)
        leading->flight->leader = NULL;
    pthread_mutex_unlock(&circle_mutex);
}

static bool leads_back_locked(const mtci_flight *flight)
{
    while (flight && flight->leader) {
        if (flight->leader == &self)
            return true;
        flight = flight->leader->waiting;
    }
    return false;
}

bool mtci_thread_wait_begin(mtci_flight *flight)
{
    if (!self.leading)
        return true;
    pthread_mutex_lock(&circle_mutex);
    bool is_circle = leads_back_locked(flight);
    if (!is_circle)
        self.waiting = flight;
    pthread_mutex_unlock(&circle_mutex);
    return !is_circle;
}

void mtci_thread_wait_end(void)
{
    if (!self.leading)
        return;
    pthread_mutex_lock(&circle_mutex);
    self.waiting = NULL;
    pthread_mutex_unlock(&circle_mutex);
}
