/*
 * The wraps around the allocator; see failing_alloc.h.
 */
#include "support/failing_alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <malloc.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "base/pin.h"

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

bool mtct_alloc_has_failed(void)
{
    return atomic_load(&allocs.has_failed);
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

/* -- the allocator -------------------------------------------------------- */

static _Atomic long live;

long mtct_alloc_live(void)
{
    return atomic_load(&live);
}

static void *counted(void *made)
{
    if (made)
        atomic_fetch_add(&live, 1);
    return made;
}

#define WRAP(type, name, parameters, arguments)                                \
    type __real_##name parameters;                                             \
    type __wrap_##name parameters;                                             \
    type __wrap_##name parameters                                              \
    {                                                                          \
        return fails(&allocs) ? NULL : counted(__real_##name arguments);       \
    }

WRAP(void *, malloc, (size_t size), (size))
WRAP(void *, calloc, (size_t count, size_t size), (count, size))
WRAP(char *, strdup, (const char *text), (text))
WRAP(char *, strndup, (const char *text, size_t size), (text, size))

void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size)
{
    if (fails(&allocs))
        return NULL;
    void *made = __real_realloc(old, size);
    return old ? made : counted(made);
}

void *__real_aligned_alloc(size_t step, size_t size);
void *__wrap_aligned_alloc(size_t step, size_t size);
void *__wrap_aligned_alloc(size_t step, size_t size)
{
    if (fails(&allocs))
        return NULL;
    void *made = __real_aligned_alloc(step, size);
    return size == MTCI_PINS_ALIGN ? made : counted(made);
}

void __real_free(void *made);
void __wrap_free(void *made);
void __wrap_free(void *made)
{
    if (made)
        atomic_fetch_sub(&live, 1);
    __real_free(made);
}

/* -- SQLite --------------------------------------------------------------- */

static void *sqlite_malloc(int size)
{
    return __wrap_malloc((size_t)size);
}

static void *sqlite_realloc(void *old, int size)
{
    return __wrap_realloc(old, (size_t)size);
}

static int sqlite_size(void *made)
{
    return (int)malloc_usable_size(made);
}

static int sqlite_round(int size)
{
    return (size + 7) / 8 * 8;
}

static int sqlite_init(void *ctx)
{
    (void)ctx;
    return SQLITE_OK;
}

static void sqlite_shutdown(void *ctx)
{
    (void)ctx;
}

void mtct_alloc_serve_sqlite(void)
{
    static const sqlite3_mem_methods methods = {
        sqlite_malloc, __wrap_free, sqlite_realloc,  sqlite_size,
        sqlite_round,  sqlite_init, sqlite_shutdown, NULL,
    };
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods), SQLITE_OK);
    assert_int_equal(sqlite3_initialize(), SQLITE_OK);
}

/* -- mappings ------------------------------------------------------------- */

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
