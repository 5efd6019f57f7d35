/*
 * The table of one shard: from a key's hash to its entry, read without a
 * lock.
 *
 * Linear hashing over buckets of one cache line: twelve entries, each a tag of
 * 8 bits of the hash and a ref. The buckets lie in a stretch of address space
 * of which only the beginning has memory. The table grows by splitting one
 * bucket at a time and shrinks by joining two, so that no store pays for more
 * than one. A bucket that is full goes on in an overflow bucket. Memory that
 * readers may look at never becomes anything else: the stretch stays, and
 * overflow buckets are only used again as such.
 *
 * Readers check the one thing that can make them miss a key that is there,
 * an entry that moved: shape, count of buckets and of moves in one word,
 * changes between the copy and the end of the original. Everything else is
 * guarded by the shard's mutex.
 *
 * Source: Litwin, "Linear Hashing", VLDB 1980.
 */
#ifndef MTCI_TIER_MEMORY_TABLE_H
#define MTCI_TIER_MEMORY_TABLE_H

#include "base/pin.h"
#include "tier/memory/entry.h"
#include "tier/memory/match.h"

#define MTCI_BUCKET_ENTRIES 12u
#define MTCI_PAGE_BUCKETS   64u /* 4 KiB */

typedef struct mtci_bucket {
    /* Twelve tags, then the number of the overflow bucket, or 0. */
    _Atomic uint64_t words[2];
    _Atomic uint32_t refs[MTCI_BUCKET_ENTRIES]; /* 0: nothing */
} mtci_bucket;

typedef struct mtci_table {
    _Atomic uint64_t shape; /* buckets, and above them 32 bits of moves */
    mtci_bucket *buckets;
    _Atomic uint32_t mask; /* of a hash; may be behind shape */
    unsigned shift;
    unsigned char *base; /* of the heap, and before it its shift */
    mtci_bucket *overflow;
    mtci_heap *heap;
    /* Written by those who hold the mutex alone; not beside the above. */
    _Alignas(64) mtci_stretch buckets_in;
    mtci_stretch overflow_in;
    size_t entry_count;
    uint32_t overflow_count; /* that were ever used */
    uint32_t chained_count;  /* that are in a chain now */
    uint32_t spare;          /* the first of those that are in none */
} mtci_table;

/* Where an entry is, or could be put. */
typedef struct mtci_place {
    mtci_bucket *bucket;
    unsigned index;
} mtci_place;

/* A table with its first page, for as many entries as could be in so many
 * bytes; false: no room. fini is due in either case, and takes a zeroed one,
 * too. */
bool mtci_table_init(mtci_table *table, mtci_heap *heap, uint64_t bytes);
void mtci_table_fini(mtci_table *table);

/* The place of a key's entry; false: it has none. */
bool mtci_table_find(const mtci_table *table, mtc_slice key, uint64_t hash,
                     mtci_place *place);

/* Takes out an entry that is in the table. */
void mtci_table_drop(mtci_table *table, uint32_t ref);

/* Puts an entry in; its key has none. False: no room. */
bool mtci_table_add(mtci_table *table, uint64_t hash, uint32_t ref);

/* The key's entry, pinned in a slot; NULL, and the slot empty: none. Needs no
 * mutex. */
mtci_entry *mtci_table_pin(const mtci_table *table, mtc_slice key,
                           uint64_t hash, mtci_pins *pins, unsigned slot);

/* Puts an entry in the place of another one of the same key. */
static inline void mtci_table_swap(const mtci_place *place, uint32_t ref)
{
    atomic_store_explicit(&place->bucket->refs[place->index], ref,
                          memory_order_release);
}

/* -- reading ------------------------------------------------------------ */

static inline uint64_t mtci_tag_of(uint64_t hash)
{
    return hash >> 32 & 0xff;
}

/* The bucket of a hash among count, at least MTCI_PAGE_BUCKETS. */
static inline uint32_t mtci_bucket_of(uint32_t hash, uint32_t count)
{
    uint32_t mask = UINT32_MAX >> __builtin_clz(count - 1);
    uint32_t at = hash & mask;
    return at < count ? at : hash & (mask >> 1);
}

