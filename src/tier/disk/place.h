/*
 * The place of a disk tier: a directory with the file cache.db, and with
 * cache.lock beside it.
 *
 * cache.lock does three things. Its flock is held shared while a connection is
 * opened and exclusively while the file is made or taken away, since SQLite
 * finds a file's log by name. It begins with the newest version that any
 * process saw committed: a file that is older has lost its log. Behind that is
 * what processes tell each other of leases (bell.h).
 *
 * Knows no SQLite. Owns the descriptor of cache.lock; any thread, since
 * nothing changes between open and close.
 */
#ifndef MTCI_TIER_DISK_PLACE_H
#define MTCI_TIER_DISK_PLACE_H

#include <stdbool.h>
#include <sys/types.h>

#include "mtc/status.h"

/* SQLite takes names of up to 512 bytes; ours add a suffix. */
#define MTCI_DISK_DIR_SIZE_MAX 400u
#define MTCI_DISK_PATH_SIZE    512u
#define MTCI_DISK_CLOCK_SIZE   192u

/* Which file a name stood for at some moment. */
typedef struct mtci_disk_id {
    dev_t device;
    ino_t inode;
} mtci_disk_id;

typedef struct mtci_disk_place {
    char dir[MTCI_DISK_PATH_SIZE];
    char file[MTCI_DISK_PATH_SIZE]; /* DIR/cache.db */
    char lock[MTCI_DISK_PATH_SIZE]; /* DIR/cache.lock */
    /* Boot and time namespace: lives in the file count on this clock. */
    char clock[MTCI_DISK_CLOCK_SIZE];
    int lock_fd;
} mtci_disk_place;

/* Makes the directory (0700, parents too) and opens the lock. MTC_OK;
 * MTC_E_INVALID, MTC_E_DENIED, MTC_E_UNAVAILABLE with error filled. */
mtc_status mtci_disk_place_open(const char *dir, mtc_error *error,
                                mtci_disk_place *place);
void mtci_disk_place_close(mtci_disk_place *place);

/* Takes the flock, waiting at most wait_ms. A descriptor for unlock, or -1
 * with errno (EWOULDBLOCK: time is up). */
int mtci_disk_place_lock(const mtci_disk_place *place, bool is_exclusive,
                         int64_t wait_ms);
void mtci_disk_place_unlock(int fd);

/* The file that the name stands for now; false: there is none. */
bool mtci_disk_place_id(const mtci_disk_place *place, mtci_disk_id *id);
bool mtci_disk_place_is(const mtci_disk_place *place, const mtci_disk_id *id);
/* Whether there is no file, or nothing in it. */
bool mtci_disk_place_is_empty(const mtci_disk_place *place);

/* Whether this process may write to the file. */
bool mtci_disk_place_is_writable(const mtci_disk_place *place);

/* Makes an empty file, 0600, and forgets the logs of earlier ones. Exclusive
 * lock held. False with errno. */
bool mtci_disk_place_create(const mtci_disk_place *place);

/* Takes the file away: renamed to cache.db.damaged-PID-N with its logs (one
 * such copy is kept), or deleted. Exclusive lock held. False with errno. */
bool mtci_disk_place_clear(const mtci_disk_place *place, bool is_kept);

/* The newest version that was seen committed; 0: none. */
int64_t mtci_disk_place_newest(const mtci_disk_place *place);
/* Raises it. Not atomic: of two processes at once the lower may win, which
 * makes the guard looser by that one commit. */
void mtci_disk_place_note(const mtci_disk_place *place, int64_t version);
/* Sets it, with the exclusive lock held. */
void mtci_disk_place_restart(const mtci_disk_place *place, int64_t version);

#endif
