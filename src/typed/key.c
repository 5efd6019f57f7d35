/*
 * Keys from parts. Owns the heap bytes of a long key; one owner per key.
 */
#include "mtc/key.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "mtc/cache.h"

#define SEPARATOR   ':'
#define ESCAPE      '%'
#define ESCAPE_SIZE 3

static bool is_escaped(char byte)
{
    return byte == SEPARATOR || byte == ESCAPE;
}

/* The size of a part when it is written; of one that cannot be, too much. */
static size_t part_size(mtc_slice part)
{
    const char *bytes = part.data;
    size_t size = part.size;

    if (size > MTC_KEY_SIZE_MAX) {
        return MTC_KEY_SIZE_MAX + 1;
    }
    for (size_t i = 0; i < part.size; i++) {
        size += is_escaped(bytes[i]) ? ESCAPE_SIZE - 1 : 0;
    }
    return size;
}

/* Room for that many bytes in all, in the key or on the heap. */
static mtc_status key_reserve(mtc_key *key, size_t size)
{
    size_t capacity = key->heap == NULL ? sizeof(key->bytes) : key->capacity;
    char *heap;

    if (size > MTC_KEY_SIZE_MAX) {
        return MTC_E_TOO_LARGE;
    }
    if (size <= capacity) {
        return MTC_OK;
    }
    capacity = size > capacity * 2 ? size : capacity * 2;
    heap = realloc(key->heap, capacity);
    if (heap == NULL) {
        return MTC_E_NO_MEMORY;
    }
    if (key->heap == NULL) {
        memcpy(heap, key->bytes, key->size);
    }
    key->heap = heap;
    key->capacity = capacity;
    return MTC_OK;
}

static char *part_write(char *at, mtc_slice part)
{
    const char *bytes = part.data;

    for (size_t i = 0; i < part.size; i++) {
        if (is_escaped(bytes[i])) {
            /* A key is no string.
             * NOLINTNEXTLINE(bugprone-not-null-terminated-result) */
            memcpy(at, bytes[i] == SEPARATOR ? "%3A" : "%25", ESCAPE_SIZE);
            at += ESCAPE_SIZE;
        } else {
            *at++ = bytes[i];
        }
    }
    return at;
}

void mtc_key_init(mtc_key *key)
{
    key->heap = NULL;
    key->size = 0;
    key->capacity = 0;
    key->is_begun = 0;
    key->status = MTC_OK;
}

void mtc_key_add(mtc_key *key, mtc_slice part)
{
    size_t separator_size = key->is_begun ? 1 : 0;
    char *begin, *at;

    if (key->status != MTC_OK) {
        return;
    }
    if (part.data == NULL && part.size > 0) {
        key->status = MTC_E_INVALID;
        return;
    }
    key->status =
        key_reserve(key, key->size + separator_size + part_size(part));
    if (key->status != MTC_OK) {
        return;
    }
    begin = key->heap == NULL ? key->bytes : key->heap;
    at = begin + key->size;
    if (separator_size > 0) {
        *at++ = SEPARATOR;
    }
    key->size = (size_t)(part_write(at, part) - begin);
    key->is_begun = 1;
}

void mtc_key_add_int(mtc_key *key, int64_t number)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRId64, number);
    mtc_key_add(key, mtc_str(text));
}

mtc_status mtc_key_slice(const mtc_key *key, mtc_slice *out)
{
    if (out == NULL) {
        return MTC_E_INVALID;
    }
    *out = mtc_bytes(NULL, 0);
    if (key == NULL || (key->status == MTC_OK && !key->is_begun)) {
        return MTC_E_INVALID;
    }
    if (key->status == MTC_OK) {
        *out = mtc_bytes(key->heap == NULL ? key->bytes : key->heap, key->size);
    }
    return (mtc_status)key->status;
}

void mtc_key_fini(mtc_key *key)
{
    if (key != NULL) {
        free(key->heap);
        mtc_key_init(key);
    }
}
