/*
 * Structs that grow: taking what an older or newer caller gives.
 */
#ifndef MTCI_CORE_SIZED_H
#define MTCI_CORE_SIZED_H

#include <stdbool.h>
#include <stddef.h>

/* Copies a struct that begins with its struct_size, as far as both sides know
 * it; to holds the defaults of the rest. False when the struct is smaller
 * than its first version, size_min, or asks for something unknown. */
bool mtci_sized_copy(void *to, size_t to_size, const void *from,
                     size_t size_min);

/* Hands a struct out to a caller whose struct_size is set: what he knows is
 * copied, what only he knows is zeroed. False when it is below size_min. */
bool mtci_sized_give(void *to, const void *from, size_t from_size,
                     size_t size_min);

#endif
