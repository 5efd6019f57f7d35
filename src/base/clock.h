/*
 * The clock: milliseconds and microseconds of boot time, which goes on while
 * the machine sleeps and which no administrator sets.
 *
 * Below the public functions the time is an argument or comes from an
 * mtci_clock, so that tests step it by hand. Stateless; any thread.
 */
#ifndef MTCI_BASE_CLOCK_H
#define MTCI_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/thread.h"

/* Where a cache takes its time from; real, or stepped by a test. */
typedef struct mtci_clock {
    int64_t (*now_ms)(void *ctx);
    void *ctx;
    bool is_boot; /* the real one: it can be read at less cost */
} mtci_clock;

/* The real clock. */
extern const mtci_clock mtci_clock_boot;

int64_t mtci_boot_ms(void);
int64_t mtci_boot_us(void);

/* Notes the boot time of a tick in the thread's record. */
void mtci_boot_note_tick(struct timespec tick);

/* Brings the thread's record up to the present tick of the kernel's coarse
 * clock (1 to 10 ms). The precise clock is read once in each: it alone counts
 * the time that the machine slept. */
static inline void mtci_boot_tick(void)
{
    struct timespec tick;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &tick);
    if (__builtin_expect(tick.tv_nsec != mtci_self.tick_ns ||
                             tick.tv_sec != mtci_self.tick_s,
                         0))
        mtci_boot_note_tick(tick);
}

static inline int64_t mtci_clock_ms(const mtci_clock *clock)
{
    return clock->now_ms(clock->ctx);
}

/* The time for hits: ahead by less than a tick, so that no life lasts longer
 * than it was given. It is behind only when the kernel's tick is late, as in a
 * virtual machine that has to wait for its processors, and by as much: what
 * must hold from one moment on does not rest on it. */
static inline int64_t mtci_clock_soon_ms(const mtci_clock *clock)
{
    if (__builtin_expect(!clock->is_boot, 0))
        return mtci_clock_ms(clock);
    mtci_boot_tick();
    return mtci_self.tick_end_ms;
}

/* The time from which lives count: never ahead, and behind by less than a
 * tick, unless that is late. */
static inline int64_t mtci_clock_past_ms(const mtci_clock *clock)
{
    if (__builtin_expect(!clock->is_boot, 0))
        return mtci_clock_ms(clock);
    mtci_boot_tick();
    return mtci_self.tick_ms;
}

#endif
