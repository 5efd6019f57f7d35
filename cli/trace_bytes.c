/*
 * Reading a whole file, plain or packed with zstd.
 *
 * What is read belongs to the caller's trace_bytes. One thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "output.h"
#include "trace.h"

#define STEP_SIZE ((size_t)256 << 10)

/* Room for one more step. */
static bool make_room(const char *path, trace_bytes *bytes)
{
    if (bytes->capacity - bytes->size >= STEP_SIZE)
        return true;
    if (bytes->size >= TRACE_SIZE_MAX) {
        complain("%s: over %zu bytes", path, TRACE_SIZE_MAX);
        return false;
    }
    size_t capacity = bytes->capacity * 2 + STEP_SIZE;
    char *data = realloc(bytes->data, capacity);
    if (data == NULL) {
        complain("%s: out of memory", path);
        return false;
    }
    bytes->data = data;
    bytes->capacity = capacity;
    return true;
}

static bool read_all(const char *path, int fd, trace_bytes *out)
{
    while (make_room(path, out)) {
        ssize_t got = read(fd, out->data + out->size, STEP_SIZE);
        if (got == 0)
            return true;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            complain("%s: %s", path, strerror(errno));
            return false;
        }
        out->size += (size_t)got;
    }
    return false;
}

static bool read_file(const char *path, trace_bytes *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        complain("%s: %s", path, strerror(errno));
        return false;
    }
    bool is_read = read_all(path, fd, out);
    close(fd);
    return is_read;
}

static bool is_packed(const char *path, const trace_bytes *bytes)
{
    static const char MAGIC[] = {'\x28', '\xb5', '\x2f', '\xfd'};
    size_t size = strlen(path);
    if (size >= 4 && strcmp(path + size - 4, ".zst") == 0)
        return true;
    return bytes->size >= sizeof MAGIC &&
           memcmp(bytes->data, MAGIC, sizeof MAGIC) == 0;
}

static bool unpack(ZSTD_DCtx *context, const char *path,
                   const trace_bytes *packed, trace_bytes *out)
{
    ZSTD_inBuffer from = {packed->data, packed->size, 0};
    size_t wanted = 1; /* 0: a frame is complete */
    bool has_room = false;
    while (from.pos < from.size || (wanted > 0 && !has_room)) {
        if (!make_room(path, out))
            return false;
        ZSTD_outBuffer to = {out->data + out->size, STEP_SIZE, 0};
        wanted = ZSTD_decompressStream(context, &to, &from);
        if (ZSTD_isError(wanted)) {
            complain("%s: damaged zstd: %s", path, ZSTD_getErrorName(wanted));
            return false;
        }
        out->size += to.pos;
        has_room = to.pos < to.size;
    }
    if (wanted > 0)
        complain("%s: damaged zstd: ends in the middle", path);
    return wanted == 0;
}

bool trace_bytes_read(const char *path, trace_bytes *out)
{
    if (!read_file(path, out))
        return false;
    if (!is_packed(path, out))
        return true;
    trace_bytes packed = *out;
    *out = (trace_bytes){NULL, 0, 0};
    ZSTD_DCtx *context = ZSTD_createDCtx();
    if (context == NULL)
        complain("%s: out of memory", path);
    bool is_done = context != NULL && unpack(context, path, &packed, out);
    ZSTD_freeDCtx(context);
    trace_bytes_fini(&packed);
    return is_done;
}

void trace_bytes_fini(trace_bytes *bytes)
{
    free(bytes->data);
    memset(bytes, 0, sizeof *bytes);
}
