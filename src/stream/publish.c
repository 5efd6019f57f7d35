/*
 * Publishing: XADD, with trimming by length or by age. Any thread.
 */
#include <stdlib.h>

#include "core/cache.h"
#include "core/sized.h"
#include "stream/stream.h"

/* How long what is known of the server's clock is believed. */
#define CLOCK_MS_MAX     60000
#define OPTIONS_SIZE_MIN 24u

static mtc_status check_fields(const mtc_stream *stream,
                               const mtc_field *fields, size_t count)
{
    if (!fields || count == 0)
        return MTC_E_INVALID;
    if (count > MTC_STREAM_FIELDS_MAX)
        return MTC_E_TOO_LARGE;
    for (size_t i = 0; i < count; i++) {
        if (fields[i].name.size > stream->cache->value_size_max ||
            fields[i].value.size > stream->cache->value_size_max)
            return MTC_E_TOO_LARGE;
    }
    return MTC_OK;
}

/* -- the server's clock, which ids are made by ----------------------------- */

static mtc_status ask_clock(const mtc_stream *stream, int64_t *clock_ms)
{
    mtci_answer answer;
    mtci_redis_command *command = mtci_command_new(MTCI_REPLY_ARRAY);
    if (!command)
        return MTC_E_NO_MEMORY;
    mtci_resp_begin(&command->bytes, 1);
    mtci_resp_add_text(&command->bytes, "TIME");
    command->is_retryable = true;
    mtc_status status = mtci_stream_call(stream, command, &answer);
    if (status != MTC_OK)
        return status;
    mtc_stream_id seconds;
    const mtci_reply *reply = &answer.reply;
    bool is_time =
        reply->count == 2 &&
        mtci_id_read(mtci_reply_slice(&reply->items[0]), &seconds) == MTC_OK &&
        seconds.ms < INT64_MAX / 1000;
    if (is_time)
        *clock_ms = (int64_t)seconds.ms * 1000;
    mtci_reply_fini(&answer.reply);
    return is_time ? MTC_OK : MTC_E_CORRUPT;
}

/* Milliseconds of the server's clock, to a second and a round trip; asked once
 * a minute. Rather too early, so that nothing is trimmed before its time. */
static mtc_status server_ms(mtc_stream *stream, int64_t *clock_ms)
{
    int64_t now_ms = mtci_stream_now_ms(stream);
    pthread_mutex_lock(&stream->mutex);
    int64_t read_ms = stream->clock_read_ms;
    *clock_ms = now_ms + stream->clock_ahead_ms;
    pthread_mutex_unlock(&stream->mutex);
    if (read_ms != 0 && now_ms - read_ms < CLOCK_MS_MAX)
        return MTC_OK;
    mtc_status status = ask_clock(stream, clock_ms);
    if (status != MTC_OK)
        return status;
    now_ms = mtci_stream_now_ms(stream);
    pthread_mutex_lock(&stream->mutex);
    stream->clock_read_ms = now_ms;
    stream->clock_ahead_ms = *clock_ms - now_ms;
    pthread_mutex_unlock(&stream->mutex);
    return MTC_OK;
}

/* -- XADD ------------------------------------------------------------------ */

typedef struct addition {
    const mtc_field *fields;
    size_t count;
    mtc_stream_id id; /* zeroed: the server's */
    bool existing_only;
    int64_t from_ms; /* what is older is trimmed; -1: nothing is, by age */
} addition;

static void add_trim(mtci_redis_command *command, const mtc_stream *stream,
                     const addition *addition)
{
    bool by_age = addition->from_ms >= 0;
    bool exactly = (stream->options.flags & MTC_STREAM_TRIM_EXACTLY) != 0;
    mtci_resp_add_text(&command->bytes, by_age ? "MINID" : "MAXLEN");
    mtci_resp_add_text(&command->bytes, exactly ? "=" : "~");
    mtci_resp_add_number(&command->bytes, by_age ? addition->from_ms
                                                 : stream->options.length_max);
}

