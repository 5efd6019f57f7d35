/*
 * Reading a whole file descriptor: standard input, or what a command prints.
 */
#ifndef MTC_CLI_INPUT_H
#define MTC_CLI_INPUT_H

#include <stdbool.h>
#include <stddef.h>

/* The largest value that the tool takes in, the default limit of a cache. */
#define INPUT_SIZE_MAX ((size_t)64 << 20)

/* Zeroed, it is empty and valid. */
typedef struct input_bytes {
    char *data;
    size_t size;
    size_t capacity;
} input_bytes;

/* Reads fd to its end. Complains and returns false when reading fails, memory
 * runs out, or there is more than INPUT_SIZE_MAX. */
bool input_read(int fd, input_bytes *out);

void input_fini(input_bytes *bytes);

#endif
