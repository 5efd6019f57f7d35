/*
 * A trace: the keys that somebody once asked for, in their order.
 */
#ifndef MTC_CLI_TRACE_H
#define MTC_CLI_TRACE_H

#include <stdbool.h>

#include "mtc/value.h"

/* The largest trace, unpacked. */
#define TRACE_SIZE_MAX ((size_t)8 << 30)

#define TRACE_ID_SIZE ((size_t)8)

/* Bytes that grow; zeroed, they are empty and valid. */
typedef struct trace_bytes {
    char *data;
    size_t size;
    size_t capacity;
} trace_bytes;

/* Zeroed, it is empty and valid. */
typedef struct trace {
    trace_bytes bytes;
    mtc_slice *lines; /* of a text, into bytes; NULL: a stream of ids */
    size_t count;     /* of keys */
} trace;

/* Reads a file to its end, unpacked if it is packed with zstd. Complains and
 * returns false when it cannot; fini is due in any case. */
bool trace_bytes_read(const char *path, trace_bytes *out);
void trace_bytes_fini(trace_bytes *bytes);

/* Reads a trace of at least one key. Complains and returns false when it
 * cannot; fini is due in any case. */
bool trace_read(const char *path, trace *out);
void trace_fini(trace *trace);

/* The key at a place below count. */
static inline mtc_slice trace_key(const trace *trace, size_t at)
{
    if (trace->lines != NULL)
        return trace->lines[at];
    return mtc_bytes(trace->bytes.data + at * TRACE_ID_SIZE, TRACE_ID_SIZE);
}

#endif
