/*
 * A growing run of bytes for building text and messages.
 *
 * A builder: it keeps its first error and is asked once at the end. One
 * owner, one thread. A zeroed buffer is empty and valid.
 */
#ifndef MTCI_BASE_BUFFER_H
#define MTCI_BASE_BUFFER_H

#include "mtc/value.h"

typedef struct mtci_buffer {
    char *data;
    size_t size;
    size_t capacity;
    mtc_status status; /* first error, or MTC_OK */
} mtci_buffer;

void mtci_buffer_fini(mtci_buffer *buffer);

/* Forgets the content and the error; keeps the memory. */
void mtci_buffer_clear(mtci_buffer *buffer);

/* Room for size more bytes behind the content, or NULL (status is kept).
 * What was written there is counted with mtci_buffer_grown. */
char *mtci_buffer_room(mtci_buffer *buffer, size_t size);
void mtci_buffer_grown(mtci_buffer *buffer, size_t size);

void mtci_buffer_add(mtci_buffer *buffer, mtc_slice bytes);
void mtci_buffer_add_text(mtci_buffer *buffer, const char *text);
void mtci_buffer_add_format(mtci_buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Drops the first size bytes. */
void mtci_buffer_drop(mtci_buffer *buffer, size_t size);

#endif
