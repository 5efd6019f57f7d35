/*
 * What goes out of the tool: bytes, complaints, exit statuses.
 */
#ifndef MTC_CLI_OUTPUT_H
#define MTC_CLI_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>

#include "mtc/value.h"

/* How the tool ends; documented in its help and in mtc(1). */
typedef enum tool_exit {
    TOOL_DONE = 0,
    TOOL_MISS = 1,
    TOOL_USAGE = 2,
    TOOL_FAILED = 3
} tool_exit;

/* "mtc: ..." and a newline on standard error. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Writes all bytes to standard output, past stdio. Complains and returns
 * false when that fails; says nothing when the reader has gone. */
bool output_bytes(mtc_slice bytes);

/* Columns of a line of help. */
#define OUTPUT_WIDTH 79

/* Writes a word behind a blank, or on a new line behind margin columns where
 * the old one is full. *column is how far the line is. */
void output_word(FILE *out, mtc_slice word, size_t margin, size_t *column);

/* Flushes standard output: exit, or TOOL_FAILED when it cannot be written. */
tool_exit output_finish(tool_exit exit);

#endif
