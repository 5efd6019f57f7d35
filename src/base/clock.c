/*
 * The clock: boot time from the kernel. Stateless; any thread.
 */
#include "base/clock.h"

#include <stddef.h>
#include <time.h>

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

static int64_t boot_now_ms(void *ctx)
{
    (void)ctx;
    return mtci_boot_ms();
}

const mtci_clock mtci_clock_boot = {boot_now_ms, NULL};
