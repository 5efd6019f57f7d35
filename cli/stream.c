/*
 * mtc stream publish, read and range: logs on a Redis tier.
 *
 * One thread.
 */
#include "mtc/stream.h"

#include <stdlib.h>

#include "command.h"
#include "stream_session.h"

static void report_publish(const args *args, mtc_status status,
                           mtc_stream_id id)
{
    char text[MTC_STREAM_ID_SIZE];
    mtc_stream_id_format(id, text);
    if (!args->json) {
        puts(text);
        return;
    }
    json json = session_json(status);
    if (status != MTC_MISS)
        json_text(&json, "id", text);
    session_json_end(&json);
}

static tool_exit publish(const args *args, const char *key,
                         const mtc_field *fields, size_t count,
                         const mtc_publish_options *options)
{
    stream_session session;
    mtc_stream_id id = options->id;
    tool_exit opened =
        stream_session_open(args, "stream publish", key, &session);
    if (opened != TOOL_DONE)
        return opened;
    mtc_status status =
        mtc_stream_publish_with(session.stream, fields, count, options, &id);
    if (status == MTC_OK || (status > 0 && args->json))
        report_publish(args, status, id);
    return stream_session_end(&session, status);
}

tool_exit command_publish(const args *args, char **words)
{
    size_t count = 0;
    mtc_publish_options options = MTC_PUBLISH_OPTIONS_INIT;
    options.flags = args->existing ? MTC_PUBLISH_EXISTING_ONLY : 0;
    if (!stream_session_id("--id", args->id, &options.id))
        return TOOL_USAGE;
    if (args->limit > 0 && args->age_ms > 0) {
        complain("stream publish: --max or --age, not both");
        return TOOL_USAGE;
    }
    while (words[count + 1] != NULL)
        count++;
    if (count % 2 != 0) {
        complain("stream publish: %s has no value", words[count]);
        return TOOL_USAGE;
    }
    mtc_field *fields = calloc(count / 2, sizeof *fields);
    if (fields == NULL) {
        complain("out of memory");
        return TOOL_FAILED;
    }
    for (size_t i = 0; i < count / 2; i++) {
        fields[i].name = mtc_str(words[1 + i * 2]);
        fields[i].value = mtc_str(words[2 + i * 2]);
    }
    tool_exit exit = publish(args, words[0], fields, count / 2, &options);
    free(fields);
    return exit;
}

tool_exit command_read(const args *args, char **words)
{
    stream_session session;
    mtc_stream_batch *batch = NULL;
    mtc_stream_id cursor = MTC_STREAM_END;
    mtc_status status = MTC_OK;
    size_t count = stream_session_count(args);
    bool is_newest_first = args->after == NULL && args->wait_ms == 0;
    if (!stream_session_place("--after", args->after, &cursor))
        return TOOL_USAGE;
    tool_exit opened =
        stream_session_open(args, "stream read", words[0], &session);
    if (opened != TOOL_DONE)
        return opened;
    if (is_newest_first)
        status = mtc_stream_read_newest(session.stream, count, &batch);
    else
        status = mtc_stream_read_after(session.stream, &cursor, count,
                                       args->wait_ms, &batch);
    if (status >= 0)
        stream_session_report(args, status, batch, is_newest_first);
    mtc_stream_batch_free(&batch);
    return stream_session_end(&session, status);
}

tool_exit command_range(const args *args, char **words)
{
    stream_session session;
    mtc_stream_batch *batch = NULL;
    mtc_stream_id first = {0, 0};
    mtc_stream_id last = MTC_STREAM_END;
    if (!stream_session_place("--from", args->from, &first) ||
        !stream_session_place("--to", args->to, &last))
        return TOOL_USAGE;
    tool_exit opened =
        stream_session_open(args, "stream range", words[0], &session);
    if (opened != TOOL_DONE)
        return opened;
    mtc_status status =
        mtc_stream_read_range(session.stream, &first, last,
                              stream_session_count(args), &batch);
    if (status >= 0)
        stream_session_report(args, status, batch, false);
    mtc_stream_batch_free(&batch);
    return stream_session_end(&session, status);
}
