/*
 * A checksum for every page of the file; see vfs.h.
 */
#include "tier/disk/vfs.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"

#define PAGE_SIZE  MTCI_DISK_PAGE_SIZE
#define BYTES_SIZE (PAGE_SIZE - MTCI_DISK_PAGE_RESERVED)

/* A file with checksums; the file that does the work lies right behind. */
typedef struct sum_file {
    sqlite3_file head;
    sqlite3_file *real;
} sum_file;

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((sum_file *)file)->real;
}

static sqlite3_vfs *worker_of(sqlite3_vfs *vfs)
{
    return vfs->pAppData;
}

/* A page in another's place is wrong, too. */
static uint64_t sum_of(const void *page, sqlite3_int64 offset)
{
    return mtci_hash(mtc_bytes(page, BYTES_SIZE), (uint64_t)offset);
}

static bool is_page(int size, sqlite3_int64 offset)
{
    return size == PAGE_SIZE && offset % PAGE_SIZE == 0;
}

static int sum_read(sqlite3_file *file, void *bytes, int size,
                    sqlite3_int64 offset)
{
    sqlite3_file *real = real_of(file);
    uint64_t sum;
    int result = real->pMethods->xRead(real, bytes, size, offset);
    if (result != SQLITE_OK || !is_page(size, offset))
        return result;
    memcpy(&sum, (const char *)bytes + BYTES_SIZE, sizeof(sum));
    return sum == sum_of(bytes, offset) ? SQLITE_OK : SQLITE_IOERR_DATA;
}

static int sum_write(sqlite3_file *file, const void *bytes, int size,
                     sqlite3_int64 offset)
{
    sqlite3_file *real = real_of(file);
    char page[PAGE_SIZE];
    if (is_page(size, offset)) {
        uint64_t sum = sum_of(bytes, offset);
        memcpy(page, bytes, BYTES_SIZE);
        memcpy(page + BYTES_SIZE, &sum, sizeof(sum));
        bytes = page;
    }
    return real->pMethods->xWrite(real, bytes, size, offset);
}

static int sum_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int sum_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int sum_sync(sqlite3_file *file, int flags)
{
    return real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int sum_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int sum_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int sum_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int sum_check_lock(sqlite3_file *file, int *is_reserved)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file),
                                                       is_reserved);
}

static int sum_control(sqlite3_file *file, int operation, void *argument)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), operation,
                                                 argument);
}

static int sum_sector(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int sum_device(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int sum_shm_map(sqlite3_file *file, int region, int size,
                       int is_extended, void volatile **memory)
{
    return real_of(file)->pMethods->xShmMap(real_of(file), region, size,
                                            is_extended, memory);
}

static int sum_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, count,
                                             flags);
}

static void sum_shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int sum_shm_unmap(sqlite3_file *file, int is_deleted)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), is_deleted);
}

/* Version 2: shared memory for the log, no file mapped into memory. */
static const sqlite3_io_methods sum_methods = {
    .iVersion = 2,
    .xClose = sum_close,
    .xRead = sum_read,
    .xWrite = sum_write,
    .xTruncate = sum_truncate,
    .xSync = sum_sync,
    .xFileSize = sum_size,
    .xLock = sum_lock,
    .xUnlock = sum_unlock,
    .xCheckReservedLock = sum_check_lock,
    .xFileControl = sum_control,
    .xSectorSize = sum_sector,
    .xDeviceCharacteristics = sum_device,
    .xShmMap = sum_shm_map,
    .xShmLock = sum_shm_lock,
    .xShmBarrier = sum_shm_barrier,
    .xShmUnmap = sum_shm_unmap,
};

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file,
                    int flags, int *flags_out)
{
    sqlite3_vfs *worker = worker_of(vfs);
    sum_file *sum = (sum_file *)file;
    if (!(flags & SQLITE_OPEN_MAIN_DB))
        return worker->xOpen(worker, name, file, flags, flags_out);
    sum->head.pMethods = NULL;
    sum->real = (sqlite3_file *)(sum + 1);
    int result = worker->xOpen(worker, name, sum->real, flags, flags_out);
    if (sum->real->pMethods)
        sum->head.pMethods = &sum_methods;
    return result;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int is_synced)
{
    return worker_of(vfs)->xDelete(worker_of(vfs), name, is_synced);
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *is)
{
    return worker_of(vfs)->xAccess(worker_of(vfs), name, flags, is);
}

static int vfs_path(sqlite3_vfs *vfs, const char *name, int size, char *path)
{
    return worker_of(vfs)->xFullPathname(worker_of(vfs), name, size, path);
}

static int vfs_random(sqlite3_vfs *vfs, int size, char *bytes)
{
    return worker_of(vfs)->xRandomness(worker_of(vfs), size, bytes);
}

static int vfs_sleep(sqlite3_vfs *vfs, int microseconds)
{
    return worker_of(vfs)->xSleep(worker_of(vfs), microseconds);
}

static int vfs_time(sqlite3_vfs *vfs, double *days)
{
    return worker_of(vfs)->xCurrentTime(worker_of(vfs), days);
}

static int vfs_error(sqlite3_vfs *vfs, int size, char *text)
{
    return worker_of(vfs)->xGetLastError(worker_of(vfs), size, text);
}

int mtci_disk_vfs_init(mtci_disk_vfs *vfs)
{
    sqlite3_vfs *worker = sqlite3_vfs_find(NULL);
    memset(vfs, 0, sizeof(*vfs));
    if (!worker)
        return SQLITE_ERROR;
    snprintf(vfs->name, sizeof(vfs->name), "mtc-%p", (void *)vfs);
    vfs->head = (sqlite3_vfs){
        .iVersion = 1,
        .szOsFile = (int)sizeof(sum_file) + worker->szOsFile,
        .mxPathname = worker->mxPathname,
        .zName = vfs->name,
        .pAppData = worker,
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_path,
        .xRandomness = vfs_random,
        .xSleep = vfs_sleep,
        .xCurrentTime = vfs_time,
        .xGetLastError = vfs_error,
    };
    return sqlite3_vfs_register(&vfs->head, 0);
}

void mtci_disk_vfs_fini(mtci_disk_vfs *vfs)
{
    if (vfs->head.zName)
        sqlite3_vfs_unregister(&vfs->head);
    vfs->head.zName = NULL;
}
