/*
 * Opening, making and replacing the file; see file.h.
 */
#include "tier/disk/file.h"

#include <errno.h>

#include "base/clock.h"

static int result_of_errno(void)
{
    switch (errno) {
    case EWOULDBLOCK:
        return SQLITE_BUSY;
    case ENOMEM:
        return SQLITE_NOMEM;
    case ENOSPC:
    case EDQUOT:
        return SQLITE_FULL;
    case EROFS:
        return SQLITE_READONLY;
    default:
        return SQLITE_CANTOPEN;
    }
}

static int open_conn(mtci_disk *disk, int64_t wait_ms, mtci_disk_conn **conn)
{
    const mtci_disk_how how = {disk->vfs.name, disk->pages_max, wait_ms};
    return mtci_disk_conn_open(&disk->place, &how, conn);
}

/* Opens and examines what is there. *conn is set only for READY. */
static int look(mtci_disk *disk, int64_t wait_ms, mtci_disk_verdict *verdict,
                mtci_disk_conn **out)
{
    mtci_disk_conn *conn;
    *out = NULL;
    *verdict = MTCI_DISK_EMPTY;
    if (mtci_disk_place_is_empty(&disk->place))
        return SQLITE_OK;
    int result = open_conn(disk, wait_ms, &conn);
    if (mtci_disk_is_damage(result)) {
        *verdict = MTCI_DISK_DAMAGED;
        return SQLITE_OK;
    }
    if (result != SQLITE_OK)
        return result;
    result = mtci_disk_conn_examine(conn, &disk->place, verdict);
    if (result != SQLITE_OK || *verdict != MTCI_DISK_READY) {
        mtci_disk_conn_close(conn);
        return result;
    }
    mtci_disk_conn_watch(conn, &disk->log_pages);
    *out = conn;
    return SQLITE_OK;
}

/* Takes away what verdict condemns. Exclusive lock held. */
static int clear(mtci_disk *disk, mtci_disk_verdict verdict)
{
    bool is_damaged = verdict == MTCI_DISK_DAMAGED;
    if (!mtci_disk_place_clear(&disk->place, is_damaged))
        return result_of_errno();
    mtci_disk_bell_ring_all(&disk->bell);
    if (is_damaged) {
        atomic_fetch_add(&disk->counts[MTCI_DISK_FOUND_DAMAGED], 1);
        mtci_disk_log(disk, MTC_LOG_WARNING,
                      "the file was damaged, or older than what it had "
                      "acknowledged; it was set aside and replaced");
    }
    return SQLITE_OK;
}

/* Makes a new file and its tables. Exclusive lock held. */
static int create(mtci_disk *disk, int64_t wait_ms)
{
    mtci_disk_conn *conn;
    /* Fewer than one version per microsecond is given out, so this is above
     * every version of a file that this boot has seen. */
    int64_t seq = mtci_boot_us();
    if (!mtci_disk_place_create(&disk->place))
        return result_of_errno();
    int result = open_conn(disk, wait_ms, &conn);
    if (result != SQLITE_OK)
        return result;
    result = mtci_disk_conn_create(conn, disk->place.clock, seq);
    mtci_disk_conn_close(conn);
    if (result == SQLITE_OK)
        mtci_disk_place_restart(&disk->place, seq);
    return result;
}

/* Looks again, since another process may have been faster, and replaces what
 * is still bad. Exclusive lock held. */
static int replace(mtci_disk *disk, bool is_first, int64_t wait_ms,
                   mtci_disk_conn **conn)
{
    mtci_disk_verdict verdict;
    int result = look(disk, wait_ms, &verdict, conn);
    if (result != SQLITE_OK || verdict == MTCI_DISK_READY)
        return result;
    if (verdict == MTCI_DISK_FOREIGN && !is_first)
        return SQLITE_AUTH;
    result = clear(disk, verdict);
    if (result == SQLITE_OK)
        result = create(disk, wait_ms);
    if (result == SQLITE_OK)
        result = look(disk, wait_ms, &verdict, conn);
    if (result == SQLITE_OK && verdict != MTCI_DISK_READY)
        result = SQLITE_CORRUPT;
    return result;
}

int mtci_disk_file_open(mtci_disk *disk, bool is_first, int64_t wait_ms,
                        mtci_disk_conn **conn)
{
    mtci_disk_verdict verdict;
    *conn = NULL;
    int lock = mtci_disk_place_lock(&disk->place, false, wait_ms);
    if (lock < 0)
        return result_of_errno();
    int result = look(disk, wait_ms, &verdict, conn);
    mtci_disk_place_unlock(lock);
    if (result != SQLITE_OK || verdict == MTCI_DISK_READY)
        return result;
    lock = mtci_disk_place_lock(&disk->place, true, wait_ms);
    if (lock < 0)
        return result_of_errno();
    result = replace(disk, is_first, wait_ms, conn);
    mtci_disk_place_unlock(lock);
    return result;
}

int mtci_disk_file_retire(mtci_disk *disk, const mtci_disk_id *id,
                          bool is_damaged, int64_t wait_ms)
{
    int result = SQLITE_OK;
    int lock = mtci_disk_place_lock(&disk->place, true, wait_ms);
    if (lock < 0)
        return result_of_errno();
    if (mtci_disk_place_is(&disk->place, id))
        result = clear(disk, is_damaged ? MTCI_DISK_DAMAGED : MTCI_DISK_EMPTY);
    mtci_disk_place_unlock(lock);
    return result;
}
