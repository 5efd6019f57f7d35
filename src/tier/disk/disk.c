/*
 * The disk tier: entries in one SQLite file, shared by processes, that
 * outlive them.
 *
 * It blocks: the cache calls it from worker threads, several at once. Each
 * call takes a connection of its own.
 */
#include "tier/disk/disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "tier/disk/entry.h"
#include "tier/disk/file.h"
#include "tier/disk/pool.h"
#include "tier/disk/process.h"
#include "tier/disk/tend.h"
#include "tier/disk/txn.h"
#include "tier/disk/verbs.h"
#include "tier/disk/wait.h"
#include "tier/open.h"

/* The longest wait for others when a tier is opened. */
#define OPEN_WAIT_MS 1000

/* How often one submission begins anew because the file was replaced. */
#define ATTEMPTS 4

/* SQLite counts pages in 32 bits and keeps some numbers for itself. */
#define PAGES_LIMIT INT64_C(0x3ffffffe)

#define FAILURE_SIZE 640

typedef struct disk_options {
    int64_t size_bytes;
} disk_options;

static const mtci_option disk_option_list[] = {
    {.name = "size",
     .kind = MTCI_OPTION_SIZE,
     .offset = offsetof(disk_options, size_bytes),
     .min = 1024.0 * 1024.0,
     .max = 4.0 * 1024.0 * 1024.0 * 1024.0 * 1024.0,
     .fallback = "1GiB",
     .range = "1MiB to 4TiB",
     .text = "most bytes that the file may hold; beyond, the oldest entries "
             "make room"},
};

static const mtci_option_table disk_option_table = {
    .scope = "disk",
    .options = disk_option_list,
    .count = sizeof(disk_option_list) / sizeof(disk_option_list[0]),
};

int64_t mtci_disk_now_ms(const mtci_disk *disk)
{
    return disk->host ? disk->host->now_ms(disk->host->ctx) : mtci_boot_ms();
}

void mtci_disk_log(const mtci_disk *disk, mtc_log_level level, const char *text)
{
    if (disk->host)
        disk->host->log(disk->host->ctx, level, text);
}

static mtc_status disk_attach(mtc_tier *tier, const mtc_tier_host *host)
{
    mtci_disk *disk = (mtci_disk *)tier;
    disk->host = host;
    if (atomic_load(&disk->counts[MTCI_DISK_FOUND_DAMAGED]) > 0)
        mtci_disk_log(disk, MTC_LOG_WARNING,
                      "a damaged file was set aside and replaced");
    if (!disk->bell.page)
        mtci_disk_log(disk, MTC_LOG_WARNING,
                      "cache.lock cannot be mapped: nobody waits for the loads "
                      "of other processes");
    return MTC_OK;
}

static int attempt(mtci_disk *disk, const mtci_disk_batch *batch)
{
    mtci_disk_conn *conn;
    int result = mtci_disk_pool_take(disk, batch->deadline_ms, &conn);
    if (result != SQLITE_OK)
        return result;
    if (batch->verb == MTC_VERB_READ)
        result = mtci_disk_read(disk, conn, batch);
    else
        result = mtci_disk_write(disk, conn, batch);
    /* What was committed to a file that nobody opens any more was not done. */
    if (result == SQLITE_OK && batch->verb != MTC_VERB_READ &&
        !mtci_disk_place_is(&disk->place, &conn->id))
        result = SQLITE_READONLY_DBMOVED;
    if (mtci_disk_is_damage(result)) {
        int64_t wait_ms = batch->deadline_ms - mtci_disk_now_ms(disk);
        mtci_disk_file_retire(disk, &conn->id, true, wait_ms);
    }
    mtci_disk_pool_give(disk, conn, result);
    return result;
}

