/*
 * Comparing runs of bytes. Stateless; any thread.
 */
#ifndef MTCI_BASE_SLICE_H
#define MTCI_BASE_SLICE_H

#include <stdbool.h>
#include <string.h>

#include "mtc/value.h"

/* Whether both hold the same bytes; empty slices do, wherever they point. */
static inline bool mtci_slices_equal(mtc_slice a, mtc_slice b)
{
    return a.size == b.size &&
           (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool mtci_slice_begins(mtc_slice bytes, const char *text)
{
    size_t size = strlen(text);
    return bytes.size >= size &&
           (size == 0 || memcmp(bytes.data, text, size) == 0);
}

static inline bool mtci_slice_is(mtc_slice bytes, const char *text)
{
    return mtci_slices_equal(bytes, mtc_str(text));
}

#endif
