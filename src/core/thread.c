/*
 * The deadlock check; see thread.h.
 */
#include "core/thread.h"

#include <pthread.h>
#include <stddef.h>

#include "core/flight.h"

/* Guards leader, edges and what was seen of every flight, and waiting of
 * every thread. Taken around loads, nested waits and edges only; nothing else
 * is taken while it is held. */
static pthread_mutex_t circle_mutex = PTHREAD_MUTEX_INITIALIZER;

static void lock_circle(void)
{
    pthread_mutex_lock(&circle_mutex);
}

static void unlock_circle(void)
{
    pthread_mutex_unlock(&circle_mutex);
}

/* No thread that a forked child does not have holds the mutex there. */
static void prepare_for_forks(void)
{
    pthread_atfork(lock_circle, unlock_circle, unlock_circle);
}

void mtci_thread_begin(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, prepare_for_forks);
}

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

/* Appends a flight to the list of those that were seen, if it is new there. */
static mtci_flight *see_locked(mtci_flight *last, mtci_flight *flight)
{
    if (!flight || flight->is_seen)
        return last;
    flight->is_seen = true;
    flight->seen_next = NULL;
    if (last)
        last->seen_next = flight;
    return flight;
}

static mtci_flight *see_further_locked(mtci_flight *last,
                                       const mtci_flight *flight)
{
    if (flight->leader)
        last = see_locked(last, flight->leader->waiting);
    for (const mtci_wait_edge *e = flight->edges; e; e = e->next)
        last = see_locked(last, e->flight);
    return last;
}

/* Whether what flight waits for, directly or not, is the flight to; NULL: one
 * that this thread leads. */
static bool leads_back_locked(mtci_flight *flight, const mtci_flight *to)
{
    bool is_circle = false;
    mtci_flight *last = see_locked(NULL, flight);
    for (mtci_flight *f = flight; f; f = f->seen_next) {
        is_circle |= to ? f == to : f->leader == &mtci_self;
        last = see_further_locked(last, f);
    }
    for (mtci_flight *f = flight; f; f = f->seen_next)
        f->is_seen = false;
    return is_circle;
}

bool mtci_wait_edge_add(mtci_wait_edge *edge, mtci_flight *flight)
{
    mtci_flight *parent = edge->parent;
    if (!parent)
        return true;
    atomic_fetch_add_explicit(&parent->refs, 1, memory_order_relaxed);
    pthread_mutex_lock(&circle_mutex);
    bool is_circle = leads_back_locked(flight, parent);
    edge->flight = flight;
    edge->next = parent->edges;
    parent->edges = edge;
    pthread_mutex_unlock(&circle_mutex);
    return !is_circle;
}

void mtci_wait_edge_drop(mtci_wait_edge *edge)
{
    if (!edge->flight)
        return;
    pthread_mutex_lock(&circle_mutex);
    mtci_wait_edge **at = &edge->parent->edges;
    while (*at != edge)
        at = &(*at)->next;
    *at = edge->next;
    pthread_mutex_unlock(&circle_mutex);
    edge->flight = NULL;
    mtci_flight_release(edge->parent);
}

bool mtci_thread_wait_begin(mtci_flight *flight)
{
    if (!mtci_self.leading)
        return true;
    pthread_mutex_lock(&circle_mutex);
    bool is_circle = leads_back_locked(flight, NULL);
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
