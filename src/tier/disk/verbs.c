/*
 * Read, store, remove, expire; see verbs.h.
 *
 * The frame alone says what a row is: its checksum, its key and its end
 * decide, and the columns only find it.
 */
#include "tier/disk/verbs.h"

#include <stdlib.h>

#include "base/slice.h"
#include "tier/disk/txn.h"

/* The end of a life is cut by the part of a millisecond that the clock does
 * not show. */
#define CLOCK_TICK_MS 1

static void mark(mtc_request *request, mtc_status status)
{
    request->mark = (uint64_t)(int64_t)status;
}

static int64_t after(int64_t from_ms, int64_t length_ms)
{
    return length_ms > INT64_MAX - from_ms ? INT64_MAX : from_ms + length_ms;
}

static int64_t end_of(const mtc_request *request, int64_t left_ms)
{
    if (left_ms == MTC_NO_END)
        return MTC_NO_END;
    return after(request->sent_ms, left_ms - CLOCK_TICK_MS);
}

/* When a row may go: not before its end, nor while tickets need it. */
static int64_t purge_of(const mtc_request *request, int64_t end_ms)
{
    int64_t keep_ms = after(request->sent_ms, MTCI_DISK_KEEP_MS);
    return end_ms > keep_ms ? end_ms : keep_ms;
}

/* Reads the frame of a found row. MTC_OK; MTC_MISS: a tombstone, or an end
 * that has passed; MTC_E_CORRUPT. */
static mtc_status frame_of(sqlite3_stmt *row, const mtc_request *request,
                           mtc_frame *frame)
{
    if (sqlite3_column_type(row, 1) == SQLITE_NULL)
        return MTC_MISS;
    const void *data = sqlite3_column_blob(row, 1);
    size_t size = (size_t)sqlite3_column_bytes(row, 1);
    if (!data && size > 0)
        return MTC_E_NO_MEMORY;
    if (mtc_frame_read(mtc_bytes(data, size), frame) != MTC_OK ||
        frame->time_ms <= 0 || !mtci_slices_equal(frame->key, request->key))
        return MTC_E_CORRUPT;
    return frame->time_ms <= request->sent_ms ? MTC_MISS : MTC_OK;
}

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
        status = frame_of(statement, request, &frame);
        if (status == MTC_OK)
            status = answer(request, &frame);
    }
    sqlite3_reset(statement);
    if (result != SQLITE_ROW && result != SQLITE_DONE)
        return result;
    mark(request, status);
    if (status == MTC_OK || status == MTC_E_NO_MEMORY)
        return SQLITE_OK;
    /* Asked after the miss: what is committed up to here was there before the
     * load that the ticket is for begins. */
    result = mtci_disk_conn_state(conn, &state);
    request->ticket = result == SQLITE_OK ? (uint64_t)state.seq : 0;
    return result;
}

static int read_all(mtci_disk_conn *conn, const mtci_disk_batch *batch)
{
    int result = SQLITE_OK;
    bool is_many = batch->count > 1;
    if (is_many)
        result = mtci_disk_conn_run(conn, MTCI_DISK_BEGIN_READ);
    for (size_t i = 0; i < batch->count && result == SQLITE_OK; i++)
        result = read_one(conn, batch->requests[i]);
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
        frame_of(find, request, &frame) == MTC_E_CORRUPT)
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
        if ((mtc_status)(int64_t)request->mark != MTC_E_CORRUPT)
            continue;
        mark(request, MTC_MISS);
        int result = mtci_disk_txn_begin(&txn, disk, conn, batch->deadline_ms);
        if (result == SQLITE_OK)
            result = mtci_disk_txn_end(&txn, bury(&txn, request));
        if (mtci_disk_is_damage(result))
            return result;
    }
    return SQLITE_OK;
}

int mtci_disk_read(mtci_disk *disk, mtci_disk_conn *conn,
                   const mtci_disk_batch *batch)
{
    mtci_disk_conn_wait(conn, batch->deadline_ms - mtci_disk_now_ms(disk));
    int result = read_all(conn, batch);
    if (result == SQLITE_OK)
        result = bury_bad(disk, conn, batch);
    return result;
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
        mark(request, MTC_E_NO_MEMORY);
        return SQLITE_OK;
    }
    int result = mtci_disk_txn_put(txn, row, request->key,
                                   purge_of(request, end_ms), bytes);
    free((void *)bytes.data);
    mark(request, MTC_OK);
    return result;
}

/* Takes a key away and leaves a tombstone, whether or not it was there: a
 * load that is under way somewhere must not bring it back. */
static int put_tombstone(mtci_disk_txn *txn, const mtci_disk_row *row,
                         mtc_request *request, mtc_status status)
{
    if (row->is_live)
        txn->counts[MTCI_DISK_EVICTED_REMOVED]++;
    mark(request, status);
    return mtci_disk_txn_put(txn, row, request->key,
                             purge_of(request, request->sent_ms),
                             mtc_bytes(NULL, 0));
}

static int remove_one(mtci_disk_txn *txn, mtc_request *request)
{
    mtci_disk_row row;
    int result = mtci_disk_txn_peek(txn, request->key, &row);
    if (result != SQLITE_OK)
        return result;
    return put_tombstone(txn, &row, request, MTC_OK);
}

static bool is_refused(const mtci_disk_txn *txn, const mtc_request *request,
                       const mtci_disk_row *row)
{
    if (request->ticket == 0)
        return false;
    return request->ticket < (uint64_t)txn->state.horizon ||
           request->ticket < (uint64_t)row->version;
}

static int store_one(mtci_disk_txn *txn, mtc_request *request)
{
    mtc_frame frame = {.facts = request->facts,
                       .key = request->key,
                       .time_ms = end_of(request, request->facts.left_ms),
                       .value = mtc_value_slice(&request->value)};
    mtci_disk_row row;
    bool has_room;
    size_t size = mtc_frame_size(&frame) + 2 * request->key.size;
    int result = mtci_disk_txn_room(txn, size, &has_room);
    if (result == SQLITE_OK)
        result = mtci_disk_txn_peek(txn, request->key, &row);
    if (result != SQLITE_OK)
        return result;
    if (is_refused(txn, request, &row)) {
        mark(request, MTC_E_CANCELLED);
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
    mtc_status status = frame_of(row, request, &frame);
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
    mark(request, status);
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
        return store_one(txn, request);
    case MTC_VERB_REMOVE:
        return remove_one(txn, request);
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
