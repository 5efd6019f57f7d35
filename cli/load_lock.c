/*
 * The lock that lets one process of a host load a key: flock on a file named
 * by a hash, which the kernel releases when its holder dies.
 *
 * The files are in the cache's folder, or in /tmp/mtc-UID where there is
 * none; not in XDG_RUNTIME_DIR, which a login has and a cron job has not.
 * The descriptor is closed on exec: what outlives its mtc holds no lock.
 */
#include "load_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "output.h"

/* Hashes of the loads above this process, separated by spaces. */
#define ENVIRONMENT "MTC_LOADING"

/* FNV-1a, 64 bits: two keys with one hash only wait for each other. */
static uint64_t hash_more(uint64_t hash, const void *data, size_t size)
{
    const unsigned char *at = data;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* The same key of another cache is another load. */
static uint64_t hash_load(const args *args, mtc_slice key)
{
    const char *tiers = args->tiers;
    if (tiers == NULL)
        tiers = secure_getenv("MTC_TIERS");
    if (tiers == NULL)
        tiers = secure_getenv("REDIS_URL");
    if (tiers == NULL)
        tiers = args->name != NULL ? args->name : "";
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    hash = hash_more(hash, tiers, strlen(tiers) + 1);
    return hash_more(hash, key.data, key.size);
}

/* Makes the folder if need be; it must be ours and nobody else's. */
static bool is_private_folder(const char *path)
{
    struct stat facts;
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return false;
    if (lstat(path, &facts) != 0)
        return false;
    return S_ISDIR(facts.st_mode) && facts.st_uid == geteuid() &&
           (facts.st_mode & 0022) == 0;
}

/* base/middle/mtc/locks, the last three made if need be. */
static bool find_folder_below(const char *base, const char *middle, char *out)
{
    int size = snprintf(out, PATH_MAX, "%s%s", base, middle);
    if (size >= PATH_MAX - 64 || (mkdir(out, 0700) != 0 && errno != EEXIST))
        return false;
    strcat(out, "/mtc");
    if (!is_private_folder(out))
        return false;
    strcat(out, "/locks");
    return is_private_folder(out);
}

static bool find_folder(char *out)
{
    const char *cache = secure_getenv("XDG_CACHE_HOME");
    const char *home = secure_getenv("HOME");
    if (cache != NULL && cache[0] == '/') {
        if (find_folder_below(cache, "", out))
            return true;
    } else if (home != NULL && home[0] == '/') {
        if (find_folder_below(home, "/.cache", out))
            return true;
    }
    snprintf(out, PATH_MAX, "/tmp/mtc-%ju", (uintmax_t)geteuid());
    if (is_private_folder(out))
        return true;
    complain("load: no folder of your own for locks, not even %s", out);
    return false;
}

/* Whether the open file is still the one that the path names: its holder
 * removes it when it gives the lock back. */
static bool is_current(const load_lock *lock)
{
    struct stat open_facts;
    struct stat path_facts;
    return fstat(lock->fd, &open_facts) == 0 &&
           stat(lock->path, &path_facts) == 0 &&
           open_facts.st_dev == path_facts.st_dev &&
           open_facts.st_ino == path_facts.st_ino;
}

/* Opens the file and waits for its lock; false with errno on failure. */
static bool lock_file(load_lock *lock)
{
    lock->fd =
        open(lock->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock->fd < 0)
        return false;
    while (flock(lock->fd, LOCK_EX) != 0) {
        if (errno == EINTR)
            continue;
        int error = errno;
        close(lock->fd);
        lock->fd = -1;
        errno = error;
        return false;
    }
    return true;
}

static bool take(load_lock *lock)
{
    while (lock_file(lock)) {
        if (is_current(lock))
            return true;
        close(lock->fd);
        lock->fd = -1;
    }
    complain("load: cannot lock %s: %s", lock->path, strerror(errno));
    return false;
}

/* Notes this load for the processes below; refuses one that is under way
 * above, which would wait for itself. */
static bool note_load(uint64_t hash, load_lock *lock)
{
    char own[20];
    const char *above = secure_getenv(ENVIRONMENT);
    snprintf(own, sizeof own, "%016" PRIx64, hash);
    if (above != NULL && args_list_has(above, own)) {
        complain("load: this runs inside a load of the same key: %s",
                 mtc_status_text(MTC_E_DEADLOCK));
        return false;
    }
    int size = snprintf(lock->environment, sizeof lock->environment, "%s=%s %s",
                        ENVIRONMENT, own, above != NULL ? above : "");
    if (size < (int)sizeof lock->environment)
        return true;
    complain("load: too many loads inside each other");
    return false;
}

bool load_lock_take(const args *args, mtc_slice key, load_lock *lock)
{
    uint64_t hash = hash_load(args, key);
    if (!note_load(hash, lock) || !find_folder(lock->path))
        return false;
    size_t size = strlen(lock->path);
    snprintf(lock->path + size, sizeof lock->path - size, "/%016" PRIx64, hash);
    return take(lock);
}

void load_lock_release(load_lock *lock)
{
    if (lock->fd < 0)
        return;
    unlink(lock->path);
    close(lock->fd);
    lock->fd = -1;
}
