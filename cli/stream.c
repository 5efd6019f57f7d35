/*
 * mtc stream publish and mtc stream read: logs on a Redis tier.
 *
 * One thread.
 */
#include "mtc/stream.h"

#include <stdlib.h>

#include "command.h"
#include "session.h"

#define READ_COUNT_DEFAULT 10

/* Opens cache and stream; complains and tells how the tool ends if not. */
static tool_exit open_stream(const args *args, const char *key,
                             mtc_cache **cache, mtc_stream **stream)
{
    mtc_stream_options options = MTC_STREAM_OPTIONS_INIT;
    mtc_error error = {0};
    options.length_max = args->limit;
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

static void close_stream(mtc_cache **cache, mtc_stream **stream)
{
    mtc_stream_close(stream);
    mtc_cache_close(cache);
}

static void report_publish(const args *args, mtc_stream_id id)
{
    char text[MTC_STREAM_ID_SIZE];
    mtc_stream_id_format(id, text);
    if (!args->json) {
        puts(text);
        return;
    }
    json json = session_json(MTC_OK);
    json_text(&json, "id", text);
    session_json_end(&json);
}

static tool_exit publish(const args *args, const char *key,
                         const mtc_field *fields, size_t count)
{
    mtc_cache *cache = NULL;
    mtc_stream *stream = NULL;
    mtc_stream_id id = {0, 0};
    tool_exit opened = open_stream(args, key, &cache, &stream);
    if (opened != TOOL_DONE)
        return opened;
    mtc_status status = mtc_stream_publish(stream, fields, count, &id);
    if (status == MTC_OK)
        report_publish(args, id);
    else
        session_complain(cache, "stream publish", mtc_status_text(status));
    close_stream(&cache, &stream);
    return status == MTC_OK ? TOOL_DONE : TOOL_FAILED;
}

tool_exit command_publish(const args *args, char **words)
{
    size_t count = 0;
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
    tool_exit exit = publish(args, words[0], fields, count / 2);
    free(fields);
    return exit;
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

static void write_entry(const mtc_stream_batch *batch, size_t index)
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

static void write_entry_json(json *json, const mtc_stream_batch *batch,
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

/* Oldest first, as a log reads, whichever way the batch is sorted. */
static void report_read(const args *args, mtc_status status,
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
            write_entry_json(&json, batch, index);
        else
            write_entry(batch, index);
    }
    if (args->json) {
        json_close(&json, ']');
        session_json_end(&json);
    }
}

tool_exit command_read(const args *args, char **words)
{
    mtc_cache *cache = NULL;
    mtc_stream *stream = NULL;
    mtc_stream_batch *batch = NULL;
    mtc_stream_id cursor = MTC_STREAM_END;
    mtc_status status = MTC_OK;
    size_t count = args->count > 0 ? (size_t)args->count : READ_COUNT_DEFAULT;
    bool is_newest_first = args->after == NULL && args->wait_ms == 0;
    if (args->after != NULL &&
        mtc_stream_id_parse(mtc_str(args->after), &cursor) != MTC_OK) {
        complain("--after %s: an id is wanted, like 0, $, or "
                 "1700000000000-0",
                 args->after);
        return TOOL_USAGE;
    }
    tool_exit opened = open_stream(args, words[0], &cache, &stream);
    if (opened != TOOL_DONE)
        return opened;
    if (is_newest_first)
        status = mtc_stream_read_newest(stream, count, &batch);
    else
        status = mtc_stream_read_after(stream, &cursor, count, args->wait_ms,
                                       &batch);
    if (status < 0)
        session_complain(cache, "stream read", mtc_status_text(status));
    else
        report_read(args, status, batch, is_newest_first);
    mtc_stream_batch_free(&batch);
    close_stream(&cache, &stream);
    return status == MTC_OK  ? TOOL_DONE
           : status < MTC_OK ? TOOL_FAILED
                             : TOOL_MISS;
}
