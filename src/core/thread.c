/*
 * The deadlock check; see thread.h.
 */
#include "core/thread.h"

#include <pthread.h>
#include <stddef.h>

#include "core/flight.h"

/* Guards leader of every flight and waiting of every thread. Taken around
 * loads and nested waits only; nothing else is taken while it is held. */
static pthread_mutex_t circle_mutex = PTHREAD_MUTEX_INITIALIZER;

void mtci_thread_lead(mtci_leading *leading)
{
    pthread_mutex_lock(&circle_mutex);
    leading->flight->leader = &mtci_self;
    pthread_mutex_unlock(&circle_mutex);
    leading->outer = mtci_self.leading;
    mtci_self.leading = leading;
}

void mtci_thread_unlead(mtci_leading *leading)
{
    mtci_self.leading = leading->outer;
    pthread_mutex_lock(&circle_mutex);
    if (leading->flight->leader == &mtci_self)
        leading->flight->leader = NULL;
    pthread_mutex_unlock(&circle_mutex);
}

static bool leads_back_locked(const mtci_flight *flight)
{
    while (flight && flight->leader) {
        if (flight->leader == &mtci_self)
            return true;
        flight = flight->leader->waiting;
    }
    return false;
}

bool mtci_thread_wait_begin(mtci_flight *flight)
{
    if (!mtci_self.leading)
        return true;
    pthread_mutex_lock(&circle_mutex);
    bool is_circle = leads_back_locked(flight);
    if (!is_circle)
        mtci_self.waiting = flight;
    pthread_mutex_unlock(&circle_mutex);
    return !is_circle;
}

void mtci_thread_wait_end(void)
{
    if (!mtci_self.leading)
        return;
    pthread_mutex_lock(&circle_mutex);
    mtci_self.waiting = NULL;
    pthread_mutex_unlock(&circle_mutex);
}
