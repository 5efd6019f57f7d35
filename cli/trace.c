/*
 * A trace from its bytes: 64-bit ids, or text with one key a line.
 *
 * Owns the bytes and the places of the lines. One thread reads it in; then
 * any may read from it.
 */
#include "trace.h"

#include <stdlib.h>
#include <string.h>

#include "mtc/cache.h"
#include "output.h"

/* Text has no control bytes but these; ids have others as soon as there are a
 * few of them. */
static bool is_of_text(unsigned char byte)
{
    return byte >= ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

static bool is_text(const char *path, const trace_bytes *bytes)
{
    const char *slash = strrchr(path, '/');
    if (strstr(slash != NULL ? slash : path, ".u64") != NULL)
        return false;
    for (size_t i = 0; i < bytes->size; i++) {
        if (!is_of_text((unsigned char)bytes->data[i]))
            return false;
    }
    return true;
}

/* The line at *at, without its end; *at moves behind it. */
static mtc_slice take_line(const trace_bytes *bytes, size_t *at)
{
    const char *begin = bytes->data + *at;
    size_t left = bytes->size - *at;
    const char *end = memchr(begin, '\n', left);
    size_t size = end != NULL ? (size_t)(end - begin) : left;
    *at += end != NULL ? size + 1 : size;
    if (size > 0 && begin[size - 1] == '\r')
        size--;
    return mtc_bytes(begin, size);
}

static size_t count_lines(const trace_bytes *bytes)
{
    size_t count = 0;
    for (size_t at = 0; at < bytes->size; count++)
        take_line(bytes, &at);
    return count;
}

static bool split_lines(const char *path, trace *trace)
{
    const trace_bytes *bytes = &trace->bytes;
    size_t line_count = count_lines(bytes);
    trace->lines = calloc(line_count + 1, sizeof *trace->lines);
    if (trace->lines == NULL) {
        complain("%s: out of memory", path);
        return false;
    }
    size_t at = 0;
    for (size_t number = 1; number <= line_count; number++) {
        mtc_slice line = take_line(bytes, &at);
        if (line.size > MTC_KEY_SIZE_MAX) {
            complain("%s: line %zu: a key has at most %u bytes", path, number,
                     MTC_KEY_SIZE_MAX);
            return false;
        }
        if (line.size > 0)
            trace->lines[trace->count++] = line;
    }
    return true;
}

static bool split_ids(const char *path, trace *trace)
{
    trace->count = trace->bytes.size / TRACE_ID_SIZE;
    if (trace->bytes.size % TRACE_ID_SIZE == 0)
        return true;
    complain("%s: %zu bytes, which is no whole number of 64-bit ids", path,
             trace->bytes.size);
    return false;
}

bool trace_read(const char *path, trace *out)
{
    if (!trace_bytes_read(path, &out->bytes))
        return false;
    bool is_split = is_text(path, &out->bytes) ? split_lines(path, out)
                                               : split_ids(path, out);
    if (is_split && out->count == 0)
        complain("%s: no keys in it", path);
    return is_split && out->count > 0;
}

void trace_fini(trace *trace)
{
    trace_bytes_fini(&trace->bytes);
    free(trace->lines);
    trace->lines = NULL;
    trace->count = 0;
}
