/*
 * The wraps around the allocator; see failing_alloc.h.
 */
#include "support/failing_alloc.h"

#include <stdatomic.h>
#include <stddef.h>

static _Atomic long left; /* allocations until one fails; 0: none will */
static _Atomic bool goes_on;
static _Atomic bool has_failed;

void mtct_alloc_arm(long n, bool all_that_follow)
{
    atomic_store(&has_failed, false);
    atomic_store(&goes_on, all_that_follow);
    atomic_store(&left, n);
}

bool mtct_alloc_disarm(void)
{
    atomic_store(&left, 0);
    atomic_store(&goes_on, false);
    return atomic_load(&has_failed);
}

static bool fails(void)
{
    if (atomic_load(&left) <= 0)
        return atomic_load(&goes_on) && atomic_load(&has_failed);
    if (atomic_fetch_sub(&left, 1) != 1)
        return false;
    atomic_store(&has_failed, true);
    return true;
}

#define WRAP(type, name, parameters, arguments)                                \
    type __real_##name parameters;                                             \
    type __wrap_##name parameters;                                             \
    type __wrap_##name parameters                                              \
    {                                                                          \
        return fails() ? NULL : __real_##name arguments;                       \
    }

WRAP(void *, malloc, (size_t size), (size))
WRAP(void *, calloc, (size_t count, size_t size), (count, size))
WRAP(void *, realloc, (void *old, size_t size), (old, size))
WRAP(void *, aligned_alloc, (size_t step, size_t size), (step, size))
WRAP(char *, strdup, (const char *text), (text))
