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

/* In monotonic time, which a wait for bits takes for an end. */
static struct timespec end_of(int64_t wait_ms)
{
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += (time_t)(wait_ms / 1000);
    end.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (end.tv_nsec >= 1000000000) {
        end.tv_nsec -= 1000000000;
        end.tv_sec++;
    }
    return end;
}

/* How a call of the kernel waits, and as whom. */
typedef struct manner {
    int operation;
    uint32_t bits;
} manner;

static bool wait_on(_Atomic uint32_t *word, uint32_t seen, int64_t wait_ms,
                    manner manner)
{
    struct timespec end;
    if (atomic_load_explicit(word, memory_order_acquire) != seen)
        return true;
    if (wait_ms <= 0)
        return false;
    if (wait_ms != MTCI_FOREVER)
        end = end_of(wait_ms);
    long result =
        syscall(SYS_futex, word, manner.operation, seen,
                wait_ms == MTCI_FOREVER ? NULL : &end, NULL, manner.bits);
    return result == 0 || errno != ETIMEDOUT;
}

bool mtci_word_wait_as(_Atomic uint32_t *word, uint32_t seen, int64_t wait_ms,
                       uint32_t bits)
{
    return wait_on(word, seen, wait_ms,
                   (manner){FUTEX_WAIT_BITSET_PRIVATE, bits});
}

bool mtci_word_wait(_Atomic uint32_t *word, uint32_t seen, int64_t wait_ms)
{
    return mtci_word_wait_as(word, seen, wait_ms, UINT32_MAX);
}

void mtci_word_wake_bits(_Atomic uint32_t *word, uint32_t bits)
{
    syscall(SYS_futex, word, FUTEX_WAKE_BITSET_PRIVATE, INT_MAX, NULL, NULL,
            bits);
}

void mtci_word_wake(_Atomic uint32_t *word)
{
    mtci_word_wake_bits(word, UINT32_MAX);
}

bool mtci_word_wait_shared(_Atomic uint32_t *word, uint32_t seen,
                           int64_t wait_ms)
{
    return wait_on(word, seen, wait_ms,
                   (manner){FUTEX_WAIT_BITSET, FUTEX_BITSET_MATCH_ANY});
}

void mtci_word_wake_shared(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}
