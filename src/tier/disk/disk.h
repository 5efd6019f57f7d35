/*
 * A disk tier as its parts see it.
 *
 * disk.c is the tier, pool.c its connections and the turn to write, read.c and
 * write.c what requests do, wait.c who waits for leases, lease.c those, txn.c a
 * write transaction, tend.c housekeeping, file.c the file's coming and going,
 * conn.c one connection, vfs.c its pages, place.c the directory, bell.c what
 * processes tell each other.
 */
#ifndef MTCI_TIER_DISK_DISK_H
#define MTCI_TIER_DISK_DISK_H

#include <pthread.h>

#include "tier/awaits.h"
#include "tier/disk/bell.h"
#include "tier/disk/conn.h"

/* A row is kept at least this long after it was written, since the version
 * of a row, tombstones included, is what a ticket is compared with. Fills of
 * loads that take longer may be refused, never wrongly accepted. */
#define MTCI_DISK_KEEP_MS 120000

/* Rows that one statement list deletes, to keep transactions short. */
#define MTCI_DISK_ROWS_MAX 64

/* Used pages beyond this share of the limit: tend makes room. */
#define MTCI_DISK_HIGH_PERCENT 90

typedef enum mtci_disk_count {
    MTCI_DISK_EVICTED_SIZE,
    MTCI_DISK_EVICTED_EXPIRED,
    MTCI_DISK_EVICTED_REPLACED,
    MTCI_DISK_EVICTED_REMOVED,
    MTCI_DISK_FOUND_DAMAGED,
    MTCI_DISK_COUNTS
} mtci_disk_count;

typedef struct mtci_disk {
    mtc_tier tier;
    const mtc_tier_host *host; /* NULL until attached */
    mtci_disk_place place;
    mtci_disk_vfs vfs;
    int64_t pages_max;
    pid_t pid; /* that opened it; SQLite does not survive a fork */

    pthread_mutex_t mutex; /* guards idle and has_waiter */
    mtci_disk_conn *idle;
    /* Whose turn to write it is in this process: 0 nobody's, 1 somebody's, 2
     * others wait. Beyond the process SQLite's own lock decides, which is
     * polled and so slow to change hands. */
    _Atomic uint32_t turn;

    /* Who waits for leases, and the thread that looks after them (wait.c). */
    mtci_disk_bell bell;
    mtci_awaits awaits;
    pthread_t waiter;
    bool has_waiter;         /* guarded by mutex */
    _Atomic uint32_t wanted; /* changes when the thread has to look */
    _Atomic bool is_closing;

    _Atomic uint64_t counts[MTCI_DISK_COUNTS];
    _Atomic int64_t pages_used;
    _Atomic int64_t entries;
    _Atomic int64_t log_pages;
    unsigned stuck_count; /* tend's alone */
} mtci_disk;

int64_t mtci_disk_now_ms(const mtci_disk *disk);
void mtci_disk_log(const mtci_disk *disk, mtc_log_level level,
                   const char *text);

#endif