static void complete(const mtci_disk *disk, const mtci_disk_batch *batch,
                     int result)
{
    char failure[FAILURE_SIZE];
    mtc_status failed = mtci_disk_status(result);
    if (result == SQLITE_AUTH)
        snprintf(failure, sizeof(failure),
                 "%s: in use by a process of another time namespace",
                 disk->place.dir);
    else if (result != SQLITE_OK)
        snprintf(failure, sizeof(failure), "%s: %s", disk->place.dir,
                 sqlite3_errstr(result));
    for (size_t i = 0; i < batch->count; i++) {
        mtc_request *request = batch->requests[i];
        if (result == SQLITE_OK)
            mtc_request_complete(request, mtci_disk_marked(request), NULL);
        else
            mtc_request_complete(request, failed, failure);
    }
}

static mtci_disk_batch batch_of(mtc_verb verb, mtc_request *const *requests,
                                size_t count)
{
    mtci_disk_batch batch = {verb, requests, count, INT64_MAX};
    for (size_t i = 0; i < count; i++) {
        if (requests[i]->deadline_ms < batch.deadline_ms)
            batch.deadline_ms = requests[i]->deadline_ms;
        if (verb == MTC_VERB_READ)
            mtci_disk_want(requests[i]);
    }
    return batch;
}

static void disk_abandon(mtc_tier *tier, mtc_request *request)
{
    mtci_awaits_drop(&((mtci_disk *)tier)->awaits, request);
}

static void disk_submit(mtc_tier *tier, mtc_verb verb,
                        mtc_request *const *requests, size_t count)
{
    mtci_disk *disk = (mtci_disk *)tier;
    mtci_disk_batch batch = batch_of(verb, requests, count);
    int result = SQLITE_OK;
    if (verb == MTC_VERB_AWAIT) {
        mtci_disk_wait(disk, &batch);
        return;
    }
    for (int i = 0; i < ATTEMPTS; i++) {
        result = attempt(disk, &batch);
        if (result == SQLITE_OK)
            break;
        for (size_t k = 0; verb == MTC_VERB_READ && k < count; k++)
            mtci_disk_unread(requests[k]);
        if (!mtci_disk_is_damage(result) && result != SQLITE_READONLY_DBMOVED)
            break;
    }
    complete(disk, &batch, result);
}

static void disk_tend(mtc_tier *tier, int64_t now_ms)
{
    mtci_disk_tend((mtci_disk *)tier, now_ms);
}

static void disk_usage(mtc_tier *tier, mtc_tier_usage *out)
{
    mtci_disk *disk = (mtci_disk *)tier;
    *out = (mtc_tier_usage){
        .bytes = (uint64_t)atomic_load(&disk->pages_used) * MTCI_DISK_PAGE_SIZE,
        .bytes_max = (uint64_t)disk->pages_max * MTCI_DISK_PAGE_SIZE,
        .entries = (uint64_t)atomic_load(&disk->entries),
        .evicted_size = atomic_load(&disk->counts[MTCI_DISK_EVICTED_SIZE]),
        .evicted_expired =
            atomic_load(&disk->counts[MTCI_DISK_EVICTED_EXPIRED]),
        .evicted_replaced =
            atomic_load(&disk->counts[MTCI_DISK_EVICTED_REPLACED]),
        .evicted_removed =
            atomic_load(&disk->counts[MTCI_DISK_EVICTED_REMOVED]),
        .damaged = atomic_load(&disk->counts[MTCI_DISK_FOUND_DAMAGED]),
    };
}

/* Leaves a file without a log behind, if nobody else is using it. The log is
 * bounded, and so is the time. */
static void checkpoint(mtci_disk *disk)
{
    mtci_disk_conn *conn = disk->idle;
    if (!conn || !mtci_disk_place_is(&disk->place, &conn->id))
        return;
    mtci_disk_conn_wait(conn, 0);
    sqlite3_wal_checkpoint_v2(conn->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL,
                              NULL);
}

static void disk_close(mtc_tier *tier)
{
    mtci_disk *disk = (mtci_disk *)tier;
    /* In a forked child the connections are the parent's, and SQLite still
     * knows them: they are left alone. */
    if (disk->pid != getpid())
        return;
    mtci_disk_wait_end(disk);
    checkpoint(disk);
    mtci_disk_pool_drain(disk);
    mtci_disk_vfs_fini(&disk->vfs);
    mtci_disk_bell_close(&disk->bell);
    mtci_disk_place_close(&disk->place);
    pthread_mutex_destroy(&disk->mutex);
    free(disk);
    mtci_disk_process_leave();
}

