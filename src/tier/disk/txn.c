/*
 * A write transaction; see txn.h.
 */
#include "tier/disk/txn.h"

#include "tier/disk/lease.h"
#include "tier/disk/pool.h"

/* Pages that a row may take beside its bytes: splits in three trees. */
#define PAGES_ASIDE 16

/* Bytes of a row that a page surely holds. */
#define PAGE_BYTES (MTCI_DISK_PAGE_SIZE - 64)

/* How often a store drops the oldest rows to make room. */
#define ROOM_ROUNDS 4

int mtci_disk_txn_measure(mtci_disk_txn *txn)
{
    int64_t pages = 0;
    int64_t unused = 0;
    int result = mtci_disk_conn_number(txn->conn, MTCI_DISK_PAGES, &pages);
    if (result == SQLITE_OK)
        result = mtci_disk_conn_number(txn->conn, MTCI_DISK_FREE, &unused);
    if (result == SQLITE_OK)
        txn->pages_used = pages - unused;
    return result;
}

static int lock(mtci_disk_txn *txn, int64_t deadline_ms)
{
    mtci_disk_conn_wait(txn->conn, deadline_ms - mtci_disk_now_ms(txn->disk));
    int result = mtci_disk_conn_run(txn->conn, MTCI_DISK_BEGIN_WRITE);
    if (result == SQLITE_OK)
        result = mtci_disk_conn_state(txn->conn, &txn->state);
    if (result == SQLITE_OK)
        result = mtci_disk_txn_measure(txn);
    return result;
}

int mtci_disk_txn_begin(mtci_disk_txn *txn, mtci_disk *disk,
                        mtci_disk_conn *conn, int64_t deadline_ms)
{
    *txn = (mtci_disk_txn){.disk = disk, .conn = conn};
    if (!mtci_disk_turn_take(disk, deadline_ms))
        return SQLITE_BUSY;
    int result = lock(txn, deadline_ms);
    return result == SQLITE_OK ? SQLITE_OK : mtci_disk_txn_end(txn, result);
}

static int commit(mtci_disk_txn *txn)
{
    sqlite3_stmt *statement =
        mtci_disk_conn_take(txn->conn, MTCI_DISK_STATE_SET);
    int result = mtci_disk_txn_measure(txn);
    if (result != SQLITE_OK)
        return result;
    sqlite3_bind_int64(statement, 1, txn->state.seq);
    sqlite3_bind_int64(statement, 2, txn->state.horizon);
    sqlite3_bind_int64(statement, 3, txn->state.entries);
    result = mtci_disk_conn_run(txn->conn, MTCI_DISK_STATE_SET);
    if (result == SQLITE_OK)
        result = mtci_disk_conn_run(txn->conn, MTCI_DISK_COMMIT);
    return result;
}

static void publish(const mtci_disk_txn *txn)
{
    mtci_disk *disk = txn->disk;
    mtci_disk_place_note(&disk->place, txn->state.seq);
    atomic_store_explicit(&disk->pages_used, txn->pages_used,
                          memory_order_relaxed);
    atomic_store_explicit(&disk->entries, txn->state.entries,
                          memory_order_relaxed);
    mtci_disk_bell_ring(&disk->bell, &txn->ended);
    for (int i = 0; i < MTCI_DISK_COUNTS; i++)
        atomic_fetch_add_explicit(&disk->counts[i], txn->counts[i],
                                  memory_order_relaxed);
}

int mtci_disk_txn_end(mtci_disk_txn *txn, int result)
{
    if (result == SQLITE_OK)
        result = commit(txn);
    if (result == SQLITE_OK)
        publish(txn);
    if (!sqlite3_get_autocommit(txn->conn->db))
        mtci_disk_conn_run(txn->conn, MTCI_DISK_ROLLBACK);
    mtci_disk_turn_give(txn->disk);
    return result;
}

static mtci_disk_row row_of(sqlite3_stmt *statement)
{
    bool is_live = sqlite3_column_type(statement, 1) != SQLITE_NULL;
    return (mtci_disk_row){sqlite3_column_int64(statement, 0), is_live};
}

int mtci_disk_txn_peek(mtci_disk_txn *txn, mtc_slice key, mtci_disk_row *row)
{
    sqlite3_stmt *statement = mtci_disk_conn_take(txn->conn, MTCI_DISK_PEEK);
    *row = (mtci_disk_row){0, false};
    mtci_disk_bind(statement, 1, key);
    int result = sqlite3_step(statement);
    if (result == SQLITE_ROW)
        *row = row_of(statement);
    sqlite3_reset(statement);
    return result == SQLITE_ROW || result == SQLITE_DONE ? SQLITE_OK : result;
}

