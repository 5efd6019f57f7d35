/*
 * The wraps around the allocator; see failing_alloc.h.
 */
#include "support/failing_alloc.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>

typedef struct fuse {
    _Atomic long left; /* calls until one fails; 0: none will */
    _Atomic bool goes_on;
    _Atomic bool has_failed;
} fuse;

static fuse allocs;
static fuse maps;

static void arm(fuse *fuse, long n, bool all_that_follow)
{
    atomic_store(&fuse->has_failed, false);
    atomic_store(&fuse->goes_on, all_that_follow);
    atomic_store(&fuse->left, n);
}

static bool disarm(fuse *fuse)
{
    atomic_store(&fuse->left, 0);
    atomic_store(&fuse->goes_on, false);
    return atomic_load(&fuse->has_failed);
}

static bool fails(fuse *fuse)
{
    if (atomic_load(&fuse->left) <= 0)
        return atomic_load(&fuse->goes_on) && atomic_load(&fuse->has_failed);
    if (atomic_fetch_sub(&fuse->left, 1) != 1)
        return false;
    atomic_store(&fuse->has_failed, true);
    return true;
}

void mtct_alloc_arm(long n, bool all_that_follow)
{
    arm(&allocs, n, all_that_follow);
}

bool mtct_alloc_disarm(void)
{
    return disarm(&allocs);
}

void mtct_map_arm(long n, bool all_that_follow)
{
    arm(&maps, n, all_that_follow);
}

bool mtct_map_disarm(void)
{
    return disarm(&maps);
}

#define WRAP(type, name, parameters, arguments)                                \
    type __real_##name parameters;                                             \
    type __wrap_##name parameters;                                             \
    type __wrap_##name parameters                                              \
    {                                                                          \
        return fails(&allocs) ? NULL : __real_##name arguments;                \
    }

WRAP(void *, malloc, (size_t size), (size))
WRAP(void *, calloc, (size_t count, size_t size), (count, size))
WRAP(void *, realloc, (void *old, size_t size), (old, size))
WRAP(void *, aligned_alloc, (size_t step, size_t size), (step, size))
WRAP(char *, strdup, (const char *text), (text))

#define MMAP_PARAMETERS                                                        \
    (void *at, size_t size, int access, int flags, int file, off_t offset)

void *__real_mmap MMAP_PARAMETERS;
void *__wrap_mmap MMAP_PARAMETERS;
void *__wrap_mmap MMAP_PARAMETERS
{
    if (!fails(&maps))
        return __real_mmap(at, size, access, flags, file, offset);
    errno = ENOMEM;
    return MAP_FAILED;
}

int __real_madvise(void *at, size_t size, int advice);
int __wrap_madvise(void *at, size_t size, int advice);
int __wrap_madvise(void *at, size_t size, int advice)
{
    if (!fails(&maps))
        return __real_madvise(at, size, advice);
    errno = EINVAL;
    return -1;
}
