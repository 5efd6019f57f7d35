/*
 * Waiting for leases to end; see wait.h.
 */
#include "tier/disk/wait.h"

#include "base/spawn.h"
#include "base/sync.h"
#include "tier/disk/lease.h"
#include "tier/disk/pool.h"

/* -- the thread ----------------------------------------------------------- */

/* While a request waits, its mark says which count is its key's, and what that
 * was before it looked for the lease. */
static uint64_t mark_of(const mtci_disk *disk, mtc_slice key)
{
    unsigned index = mtci_disk_bell_of(key);
    return (uint64_t)index << 32 | mtci_disk_bell_count(&disk->bell, index);
}

static bool has_rung(const void *ctx, const mtc_request *request)
{
    const mtci_disk *disk = ctx;
    unsigned index = (unsigned)(request->mark >> 32);
    return mtci_disk_bell_count(&disk->bell, index) != (uint32_t)request->mark;
}

/* Until somebody ends a lease, or the first wait is due. */
static void look_and_sleep(mtci_disk *disk)
{
    uint32_t word = mtci_disk_bell_word(&disk->bell);
    int64_t now_ms = mtci_disk_now_ms(disk);
    mtci_awaits_wake(&disk->awaits, has_rung, disk);
    mtci_awaits_expire(&disk->awaits, now_ms);
    int64_t due_ms = mtci_awaits_due_ms(&disk->awaits);
    if (due_ms != INT64_MAX)
        mtci_disk_bell_sleep(&disk->bell, word, due_ms - now_ms);
}

static void *wait_main(void *arg)
{
    mtci_disk *disk = arg;
    while (!atomic_load(&disk->is_closing)) {
        uint32_t wanted = atomic_load(&disk->wanted);
        if (mtci_awaits_any(&disk->awaits))
            look_and_sleep(disk);
        else
            mtci_word_wait(&disk->wanted, wanted, MTCI_FOREVER);
    }
    return NULL;
}

/* Has the thread look at once, asleep where ever. */
static void call_thread(mtci_disk *disk)
{
    atomic_fetch_add(&disk->wanted, 1);
    mtci_word_wake(&disk->wanted);
    mtci_disk_bell_nudge(&disk->bell);
}

static bool has_thread(mtci_disk *disk)
{
    if (!disk->bell.page)
        return false;
    pthread_mutex_lock(&disk->mutex);
    if (!disk->has_waiter)
        disk->has_waiter = mtci_spawn(&disk->waiter, wait_main, disk);
    bool has_waiter = disk->has_waiter;
    pthread_mutex_unlock(&disk->mutex);
    return has_waiter;
}

void mtci_disk_wait_end(mtci_disk *disk)
{
    if (disk->has_waiter) {
        atomic_store(&disk->is_closing, true);
        call_thread(disk);
        pthread_join(disk->waiter, NULL);
    }
    mtci_awaits_fini(&disk->awaits);
}

/* -- requests ------------------------------------------------------------- */

/* Listens first, and looks only then: what ends the lease after that is heard.
 */
static int wait_one(mtci_disk *disk, mtci_disk_conn *conn, mtc_request *request)
{
    mtci_disk_lease lease;
    int64_t now_ms = mtci_disk_now_ms(disk);
    request->mark = mark_of(disk, request->key);
    int result = mtci_disk_lease_find(conn, request->key, now_ms, &lease);
    if (result != SQLITE_OK)
        mtc_request_complete(request, mtci_disk_status(result),
                             sqlite3_errstr(result));
    else if (lease.left_ms == 0)
        mtc_request_complete(request, MTC_OK, NULL);
    else if (mtci_awaits_add(&disk->awaits, request, lease.left_ms, now_ms))
        call_thread(disk);
    return result;
}

static void refuse(const mtci_disk_batch *batch, mtc_status status,
                   const char *failure)
{
    for (size_t i = 0; i < batch->count; i++)
        mtc_request_complete(batch->requests[i], status, failure);
}

void mtci_disk_wait(mtci_disk *disk, const mtci_disk_batch *batch)
{
    mtci_disk_conn *conn;
    if (!has_thread(disk)) {
        refuse(batch, MTC_E_UNSUPPORTED, "cannot wait for leases");
        return;
    }
    int result = mtci_disk_pool_take(disk, batch->deadline_ms, &conn);
    if (result != SQLITE_OK) {
        refuse(batch, mtci_disk_status(result), sqlite3_errstr(result));
        return;
    }
    for (size_t i = 0; i < batch->count; i++) {
        int found = wait_one(disk, conn, batch->requests[i]);
        result = found == SQLITE_OK ? result : found;
    }
    mtci_disk_pool_give(disk, conn, result);
}
