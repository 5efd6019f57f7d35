/*
 * Stores, removes, expires, and what is done with leases; see verbs.h.
 */
#include <stdlib.h>

#include "tier/disk/entry.h"
#include "tier/disk/lease.h"
#include "tier/disk/verbs.h"

/* The end of a life is cut by the part of a millisecond that the clock does
 * not show. */
#define CLOCK_TICK_MS 1

static int64_t end_of(const mtc_request *request, int64_t left_ms)
{
    if (left_ms == MTC_NO_END)
        return MTC_NO_END;
    return mtci_disk_after(request->sent_ms, left_ms - CLOCK_TICK_MS);
}

/* When a row may go: not before its end, nor while tickets need it. */
static int64_t purge_of(const mtc_request *request, int64_t end_ms)
{
    int64_t keep_ms = mtci_disk_after(request->sent_ms, MTCI_DISK_KEEP_MS);
    return end_ms > keep_ms ? end_ms : keep_ms;
}

/* The frame as bytes to be freed; data NULL: out of memory. */
static mtc_slice bytes_of(const mtc_frame *frame)
{
    char *bytes = malloc(mtc_frame_size(frame));
    return mtc_bytes(bytes, bytes ? mtc_frame_write(frame, bytes) : 0);
}

/* Puts the bytes of a frame in place of row and frees them. */
static int put_bytes(mtci_disk_txn *txn, const mtci_disk_row *row,
                     mtc_request *request, int64_t end_ms, mtc_slice bytes)
{
    if (!bytes.data) {
        mtci_disk_mark(request, MTC_E_NO_MEMORY);
        return SQLITE_OK;
    }
    int result = mtci_disk_txn_put(txn, row, request->key,
                                   purge_of(request, end_ms), bytes);
    free((void *)bytes.data);
    mtci_disk_mark(request, MTC_OK);
    return result;
}

/* Takes a key away and leaves a tombstone, whether or not it was there: a
 * load that is under way somewhere must not bring it back. */
static int put_tombstone(mtci_disk_txn *txn, const mtci_disk_row *row,
                         mtc_request *request, mtc_status status)
{
    if (row->is_live)
        txn->counts[MTCI_DISK_EVICTED_REMOVED]++;
    mtci_disk_mark(request, status);
    return mtci_disk_txn_put(txn, row, request->key,
                             purge_of(request, request->sent_ms),
                             mtc_bytes(NULL, 0));
}

/* Whether the lease of a request's ticket is held; if not, that is its answer.
 */
static int check_lease(mtci_disk_txn *txn, mtc_request *request, bool *is_held)
{
    int result =
        mtci_disk_lease_check(txn, request->key, request->ticket, is_held);
    mtci_disk_mark(request, *is_held ? MTC_OK : MTC_E_CANCELLED);
    return result;
}

static int renew_one(mtci_disk_txn *txn, mtc_request *request)
{
    bool is_held;
    int result = check_lease(txn, request, &is_held);
    if (result != SQLITE_OK || !is_held)
        return result;
    return mtci_disk_lease_renew(txn, request->key, request->ticket,
                                 request->lease_ms);
}

static int give_back_one(mtci_disk_txn *txn, mtc_request *request)
{
    bool is_held;
    int result = check_lease(txn, request, &is_held);
    if (result != SQLITE_OK || !is_held)
        return result;
    return mtci_disk_lease_end(txn, request->key);
}

static int remove_one(mtci_disk_txn *txn, mtc_request *request)
{
    mtci_disk_row row;
    int result = mtci_disk_txn_peek(txn, request->key, &row);
    if (result != SQLITE_OK)
        return result;
    return put_tombstone(txn, &row, request, MTC_OK);
}

/* Whether what the ticket of a store was given for has been overtaken. */
static int judge_ticket(mtci_disk_txn *txn, const mtc_request *request,
                        const mtci_disk_row *row, bool *is_refused)
{
    bool is_held;
    uint64_t ticket = request->ticket;
    *is_refused = ticket != 0 && ticket != (uint64_t)row->version &&
                  (ticket < (uint64_t)txn->state.horizon ||
                   ticket < (uint64_t)row->version);
    if (!mtci_disk_lease_is(ticket))
        return SQLITE_OK;
    int result = mtci_disk_lease_check(txn, request->key, ticket, &is_held);
    *is_refused = !is_held;
    return result;
}

