/*
 * Leases in the file; see lease.h.
 */
#include "tier/disk/lease.h"

#include "tier/disk/entry.h"

/* Sets tickets of leases apart from versions, which are smaller. */
#define LEASE_BIT (UINT64_C(1) << 62)

/* What a row takes beside its key, which is in it twice. */
#define ROW_SIZE 64

bool mtci_disk_lease_is(uint64_t ticket)
{
    return (ticket & LEASE_BIT) != 0;
}

int mtci_disk_lease_find(mtci_disk_conn *conn, mtc_slice key, int64_t now_ms,
                         mtci_disk_lease *lease)
{
    sqlite3_stmt *find = mtci_disk_conn_take(conn, MTCI_DISK_LEASE_FIND);
    *lease = (mtci_disk_lease){0, 0};
    mtci_disk_bind(find, 1, key);
    int result = sqlite3_step(find);
    if (result == SQLITE_ROW && sqlite3_column_int64(find, 1) > now_ms) {
        lease->ticket = (uint64_t)sqlite3_column_int64(find, 0);
        lease->left_ms = sqlite3_column_int64(find, 1) - now_ms;
    }
    sqlite3_reset(find);
    return result == SQLITE_ROW || result == SQLITE_DONE ? SQLITE_OK : result;
}

static int put(mtci_disk_txn *txn, mtc_slice key, uint64_t ticket,
               int64_t end_ms)
{
    sqlite3_stmt *put = mtci_disk_conn_take(txn->conn, MTCI_DISK_LEASE_PUT);
    mtci_disk_bind(put, 1, key);
    sqlite3_bind_int64(put, 2, (int64_t)ticket);
    sqlite3_bind_int64(put, 3, end_ms);
    return mtci_disk_conn_run(txn->conn, MTCI_DISK_LEASE_PUT);
}

int mtci_disk_lease_take(mtci_disk_txn *txn, mtc_slice key, int64_t length_ms,
                         mtci_disk_lease *lease)
{
    bool has_room;
    *lease = (mtci_disk_lease){0, 0};
    int result = mtci_disk_txn_room(txn, 2 * key.size + ROW_SIZE, &has_room);
    if (result != SQLITE_OK || !has_room)
        return result;
    lease->ticket = (uint64_t)++txn->state.seq | LEASE_BIT;
    lease->left_ms = length_ms;
    return mtci_disk_lease_renew(txn, key, lease->ticket, length_ms);
}

int mtci_disk_lease_check(mtci_disk_txn *txn, mtc_slice key, uint64_t ticket,
                          bool *is_held)
{
    mtci_disk_lease lease;
    int result = mtci_disk_lease_find(txn->conn, key,
                                      mtci_disk_now_ms(txn->disk), &lease);
    *is_held = lease.left_ms > 0 && lease.ticket == ticket;
    return result;
}

int mtci_disk_lease_renew(mtci_disk_txn *txn, mtc_slice key, uint64_t ticket,
                          int64_t length_ms)
{
    int64_t now_ms = mtci_disk_now_ms(txn->disk);
    return put(txn, key, ticket, mtci_disk_after(now_ms, length_ms));
}

int mtci_disk_lease_end(mtci_disk_txn *txn, mtc_slice key)
{
    mtci_disk_bind(mtci_disk_conn_take(txn->conn, MTCI_DISK_LEASE_DROP), 1,
                   key);
    int result = mtci_disk_conn_run(txn->conn, MTCI_DISK_LEASE_DROP);
    if (result == SQLITE_OK && sqlite3_changes(txn->conn->db) > 0)
        mtci_disk_bell_add(&txn->ended, mtci_disk_bell_of(key));
    return result;
}

int mtci_disk_leases_due(mtci_disk_conn *conn, int64_t now_ms, bool *is_any)
{
    sqlite3_stmt *due = mtci_disk_conn_take(conn, MTCI_DISK_LEASES_DUE);
    sqlite3_bind_int64(due, 1, now_ms);
    int result = sqlite3_step(due);
    *is_any = result == SQLITE_ROW;
    sqlite3_reset(due);
    return result == SQLITE_ROW || result == SQLITE_DONE ? SQLITE_OK : result;
}

int mtci_disk_leases_drop(mtci_disk_txn *txn, int64_t now_ms)
{
    sqlite3_stmt *drop = mtci_disk_conn_take(txn->conn, MTCI_DISK_LEASES_DROP);
    sqlite3_bind_int64(drop, 1, now_ms);
    sqlite3_bind_int(drop, 2, MTCI_DISK_ROWS_MAX);
    return mtci_disk_conn_run(txn->conn, MTCI_DISK_LEASES_DROP);
}