static inline mtci_bucket *mtci_table_bucket(const mtci_table *table,
                                             uint32_t at)
{
    return &table->buckets[at];
}

/* Which entries of a bucket have the tag: bit i for entry i. */
static inline uint32_t mtci_bucket_match(mtci_bucket *bucket, uint64_t tag)
{
    uint64_t first =
        atomic_load_explicit(&bucket->words[0], memory_order_acquire);
    uint64_t second =
        atomic_load_explicit(&bucket->words[1], memory_order_acquire);
    return mtci_bytes_match(first, second, (uint8_t)tag) & 0xfff;
}

static inline mtci_bucket *mtci_bucket_next(const mtci_table *table,
                                            mtci_bucket *bucket)
{
    uint64_t word =
        atomic_load_explicit(&bucket->words[1], memory_order_acquire);
    uint32_t number = (uint32_t)(word >> 32);
    return number ? &table->overflow[number] : NULL;
}

/* The bucket of a hash, or one that was its bucket a moment ago. */
static inline mtci_bucket *mtci_table_bucket_of(const mtci_table *table,
                                                uint64_t hash)
{
    uint64_t shape = atomic_load_explicit(&table->shape, memory_order_acquire);
    uint32_t mask = atomic_load_explicit(&table->mask, memory_order_relaxed);
    uint32_t at = (uint32_t)hash & mask;
    if (at >= (uint32_t)shape)
        at &= mask >> 1;
    return mtci_table_bucket(table, at);
}

/* What most look-ups find: a plain entry of a short key, the first of its
 * bucket with the tag. NULL decides nothing, and leaves the slot as it may
 * be. */
static inline mtci_entry *mtci_table_pin_first(const mtci_table *table,
                                               mtc_slice key, uint64_t hash,
                                               mtci_pins *pins, unsigned slot)
{
    mtci_bucket *bucket = mtci_table_bucket_of(table, hash);
    uint32_t match = mtci_bucket_match(bucket, mtci_tag_of(hash));
    if (__builtin_expect(!match, 0))
        return NULL;
    _Atomic uint32_t *at = &bucket->refs[(unsigned)__builtin_ctz(match)];
    uint32_t ref = atomic_load_explicit(at, memory_order_acquire);
    mtci_entry *entry =
        (mtci_entry *)(table->base + ((size_t)ref << table->shift));
    mtci_pin_set(pins, slot, entry);
    if (__builtin_expect(
            !ref || atomic_load_explicit(at, memory_order_seq_cst) != ref, 0))
        return NULL;
    bool is_same = entry->node.own == key.size && mtci_is_short(key.size) &&
                   mtci_same_short(entry->bytes, key.data, key.size);
    return __builtin_expect(is_same, 1) ? entry : NULL;
}

/* The first entry with the key's tag, perhaps of another key, perhaps gone by
 * now; 0: none. */
static inline uint32_t mtci_bucket_guess(mtci_bucket *bucket, uint64_t hash)
{
    uint32_t match = mtci_bucket_match(bucket, mtci_tag_of(hash));
    if (!match)
        return 0;
    return atomic_load_explicit(&bucket->refs[(unsigned)__builtin_ctz(match)],
                                memory_order_relaxed);
}

/* Asks the processor for the entries that may be the key's; the bucket is
 * there. */
static inline void mtci_table_expect_in(const mtci_table *table,
                                        mtci_bucket *bucket, uint64_t hash)
{
    uint32_t match = mtci_bucket_match(bucket, mtci_tag_of(hash));
    for (; match; match &= match - 1) {
        uint32_t ref =
            atomic_load_explicit(&bucket->refs[(unsigned)__builtin_ctz(match)],
                                 memory_order_relaxed);
        const unsigned char *entry = mtci_heap_at(table->heap, ref);
        __builtin_prefetch(entry);
        __builtin_prefetch(entry + 64);
    }
}

#endif
