/*
 * The threads of a worker that call the cache, until the board says that it
 * is over: some that block, and one with a completion queue.
 */
#ifndef SOAK_CALLS_H
#define SOAK_CALLS_H

#include "soak/world.h"

#define SOAK_THREADS 5 /* the last one has the queue */

/* What a thread is given. */
typedef struct soak_thread {
    soak_world *world;
    uint64_t seed;
} soak_thread;

/* The functions of threads; ctx is a soak_thread. */
void *soak_call_blocking(void *ctx);
void *soak_call_queue(void *ctx);

#endif
