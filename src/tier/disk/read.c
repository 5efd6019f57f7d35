/*
 * Reads, and the leases that they take; see verbs.h.
 */
#include <string.h>

#include "tier/disk/entry.h"
#include "tier/disk/lease.h"
#include "tier/disk/verbs.h"

/* Copies value and etag into one block, so that the etag lives as long. */
static mtc_status answer(mtc_request *request, const mtc_frame *frame)
{
    mtc_slice value = frame->value;
    mtc_slice etag = frame->facts.etag;
    void *room;
    mtc_status status =
        mtc_value_new(value.size + etag.size, &room, &request->value);
    if (status != MTC_OK)
        return status;
    char *bytes = room;
    if (value.size > 0)
        memcpy(bytes, value.data, value.size);
    if (etag.size > 0)
        memcpy(bytes + value.size, etag.data, etag.size);
    request->value.size = value.size;
    request->facts = frame->facts;
    request->facts.etag = mtc_bytes(bytes + value.size, etag.size);
    request->facts.left_ms = MTC_NO_END;
    if (frame->time_ms != MTC_NO_END)
        request->facts.left_ms = frame->time_ms - request->sent_ms;
    return MTC_OK;
}

static int read_one(mtci_disk_conn *conn, mtc_request *request)
{
    sqlite3_stmt *statement = mtci_disk_conn_take(conn, MTCI_DISK_FIND);
    mtc_status status = MTC_MISS;
    mtc_frame frame;
    mtci_disk_state state;
    mtci_disk_bind(statement, 1, request->key);
    int result = sqlite3_step(statement);
    if (result == SQLITE_ROW) {
        status = mtci_disk_frame_of(statement, request, &frame);
        if (status == MTC_OK)
            status = answer(request, &frame);
        /* What is found may be loaded anew, before its end or behind it. */
        request->ticket = (uint64_t)sqlite3_column_int64(statement, 0);
    }
    sqlite3_reset(statement);
    if (result != SQLITE_ROW && result != SQLITE_DONE)
        return result;
    mtci_disk_mark(request, status);
    if (status == MTC_OK || status == MTC_E_NO_MEMORY)
        return SQLITE_OK;
    /* Asked after the miss: what is committed up to here was there before the
     * load that the ticket is for begins. */
    result = mtci_disk_conn_state(conn, &state);
    request->ticket = result == SQLITE_OK ? (uint64_t)state.seq : 0;
    return result;
}

/* -- leases --------------------------------------------------------------- */

static bool is_load_needed(const mtc_request *request)
{
    mtc_status status = mtci_disk_marked(request);
    const mtc_facts *facts = &request->facts;
    return status == MTC_MISS ||
           (status == MTC_OK && facts->left_ms <= facts->window_ms);
}

/* Says what is left of the key's lease, whose ever it is. */
static void tell_lease(mtc_request *request, int64_t left_ms)
{
    request->lease_ms = left_ms;
    if (left_ms > 0 && mtci_disk_marked(request) == MTC_MISS)
        request->facts =
            (mtc_facts){.kind = MTC_KIND_LEASE, .left_ms = left_ms};
}

/* A read that takes no lease is told of one. */
static int look_for_lease(mtci_disk *disk, mtci_disk_conn *conn,
                          mtc_request *request)
{
    mtci_disk_lease lease;
    request->lease_ms = 0;
    if (!is_load_needed(request) || mtci_disk_wanted_ms(request) > 0)
        return SQLITE_OK;
    int result = mtci_disk_lease_find(conn, request->key,
                                      mtci_disk_now_ms(disk), &lease);
    tell_lease(request, lease.left_ms);
    return result;
}

/* Reads again, where nobody else writes, and takes the lease if there is still
 * need of one and nobody has it. */
static int lease_one(mtci_disk_txn *txn, mtc_request *request)
{
    mtci_disk_lease lease;
    int64_t now_ms = mtci_disk_now_ms(txn->disk);
    mtci_disk_unread(request);
    int result = read_one(txn->conn, request);
    if (mtci_disk_marked(request) == MTC_E_CORRUPT)
        mtci_disk_mark(request, MTC_MISS);
    if (result != SQLITE_OK || !is_load_needed(request))
        return result;
    result = mtci_disk_lease_find(txn->conn, request->key, now_ms, &lease);
    bool is_foreign = lease.left_ms > 0;
    if (result == SQLITE_OK && !is_foreign)
        result = mtci_disk_lease_take(txn, request->key,
                                      mtci_disk_wanted_ms(request), &lease);
    if (lease.left_ms > 0)
        request->ticket = is_foreign ? 0 : lease.ticket;
    tell_lease(request, lease.left_ms);
    return result;
}

