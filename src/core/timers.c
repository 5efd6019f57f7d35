/*
 * The heap of timers; see timers.h.
 */
#include "core/timers.h"

#include <stdlib.h>

#include "mtc/value.h"

#define ROOM_FIRST 64u

bool mtci_timers_reserve(mtci_timers *timers, size_t count)
{
    if (count <= timers->room)
        return true;
    size_t room = timers->room > 0 ? timers->room * 2 : ROOM_FIRST;
    if (room < count)
        room = count;
    mtci_timer **heap = realloc(timers->heap, room * sizeof(mtci_timer *));
    if (!heap)
        return false;
    timers->heap = heap;
    timers->room = room;
    return true;
}

void mtci_timers_fini(mtci_timers *timers)
{
    free(timers->heap);
    *timers = (mtci_timers){0};
}

static void put(mtci_timers *timers, size_t at, mtci_timer *timer)
{
    timers->heap[at] = timer;
    timer->place = at + 1;
}

static void sift_up(mtci_timers *timers, size_t at)
{
    mtci_timer *timer = timers->heap[at];
    while (at > 0 && timers->heap[(at - 1) / 2]->due_ms > timer->due_ms) {
        put(timers, at, timers->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put(timers, at, timer);
}

static void sift_down(mtci_timers *timers, size_t at)
{
    mtci_timer *timer = timers->heap[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= timers->count)
            break;
        if (child + 1 < timers->count &&
            timers->heap[child + 1]->due_ms < timers->heap[child]->due_ms)
            child++;
        if (timers->heap[child]->due_ms >= timer->due_ms)
            break;
        put(timers, at, timers->heap[child]);
        at = child;
    }
    put(timers, at, timer);
}

static void stop(mtci_timers *timers, mtci_timer *timer)
{
    if (timer->place == 0)
        return;
    size_t at = timer->place - 1;
    timer->place = 0;
    mtci_timer *last = timers->heap[--timers->count];
    if (last == timer)
        return;
    put(timers, at, last);
    sift_up(timers, at);
    sift_down(timers, last->place - 1);
}

void mtci_timer_set(mtci_timers *timers, mtci_timer *timer, int64_t due_ms)
{
    if (timer->place > 0 && timer->due_ms == due_ms)
        return;
    stop(timers, timer);
    if (due_ms == MTC_NO_END)
        return;
    timer->due_ms = due_ms;
    timers->count++;
    put(timers, timers->count - 1, timer);
    sift_up(timers, timers->count - 1);
}
