/*
 * The lock that lets one process of a host load a key.
 */
#ifndef MTC_CLI_LOAD_LOCK_H
#define MTC_CLI_LOAD_LOCK_H

#include <limits.h>

#include "args.h"
#include "mtc/value.h"

typedef struct load_lock {
    int fd; /* -1: not held */
    char path[PATH_MAX];
    /* For the environment of the command: what is being loaded, this key and
     * those of the processes above. */
    char environment[4096];
} load_lock;

#define LOAD_LOCK_INIT                                                         \
    {                                                                          \
        -1, "", ""                                                             \
    }

/* Waits until no other process holds the lock of this key in this cache.
 * Complains and returns false when there is no place for it, or when the
 * process itself runs under a load of the same key. */
bool load_lock_take(const args *args, mtc_slice key, load_lock *lock);

/* Gives the lock back, if it is held. */
void load_lock_release(load_lock *lock);

#endif