int mtci_disk_txn_put(mtci_disk_txn *txn, const mtci_disk_row *replaced,
                      mtc_slice key, int64_t purge_ms, mtc_slice frame)
{
    sqlite3_stmt *statement = mtci_disk_conn_take(txn->conn, MTCI_DISK_PUT);
    int result = mtci_disk_lease_end(txn, key);
    if (result != SQLITE_OK)
        return result;
    txn->state.seq++;
    sqlite3_bind_int64(statement, 1, txn->state.seq);
    mtci_disk_bind(statement, 2, key);
    sqlite3_bind_int64(statement, 3, purge_ms);
    if (frame.data)
        mtci_disk_bind(statement, 4, frame);
    else
        sqlite3_bind_null(statement, 4);
    if (replaced->is_live && txn->state.entries > 0)
        txn->state.entries--;
    if (frame.data)
        txn->state.entries++;
    return mtci_disk_conn_run(txn->conn, MTCI_DISK_PUT);
}

void mtci_disk_txn_lost(mtci_disk_txn *txn, mtci_disk_count reason)
{
    if (txn->state.entries > 0)
        txn->state.entries--;
    txn->counts[reason]++;
}

/* Takes the rows that a bound statement names. */
static int collect(sqlite3_stmt *statement, mtci_disk_row *rows, size_t *count)
{
    int result = sqlite3_step(statement);
    for (*count = 0; result == SQLITE_ROW && *count < MTCI_DISK_ROWS_MAX;) {
        rows[(*count)++] = row_of(statement);
        result = sqlite3_step(statement);
    }
    sqlite3_reset(statement);
    return result == SQLITE_ROW || result == SQLITE_DONE ? SQLITE_OK : result;
}

/* What was dropped can refuse no ticket any more, so the horizon does. */
static int drop(mtci_disk_txn *txn, const mtci_disk_row *rows, size_t count,
                mtci_disk_count reason)
{
    sqlite3_stmt *statement = mtci_disk_conn_take(txn->conn, MTCI_DISK_DROP);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].version > txn->state.seq)
            return SQLITE_CORRUPT;
        sqlite3_bind_int64(statement, 1, rows[i].version);
        int result = mtci_disk_conn_run(txn->conn, MTCI_DISK_DROP);
        if (result != SQLITE_OK)
            return result;
        if (rows[i].is_live)
            mtci_disk_txn_lost(txn, reason);
        if (rows[i].version > txn->state.horizon)
            txn->state.horizon = rows[i].version;
    }
    return SQLITE_OK;
}

int mtci_disk_txn_drop_due(mtci_disk_txn *txn, int64_t now_ms, size_t *count)
{
    mtci_disk_row rows[MTCI_DISK_ROWS_MAX];
    sqlite3_stmt *statement = mtci_disk_conn_take(txn->conn, MTCI_DISK_DUE);
    sqlite3_bind_int64(statement, 1, now_ms);
    sqlite3_bind_int(statement, 2, MTCI_DISK_ROWS_MAX);
    int result = collect(statement, rows, count);
    if (result == SQLITE_OK)
        result = drop(txn, rows, *count, MTCI_DISK_EVICTED_EXPIRED);
    return result;
}

int mtci_disk_txn_drop_oldest(mtci_disk_txn *txn, size_t *count)
{
    mtci_disk_row rows[MTCI_DISK_ROWS_MAX];
    sqlite3_stmt *statement = mtci_disk_conn_take(txn->conn, MTCI_DISK_OLDEST);
    sqlite3_bind_int(statement, 1, MTCI_DISK_ROWS_MAX);
    int result = collect(statement, rows, count);
    if (result == SQLITE_OK)
        result = drop(txn, rows, *count, MTCI_DISK_EVICTED_SIZE);
    return result;
}

static bool fits(mtci_disk_txn *txn, int64_t need)
{
    if (txn->disk->pages_max - txn->pages_used < need)
        return false;
    txn->pages_used += need;
    return true;
}

int mtci_disk_txn_room(mtci_disk_txn *txn, size_t size, bool *has_room)
{
    int64_t need = (int64_t)(size / PAGE_BYTES) + PAGES_ASIDE;
    *has_room = fits(txn, need);
    if (*has_room || need > txn->disk->pages_max)
        return SQLITE_OK;
    /* What earlier rows of this transaction were thought to need was more
     * than they took. */
    int result = mtci_disk_txn_measure(txn);
    if (result == SQLITE_OK)
        *has_room = fits(txn, need);
    size_t count = 1;
    for (int i = 0; i < ROOM_ROUNDS && count > 0 && !*has_room; i++) {
        if (result == SQLITE_OK)
            result = mtci_disk_txn_drop_oldest(txn, &count);
        if (result == SQLITE_OK)
            result = mtci_disk_txn_measure(txn);
        if (result != SQLITE_OK)
            return result;
        *has_room = fits(txn, need);
    }
    return result;
}