static mtci_redis_command *make_add(const mtc_stream *stream,
                                    const addition *addition)
{
    bool is_trimmed = stream->options.length_max > 0 || addition->from_ms >= 0;
    bool has_id = !mtci_id_is_zero(addition->id);
    mtci_redis_command *command =
        mtci_command_new(MTCI_REPLY_BULK | MTCI_REPLY_NIL);
    if (!command)
        return NULL;
    mtci_resp_begin(&command->bytes, 3u + (addition->existing_only ? 1u : 0u) +
                                         (is_trimmed ? 3u : 0u) +
                                         2u * addition->count);
    mtci_resp_add_text(&command->bytes, "XADD");
    mtci_resp_add(&command->bytes, mtci_stream_key(stream));
    if (addition->existing_only)
        mtci_resp_add_text(&command->bytes, "NOMKSTREAM");
    if (is_trimmed)
        add_trim(command, stream, addition);
    if (has_id)
        mtci_stream_add_id(command, addition->id);
    else
        mtci_resp_add_text(&command->bytes, "*");
    for (size_t i = 0; i < addition->count; i++) {
        mtci_resp_add(&command->bytes, addition->fields[i].name);
        mtci_resp_add(&command->bytes, addition->fields[i].value);
    }
    /* With an id of its own it cannot be added twice. */
    command->is_retryable = has_id;
    return command;
}

static mtc_status publish(mtc_stream *stream, addition *addition,
                          mtc_stream_id *id)
{
    mtci_answer answer;
    int64_t clock_ms = 0;
    mtc_status status = check_fields(stream, addition->fields, addition->count);
    if (status == MTC_OK && stream->options.age_ms_max > 0)
        status = server_ms(stream, &clock_ms);
    if (status != MTC_OK)
        return status;
    addition->from_ms = stream->options.age_ms_max > 0
                            ? clock_ms - stream->options.age_ms_max
                            : -1;
    status = mtci_stream_call(stream, make_add(stream, addition), &answer);
    if (status == MTC_E_INVALID && strstr(answer.failure, "equal or smaller"))
        return MTC_EXISTS;
    if (status == MTC_OK && answer.reply.type == MTCI_REPLY_NIL)
        status = MTC_MISS;
    else if (status == MTC_OK &&
             mtci_id_read(mtci_reply_slice(&answer.reply), id) != MTC_OK)
        status = MTC_E_CORRUPT;
    mtci_reply_fini(&answer.reply);
    return status;
}

mtc_status mtc_stream_publish_with(mtc_stream *stream, const mtc_field *fields,
                                   size_t count,
                                   const mtc_publish_options *options,
                                   mtc_stream_id *id)
{
    int cancel_state;
    mtc_stream_id unwanted;
    mtc_publish_options known = MTC_PUBLISH_OPTIONS_INIT;
    if (options &&
        !mtci_sized_copy(&known, sizeof known, options, OPTIONS_SIZE_MIN))
        return MTC_E_INVALID;
    if ((known.flags & ~MTC_PUBLISH_EXISTING_ONLY) || mtci_id_is_end(known.id))
        return MTC_E_INVALID;
    addition addition = {
        .fields = fields,
        .count = count,
        .id = known.id,
        .existing_only = (known.flags & MTC_PUBLISH_EXISTING_ONLY) != 0,
    };
    mtc_status status = mtci_stream_enter(stream, &cancel_state);
    if (status != MTC_OK)
        return status;
    status = publish(stream, &addition, id ? id : &unwanted);
    mtci_stream_leave(stream, cancel_state);
    return status;
}

mtc_status mtc_stream_publish(mtc_stream *stream, const mtc_field *fields,
                              size_t count, mtc_stream_id *id)
{
    return mtc_stream_publish_with(stream, fields, count, NULL, id);
}
