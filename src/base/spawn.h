/*
 * Threads of the library: started with all signals blocked, and timed by the
 * monotonic clock. Stateless; any thread.
 */
#ifndef MTCI_BASE_SPAWN_H
#define MTCI_BASE_SPAWN_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* Starts a thread; false when the system refuses. */
bool mtci_spawn(pthread_t *thread, void *(*run)(void *arg), void *arg);

/* A condition whose timed waits take times of mtci_after_ms. */
void mtci_cond_init(pthread_cond_t *cond);

/* Monotonic time ms from now. */
struct timespec mtci_after_ms(int64_t ms);

#endif
