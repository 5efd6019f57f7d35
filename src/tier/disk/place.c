/*
 * The place of a disk tier: directory, lock, clock; see place.h.
 */
#include "tier/disk/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"

#define FILE_NAME    "cache.db"
#define DAMAGED_NAME "cache.db.damaged-"
#define LOCK_NAME    "cache.lock"

/* Between two tries for the lock, which is rarely held for longer. */
#define LOCK_STEP_MS 2

/* Copies of one process that are told apart by number. */
#define DAMAGED_MAX 1000

/* What SQLite puts beside a file. */
static const char *const logs[] = {"-wal", "-shm", "-journal"};
#define LOG_COUNT (sizeof(logs) / sizeof(logs[0]))

static mtc_status fail_path(mtc_error *error, const char *what,
                            const char *path)
{
    int cause = errno;
    bool is_refused = cause == EACCES || cause == EPERM;
    return mtci_fail(error, is_refused ? MTC_E_DENIED : MTC_E_UNAVAILABLE,
                     "disk", "%s %.140s: %s", what, path, strerror(cause));
}

/* Whether what failed now may succeed later. */
static bool is_passing(int cause)
{
    return cause == EMFILE || cause == ENFILE || cause == ENOMEM ||
           cause == EINTR;
}

/* Reads the first line or so of a file of the kernel; "" when it has none.
 * Newlines become spaces. False: it cannot be read now. */
static bool read_text(const char *path, char *text, size_t size)
{
    ssize_t count = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && is_passing(errno))
        return false;
    if (fd >= 0) {
        count = read(fd, text, size - 1);
        close(fd);
    }
    text[count > 0 ? count : 0] = '\0';
    for (char *at = text; *at; at++) {
        if (*at == '\n')
            *at = ' ';
    }
    return count >= 0;
}

/* Boot time starts anew with each boot, and is shifted per time namespace:
 * the shift, not the namespace's number, which the kernel gives again. A name
 * that were wrong for want of a descriptor would empty the file. */
static bool clock_name(char *text, size_t size)
{
    char boot[64];
    char shift[112];
    if (!read_text("/proc/sys/kernel/random/boot_id", boot, sizeof(boot)) ||
        !read_text("/proc/self/timens_offsets", shift, sizeof(shift)))
        return false;
    snprintf(text, size, "%s%s", boot, shift);
    return boot[0] != '\0';
}

static mtc_status dirs_make(const char *dir, mtc_error *error)
{
    char path[MTCI_DISK_PATH_SIZE];
    snprintf(path, sizeof(path), "%s", dir);
    for (char *end = path + 1; *end; end++) {
        if (*end != '/')
            continue;
        *end = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST)
            return fail_path(error, "cannot make the directory", path);
        *end = '/';
    }
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return fail_path(error, "cannot make the directory", path);
    return MTC_OK;
}

