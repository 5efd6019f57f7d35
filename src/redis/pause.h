/*
 * Pauses between attempts: the bound of the first, doubled by each that has
 * failed. Stateless; any thread.
 */
#ifndef MTCI_REDIS_PAUSE_H
#define MTCI_REDIS_PAUSE_H

#include <stdint.h>

/* ms_min doubled as often as attempts have failed before, to ms_max at most. */
static inline int64_t mtci_pause_bound_ms(unsigned failed, int64_t ms_min,
                                          int64_t ms_max)
{
    int64_t bound_ms = ms_min;
    for (unsigned i = 0; i < failed && bound_ms < ms_max; i++)
        bound_ms *= 2;
    return bound_ms < ms_max ? bound_ms : ms_max;
}

/* Between 1 and the bound, so that clients do not come back all at once.
 * random: any number. */
static inline int64_t mtci_pause_ms(int64_t bound_ms, uint64_t random)
{
    return 1 + (int64_t)(random % (uint64_t)bound_ms);
}

#endif
