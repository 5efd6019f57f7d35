/*
 * Tails: several streams followed over one connection. A tail owns what the
 * last reply brought and was not handed out yet. One thread at a time;
 * cancelling is for any.
 */
#include <stdlib.h>

#include "base/error.h"
#include "base/slice.h"
#include "stream/batch.h"
#include "stream/follow.h"

#define PART "tail"

struct mtc_tail {
    mtci_link link;
    mtci_reply reply; /* of XREAD; those before next are handed out */
    size_t next;
    size_t count;
    mtci_followed items[];
};

/* XREAD takes keys of one server, and in a cluster of one slot. */
static mtc_status check_together(const mtc_stream *a, const mtc_stream *b,
                                 mtc_error *error)
{
    if (a->target.client != b->target.client ||
        a->target.cluster != b->target.cluster)
        return mtci_fail(error, MTC_E_UNSUPPORTED, PART,
                         "the streams are not on one server");
    if (a->target.cluster && mtci_slot_of_key(mtci_stream_key(a)) !=
                                 mtci_slot_of_key(mtci_stream_key(b)))
        return mtci_fail(error, MTC_E_UNSUPPORTED, PART,
                         "the streams are not in one slot of the cluster: "
                         "their keys need one {tag}");
    return MTC_OK;
}

static mtc_status check(mtc_stream *const *streams, size_t count,
                        mtc_error *error)
{
    mtc_status status;
    for (size_t i = 0; i < count; i++) {
        if (!streams[i])
            return mtci_fail(error, MTC_E_INVALID, PART, "a stream is NULL");
        status = check_together(streams[0], streams[i], error);
        if (status != MTC_OK)
            return status;
        for (size_t j = 0; j < i; j++) {
            mtc_slice a = mtci_stream_key(streams[i]);
            mtc_slice b = mtci_stream_key(streams[j]);
            if (mtci_slices_equal(a, b))
                return mtci_fail(error, MTC_E_INVALID, PART,
                                 "two of the streams have one key");
        }
    }
    return MTC_OK;
}

mtc_status mtc_tail_open(mtc_stream *const *streams,
                         const mtc_stream_id *cursors, size_t count,
                         mtc_error *error, mtc_tail **tail)
{
    int cancel_state;
    if (error)
        *error = (mtc_error){0};
    if (tail)
        *tail = NULL;
    if (!tail || !streams || count == 0 || count > MTC_TAIL_STREAMS_MAX)
        return mtci_fail(error, MTC_E_INVALID, PART,
                         "1 to %u streams are wanted", MTC_TAIL_STREAMS_MAX);
    mtc_status status = check(streams, count, error);
    if (status != MTC_OK)
        return status;
    status = mtci_stream_enter(streams[0], &cancel_state);
    if (status != MTC_OK)
        return mtci_fail(error, status, PART, "%s", mtc_status_text(status));
    mtc_tail *made = calloc(1, sizeof *made + count * sizeof *made->items);
    if (made) {
        made->count = count;
        for (size_t i = 0; i < count; i++)
            made->items[i] =
                (mtci_followed){streams[i],
                                cursors ? cursors[i] : MTC_STREAM_END};
        mtci_link_init(&made->link, streams[0]);
    }
    mtci_stream_leave(streams[0], cancel_state);
    *tail = made;
    return made ? MTC_OK
                : mtci_fail(error, MTC_E_NO_MEMORY, PART, "out of memory");
}

void mtc_tail_cancel(mtc_tail *tail)
{
    if (tail && getpid() == tail->link.stream->pid)
        mtci_link_cancel(&tail->link);
}

void mtc_tail_close(mtc_tail **tail)
{
    if (!tail || !*tail)
        return;
    mtci_link_fini(&(*tail)->link);
    mtci_reply_fini(&(*tail)->reply);
    free(*tail);
    *tail = NULL;
}

static size_t find_item(const mtc_tail *tail, mtc_slice key)
{
    for (size_t i = 0; i < tail->count; i++) {
        if (mtci_slices_equal(mtci_stream_key(tail->items[i].stream), key))
            return i;
    }
    return tail->count;
}

/* The next stream's entries of the reply; its cursor moves behind them. */
static mtc_status hand_out(mtc_tail *tail, size_t *index,
                           mtc_stream_batch **batch)
{
    mtci_reply entries;
    mtc_slice key = mtci_streams_take(&tail->reply, tail->next++, &entries);
    size_t found = find_item(tail, key);
    if (found == tail->count) {
        mtci_reply_fini(&entries);
        return MTC_E_CORRUPT;
    }
    mtc_status status = mtci_batch_new(&entries, batch);
    if (status != MTC_OK)
        return status;
    *index = found;
    tail->items[found].cursor = mtci_batch_last_id(*batch);
    return MTC_OK;
}

/* A server that is away is waited for as entries are; then reading goes on
 * behind the cursors. */
static mtc_status fetch(mtc_tail *tail, size_t count, int64_t wait_ms)
{
    const mtci_follow follow = {&tail->link, tail->items, tail->count};
    const mtc_stream *stream = tail->link.stream;
    int64_t until_ms = mtci_stream_now_ms(stream) + wait_ms;
    int64_t left_ms = wait_ms;
    int64_t pause_ms = MTCI_STREAM_PAUSE_MS_MIN;
    mtci_reply_fini(&tail->reply);
    tail->next = 0;
    for (;;) {
        mtc_status status =
            mtci_follow_read(&follow, count, left_ms, &tail->reply);
        left_ms = until_ms - mtci_stream_now_ms(stream);
        bool is_away = status == MTC_E_UNAVAILABLE || status == MTC_E_TIMEOUT;
        if (!is_away || left_ms <= 0)
            return status;
        mtci_link_back_off(&tail->link, left_ms, &pause_ms);
        status = mtci_link_state(&tail->link);
        if (status != MTC_OK)
            return status;
        left_ms = until_ms - mtci_stream_now_ms(stream);
        if (left_ms < 0)
            left_ms = 0;
    }
}

static mtc_status read_tail(mtc_tail *tail, size_t count, int64_t wait_ms,
                            size_t *index, mtc_stream_batch **batch)
{
    mtc_status status = mtci_link_state(&tail->link);
    if (status != MTC_OK)
        return status;
    if (tail->next >= mtci_streams_count(&tail->reply)) {
        status = fetch(tail, count, wait_ms);
        if (status == MTC_OK && mtci_streams_count(&tail->reply) == 0)
            status = MTC_E_CORRUPT;
    }
    return status == MTC_OK ? hand_out(tail, index, batch) : status;
}

mtc_status mtc_tail_read(mtc_tail *tail, size_t count, int64_t wait_ms,
                         size_t *index, mtc_stream_batch **batch)
{
    int cancel_state;
    if (!batch)
        return MTC_E_INVALID;
    *batch = NULL;
    if (!tail || !index || !mtci_stream_is_count(count) ||
        !mtci_stream_is_wait(wait_ms))
        return MTC_E_INVALID;
    mtc_stream *stream = tail->link.stream;
    mtc_status status = mtci_stream_enter(stream, &cancel_state);
    if (status != MTC_OK)
        return status;
    status = read_tail(tail, count, wait_ms, index, batch);
    mtci_stream_leave(stream, cancel_state);
    return status;
}

mtc_stream_id mtc_tail_cursor(const mtc_tail *tail, size_t index)
{
    if (!tail || index >= tail->count)
        return (mtc_stream_id){0, 0};
    return tail->items[index].cursor;
}