static const mtc_tier_ops disk_ops = {
    .struct_size = sizeof(mtc_tier_ops),
    .abilities = MTC_TIER_BLOCKS | MTC_TIER_TELLS_LEFT | MTC_TIER_SHARED |
                 MTC_TIER_ATOMIC_FILL | MTC_TIER_PERSISTS |
                 MTC_TIER_KEEPS_FACTS | MTC_TIER_LEASES,
    .scheme = "disk",
    .key_size_max = 65536,
    .life_ms_max = INT64_MAX,
    .life_step_ms = 1,
    .attach = disk_attach,
    .submit = disk_submit,
    .abandon = disk_abandon,
    .tend = disk_tend,
    .usage = disk_usage,
    .close = disk_close,
};

/* Opens the file and keeps the connection. */
static mtc_status open_first(mtci_disk *disk, mtc_error *error)
{
    mtci_disk_conn *conn;
    mtci_disk_txn reader = {.disk = disk};
    mtci_disk_bell_open(&disk->bell, disk->place.lock_fd);
    int result = mtci_disk_vfs_init(&disk->vfs);
    if (result == SQLITE_OK)
        result = mtci_disk_file_open(disk, true, OPEN_WAIT_MS, &conn);
    if (result != SQLITE_OK) {
        mtc_status status = mtci_disk_status(result);
        if (status == MTC_E_TIMEOUT)
            status = MTC_E_UNAVAILABLE;
        return mtci_fail(error, status, "disk", "cannot open %.140s: %s",
                         disk->place.file, sqlite3_errstr(result));
    }
    reader.conn = conn;
    if (mtci_disk_txn_measure(&reader) == SQLITE_OK)
        atomic_store(&disk->pages_used, reader.pages_used);
    if (mtci_disk_conn_state(conn, &reader.state) == SQLITE_OK)
        atomic_store(&disk->entries, reader.state.entries);
    mtci_disk_pool_give(disk, conn, SQLITE_OK);
    return MTC_OK;
}

static mtc_status disk_open(const mtci_url *url, const void *options,
                            mtc_error *error, mtc_tier **tier)
{
    const disk_options *given = options;
    if (url->host[0] != '\0' || url->port != 0)
        return mtci_fail(error, MTC_E_INVALID, "disk",
                         "a host in the URL; write disk:/directory");
    if (sqlite3_threadsafe() == 0)
        return mtci_fail(error, MTC_E_UNSUPPORTED, "disk",
                         "this SQLite was built without threads");
    mtci_disk *disk = calloc(1, sizeof(*disk));
    if (!disk)
        return mtci_fail(error, MTC_E_NO_MEMORY, "disk", "out of memory");
    if (!mtci_disk_process_enter()) {
        free(disk);
        return mtci_fail(error, MTC_E_FORKED, "disk",
                         "SQLite cannot be used in a forked child whose "
                         "parent had a disk tier open");
    }
    disk->tier.ops = &disk_ops;
    disk->pid = getpid();
    disk->pages_max = given->size_bytes / MTCI_DISK_PAGE_SIZE;
    if (disk->pages_max > PAGES_LIMIT)
        disk->pages_max = PAGES_LIMIT;
    pthread_mutex_init(&disk->mutex, NULL);
    mtci_awaits_init(&disk->awaits);
    mtc_status status = mtci_disk_place_open(url->path, error, &disk->place);
    if (status == MTC_OK)
        status = open_first(disk, error);
    if (status != MTC_OK) {
        disk_close(&disk->tier);
        return status;
    }
    *tier = &disk->tier;
    return MTC_OK;
}

const mtci_tier_kind mtci_disk_kind = {
    .schemes = "disk",
    .options = &disk_option_table,
    .options_size = sizeof(disk_options),
    .open = disk_open,
};
