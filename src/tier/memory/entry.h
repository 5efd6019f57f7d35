/*
 * Entries of the memory tier: one object of the heap each.
 *
 * header, facts that few have, key, value (at a multiple of 8), entity tag.
 * Links and the policy's byte are guarded by the mutex of the shard; key,
 * value and facts never change once the entry is published; hits is written
 * by readers; end is moved under the mutex and read by anyone.
 *
 * holds counts the tier (while the entry is linked or retired) and every
 * value that refers to it by count. A value that refers to it by a pin is
 * not counted.
 */
#ifndef MTCI_TIER_MEMORY_ENTRY_H
#define MTCI_TIER_MEMORY_ENTRY_H

#include <stdatomic.h>

#include "mtc/tier.h"
#include "tier/memory/heap.h"
#include "tier/memory/policy/node.h"
#include "tier/memory/wheel.h"

/* Flags in the high 16 bits of end. Without any the entry is a plain value. */
#define MTCI_ENTRY_EXTRA   (UINT64_C(1) << 48) /* has mtci_extra */
#define MTCI_ENTRY_WIDE    (UINT64_C(1) << 49) /* its key has 65,536 bytes */
#define MTCI_ENTRY_EXPIRED (UINT64_C(1) << 50) /* stale, whatever its end */

/* What every life is cut by: a copy must not outlive the truth by the part of
 * a millisecond that the clock cuts off. */
#define MTCI_TICK_MS 1

/* Values by count that one entry may have; more are copied. */
#define MTCI_HOLDS_MAX 60000u

typedef struct mtci_entry {
    mtci_node node; /* own is the size of the key */
    _Atomic uint64_t end;
    mtci_wheel_link link;
    uint32_t value_size;
    uint32_t ttl_ms;
    _Atomic uint16_t holds;
    unsigned char bytes[6];
} mtci_entry;

/* Facts that few entries have. */
typedef struct mtci_extra {
    int64_t ttl_ms;
    int64_t window_ms;
    int32_t load_ms;
    uint32_t weight;
    uint16_t etag_size;
    uint8_t kind;
} mtci_extra;

_Static_assert(MTCI_WHEEL_REF_MIN <= MTCI_REF_MIN, "refs are no lists");

#define MTCI_KEY_AT       offsetof(mtci_entry, bytes)
#define MTCI_EXTRA_AT     sizeof(mtci_entry)
#define MTCI_EXTRA_KEY_AT (MTCI_EXTRA_AT + sizeof(mtci_extra))

/* When a life of left_ms that counts from sent_ms ends, as end keeps it. */
uint64_t mtci_entry_end(int64_t sent_ms, int64_t left_ms);

/* Bytes of the object for the entry of a request. */
size_t mtci_entry_size(const mtc_request *request);

/* Writes the entry of a request into an object, held once. */
void mtci_entry_fill(mtci_entry *entry, const mtc_request *request);

static inline uint64_t mtci_entry_flags(const mtci_entry *entry)
{
    return atomic_load_explicit(&entry->end, memory_order_relaxed) &
           ~MTCI_END_MASK;
}

static inline mtci_extra *mtci_entry_extra(const mtci_entry *entry,
                                           uint64_t flags)
{
    if (!(flags & MTCI_ENTRY_EXTRA))
        return NULL;
    return (mtci_extra *)((char *)entry + MTCI_EXTRA_AT);
}

static inline bool mtci_entry_is_absent(const mtci_entry *entry)
{
    const mtci_extra *extra = mtci_entry_extra(entry, mtci_entry_flags(entry));
    return extra && extra->kind == MTC_KIND_ABSENT;
}

static inline mtc_slice mtci_entry_key(const mtci_entry *entry)
{
    uint64_t flags = mtci_entry_flags(entry);
    size_t at = MTCI_KEY_AT;
    size_t size = entry->node.own;
    if (__builtin_expect(flags != 0, 0)) {
        if (flags & MTCI_ENTRY_EXTRA)
            at = MTCI_EXTRA_KEY_AT;
        if (flags & MTCI_ENTRY_WIDE)
            size = UINT16_MAX + (size_t)1;
    }
    return mtc_bytes((const char *)entry + at, size);
}

/* Keys are short, most of them: 8 to 32 bytes. */
static inline bool mtci_is_short(size_t size)
{
    return size - 8 <= 24;
}

/* Whether the two words of 8 bytes that begin and end some bytes are those of
 * others; 8 to 16 bytes. */
static inline bool mtci_same_words(const char *a, const char *b, size_t size)
{
    uint64_t x[2];
    uint64_t y[2];
    memcpy(&x[0], a, 8);
    memcpy(&y[0], b, 8);
    memcpy(&x[1], a + size - 8, 8);
    memcpy(&y[1], b + size - 8, 8);
    return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
}

/* Without a call. */
static inline bool mtci_same_short(const void *a, const void *b, size_t size)
{
    const char *x = a;
    const char *y = b;
    if (size <= 16)
        return mtci_same_words(x, y, size);
    return mtci_same_words(x, y, 16) &&
           mtci_same_words(x + size - 16, y + size - 16, 16);
}

static inline bool mtci_same_bytes(const void *a, const void *b, size_t size)
{
    if (mtci_is_short(size))
        return mtci_same_short(a, b, size);
    return size == 0 || memcmp(a, b, size) == 0;
}

static inline bool mtci_entry_has_key(const mtci_entry *entry, mtc_slice key)
{
    mtc_slice own = mtci_entry_key(entry);
    return own.size == key.size &&
           mtci_same_bytes(own.data, key.data, key.size);
}

/* Where the value begins: behind the key. */
static inline const void *mtci_entry_value(mtc_slice key)
{
    return (const void *)(((uintptr_t)key.data + key.size + 7) & ~(uintptr_t)7);
}

/* Bytes of its object that an entry uses. */
static inline size_t mtci_entry_bytes(const mtci_entry *entry)
{
    const mtci_extra *extra = mtci_entry_extra(entry, mtci_entry_flags(entry));
    const char *value = mtci_entry_value(mtci_entry_key(entry));
    return (size_t)(value - (const char *)entry) + entry->value_size +
           (extra ? extra->etag_size : 0);
}

/* What is left at now_ms; 0 or less when its life has ended, MTC_NO_END when
 * it never does. */
static inline int64_t mtci_end_left_ms(uint64_t end, int64_t now_ms)
{
    end &= MTCI_END_MASK;
    return end == MTCI_END_NEVER ? MTC_NO_END : (int64_t)end - now_ms;
}

/* Whether a request would make an entry that differs in its end alone, and the
 * bytes of its value are this entry's: not equal ones, the same. */
bool mtci_entry_is_of(const mtci_entry *entry, const mtc_request *request);

void mtci_entry_facts(const mtci_entry *entry, int64_t now_ms,
                      mtc_facts *facts);

#endif
