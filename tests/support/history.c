/*
 * The history of one key and its judge; see history.h.
 */
#include "support/history.h"

#include <stdlib.h>

/* Lives are rounded down by the ticks of the clocks. */
#define CLOCK_TICKS 2

/* All calls that have to do with one stamp. */
typedef struct zone {
    const mtct_event *write;
    uint64_t first_end;
    uint64_t last_begin;
} zone;

bool mtct_history_init(mtct_history *history, size_t room)
{
    *history = (mtct_history){.room = room};
    history->events = calloc(room, sizeof(*history->events));
    return history->events != NULL;
}

void mtct_history_fini(mtct_history *history)
{
    free(history->events);
    *history = (mtct_history){0};
}

bool mtct_history_note(mtct_history *history, mtct_event event)
{
    size_t at =
        atomic_fetch_add_explicit(&history->count, 1, memory_order_relaxed);
    if (at >= history->room)
        return false;
    history->events[at] = event;
    return true;
}

static size_t count_of(const mtct_history *history)
{
    size_t count = atomic_load_explicit(&history->count, memory_order_relaxed);
    return count < history->room ? count : history->room;
}

/* -- zones -------------------------------------------------------------- */

static int by_stamp(const void *a, const void *b)
{
    const zone *one = a;
    const zone *other = b;
    return (one->write->stamp > other->write->stamp) -
           (one->write->stamp < other->write->stamp);
}

static zone *zone_of(zone *zones, size_t count, const mtct_event *event)
{
    const zone key = {.write = event};
    return bsearch(&key, zones, count, sizeof(*zones), by_stamp);
}

static size_t zones_begin(const mtct_history *history, zone *zones)
{
    size_t count = 0;
    for (size_t i = 0; i < count_of(history); i++) {
        const mtct_event *event = &history->events[i];
        if (event->kind == MTCT_WROTE)
            zones[count++] = (zone){event, event->ended, event->begun};
    }
    qsort(zones, count, sizeof(*zones), by_stamp);
    return count;
}

/* Adds the hits; the one that nobody can have written, or that came too
 * late. */
static const char *zones_fill(const mtct_history *history, zone *zones,
                              size_t zone_count, mtct_event *wrong)
{
    for (size_t i = 0; i < count_of(history); i++) {
        const mtct_event *event = &history->events[i];
        if (event->kind != MTCT_HIT)
            continue;
        zone *zone = zone_of(zones, zone_count, event);
        *wrong = *event;
        if (!zone)
            return "read a value that nobody wrote";
        if (event->ended < zone->write->begun)
            return "read a value before it was written";
        if (event->now_ms >= zone->write->end_ms)
            return "read a value after its life had ended";
        if (event->ended < zone->first_end)
            zone->first_end = event->ended;
        if (event->begun > zone->last_begin)
            zone->last_begin = event->begun;
    }
    return NULL;
}

/* Whether the key certainly had this stamp at some time, and from when to
 * when. */
static bool is_certain(const zone *zone)
{
    return zone->first_end < zone->last_begin;
}

static bool lies_within(uint64_t begin, uint64_t end, const zone *zone)
{
    return is_certain(zone) && begin > zone->first_end &&
           end < zone->last_begin;
}

static bool zones_collide(const zone *one, const zone *other)
{
    if (!is_certain(other))
        return lies_within(other->last_begin, other->first_end, one);
    return is_certain(one) && one->first_end < other->last_begin &&
           other->first_end < one->last_begin;
}

static const char *judge_zones(const zone *zones, size_t count,
                               mtct_event *wrong)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            *wrong = *zones[j].write;
            if (i != j && zones_collide(&zones[i], &zones[j]))
                return "read a value that had been replaced";
        }
    }
    return NULL;
}

/* -- removes and misses ------------------------------------------------- */

static const char *judge_within(const mtct_event *event, const zone *zones,
                                size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!lies_within(event->begun, event->ended, &zones[i]))
            continue;
        if (event->kind == MTCT_REMOVED)
            return "read a value that had been removed";
        if (event->now_ms < zones[i].write->end_ms - CLOCK_TICKS)
            return "missed a value that was there before and after";
    }
    return NULL;
}

/* When the last write began that certainly counted before the miss did; 0:
 * none. What had ended before that is no reason for the miss. */
static uint64_t last_written(const mtct_event *miss, const zone *zones,
                             size_t count)
{
    uint64_t last = 0;
    for (size_t i = 0; i < count; i++) {
        if (zones[i].first_end < miss->begun && zones[i].write->begun > last)
            last = zones[i].write->begun;
    }
    return last;
}

/* Whether a miss has a reason: nothing was written yet, the key had been
 * removed, or a life had ended. */
static bool has_reason(const mtct_history *history, const mtct_event *miss,
                       const zone *zones, size_t count)
{
    uint64_t last = last_written(miss, zones, count);
    for (size_t i = 0; i < count_of(history) && last > 0; i++) {
        const mtct_event *event = &history->events[i];
        bool is_end = event->kind == MTCT_REMOVED ||
                      (event->kind == MTCT_WROTE &&
                       miss->now_ms >= event->end_ms - CLOCK_TICKS);
        if (is_end && event->begun <= miss->ended && event->ended >= last)
            return true;
    }
    return last == 0;
}

static const char *judge_absence(const mtct_history *history, bool may_forget,
                                 const zone *zones, size_t zone_count,
                                 mtct_event *wrong)
{
    for (size_t i = 0; i < count_of(history); i++) {
        const mtct_event *event = &history->events[i];
        *wrong = *event;
        if (event->kind != MTCT_REMOVED && event->kind != MTCT_MISSED)
            continue;
        const char *what = judge_within(event, zones, zone_count);
        if (what)
            return what;
        if (event->kind == MTCT_MISSED && !may_forget &&
            !has_reason(history, event, zones, zone_count))
            return "missed a value that was there";
    }
    return NULL;
}

const char *mtct_history_judge(const mtct_history *history, bool may_forget,
                               mtct_event *wrong)
{
    zone *zones = calloc(count_of(history) + 1, sizeof(*zones));
    if (!zones)
        return "out of memory";
    size_t count = zones_begin(history, zones);
    const char *what = zones_fill(history, zones, count, wrong);
    if (!what)
        what = judge_zones(zones, count, wrong);
    if (!what)
        what = judge_absence(history, may_forget, zones, count, wrong);
    free(zones);
    return what;
}
