/*
 * The VFS that fails; see fault_vfs.h. What the disk tier never does, deleting
 * and looking at a lock, is passed on.
 */
#include "support/fault_vfs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sqlite3.h>
#include <stdatomic.h>
#include <string.h>

static struct {
    fault_vfs_kind kind;
    _Atomic long left; /* operations until one fails; 0: none will */
    _Atomic bool goes_on;
    _Atomic bool has_failed;
} fuse;

void fault_vfs_arm(const fault_vfs_kind *kind, long n, bool goes_on)
{
    fuse.kind = *kind;
    atomic_store(&fuse.has_failed, false);
    atomic_store(&fuse.goes_on, goes_on);
    atomic_store(&fuse.left, n);
}

bool fault_vfs_disarm(void)
{
    atomic_store(&fuse.left, 0);
    atomic_store(&fuse.goes_on, false);
    return atomic_load(&fuse.has_failed);
}

static bool fails(fault_vfs_verb verb)
{
    long left = atomic_load(&fuse.left);
    if (left <= 0 && !atomic_load(&fuse.goes_on))
        return false;
    if (fuse.kind.verb != verb)
        return false;
    if (left <= 0)
        return atomic_load(&fuse.has_failed);
    if (atomic_fetch_sub(&fuse.left, 1) != 1)
        return false;
    atomic_store(&fuse.has_failed, true);
    return true;
}

/* -- files: the one that does the work lies right behind ----------------- */

typedef struct fault_file {
    sqlite3_file head;
    sqlite3_file *real;
} fault_file;

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((fault_file *)file)->real;
}

static int fault_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int fault_read(sqlite3_file *file, void *bytes, int size,
                      sqlite3_int64 offset)
{
    sqlite3_file *real = real_of(file);
    if (!fails(FAULT_VFS_READ))
        return real->pMethods->xRead(real, bytes, size, offset);
    if (fuse.kind.is_half) {
        real->pMethods->xRead(real, bytes, size, offset);
        memset((char *)bytes + size / 2, 0, (size_t)(size - size / 2));
    }
    return fuse.kind.result;
}

static int fault_write(sqlite3_file *file, const void *bytes, int size,
                       sqlite3_int64 offset)
{
    sqlite3_file *real = real_of(file);
    if (!fails(FAULT_VFS_WRITE))
        return real->pMethods->xWrite(real, bytes, size, offset);
    if (fuse.kind.is_half)
        real->pMethods->xWrite(real, bytes, size / 2, offset);
    return fuse.kind.result;
}

/* Any other operation of a file: fails, or is passed on. */
#define PASS(verb, method, parameters, ...)                                    \
    static int fault_##method parameters                                       \
    {                                                                          \
        sqlite3_file *real = real_of(file);                                    \
        return fails(FAULT_VFS_##verb) ? fuse.kind.result                      \
                                       : real->pMethods->method(__VA_ARGS__);  \
    }

PASS(TRUNCATE, xTruncate, (sqlite3_file * file, sqlite3_int64 size), real, size)
PASS(SYNC, xSync, (sqlite3_file * file, int flags), real, flags)
PASS(SIZE, xFileSize, (sqlite3_file * file, sqlite3_int64 *size), real, size)
PASS(LOCK, xLock, (sqlite3_file * file, int level), real, level)
PASS(UNLOCK, xUnlock, (sqlite3_file * file, int level), real, level)
PASS(SHM_MAP, xShmMap,
     (sqlite3_file * file, int region, int size, int is_extended,
      void volatile **memory),
     real, region, size, is_extended, memory)

/* What gives a lock back does not fail. */
static int fault_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    sqlite3_file *real = real_of(file);
    if (flags & SQLITE_SHM_LOCK && fails(FAULT_VFS_SHM_LOCK))
        return fuse.kind.result;
    return real->pMethods->xShmLock(real, offset, count, flags);
}

static int fault_check_lock(sqlite3_file *file, int *is_reserved)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file),
                                                       is_reserved);
}

static int fault_control(sqlite3_file *file, int operation, void *argument)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), operation,
                                                 argument);
}

static int fault_sector(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int fault_device(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static void fault_shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int fault_shm_unmap(sqlite3_file *file, int is_deleted)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), is_deleted);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = fault_close,
    .xRead = fault_read,
    .xWrite = fault_write,
    .xTruncate = fault_xTruncate,
    .xSync = fault_xSync,
    .xFileSize = fault_xFileSize,
    .xLock = fault_xLock,
    .xUnlock = fault_xUnlock,
    .xCheckReservedLock = fault_check_lock,
    .xFileControl = fault_control,
    .xSectorSize = fault_sector,
    .xDeviceCharacteristics = fault_device,
    .xShmMap = fault_xShmMap,
    .xShmLock = fault_shm_lock,
    .xShmBarrier = fault_shm_barrier,
    .xShmUnmap = fault_shm_unmap,
};

/* -- the VFS -------------------------------------------------------------- */

static sqlite3_vfs vfs;

static int fault_open(sqlite3_vfs *self, const char *name, sqlite3_file *file,
                      int flags, int *flags_out)
{
    sqlite3_vfs *worker = self->pAppData;
    fault_file *made = (fault_file *)file;
    made->head.pMethods = NULL;
    if (fails(FAULT_VFS_OPEN))
        return fuse.kind.result;
    made->real = (sqlite3_file *)(made + 1);
    int result = worker->xOpen(worker, name, made->real, flags, flags_out);
    if (made->real->pMethods)
        made->head.pMethods = &methods;
    return result;
}

static int fault_access(sqlite3_vfs *self, const char *name, int flags,
                        int *is_so)
{
    sqlite3_vfs *worker = self->pAppData;
    if (fails(FAULT_VFS_ACCESS))
        return fuse.kind.result;
    return worker->xAccess(worker, name, flags, is_so);
}

/* SQLite counts what it has slept, and no clock: waiting takes no time here. */
static int fault_sleep(sqlite3_vfs *self, int microseconds)
{
    (void)self;
    return microseconds;
}

void fault_vfs_register(void)
{
    sqlite3_vfs *worker = sqlite3_vfs_find(NULL);
    assert_non_null(worker);
    /* The rest of the worker's functions do not look at what they belong to,
     * but for its pAppData, which unix file systems have no use for once a
     * file is open through the worker itself. */
    vfs = *worker;
    vfs.pNext = NULL;
    vfs.szOsFile = (int)sizeof(fault_file) + worker->szOsFile;
    vfs.zName = "fault";
    vfs.pAppData = worker;
    vfs.xOpen = fault_open;
    vfs.xAccess = fault_access;
    vfs.xSleep = fault_sleep;
    assert_int_equal(sqlite3_vfs_register(&vfs, 1), SQLITE_OK);
}

void fault_vfs_unregister(void)
{
    assert_int_equal(sqlite3_vfs_unregister(&vfs), SQLITE_OK);
}
