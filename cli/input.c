/*
 * Reading a whole file descriptor: standard input, or what a command prints.
 *
 * The bytes belong to the caller's input_bytes. One thread.
 */
#include "input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "output.h"

#define CAPACITY_FIRST ((size_t)16 << 10)

static bool make_room(input_bytes *bytes)
{
    if (bytes->size < bytes->capacity)
        return true;
    size_t capacity = bytes->capacity * 2;
    if (capacity < CAPACITY_FIRST)
        capacity = CAPACITY_FIRST;
    /* One more than allowed, so that too much is seen. */
    if (capacity > INPUT_SIZE_MAX)
        capacity = INPUT_SIZE_MAX + 1;
    char *data = realloc(bytes->data, capacity);
    if (data == NULL) {
        complain("out of memory");
        return false;
    }
    bytes->data = data;
    bytes->capacity = capacity;
    return true;
}

bool input_read(int fd, input_bytes *out)
{
    while (make_room(out)) {
        ssize_t got =
            read(fd, out->data + out->size, out->capacity - out->size);
        if (got == 0)
            return true;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            complain("cannot read: %s", strerror(errno));
            return false;
        }
        out->size += (size_t)got;
        if (out->size > INPUT_SIZE_MAX) {
            complain("the value is over %zu bytes", INPUT_SIZE_MAX);
            return false;
        }
    }
    return false;
}

void input_fini(input_bytes *bytes)
{
    free(bytes->data);
    memset(bytes, 0, sizeof *bytes);
}
