/*
 * Telling the address sanitizer which bytes of the heap nobody may touch.
 * Without it nothing remains of the calls.
 */
#ifndef MTCI_TIER_MEMORY_POISON_H
#define MTCI_TIER_MEMORY_POISON_H

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>

static inline void mtci_poison(const void *bytes, size_t size)
{
    __asan_poison_memory_region(bytes, size);
}

static inline void mtci_unpoison(const void *bytes, size_t size)
{
    __asan_unpoison_memory_region(bytes, size);
}
#else
static inline void mtci_poison(const void *bytes, size_t size)
{
    (void)bytes;
    (void)size;
}

static inline void mtci_unpoison(const void *bytes, size_t size)
{
    (void)bytes;
    (void)size;
}
#endif

#endif
