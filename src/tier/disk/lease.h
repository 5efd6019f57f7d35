/*
 * Leases in the file: a row per key beside its entry, so that the entry stays
 * where it is. A lease that has run out is none, whether or not its row is
 * still there; whoever changes an entry ends its lease (mtci_disk_txn_put).
 * One thread per call.
 */
#ifndef MTCI_TIER_DISK_LEASE_H
#define MTCI_TIER_DISK_LEASE_H

#include "tier/disk/txn.h"

typedef struct mtci_disk_lease {
    uint64_t ticket;
    int64_t left_ms; /* 0: there is no lease */
} mtci_disk_lease;

/* Whether a ticket is of a lease, and not of a version. */
bool mtci_disk_lease_is(uint64_t ticket);

int mtci_disk_lease_find(mtci_disk_conn *conn, mtc_slice key, int64_t now_ms,
                         mtci_disk_lease *lease);

/* Takes a new lease, unless there is no room for it: left_ms is 0 then. */
int mtci_disk_lease_take(mtci_disk_txn *txn, mtc_slice key, int64_t length_ms,
                         mtci_disk_lease *lease);

/* Whether the lease of this ticket is held. */
int mtci_disk_lease_check(mtci_disk_txn *txn, mtc_slice key, uint64_t ticket,
                          bool *is_held);

/* Makes one that is held live so long from now. */
int mtci_disk_lease_renew(mtci_disk_txn *txn, mtc_slice key, uint64_t ticket,
                          int64_t length_ms);

/* Ends the key's lease, if it has one; whoever waits is told once that is
 * committed. */
int mtci_disk_lease_end(mtci_disk_txn *txn, mtc_slice key);

/* Whether any has run out, and dropping some of those. */
int mtci_disk_leases_due(mtci_disk_conn *conn, int64_t now_ms, bool *is_any);
int mtci_disk_leases_drop(mtci_disk_txn *txn, int64_t now_ms);

#endif
