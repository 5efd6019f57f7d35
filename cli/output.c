/*
 * What goes out of the tool: bytes, complaints, exit statuses.
 *
 * Standard output is data, standard error is for the person. SIGPIPE is
 * ignored (main), so that a reader who goes is an error of a write here.
 */
#include "output.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

void complain(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fflush(stdout);
    fputs("mtc: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

static void complain_of_write(int error)
{
    if (error != EPIPE)
        complain("cannot write to standard output: %s", strerror(error));
}

bool output_bytes(mtc_slice bytes)
{
    const char *at = bytes.data;
    size_t left = bytes.size;
    while (left > 0) {
        ssize_t written = write(STDOUT_FILENO, at, left);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0) {
            complain_of_write(errno);
            return false;
        }
        at += written;
        left -= (size_t)written;
    }
    return true;
}

void output_word(FILE *out, mtc_slice word, size_t margin, size_t *column)
{
    if (*column + 1 + word.size > OUTPUT_WIDTH) {
        fprintf(out, "\n%*s", (int)margin - 1, "");
        *column = margin - 1;
    }
    fputc(' ', out);
    fwrite(word.data, 1, word.size, out);
    *column += 1 + word.size;
}

tool_exit output_finish(tool_exit exit)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return exit;
    complain_of_write(errno);
    return TOOL_FAILED;
}
