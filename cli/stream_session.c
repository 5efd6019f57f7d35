/*
 * The stream that a command works on, and writing its entries.
 *
 * One thread.
 */
#include "stream_session.h"

#include <string.h>

#define COUNT_DEFAULT 10

tool_exit stream_session_refuse(mtc_status status, const mtc_error *error)
{
    complain("%s: %s", error->part, error->text);
    return status == MTC_E_INVALID ? TOOL_USAGE : TOOL_FAILED;
}

tool_exit stream_session_open(const args *args, const char *what,
                              const char *key, stream_session *session)
{
    mtc_stream_options options = MTC_STREAM_OPTIONS_INIT;
    mtc_error error = {0};
    *session = (stream_session){.args = args, .what = what};
    options.length_max = args->limit;
    options.age_ms_max = args->age_ms;
    options.flags = args->exact ? MTC_STREAM_TRIM_EXACTLY : 0;
    tool_exit opened = session_open(args, &session->cache);
    if (opened != TOOL_DONE)
        return opened;
    mtc_status status = mtc_stream_open(session->cache, mtc_str(key), &options,
                                        &error, &session->stream);
    if (status == MTC_OK)
        return TOOL_DONE;
    mtc_cache_close(&session->cache);
    return stream_session_refuse(status, &error);
}

tool_exit stream_session_tell(const args *args, const char *what,
                              mtc_cache *cache, mtc_status status)
{
    if (status >= 0)
        return status == MTC_OK ? TOOL_DONE : TOOL_MISS;
    /* Nothing else is wrong with what was checked before. */
    session_complain(cache, what,
                     status == MTC_E_INVALID
                         ? "the server refuses; does the key hold a stream?"
                         : mtc_status_text(status));
    if (args->json) {
        json json = session_json(status);
        session_json_end(&json);
    }
    return TOOL_FAILED;
}

tool_exit stream_session_end(stream_session *session, mtc_status status)
{
    tool_exit exit = stream_session_tell(session->args, session->what,
                                         session->cache, status);
    mtc_stream_close(&session->stream);
    mtc_cache_close(&session->cache);
    return exit;
}

bool stream_session_place(const char *where, const char *text,
                          mtc_stream_id *id)
{
    if (text == NULL || mtc_stream_id_parse(mtc_str(text), id) == MTC_OK)
        return true;
    complain("%s %s: an id is wanted, like 0, $, or 1700000000000-0", where,
             text);
    return false;
}

bool stream_session_id(const char *where, const char *text, mtc_stream_id *id)
{
    bool is_end = text != NULL && strcmp(text, "$") == 0;
    if (text == NULL ||
        (!is_end && mtc_stream_id_parse(mtc_str(text), id) == MTC_OK))
        return true;
    complain("%s %s: an id is wanted, like 7 or 1700000000000-0", where, text);
    return false;
}

size_t stream_session_count(const args *args)
{
    return args->count > 0 ? (size_t)args->count : COUNT_DEFAULT;
}

/* A tab and the bytes, so that an entry stays one line whatever it holds. */
static void write_cell(mtc_slice bytes)
{
    const unsigned char *at = bytes.data;
    putchar('\t');
    for (size_t i = 0; i < bytes.size; i++) {
        if (at[i] == '\\')
            fputs("\\\\", stdout);
        else if (at[i] == '\t')
            fputs("\\t", stdout);
        else if (at[i] == '\n')
            fputs("\\n", stdout);
        else if (at[i] < 0x20 || at[i] == 0x7f)
            printf("\\x%02X", at[i]);
        else
            putchar(at[i]);
    }
}

void stream_session_write(const mtc_stream_batch *batch, size_t index)
{
    char id[MTC_STREAM_ID_SIZE];
    size_t count = mtc_stream_batch_field_count(batch, index);
    fputs(mtc_stream_id_format(mtc_stream_batch_id(batch, index), id), stdout);
    for (size_t i = 0; i < count; i++) {
        mtc_field field = mtc_stream_batch_field(batch, index, i);
        write_cell(field.name);
        write_cell(field.value);
    }
    putchar('\n');
}

void stream_session_write_json(json *json, const char *name,
                               const mtc_stream_batch *batch, size_t index)
{
    char id[MTC_STREAM_ID_SIZE];
    size_t count = mtc_stream_batch_field_count(batch, index);
    json_open(json, name, '{');
    json_text(json, "id",
              mtc_stream_id_format(mtc_stream_batch_id(batch, index), id));
    json_open(json, "fields", '[');
    for (size_t i = 0; i < count; i++) {
        mtc_field field = mtc_stream_batch_field(batch, index, i);
        json_open(json, NULL, '{');
        json_bytes(json, "name", field.name);
        json_bytes(json, "value", field.value);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_close(json, '}');
}

void stream_session_report(const args *args, mtc_status status,
                           const mtc_stream_batch *batch, bool is_newest_first)
{
    size_t count = mtc_stream_batch_count(batch);
    json json = {0};
    if (args->json) {
        json = session_json(status);
        json_open(&json, "entries", '[');
    }
    for (size_t i = 0; i < count; i++) {
        size_t index = is_newest_first ? count - 1 - i : i;
        if (args->json)
            stream_session_write_json(&json, NULL, batch, index);
        else
            stream_session_write(batch, index);
    }
    if (args->json) {
        json_close(&json, ']');
        session_json_end(&json);
    }
}
