/*
 * What a thread leads and what it waits for: the check that no loader waits
 * for its own result.
 *
 * A thread that runs a loader leads that flight. Such a thread may wait for
 * another flight only if following leader after leader does not come back to
 * it. Threads that lead nothing cannot close a circle and are not checked.
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