static bool wants_lease(const mtc_request *request)
{
    return mtci_disk_wanted_ms(request) > 0 && is_load_needed(request);
}

static int lease_all(mtci_disk *disk, mtci_disk_conn *conn,
                     const mtci_disk_batch *batch)
{
    mtci_disk_txn txn;
    int result = mtci_disk_txn_begin(&txn, disk, conn, batch->deadline_ms);
    if (result != SQLITE_OK)
        return result;
    for (size_t i = 0; i < batch->count && result == SQLITE_OK; i++) {
        if (wants_lease(batch->requests[i]))
            result = lease_one(&txn, batch->requests[i]);
    }
    return mtci_disk_txn_end(&txn, result);
}

static bool is_any_wanted(const mtci_disk_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        if (wants_lease(batch->requests[i]))
            return true;
    }
    return false;
}

/* -- reads ---------------------------------------------------------------- */

void mtci_disk_unread(mtc_request *request)
{
    mtc_value_free(&request->value);
    request->ticket = 0;
    request->lease_ms = 0;
}

static int read_all(mtci_disk *disk, mtci_disk_conn *conn,
                    const mtci_disk_batch *batch)
{
    int result = SQLITE_OK;
    bool is_many = batch->count > 1;
    if (is_many)
        result = mtci_disk_conn_run(conn, MTCI_DISK_BEGIN_READ);
    for (size_t i = 0; i < batch->count && result == SQLITE_OK; i++) {
        result = read_one(conn, batch->requests[i]);
        if (result == SQLITE_OK)
            result = look_for_lease(disk, conn, batch->requests[i]);
    }
    if (is_many && !sqlite3_get_autocommit(conn->db)) {
        int ended = mtci_disk_conn_run(conn, MTCI_DISK_COMMIT);
        result = result == SQLITE_OK ? ended : result;
    }
    return result;
}

/* Makes a tombstone of a row if its frame is still bad: its version stays
 * for the tickets. */
static int bury(mtci_disk_txn *txn, const mtc_request *request)
{
    sqlite3_stmt *find = mtci_disk_conn_take(txn->conn, MTCI_DISK_FIND);
    mtc_frame frame;
    int64_t version = 0;
    mtci_disk_bind(find, 1, request->key);
    int result = sqlite3_step(find);
    if (result == SQLITE_ROW &&
        mtci_disk_frame_of(find, request, &frame) == MTC_E_CORRUPT)
        version = sqlite3_column_int64(find, 0);
    sqlite3_reset(find);
    if (result != SQLITE_ROW && result != SQLITE_DONE)
        return result;
    if (version == 0)
        return SQLITE_OK;
    sqlite3_stmt *erase = mtci_disk_conn_take(txn->conn, MTCI_DISK_BURY);
    sqlite3_bind_int64(erase, 1, version);
    mtci_disk_txn_lost(txn, MTCI_DISK_FOUND_DAMAGED);
    return mtci_disk_conn_run(txn->conn, MTCI_DISK_BURY);
}

/* Rows whose frame is bad are misses, whether or not they can be cleared. */
static int bury_bad(mtci_disk *disk, mtci_disk_conn *conn,
                    const mtci_disk_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        mtci_disk_txn txn;
        mtc_request *request = batch->requests[i];
        if (mtci_disk_marked(request) != MTC_E_CORRUPT)
            continue;
        mtci_disk_mark(request, MTC_MISS);
        int result = mtci_disk_txn_begin(&txn, disk, conn, batch->deadline_ms);
        if (result == SQLITE_OK)
            result = mtci_disk_txn_end(&txn, bury(&txn, request));
        if (mtci_disk_is_damage(result))
            return result;
    }
    return SQLITE_OK;
}

static int read_plain(mtci_disk *disk, mtci_disk_conn *conn,
                      const mtci_disk_batch *batch)
{
    int result = read_all(disk, conn, batch);
    return result == SQLITE_OK ? bury_bad(disk, conn, batch) : result;
}

int mtci_disk_read(mtci_disk *disk, mtci_disk_conn *conn,
                   const mtci_disk_batch *batch)
{
    mtci_disk_conn_wait(conn, batch->deadline_ms - mtci_disk_now_ms(disk));
    int result = read_plain(disk, conn, batch);
    if (result != SQLITE_OK || !is_any_wanted(batch))
        return result;
    result = lease_all(disk, conn, batch);
    if (result == SQLITE_OK || mtci_disk_is_damage(result))
        return result;
    /* Nothing was taken: the file is as it was, and answers without leases. */
    for (size_t i = 0; i < batch->count; i++)
        mtci_disk_unread(batch->requests[i]);
    return read_plain(disk, conn, batch);
}
