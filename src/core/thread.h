/*
 * What a thread leads and what it waits for: the check that no loader waits
 * for its own result.
 *
 * A thread that runs a loader leads that flight. Such a thread may wait for
 * another flight only if following leader after leader does not come back to
 * it. Threads that lead nothing cannot close a circle and are not checked.
 * A load that is answered later has no thread: calls made for it name it, and
 * its flight knows what they wait for.
 */
#ifndef MTCI_CORE_THREAD_H
#define MTCI_CORE_THREAD_H

#include <stddef.h>

#include "base/thread.h"

struct mtc_cache;
struct mtci_flight;

/* A loader that a thread runs; lives on its stack. */
typedef struct mtci_leading {
    struct mtci_leading *outer;
    struct mtci_flight *flight;
    const struct mtc_cache *cache;
} mtci_leading;

/* A call made for a load, from joining a flight to its end; lies in the call.
 */
typedef struct mtci_wait_edge {
    struct mtci_wait_edge *next;
    struct mtci_flight *parent; /* of the load; NULL: made for none */
    struct mtci_flight *flight; /* what it waits for; NULL: not yet */
} mtci_wait_edge;

/* Before anything else here, as often as one likes: a forked child can use the
 * check as well. */
void mtci_thread_begin(void);

/* Notes what the call waits for, and keeps the parent's flight. False: that
 * would be its own load. Either way, end follows. */
bool mtci_wait_edge_add(mtci_wait_edge *edge, struct mtci_flight *flight);
void mtci_wait_edge_drop(mtci_wait_edge *edge);

/* The calling thread begins and ends to run the loader of a flight. An heir
 * may lead the flight before the one who dropped its load has ended. */
void mtci_thread_lead(mtci_leading *leading);
void mtci_thread_unlead(mtci_leading *leading);

/* Whether the calling thread runs a loader of the cache. */
static inline bool mtci_thread_leads(const struct mtc_cache *cache)
{
    const mtci_leading *leading = mtci_self.leading;
    while (leading && leading->cache != cache)
        leading = leading->outer;
    return leading != NULL;
}

/* The calling thread is about to wait for flight: false when it would wait
 * for itself. After true, wait_end follows. */
bool mtci_thread_wait_begin(struct mtci_flight *flight);
void mtci_thread_wait_end(void);

#endif
