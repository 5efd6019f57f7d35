/*
 * Copying structs that grow; see sized.h.
 */
#include "core/sized.h"

#include <stdint.h>
#include <string.h>

bool mtci_sized_copy(void *to, size_t to_size, const void *from,
                     size_t size_min)
{
    uint32_t size;
    memcpy(&size, from, sizeof(size));
    if (size < size_min)
        return false;
    for (size_t i = to_size; i < size; i++) {
        if (((const char *)from)[i] != 0)
            return false;
    }
    memcpy(to, from, size < to_size ? size : to_size);
    return true;
}

bool mtci_sized_give(void *to, const void *from, size_t from_size,
                     size_t size_min)
{
    uint32_t size;
    memcpy(&size, to, sizeof(size));
    if (size < size_min)
        return false;
    if (size > from_size)
        memset((char *)to + from_size, 0, size - from_size);
    memcpy(to, from, size < from_size ? size : from_size);
    memcpy(to, &size, sizeof(size));
    return true;
}
