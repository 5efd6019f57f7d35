/*
 * Reading one stream: XREVRANGE, XRANGE, and XREAD behind a cursor. Any
 * thread.
 */
#include "stream/batch.h"
#include "stream/follow.h"

static bool is_count(size_t count)
{
    return count > 0 && count <= MTC_STREAM_COUNT_MAX;
}

static mtci_redis_command *begin_range(const mtc_stream *stream,
                                       const char *name)
{
    mtci_redis_command *command = mtci_command_new(MTCI_REPLY_ARRAY);
    if (!command)
        return NULL;
    mtci_resp_begin(&command->bytes, 6);
    mtci_resp_add_text(&command->bytes, name);
    mtci_resp_add(&command->bytes, mtci_stream_key(stream));
    command->is_retryable = true;
    return command;
}

static mtc_status call_range(const mtc_stream *stream,
                             mtci_redis_command *command, size_t count,
                             mtc_stream_batch **batch)
{
    mtci_answer answer;
    mtci_resp_add_text(&command->bytes, "COUNT");
    mtci_resp_add_number(&command->bytes, (int64_t)count);
    mtc_status status = mtci_stream_call(stream, command, &answer);
    return status == MTC_OK ? mtci_batch_new(&answer.reply, batch) : status;
}

mtc_status mtc_stream_read_newest(mtc_stream *stream, size_t count,
                                  mtc_stream_batch **batch)
{
    if (!batch)
        return MTC_E_INVALID;
    *batch = NULL;
    if (!is_count(count))
        return MTC_E_INVALID;
    mtc_status status = mtci_stream_enter(stream);
    if (status != MTC_OK)
        return status;
    mtci_redis_command *command = begin_range(stream, "XREVRANGE");
    if (command) {
        mtci_resp_add_text(&command->bytes, "+");
        mtci_resp_add_text(&command->bytes, "-");
        status = call_range(stream, command, count, batch);
    }
    mtci_stream_leave(stream);
    return command ? status : MTC_E_NO_MEMORY;
}

mtc_status mtc_stream_read_range(mtc_stream *stream, mtc_stream_id *first,
                                 mtc_stream_id last, size_t count,
                                 mtc_stream_batch **batch)
{
    if (!batch)
        return MTC_E_INVALID;
    *batch = NULL;
    if (!first || !is_count(count))
        return MTC_E_INVALID;
    mtc_status status = mtci_stream_enter(stream);
    if (status != MTC_OK)
        return status;
    bool is_empty = mtci_id_is_end(*first) || mtci_id_is_before(last, *first);
    mtci_redis_command *command = NULL;
    status = is_empty ? MTC_MISS : MTC_E_NO_MEMORY;
    if (!is_empty)
        command = begin_range(stream, "XRANGE");
    if (command) {
        mtci_stream_add_id(command, *first);
        mtci_stream_add_id(command, last);
        status = call_range(stream, command, count, batch);
    }
    if (status == MTC_OK)
        *first = mtci_id_behind(
            mtc_stream_batch_id(*batch, mtc_stream_batch_count(*batch) - 1));
    mtci_stream_leave(stream);
    return status;
}

/* What read_after asks for. */
typedef struct reading {
    size_t count;
    int64_t wait_ms;
} reading;

static mtc_status read_after(mtc_stream *stream, mtc_stream_id *cursor,
                             const reading *reading, mtc_stream_batch **batch)
{
    mtci_link link;
    mtci_reply reply, entries;
    mtci_followed item = {stream, *cursor};
    mtci_follow follow = {NULL, &item, 1};
    if (reading->wait_ms > 0) {
        mtci_link_init(&link, stream);
        follow.link = &link;
    }
    mtc_status status =
        mtci_follow_read(&follow, reading->count, reading->wait_ms, &reply);
    if (follow.link)
        mtci_link_fini(&link);
    *cursor = item.cursor;
    if (status != MTC_OK)
        return status;
    if (mtci_streams_count(&reply) != 1)
        status = MTC_E_CORRUPT;
    else
        mtci_streams_take(&reply, 0, &entries);
    mtci_reply_fini(&reply);
    if (status == MTC_OK)
        status = mtci_batch_new(&entries, batch);
    if (status == MTC_OK)
        *cursor =
            mtc_stream_batch_id(*batch, mtc_stream_batch_count(*batch) - 1);
    return status;
}

mtc_status mtc_stream_read_after(mtc_stream *stream, mtc_stream_id *cursor,
                                 size_t count, int64_t wait_ms,
                                 mtc_stream_batch **batch)
{
    if (!batch)
        return MTC_E_INVALID;
    *batch = NULL;
    if (!cursor || !is_count(count) || wait_ms < 0 ||
        wait_ms > MTCI_STREAM_WAIT_MS_MAX)
        return MTC_E_INVALID;
    mtc_status status = mtci_stream_enter(stream);
    if (status != MTC_OK)
        return status;
    reading reading = {count, wait_ms};
    status = read_after(stream, cursor, &reading, batch);
    mtci_stream_leave(stream);
    return status;
}
