/*
 * A checksum for every page of the file.
 *
 * SQLite notices much damage, but a flipped bit inside an index can hide a
 * row, which then comes back as an older value of its key. So each page ends
 * in a checksum over its bytes and its number, written and checked where
 * SQLite's own access to files (its VFS) is called; the log has checksums
 * already. A page that is wrong reads as SQLITE_IOERR_DATA.
 *
 * Registered with SQLite under a name of its own for as long as the tier is
 * open, so that nothing is left behind. Any thread, after init.
 */
#ifndef MTCI_TIER_DISK_VFS_H
#define MTCI_TIER_DISK_VFS_H

#include <sqlite3.h>

#define MTCI_DISK_PAGE_SIZE 4096

/* Bytes at the end of each page that are not SQLite's. */
#define MTCI_DISK_PAGE_RESERVED 8

typedef struct mtci_disk_vfs {
    sqlite3_vfs head; /* its pAppData is the VFS that does the work */
    char name[32];
} mtci_disk_vfs;

/* SQLITE_OK or an error. The struct stays where it is until fini. */
int mtci_disk_vfs_init(mtci_disk_vfs *vfs);
void mtci_disk_vfs_fini(mtci_disk_vfs *vfs);

#endif