static int store_one(mtci_disk_txn *txn, mtc_request *request)
{
    mtc_frame frame = {.facts = request->facts,
                       .key = request->key,
                       .time_ms = end_of(request, request->facts.left_ms),
                       .value = mtc_value_slice(&request->value)};
    mtci_disk_row row;
    bool has_room;
    bool is_refused;
    size_t size = mtc_frame_size(&frame) + 2 * request->key.size;
    int result = mtci_disk_txn_room(txn, size, &has_room);
    if (result == SQLITE_OK)
        result = mtci_disk_txn_peek(txn, request->key, &row);
    if (result == SQLITE_OK)
        result = judge_ticket(txn, request, &row, &is_refused);
    if (result != SQLITE_OK)
        return result;
    if (is_refused) {
        mtci_disk_mark(request, MTC_E_CANCELLED);
        return SQLITE_OK;
    }
    if (!has_room || frame.time_ms <= 0)
        return put_tombstone(txn, &row, request, MTC_PARTIAL);
    if (row.is_live)
        txn->counts[MTCI_DISK_EVICTED_REPLACED]++;
    return put_bytes(txn, &row, request, frame.time_ms, bytes_of(&frame));
}

/* What is left of the frame of a row once it is expired, as bytes; data NULL
 * and MTC_OK: nothing is left. */
static mtc_status cut(sqlite3_stmt *row, const mtc_request *request,
                      int64_t *end_ms, mtc_slice *bytes)
{
    mtc_frame frame;
    *bytes = mtc_bytes(NULL, 0);
    mtc_status status = mtci_disk_frame_of(row, request, &frame);
    if (status == MTC_E_NO_MEMORY)
        return status;
    if (status != MTC_OK || frame.facts.window_ms <= 0)
        return MTC_OK;
    *end_ms = end_of(request, frame.facts.window_ms);
    if (frame.time_ms < *end_ms)
        *end_ms = frame.time_ms;
    frame.time_ms = *end_ms;
    *bytes = bytes_of(&frame);
    return bytes->data ? MTC_OK : MTC_E_NO_MEMORY;
}

/* Cuts what is left to the window; without one the key is removed. */
static int expire_one(mtci_disk_txn *txn, mtc_request *request)
{
    sqlite3_stmt *find = mtci_disk_conn_take(txn->conn, MTCI_DISK_FIND);
    mtci_disk_row row = {0, false};
    mtc_slice bytes = {NULL, 0};
    mtc_status status = MTC_OK;
    int64_t end_ms = 0;
    mtci_disk_bind(find, 1, request->key);
    int result = sqlite3_step(find);
    if (result == SQLITE_ROW) {
        row.version = sqlite3_column_int64(find, 0);
        row.is_live = sqlite3_column_type(find, 1) != SQLITE_NULL;
        status = cut(find, request, &end_ms, &bytes);
    }
    sqlite3_reset(find);
    mtci_disk_mark(request, status);
    if (result != SQLITE_ROW && result != SQLITE_DONE)
        return result;
    if (status != MTC_OK)
        return SQLITE_OK;
    if (!bytes.data)
        return put_tombstone(txn, &row, request, MTC_OK);
    return put_bytes(txn, &row, request, end_ms, bytes);
}

static int write_one(mtci_disk_txn *txn, mtc_verb verb, mtc_request *request)
{
    switch (verb) {
    case MTC_VERB_STORE:
        return request->facts.kind == MTC_KIND_LEASE ? renew_one(txn, request)
                                                     : store_one(txn, request);
    case MTC_VERB_REMOVE:
        return request->ticket != 0 ? give_back_one(txn, request)
                                    : remove_one(txn, request);
    case MTC_VERB_EXPIRE:
        return expire_one(txn, request);
    case MTC_VERB_READ:
    case MTC_VERB_AWAIT:
        break;
    }
    return SQLITE_MISUSE;
}

int mtci_disk_write(mtci_disk *disk, mtci_disk_conn *conn,
                    const mtci_disk_batch *batch)
{
    mtci_disk_txn txn;
    int result = mtci_disk_txn_begin(&txn, disk, conn, batch->deadline_ms);
    if (result != SQLITE_OK)
        return result;
    for (size_t i = 0; i < batch->count && result == SQLITE_OK; i++)
        result = write_one(&txn, batch->verb, batch->requests[i]);
    return mtci_disk_txn_end(&txn, result);
}
