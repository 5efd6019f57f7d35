/*
 * Which process has files open through SQLite; see process.h.
 *
 * It concerns SQLite's own globals, so that it is a global, too.
 */
#include "tier/disk/process.h"

#include <stdatomic.h>
#include <stdint.h>
#include <unistd.h>

/* The process in the upper half, in the lower how often it has entered. */
static _Atomic uint64_t inside;

bool mtci_disk_process_enter(void)
{
    uint64_t own = (uint64_t)(uint32_t)getpid() << 32;
    uint64_t seen = atomic_load(&inside);
    uint64_t next;
    do {
        uint32_t count = (uint32_t)seen;
        if (count > 0 && seen - count != own)
            return false;
        next = own | (count + 1);
    } while (!atomic_compare_exchange_weak(&inside, &seen, next));
    return true;
}

void mtci_disk_process_leave(void)
{
    atomic_fetch_sub(&inside, 1);
}
