/*
 * A growing run of bytes. Owns its memory; one owner, one thread.
 */
#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* The first allocation; then the capacity doubles. */
#define CAPACITY_FIRST 256

void mtci_buffer_fini(mtci_buffer *buffer)
{
    free(buffer->data);
    *buffer = (mtci_buffer){NULL, 0, 0, MTC_OK};
}

void mtci_buffer_clear(mtci_buffer *buffer)
{
    buffer->size = 0;
    buffer->status = MTC_OK;
}

static bool capacity_grow(mtci_buffer *buffer, size_t size)
{
    size_t needed, capacity;
    char *data;

    if (__builtin_add_overflow(buffer->size, size, &needed)) {
        return false;
    }
    capacity = buffer->capacity > SIZE_MAX / 2 ? needed : buffer->capacity * 2;
    capacity = capacity < CAPACITY_FIRST ? CAPACITY_FIRST : capacity;
    capacity = capacity < needed ? needed : capacity;
    data = realloc(buffer->data, capacity);
    if (data == NULL) {
        return false;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

char *mtci_buffer_room(mtci_buffer *buffer, size_t size)
{
    if (buffer->status != MTC_OK) {
        return NULL;
    }
    if ((buffer->data == NULL || size > buffer->capacity - buffer->size) &&
        !capacity_grow(buffer, size)) {
        buffer->status = MTC_E_NO_MEMORY;
        return NULL;
    }
    return buffer->data + buffer->size;
}

void mtci_buffer_grown(mtci_buffer *buffer, size_t size)
{
    buffer->size += size;
}

void mtci_buffer_add(mtci_buffer *buffer, mtc_slice bytes)
{
    char *room = mtci_buffer_room(buffer, bytes.size);

    if (room == NULL || bytes.size == 0) {
        return;
    }
    memcpy(room, bytes.data, bytes.size);
    buffer->size += bytes.size;
}

void mtci_buffer_add_text(mtci_buffer *buffer, const char *text)
{
    mtci_buffer_add(buffer, mtc_str(text));
}

void mtci_buffer_add_format(mtci_buffer *buffer, const char *format, ...)
{
    va_list arguments, again;
    int size;
    char *room;

    va_start(arguments, format);
    va_copy(again, arguments);
    size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    /* One more byte for the NUL that vsnprintf insists on. */
    room = size < 0 ? NULL : mtci_buffer_room(buffer, (size_t)size + 1);
    if (room != NULL) {
        vsnprintf(room, (size_t)size + 1, format, again);
        buffer->size += (size_t)size;
    }
    va_end(again);
}

void mtci_buffer_drop(mtci_buffer *buffer, size_t size)
{
    if (size == 0) {
        return;
    }
    buffer->size -= size;
    memmove(buffer->data, buffer->data + size, buffer->size);
}
