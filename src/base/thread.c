/*
 * The per-thread record; see thread.h.
 */
#include "base/thread.h"

_Thread_local mtci_thread mtci_self;

static uint32_t next_random(void)
{
    if (mtci_self.random == 0)
        mtci_self.random = (uint32_t)((uintptr_t)&mtci_self >> 4) | 1u;
    mtci_self.random ^= mtci_self.random << 13;
    mtci_self.random ^= mtci_self.random >> 17;
    mtci_self.random ^= mtci_self.random << 5;
    return mtci_self.random;
}

bool mtci_thread_one_in(int64_t n)
{
    return n <= 1 || next_random() % (uint64_t)n == 0;
}

double mtci_thread_share(void)
{
    return next_random() / 4294967296.0;
}
