/*
 * mtc stream tail: what comes into streams, until killed.
 *
 * One thread.
 */
#include <stdio.h>

#include "command.h"
#include "stream_session.h"

#define WAIT_MS 3600000
#define COUNT   100

/* Streams of a tail; those from count on are not open. */
typedef struct streams {
    size_t count;
    mtc_stream *at[MTC_TAIL_STREAMS_MAX];
    char **names;
} streams;

static void write_line(const args *args, const streams *streams, size_t index,
                       const mtc_stream_batch *batch, size_t entry)
{
    if (args->json) {
        json json = session_json(MTC_OK);
        json_text(&json, "stream", streams->names[index]);
        stream_session_write_json(&json, "entry", batch, entry);
        session_json_end(&json);
        return;
    }
    if (streams->names[1] != NULL)
        printf("%s\t", streams->names[index]);
    stream_session_write(batch, entry);
}

/* Until left entries are written, or writing fails. */
static mtc_status follow(const args *args, const streams *streams,
                         mtc_tail *tail)
{
    int64_t left = args->count > 0 ? args->count : INT64_MAX;
    mtc_status status = MTC_OK;
    while (left > 0 && status >= 0 && !ferror(stdout)) {
        mtc_stream_batch *batch = NULL;
        size_t index = 0;
        status = mtc_tail_read(tail, COUNT, WAIT_MS, &index, &batch);
        size_t count = mtc_stream_batch_count(batch);
        for (size_t i = 0; i < count && left > 0; i++, left--)
            write_line(args, streams, index, batch, i);
        mtc_stream_batch_free(&batch);
        fflush(stdout);
    }
    return status < 0 ? status : MTC_OK;
}

static tool_exit tail(const args *args, mtc_cache *cache,
                      const streams *streams, mtc_stream_id cursor)
{
    mtc_stream_id cursors[MTC_TAIL_STREAMS_MAX];
    mtc_tail *tail = NULL;
    mtc_error error;
    for (size_t i = 0; i < streams->count; i++)
        cursors[i] = cursor;
    mtc_status status =
        mtc_tail_open(streams->at, cursors, streams->count, &error, &tail);
    if (status != MTC_OK)
        return stream_session_refuse(status, &error);
    status = follow(args, streams, tail);
    mtc_tail_close(&tail);
    return stream_session_tell(args, "stream tail", cache, status);
}

tool_exit command_tail(const args *args, char **words)
{
    mtc_cache *cache = NULL;
    mtc_error error = {0};
    mtc_status status = MTC_OK;
    mtc_stream_id cursor = MTC_STREAM_END;
    streams streams = {.names = words};
    if (!stream_session_place("--after", args->after, &cursor))
        return TOOL_USAGE;
    tool_exit exit = session_open(args, &cache);
    if (exit != TOOL_DONE)
        return exit;
    while (words[streams.count] != NULL && status == MTC_OK) {
        status = mtc_stream_open(cache, mtc_str(words[streams.count]), NULL,
                                 &error, &streams.at[streams.count]);
        streams.count += status == MTC_OK;
    }
    exit = status == MTC_OK ? tail(args, cache, &streams, cursor)
                            : stream_session_refuse(status, &error);
    while (streams.count > 0)
        mtc_stream_close(&streams.at[--streams.count]);
    mtc_cache_close(&cache);
    return exit;
}
