/*
 * The stream that a command works on, and writing its entries.
 *
 * One thread.
 */
#include "stream_session.h"

tool_exit stream_session_open(const args *args, const char *key,
                              mtc_cache **cache, mtc_stream **stream)
{
    mtc_stream_options options = MTC_STREAM_OPTIONS_INIT;
    mtc_error error = {0};
    options.length_max = args->limit;
    options.age_ms_max = args->age_ms;
    options.flags = args->exact ? MTC_STREAM_TRIM_EXACTLY : 0;
    tool_exit opened = session_open(args, cache);
    if (opened != TOOL_DONE)
        return opened;
    if (mtc_stream_open(*cache, mtc_str(key), &options, &error, stream) ==
        MTC_OK)
        return TOOL_DONE;
    complain("%s: %s", error.part, error.text);
    mtc_cache_close(cache);
    return TOOL_FAILED;
}

void stream_session_close(mtc_cache **cache, mtc_stream **stream)
{
    mtc_stream_close(stream);
    mtc_cache_close(cache);
}

tool_exit stream_session_exit(mtc_status status)
{
    if (status == MTC_OK)
        return TOOL_DONE;
    return status < 0 ? TOOL_FAILED : TOOL_MISS;
}

bool stream_session_id(const char *option, const char *text, mtc_stream_id *id)
{
    if (text == NULL || mtc_stream_id_parse(mtc_str(text), id) == MTC_OK)
        return true;
    complain("--%s %s: an id is wanted, like 0, $, or 1700000000000-0", option,
             text);
    return false;
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

void stream_session_write_json(json *json, const mtc_stream_batch *batch,
                               size_t index)
{
    char id[MTC_STREAM_ID_SIZE];
    size_t count = mtc_stream_batch_field_count(batch, index);
    json_open(json, NULL, '{');
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
            stream_session_write_json(&json, batch, index);
        else
            stream_session_write(batch, index);
    }
    if (args->json) {
        json_close(&json, ']');
        session_json_end(&json);
    }
}
