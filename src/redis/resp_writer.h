/*
 * Writes commands as RESP arrays of bulks: every argument is preceded by its
 * length, so that any byte may occur in it. Stateless; any thread.
 */
#ifndef MTCI_REDIS_RESP_WRITER_H
#define MTCI_REDIS_RESP_WRITER_H

#include "base/buffer.h"

/* What an argument takes beside its bytes, at most. */
#define MTCI_RESP_OVERHEAD 26u

/* Begins a command of count arguments, its name included. */
void mtci_resp_begin(mtci_buffer *buffer, size_t count);

void mtci_resp_add(mtci_buffer *buffer, mtc_slice argument);
void mtci_resp_add_text(mtci_buffer *buffer, const char *argument);
void mtci_resp_add_number(mtci_buffer *buffer, int64_t argument);

/* An argument whose bytes are sent from elsewhere, between these two. */
void mtci_resp_open(mtci_buffer *buffer, size_t size);
void mtci_resp_close(mtci_buffer *buffer);

#endif
