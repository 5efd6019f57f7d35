/*
 * Housekeeping; see tend.h.
 */
#include "tier/disk/tend.h"

#include "tier/disk/file.h"
#include "tier/disk/lease.h"
#include "tier/disk/pool.h"

/* The longest wait for anybody's lock. */
#define WAIT_MS 2

/* Transactions in one call. */
#define ROUNDS 4

/* Calls in a row, about five seconds, in which the log could not be emptied
 * before the file is given up: somebody was stopped in the middle of a read,
 * and the log would grow without bound. */
#define STUCK_MAX 50

static bool is_high(const mtci_disk *disk, int64_t pages_used)
{
    return pages_used > disk->pages_max / 100 * MTCI_DISK_HIGH_PERCENT;
}

/* Whether there is anything to drop, found out without the lock to write. */
static int has_work(mtci_disk *disk, mtci_disk_conn *conn, int64_t now_ms,
                    bool *has)
{
    sqlite3_stmt *due = mtci_disk_conn_take(conn, MTCI_DISK_DUE);
    mtci_disk_txn reader = {.disk = disk, .conn = conn};
    int result = mtci_disk_txn_measure(&reader);
    *has = is_high(disk, reader.pages_used);
    if (result != SQLITE_OK || *has)
        return result;
    sqlite3_bind_int64(due, 1, now_ms);
    sqlite3_bind_int(due, 2, 1);
    result = sqlite3_step(due);
    *has = result == SQLITE_ROW;
    sqlite3_reset(due);
    if (result == SQLITE_DONE)
        result = mtci_disk_leases_due(conn, now_ms, has);
    return result == SQLITE_ROW ? SQLITE_OK : result;
}

/* First what is due, then, while there is too much, the oldest. */
static int drop_some(mtci_disk_txn *txn, int64_t now_ms)
{
    size_t count = 0;
    int result = mtci_disk_txn_drop_due(txn, now_ms, &count);
    if (result == SQLITE_OK && count == 0 &&
        is_high(txn->disk, txn->pages_used))
        result = mtci_disk_txn_drop_oldest(txn, &count);
    if (result == SQLITE_OK)
        result = mtci_disk_leases_drop(txn, now_ms);
    return result;
}

static int drop_all(mtci_disk *disk, mtci_disk_conn *conn, int64_t now_ms)
{
    bool has = true;
    int result = has_work(disk, conn, now_ms, &has);
    for (int i = 0; i < ROUNDS && has && result == SQLITE_OK; i++) {
        mtci_disk_txn txn;
        int64_t deadline_ms = mtci_disk_now_ms(disk) + WAIT_MS;
        result = mtci_disk_txn_begin(&txn, disk, conn, deadline_ms);
        if (result == SQLITE_OK)
            result = mtci_disk_txn_end(&txn, drop_some(&txn, now_ms));
        if (result == SQLITE_OK)
            result = has_work(disk, conn, now_ms, &has);
    }
    return result;
}

/* Copies the log into the file, so that the next writer begins it anew. */
static int shorten_log(mtci_disk *disk, mtci_disk_conn *conn)
{
    int pages = 0;
    int copied = 0;
    if (atomic_load(&disk->log_pages) < MTCI_DISK_LOG_PAGES)
        return SQLITE_OK;
    int result =
        sqlite3_wal_checkpoint_v2(conn->db, NULL, SQLITE_CHECKPOINT_PASSIVE,
                                  &pages, &copied);
    bool is_stuck = pages - copied > MTCI_DISK_LOG_PAGES_MAX;
    disk->stuck_count = is_stuck ? disk->stuck_count + 1 : 0;
    return result;
}

static void give_up_file(mtci_disk *disk, const mtci_disk_conn *conn)
{
    disk->stuck_count = 0;
    if (mtci_disk_file_retire(disk, &conn->id, false, WAIT_MS) != SQLITE_OK)
        return;
    atomic_store(&disk->log_pages, 0);
    mtci_disk_log(disk, MTC_LOG_WARNING,
                  "another process stopped in the middle of a read and kept "
                  "the log from being emptied; the file was replaced");
}

void mtci_disk_tend(mtci_disk *disk, int64_t now_ms)
{
    mtci_disk_conn *conn;
    int64_t deadline_ms = mtci_disk_now_ms(disk) + WAIT_MS;
    if (mtci_disk_pool_take(disk, deadline_ms, &conn) != SQLITE_OK)
        return;
    mtci_disk_conn_wait(conn, WAIT_MS);
    int result = drop_all(disk, conn, now_ms);
    if (result == SQLITE_OK || (result & 0xff) == SQLITE_BUSY)
        result = shorten_log(disk, conn);
    if (mtci_disk_is_damage(result))
        mtci_disk_file_retire(disk, &conn->id, true, WAIT_MS);
    else if (disk->stuck_count >= STUCK_MAX)
        give_up_file(disk, conn);
    mtci_disk_pool_give(disk, conn, result);
}
