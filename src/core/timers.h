/*
 * Timers: when the tasks of a queue want to be looked at, the earliest first.
 *
 * A binary heap. Room is made when a task comes, so that setting its timer
 * needs no memory. One thread, the owner of the queue.
 */
#ifndef MTCI_CORE_TIMERS_H
#define MTCI_CORE_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A timer lies in what it is for. */
typedef struct mtci_timer {
    int64_t due_ms;
    size_t place; /* in the heap, from 1; 0: it is not set */
} mtci_timer;

typedef struct mtci_timers {
    mtci_timer **heap;
    size_t count, room;
} mtci_timers;

/* Makes room for so many; false: out of memory. */
bool mtci_timers_reserve(mtci_timers *timers, size_t count);
void mtci_timers_fini(mtci_timers *timers);

/* Sets a timer, or sets it anew; MTC_NO_END: stops it. */
void mtci_timer_set(mtci_timers *timers, mtci_timer *timer, int64_t due_ms);

/* The earliest; NULL: none is set. */
static inline mtci_timer *mtci_timers_first(const mtci_timers *timers)
{
    return timers->count > 0 ? timers->heap[0] : NULL;
}

#endif
