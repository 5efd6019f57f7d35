/*
 * What requests do: read (read.c), store, remove, expire (write.c), and the
 * same with leases.
 *
 * How each request ended is left in its mark (a mtc_status), since a
 * transaction may still fail as a whole; whoever calls completes them. On an
 * error no request has taken effect. One thread per call.
 */
#ifndef MTCI_TIER_DISK_VERBS_H
#define MTCI_TIER_DISK_VERBS_H

#include "tier/disk/disk.h"

/* One submission. */
typedef struct mtci_disk_batch {
    mtc_verb verb;
    mtc_request *const *requests;
    size_t count;
    int64_t deadline_ms; /* the earliest of them */
} mtci_disk_batch;

/* SQLITE_OK: every mark is set, and value, facts, ticket and lease_ms. */
int mtci_disk_read(mtci_disk *disk, mtci_disk_conn *conn,
                   const mtci_disk_batch *batch);

/* Gives back what a read has put into a request. */
void mtci_disk_unread(mtc_request *request);

/* SQLITE_OK: committed, and every mark is set. */
int mtci_disk_write(mtci_disk *disk, mtci_disk_conn *conn,
                    const mtci_disk_batch *batch);

#endif
