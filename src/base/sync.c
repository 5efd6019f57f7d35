/*
 * Waiting on a word, by the futex call of the kernel. Stateless; any thread.
 */
#include "base/sync.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

bool mtci_word_wait(_Atomic uint32_t *word, uint32_t seen, int64_t wait_ms)
{
    struct timespec wait = {0, 0};
    struct timespec *bound = NULL;
    long result;

    if (atomic_load_explicit(word, memory_order_acquire) != seen) {
        return true;
    }
    if (wait_ms <= 0) {
        return false;
    }
    if (wait_ms != MTCI_FOREVER) {
        wait.tv_sec = (time_t)(wait_ms / 1000);
        wait.tv_nsec = (long)(wait_ms % 1000) * 1000000;
        bound = &wait;
    }
    result = syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, bound, NULL, 0);
    return result == 0 || errno != ETIMEDOUT;
}

void mtci_word_wake(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}
