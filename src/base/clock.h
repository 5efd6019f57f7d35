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
} mtci_clock;

/* The real clock. */
extern const mtci_clock mtci_clock_boot;

int64_t mtci_boot_ms(void);
int64_t mtci_boot_us(void);

static inline int64_t mtci_clock_ms(const mtci_clock *clock)
{
    return clock->now_ms(clock->ctx);
}

#endif