mtc_status mtci_disk_place_open(const char *dir, mtc_error *error,
                                mtci_disk_place *place)
{
    *place = (mtci_disk_place){.lock_fd = -1};
    if (dir[0] != '/')
        return mtci_fail(error, MTC_E_INVALID, "disk",
                         "path: \"%.100s\" is not absolute; write "
                         "disk:/directory",
                         dir);
    if (strlen(dir) > MTCI_DISK_DIR_SIZE_MAX)
        return mtci_fail(error, MTC_E_INVALID, "disk",
                         "path: longer than %u bytes", MTCI_DISK_DIR_SIZE_MAX);
    snprintf(place->dir, sizeof(place->dir), "%s", dir);
    snprintf(place->file, sizeof(place->file), "%.400s/" FILE_NAME, dir);
    snprintf(place->lock, sizeof(place->lock), "%.400s/" LOCK_NAME, dir);
    if (!clock_name(place->clock, sizeof(place->clock)))
        return mtci_fail(error, MTC_E_UNAVAILABLE, "disk",
                         "cannot read the kernel's boot id or the shift of "
                         "its clock, so that lives could not be told from "
                         "those of another boot");
    mtc_status status = dirs_make(dir, error);
    if (status != MTC_OK)
        return status;
    place->lock_fd = open(place->lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (place->lock_fd < 0)
        return fail_path(error, "cannot open", place->lock);
    return MTC_OK;
}

void mtci_disk_place_close(mtci_disk_place *place)
{
    if (place->lock_fd >= 0)
        close(place->lock_fd);
    place->lock_fd = -1;
}

/* A descriptor of its own: threads that share one share its lock. */
static int lock_open(const mtci_disk_place *place)
{
    int fd = open(place->lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0 || errno != ENOENT)
        return fd;
    /* Somebody deleted the whole directory, as one does with caches. */
    if (dirs_make(place->dir, NULL) != MTC_OK)
        return -1;
    return open(place->lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

int mtci_disk_place_lock(const mtci_disk_place *place, bool is_exclusive,
                         int64_t wait_ms)
{
    const struct timespec step = {0, LOCK_STEP_MS * 1000000L};
    int fd = lock_open(place);
    if (fd < 0)
        return -1;
    int how = (is_exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB;
    for (int64_t spent_ms = 0; flock(fd, how) != 0; spent_ms += LOCK_STEP_MS) {
        int cause = errno;
        if (cause == EINTR)
            continue;
        if (cause != EWOULDBLOCK || spent_ms >= wait_ms) {
            close(fd);
            errno = cause;
            return -1;
        }
        nanosleep(&step, NULL);
    }
    return fd;
}

void mtci_disk_place_unlock(int fd)
{
    close(fd);
}

bool mtci_disk_place_id(const mtci_disk_place *place, mtci_disk_id *id)
{
    /* Never opened here: closing it would drop SQLite's locks on it. */
    struct stat found;
    if (stat(place->file, &found) != 0)
        return false;
    *id = (mtci_disk_id){found.st_dev, found.st_ino};
    return true;
}

bool mtci_disk_place_is(const mtci_disk_place *place, const mtci_disk_id *id)
{
    mtci_disk_id now;
    return mtci_disk_place_id(place, &now) && now.device == id->device &&
           now.inode == id->inode;
}

bool mtci_disk_place_is_empty(const mtci_disk_place *place)
{
    struct stat found;
    if (stat(place->file, &found) != 0)
        return errno == ENOENT;
    return found.st_size == 0;
}

bool mtci_disk_place_is_writable(const mtci_disk_place *place)
{
    return access(place->file, W_OK) == 0;
}

static bool logs_unlink(const char *file)
{
    char path[MTCI_DISK_PATH_SIZE + 16];
    for (size_t i = 0; i < LOG_COUNT; i++) {
        snprintf(path, sizeof(path), "%s%s", file, logs[i]);
        if (unlink(path) != 0 && errno != ENOENT)
            return false;
    }
    return true;
}

bool mtci_disk_place_create(const mtci_disk_place *place)
{
    if (!logs_unlink(place->file))
        return false;
    int fd = open(place->file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    close(fd);
    return true;
}

/* Deletes the copies that were set aside before. */
static void damaged_unlink(const mtci_disk_place *place)
{
    DIR *dir = opendir(place->dir);
    if (!dir)
        return;
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        if (strncmp(entry->d_name, DAMAGED_NAME, strlen(DAMAGED_NAME)) == 0)
            unlinkat(dirfd(dir), entry->d_name, 0);
    }
    closedir(dir);
}

static void damaged_name(const mtci_disk_place *place, char *path, size_t size)
{
    for (int i = 0; i < DAMAGED_MAX; i++) {
        snprintf(path, size, "%s/" DAMAGED_NAME "%d-%d", place->dir,
                 (int)getpid(), i);
        if (access(path, F_OK) != 0)
            return;
    }
}

static bool file_rename(const mtci_disk_place *place)
{
    char aside[MTCI_DISK_PATH_SIZE + 64];
    char from[MTCI_DISK_PATH_SIZE + 16];
    char to[MTCI_DISK_PATH_SIZE + 80];
    damaged_unlink(place);
    damaged_name(place, aside, sizeof(aside));
    /* The file first: left alone, it would pass for whole without its log,
     * and older values would be back. A log left alone is deleted. */
    if (rename(place->file, aside) != 0)
        return false;
    for (size_t i = 0; i < LOG_COUNT; i++) {
        snprintf(from, sizeof(from), "%s%s", place->file, logs[i]);
        snprintf(to, sizeof(to), "%s%s", aside, logs[i]);
        if (rename(from, to) != 0 && errno != ENOENT)
            return false;
    }
    return true;
}

bool mtci_disk_place_clear(const mtci_disk_place *place, bool is_kept)
{
    if (is_kept && (file_rename(place) || errno == ENOENT))
        return true;
    if (unlink(place->file) != 0 && errno != ENOENT)
        return false;
    return logs_unlink(place->file);
}

int64_t mtci_disk_place_newest(const mtci_disk_place *place)
{
    int64_t version = 0;
    if (pread(place->lock_fd, &version, sizeof(version), 0) !=
        (ssize_t)sizeof(version))
        return 0;
    return version;
}

void mtci_disk_place_restart(const mtci_disk_place *place, int64_t version)
{
    /* A failure leaves the guard as loose as it was, no worse. */
    ssize_t count = pwrite(place->lock_fd, &version, sizeof(version), 0);
    (void)count;
}

void mtci_disk_place_note(const mtci_disk_place *place, int64_t version)
{
    if (mtci_disk_place_newest(place) < version)
        mtci_disk_place_restart(place, version);
}
