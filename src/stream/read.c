/*
 * Reading one stream: XREVRANGE, XRANGE, and XREAD behind a cursor. Any
 * thread.
 */
#include "stream/batch.h"
#include "stream/follow.h"

/* XRANGE or XREVRANGE, with its ends as the server spells them. */
typedef struct range {
    const char *name;
    const char *from;
    const char *to;
} range;

static mtci_redis_command *make_range(const mtc_stream *stream,
                                      const range *range, size_t count)
{
    mtci_redis_command *command = mtci_command_new(MTCI_REPLY_ARRAY);
    if (!command)
        return NULL;
    mtci_resp_begin(&command->bytes, 6);
    mtci_resp_add_text(&command->bytes, range->name);
    mtci_resp_add(&command->bytes, mtci_stream_key(stream));
    mtci_resp_add_text(&command->bytes, range->from);
    mtci_resp_add_text(&command->bytes, range->to);
    mtci_resp_add_text(&command->bytes, "COUNT");
    mtci_resp_add_number(&command->bytes, (int64_t)count);
    command->is_retryable = true;
    return command;
}

static mtc_status read_range(const mtc_stream *stream, const range *range,
                             size_t count, mtc_stream_batch **batch)
{
    mtci_answer answer;
    mtc_status status =
        mtci_stream_call(stream, make_range(stream, range, count), &answer);
    return status == MTC_OK ? mtci_batch_new(&answer.reply, batch) : status;
}

mtc_status mtc_stream_read_newest(mtc_stream *stream, size_t count,
                                  mtc_stream_batch **batch)
{
    int cancel_state;
    static const range ALL = {"XREVRANGE", "+", "-"};
    if (!batch)
        return MTC_E_INVALID;
    *batch = NULL;
    if (!mtci_stream_is_count(count))
        return MTC_E_INVALID;
    mtc_status status = mtci_stream_enter(stream, &cancel_state);
    if (status != MTC_OK)
        return status;
    status = read_range(stream, &ALL, count, batch);
    mtci_stream_leave(stream, cancel_state);
    return status;
}

mtc_status mtc_stream_read_range(mtc_stream *stream, mtc_stream_id *first,
                                 mtc_stream_id last, size_t count,
                                 mtc_stream_batch **batch)
{
    int cancel_state;
    char from[MTC_STREAM_ID_SIZE], to[MTC_STREAM_ID_SIZE];
    if (!batch)
        return MTC_E_INVALID;
    *batch = NULL;
    if (!first || !mtci_stream_is_count(count))
        return MTC_E_INVALID;
    mtc_status status = mtci_stream_enter(stream, &cancel_state);
    if (status != MTC_OK)
        return status;
    const range range = {"XRANGE", mtc_stream_id_format(*first, from),
                         mtc_stream_id_format(last, to)};
    bool is_empty = mtci_id_is_end(*first) || mtci_id_is_before(last, *first);
    status = is_empty ? MTC_MISS : read_range(stream, &range, count, batch);
    if (status == MTC_OK)
        *first = mtci_id_behind(mtci_batch_last_id(*batch));
    mtci_stream_leave(stream, cancel_state);
    return status;
}

static mtc_status read_after(mtc_stream *stream, mtc_stream_id *cursor,
                             size_t count, int64_t wait_ms,
                             mtc_stream_batch **batch)
{
    mtci_link link;
    mtci_reply reply, entries;
    mtci_followed item = {stream, *cursor};
    mtci_follow follow = {NULL, &item, 1};
    if (wait_ms > 0) {
        mtci_link_init(&link, stream);
        follow.link = &link;
    }
    mtc_status status = mtci_follow_read(&follow, count, wait_ms, &reply);
    if (follow.link)
        mtci_link_fini(&link);
    *cursor = item.cursor;
    if (status == MTC_OK)
        status = mtci_streams_take_only(&reply, &entries);
    if (status == MTC_OK)
        status = mtci_batch_new(&entries, batch);
    if (status == MTC_OK)
        *cursor = mtci_batch_last_id(*batch);
    return status;
}

mtc_status mtc_stream_read_after(mtc_stream *stream, mtc_stream_id *cursor,
                                 size_t count, int64_t wait_ms,
                                 mtc_stream_batch **batch)
{
    int cancel_state;
    if (!batch)
        return MTC_E_INVALID;
    *batch = NULL;
    if (!cursor || !mtci_stream_is_count(count) ||
        !mtci_stream_is_wait(wait_ms))
        return MTC_E_INVALID;
    mtc_status status = mtci_stream_enter(stream, &cancel_state);
    if (status != MTC_OK)
        return status;
    status = read_after(stream, cursor, count, wait_ms, batch);
    mtci_stream_leave(stream, cancel_state);
    return status;
}
