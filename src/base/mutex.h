/*
 * The mutex of what is held for less than a microsecond: who finds it taken
 * looks again a few times before sleeping, because sleeping and being woken
 * would take longer than the wait.
 */
#ifndef MTCI_BASE_MUTEX_H
#define MTCI_BASE_MUTEX_H

#include <pthread.h>

/* For pthread_mutex_lock and the others, as any mutex. */
void mtci_mutex_init(pthread_mutex_t *mutex);

#endif
