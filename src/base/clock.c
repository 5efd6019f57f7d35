/*
 * The clock: boot time from the kernel. Stateless; any thread.
 */
#include "base/clock.h"

#include <stddef.h>

int64_t mtci_boot_us(void)
{
    struct timespec now;

    /* Cannot fail: the clock exists on every kernel that runs this. */
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t mtci_boot_ms(void)
{
    return mtci_boot_us() / 1000;
}

/* What the coarse clock may be behind, rounded up. */
static int64_t coarse_tick_ms(void)
{
    struct timespec tick;
    clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
    return tick.tv_sec * 1000 + tick.tv_nsec / 1000000 + 1;
}

void mtci_boot_note_tick(struct timespec tick)
{
    mtci_self.tick_ms = mtci_boot_ms();
    mtci_self.tick_end_ms = mtci_self.tick_ms + coarse_tick_ms();
    mtci_self.tick_s = tick.tv_sec;
    mtci_self.tick_ns = tick.tv_nsec;
}

static int64_t boot_now_ms(void *ctx)
{
    (void)ctx;
    return mtci_boot_ms();
}

const mtci_clock mtci_clock_boot = {boot_now_ms, NULL, true};
