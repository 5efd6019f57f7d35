/*
 * The callers of mtc bench stampede and storm: threads, and what they need.
 */
#ifndef MTC_CLI_CALLERS_H
#define MTC_CLI_CALLERS_H

#include <pthread.h>

#include "bench.h"
#include "gate.h"

/* Room for "new:0123456789" and its end. */
#define CALLER_KEY_ROOM 32

/* Starts count threads with small stacks; each gets its part of the array
 * parts, size bytes long, which begins with a pthread_t. How many started. */
unsigned callers_start(void *parts, size_t size, unsigned count,
                       void *(*run)(void *part));

/* Waits for them. */
void callers_join(void *parts, size_t size, unsigned count);

/* The first caller of a thread, when all are shared out to the threads; of the
 * one past the last: their count. */
static inline unsigned callers_first(const bench *bench, unsigned thread)
{
    return (unsigned)((uint64_t)bench->callers * thread / bench->threads);
}

/* Complains that there are no threads or memory. */
tool_exit callers_complain(void);

/* A loader that gives the value of all keys after ns of sleep. */
mtc_status callers_load(mtc_load *load, int64_t ns);

void callers_pause_ns(int64_t ns);

#endif
