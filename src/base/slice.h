/*
 * Comparing runs of bytes. Stateless; any thread.
 */
#ifndef MTCI_BASE_SLICE_H
#define MTCI_BASE_SLICE_H

#include "mtc/value.h"

/* Whether both hold the same bytes; empty slices do, wherever they point. */
static inline bool mtci_slices_equal(mtc_slice a, mtc_slice b)
{
    return a.size == b.size &&
           (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

#endif
