/*
 * Slices beside strings. Stateless; any thread.
 */
#ifndef MTCI_BASE_SLICE_H
#define MTCI_BASE_SLICE_H

#include <stdbool.h>
#include <string.h>

#include "mtc/value.h"

static inline bool mtci_slice_begins(mtc_slice bytes, const char *text)
{
    size_t size = strlen(text);
    return bytes.size >= size &&
           (size == 0 || memcmp(bytes.data, text, size) == 0);
}

static inline bool mtci_slice_is(mtc_slice bytes, const char *text)
{
    return bytes.size == strlen(text) && mtci_slice_begins(bytes, text);
}

#endif
