/*
 * Opening the file, making a new one where there is none or a bad one, and
 * taking a bad one away while other processes use it.
 *
 * A file that was replaced stays whole for those who have it open. They
 * compare names before they begin and after they have committed, so that
 * nothing is acknowledged that only the old file holds. The versions of a new
 * file begin above all of the old one's, so that old tickets are refused.
 */
#ifndef MTCI_TIER_DISK_FILE_H
#define MTCI_TIER_DISK_FILE_H

#include "tier/disk/disk.h"

/* A connection to a whole file of our clock; made if need be. The first open
 * of a tier replaces a file of another clock; later ones refuse it. SQLITE_OK
 * or an error; *conn is NULL on an error. */
int mtci_disk_file_open(mtci_disk *disk, bool is_first, int64_t wait_ms,
                        mtci_disk_conn **conn);

/* Takes the file away if it is still the one named by id; keeps a copy of a
 * damaged one. SQLITE_OK or an error. */
int mtci_disk_file_retire(mtci_disk *disk, const mtci_disk_id *id,
                          bool is_damaged, int64_t wait_ms);

#endif
