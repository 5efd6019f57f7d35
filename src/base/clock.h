/*
 * The clock: milliseconds and microseconds of boot time, which goes on while
 * the machine sleeps and which no administrator sets.
 *
 * Below the public functions the time is an argument or comes from an
 * mtci_clock, so that tests step it by hand. Stateless; any thread.
 */
#ifndef MTCI_BASE_CLOCK_H
#define MTCI_BASE_CLOCK_H

#include <stdint.h>

/* Where a cache takes its time from; real, or stepped by a test. */
typedef struct mtci_clock {
    int64_t (*now_ms)(void *ctx);
    void *ctx;
    int64_t (*soon_ms)(void); /* for hits; NULL: now_ms */
} mtci_clock;

/* The real clock. */
extern const mtci_clock mtci_clock_boot;

int64_t mtci_boot_ms(void);
int64_t mtci_boot_us(void);

/* Boot time at little cost, for hits: never behind, and ahead by less than a
 * tick of the kernel's coarse clock (1 to 10 ms), so that no life lasts
 * longer than it was given. */
int64_t mtci_boot_soon_ms(void);

static inline int64_t mtci_clock_ms(const mtci_clock *clock)
{
    return clock->now_ms(clock->ctx);
}

/* The time for a hit; see mtci_boot_soon_ms. */
static inline int64_t mtci_clock_soon_ms(const mtci_clock *clock)
{
    return clock->soon_ms ? clock->soon_ms() : mtci_clock_ms(clock);
}

#endif
