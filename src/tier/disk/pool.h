/*
 * The connections of a disk tier, and the turn to write.
 *
 * As many connections exist as threads have ever used the tier at once. Any
 * thread.
 */
#ifndef MTCI_TIER_DISK_POOL_H
#define MTCI_TIER_DISK_POOL_H

#include "tier/disk/disk.h"

/* A connection to the file that is there now. SQLITE_OK or an error. */
int mtci_disk_pool_take(mtci_disk *disk, int64_t deadline_ms,
                        mtci_disk_conn **conn);

/* Gives it back; one that failed, other than by waiting, is closed. */
void mtci_disk_pool_give(mtci_disk *disk, mtci_disk_conn *conn, int result);

/* Closes the idle ones. */
void mtci_disk_pool_drain(mtci_disk *disk);

/* Waits for the turn to write; false: the deadline passed. */
bool mtci_disk_turn_take(mtci_disk *disk, int64_t deadline_ms);
void mtci_disk_turn_give(mtci_disk *disk);

#endif
