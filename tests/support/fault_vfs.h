/*
 * A VFS of SQLite that fails when it is told to. It is registered as the
 * default, so that it lies below the disk tier's own, which takes the default
 * for its work. Any thread's operations count; one at a time arms it.
 */
#ifndef MTCT_FAULT_VFS_H
#define MTCT_FAULT_VFS_H

#include <stdbool.h>

/* What can fail. */
typedef enum fault_vfs_verb {
    FAULT_VFS_WRITE,
    FAULT_VFS_READ,
    FAULT_VFS_SYNC,
    FAULT_VFS_TRUNCATE,
    FAULT_VFS_SIZE,
    FAULT_VFS_LOCK,
    FAULT_VFS_UNLOCK, /* the lock is kept */
    FAULT_VFS_SHM_MAP,
    FAULT_VFS_SHM_LOCK,
    FAULT_VFS_OPEN,
    FAULT_VFS_ACCESS
} fault_vfs_verb;

typedef struct fault_vfs_kind {
    const char *name;
    fault_vfs_verb verb;
    int result;   /* of SQLite */
    bool is_half; /* half of the bytes are written, or read */
} fault_vfs_kind;

void fault_vfs_register(void);
void fault_vfs_unregister(void);

/* Lets the n-th operation of a kind from now on fail, and with goes_on all
 * that follow it. */
void fault_vfs_arm(const fault_vfs_kind *kind, long n, bool goes_on);

/* Lets all succeed again; tells whether one failed. */
bool fault_vfs_disarm(void);

#endif
