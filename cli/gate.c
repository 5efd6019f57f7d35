/*
 * A gate that many threads sleep at and one call opens for all. Any threads.
 *
 * One word and the kernel, nothing between: what mtc bench stampede measures
 * the library's own wake-up against.
 */
#include "gate.h"

#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

void gate_wait(gate *gate, uint32_t seen)
{
    while (atomic_load(&gate->word) == seen)
        syscall(SYS_futex, &gate->word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL,
                0);
}

void gate_open(gate *gate)
{
    atomic_fetch_add(&gate->word, 1);
    syscall(SYS_futex, &gate->word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}
