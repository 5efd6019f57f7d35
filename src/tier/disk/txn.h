/*
 * A write transaction: versions, room and counts.
 *
 * Every row has a version from one growing sequence; a row is replaced by
 * deleting it and adding one with a new version. What is counted reaches the
 * tier's counters once the transaction is committed. One thread.
 */
#ifndef MTCI_TIER_DISK_TXN_H
#define MTCI_TIER_DISK_TXN_H

#include "tier/disk/disk.h"

typedef struct mtci_disk_txn {
    mtci_disk *disk;
    mtci_disk_conn *conn;
    mtci_disk_state state;
    int64_t pages_used;
    uint64_t counts[MTCI_DISK_COUNTS];
    mtci_disk_bell_set ended; /* of keys whose leases have ended */
} mtci_disk_txn;

/* What the key has now; version 0: nothing. */
typedef struct mtci_disk_row {
    int64_t version;
    bool is_live; /* no tombstone */
} mtci_disk_row;

/* Takes the turn and the lock. SQLITE_OK, or an error and no transaction. */
int mtci_disk_txn_begin(mtci_disk_txn *txn, mtci_disk *disk,
                        mtci_disk_conn *conn, int64_t deadline_ms);

/* Commits if result is SQLITE_OK, else rolls back. SQLITE_OK, or why not. */
int mtci_disk_txn_end(mtci_disk_txn *txn, int result);

int mtci_disk_txn_peek(mtci_disk_txn *txn, mtc_slice key, mtci_disk_row *row);

/* Puts a row in place of the one that the key had, and ends the key's lease;
 * frame.data NULL: a tombstone. */
int mtci_disk_txn_put(mtci_disk_txn *txn, const mtci_disk_row *replaced,
                      mtc_slice key, int64_t purge_ms, mtc_slice frame);

/* A live row has gone, for this reason. */
void mtci_disk_txn_lost(mtci_disk_txn *txn, mtci_disk_count reason);

/* Makes room for size bytes by dropping the oldest rows. SQLITE_OK: has_room
 * tells whether that was enough. */
int mtci_disk_txn_room(mtci_disk_txn *txn, size_t size, bool *has_room);

/* Drops at most MTCI_DISK_ROWS_MAX rows that are due, or the oldest. */
int mtci_disk_txn_drop_due(mtci_disk_txn *txn, int64_t now_ms, size_t *count);
int mtci_disk_txn_drop_oldest(mtci_disk_txn *txn, size_t *count);

/* Brings pages_used up to date. */
int mtci_disk_txn_measure(mtci_disk_txn *txn);

#endif
