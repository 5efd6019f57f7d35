/*
 * Fuzz target: the traces that the tool replays: lines of text, 64-bit ids,
 * either of them packed with zstd.
 *
 * The first byte chooses the name of the file that holds the rest. A trace is
 * refused with one complaint, or it has keys, each within the bytes that were
 * read.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/output.h"
#include "cli/trace.h"
#include "fuzz/target.h"
#include "mtc/cache.h"

/* zstd makes 128 KiB of four bytes. */
#define FILE_SIZE_MAX 2048u

static unsigned complaints;

/* In place of the tool's own, which prints. */
void complain(const char *format, ...)
{
    if (format[0] == '\0')
        abort();
    complaints++;
}

static void require(bool is_so)
{
    if (!is_so)
        abort();
}

/* A folder with a link of each name to what is opened as this file. */
static const char *const NAMES[] = {"trace", "trace.u64", "trace.zst",
                                    "trace.u64.zst"};

#define NAME_COUNT (sizeof NAMES / sizeof *NAMES)

static char folder[] = "/tmp/mtc_fuzz_XXXXXX";
static int file = -1;

static void path_of(size_t index, char path[64])
{
    snprintf(path, 64, "%s/%s", folder, NAMES[index]);
}

static void remove_folder(void)
{
    char path[64];
    for (size_t i = 0; i < NAME_COUNT; i++) {
        path_of(i, path);
        unlink(path);
    }
    rmdir(folder);
}

static void make_folder(void)
{
    char path[64];
    char target[64];
    file = memfd_create("trace", MFD_CLOEXEC);
    require(file >= 0 && mkdtemp(folder) != NULL);
    snprintf(target, sizeof target, "/proc/self/fd/%d", file);
    for (size_t i = 0; i < NAME_COUNT; i++) {
        path_of(i, path);
        require(symlink(target, path) == 0);
    }
    atexit(remove_folder);
}

static void check_keys(const trace *read)
{
    const char *end = read->bytes.data + read->bytes.size;
    require(read->count > 0);
    for (size_t i = 0; i < read->count; i++) {
        mtc_slice key = trace_key(read, i);
        const char *at = key.data;
        require(key.size > 0 && key.size <= MTC_KEY_SIZE_MAX);
        require(at >= read->bytes.data && at + key.size <= end);
        require(read->lines == NULL || memchr(at, '\n', key.size) == NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    trace read = {0};
    if (size == 0 || size > FILE_SIZE_MAX)
        return 0;
    if (file < 0)
        make_folder();
    require(ftruncate(file, 0) == 0);
    require(pwrite(file, data + 1, size - 1, 0) == (ssize_t)(size - 1));
    path_of(data[0] % NAME_COUNT, path);
    complaints = 0;
    if (trace_read(path, &read))
        check_keys(&read);
    else
        require(complaints == 1);
    trace_fini(&read);
    return 0;
}
