/*
 * The table of one shard; see table.h. Everything here expects the shard's
 * mutex held.
 */
#include "tier/memory/table.h"

#define PAGE_BYTES  (MTCI_PAGE_BUCKETS * sizeof(mtci_bucket))
#define PAGES_FIRST (PAGE_BYTES / sizeof(mtci_bucket *))

/* Entries to a bucket on the average, times two, before one more is split:
 * fewer waste memory, more go to overflow buckets. */
#define FILL_TWICE 16u

_Static_assert(sizeof(mtci_bucket) == 64, "a bucket is a cache line");

static uint32_t count_of(const mtci_table *table)
{
    return (uint32_t)atomic_load_explicit(&table->shape, memory_order_relaxed);
}

bool mtci_table_init(mtci_table *table, mtci_heap *heap)
{
    *table = (mtci_table){.base = heap->arena.base,
                          .shift = heap->arena.shift,
                          .heap = heap};
    mtci_bucket **pages = mtci_heap_room_new(heap, PAGE_BYTES);
    mtci_bucket *page = mtci_heap_room_new(heap, PAGE_BYTES);
    if (!pages || !page)
        return false;
    pages[0] = page;
    table->page_count = 1;
    table->page_room = PAGES_FIRST;
    atomic_init(&table->pages, pages);
    atomic_init(&table->shape, MTCI_PAGE_BUCKETS);
    atomic_init(&table->mask, MTCI_PAGE_BUCKETS - 1);
    return true;
}

/* -- one bucket --------------------------------------------------------- */

static uint32_t ref_at(const mtci_place *place)
{
    return atomic_load_explicit(&place->bucket->refs[place->index],
                                memory_order_relaxed);
}

static uint64_t tag_at(const mtci_place *place)
{
    uint64_t word =
        atomic_load_explicit(&place->bucket->words[place->index / 8],
                             memory_order_relaxed);
    return word >> (place->index % 8 * 8) & 0xff;
}

/* The tag first: a reader that sees the ref must not pass it over. */
static void fill(const mtci_place *place, uint64_t tag, uint32_t ref)
{
    _Atomic uint64_t *at = &place->bucket->words[place->index / 8];
    unsigned shift = place->index % 8 * 8;
    uint64_t word = atomic_load_explicit(at, memory_order_relaxed);
    word = (word & ~(UINT64_C(0xff) << shift)) | tag << shift;
    atomic_store_explicit(at, word, memory_order_release);
    atomic_store_explicit(&place->bucket->refs[place->index], ref,
                          memory_order_release);
}

static void clear(const mtci_place *place)
{
    atomic_store_explicit(&place->bucket->refs[place->index], 0,
                          memory_order_release);
}

static void set_next(mtci_bucket *bucket, uint32_t next)
{
    uint64_t word =
        atomic_load_explicit(&bucket->words[1], memory_order_relaxed);
    word = (word & UINT32_MAX) | (uint64_t)next << 32;
    atomic_store_explicit(&bucket->words[1], word, memory_order_release);
}

static uint32_t next_ref(const mtci_bucket *bucket)
{
    return (uint32_t)(atomic_load_explicit(&bucket->words[1],
                                           memory_order_relaxed) >>
                      32);
}

/* The next place of a chain; the bucket is NULL behind the last. */
static mtci_place step(const mtci_table *table, mtci_place place)
{
    if (++place.index < MTCI_BUCKET_ENTRIES)
        return place;
    return (mtci_place){mtci_bucket_next(table->heap, place.bucket), 0};
}

static mtci_place first_place(const mtci_table *table, uint32_t hash)
{
    uint32_t at = mtci_bucket_of(hash, count_of(table));
    return (mtci_place){mtci_table_bucket(table, at), 0};
}

/* -- overflow buckets --------------------------------------------------- */

/* An empty bucket; NULL: no room. */
static mtci_bucket *overflow_new(mtci_table *table, uint32_t *ref)
{
    *ref = table->spare;
    if (*ref) {
        mtci_bucket *bucket = mtci_heap_at(table->heap, *ref);
        table->spare = next_ref(bucket);
        set_next(bucket, 0);
        return bucket;
    }
    *ref = mtci_heap_take(table->heap, NULL, sizeof(mtci_bucket));
    if (!*ref)
        return NULL;
    mtci_bucket *bucket = mtci_heap_at(table->heap, *ref);
    memset(bucket, 0, sizeof(*bucket));
    return bucket;
}

static bool is_empty(const mtci_bucket *bucket)
{
    for (unsigned i = 0; i < MTCI_BUCKET_ENTRIES; i++) {
        if (atomic_load_explicit(&bucket->refs[i], memory_order_relaxed))
            return false;
    }
    return true;
}

/* Takes the empty overflow buckets out of a chain. */
static void trim(mtci_table *table, mtci_bucket *bucket)
{
    uint32_t ref = next_ref(bucket);
    while (ref) {
        mtci_bucket *next = mtci_heap_at(table->heap, ref);
        uint32_t after = next_ref(next);
        if (is_empty(next)) {
            set_next(bucket, after);
            set_next(next, table->spare);
            table->spare = ref;
        } else {
            bucket = next;
        }
        ref = after;
    }
}

/* A free place in the chain that begins with bucket, made if need be. */
static bool place_new(mtci_table *table, mtci_bucket *bucket, mtci_place *place)
{
    mtci_bucket *last = bucket;
    for (*place = (mtci_place){bucket, 0}; place->bucket;
         *place = step(table, *place)) {
        if (ref_at(place) == 0)
            return true;
        last = place->bucket;
    }
    uint32_t ref;
    *place = (mtci_place){overflow_new(table, &ref), 0};
    if (!place->bucket)
        return false;
    set_next(last, ref);
    return true;
}

/* -- growing ------------------------------------------------------------ */

/* Room for one more page in the list of pages. The old list stays: readers
 * may look at it. */
static bool grow_pages(mtci_table *table)
{
    if (table->page_count < table->page_room)
        return true;
    size_t size = table->page_room * sizeof(mtci_bucket *);
    mtci_bucket **pages = mtci_heap_room_new(table->heap, 2 * size);
    if (!pages)
        return false;
    memcpy(pages, atomic_load_explicit(&table->pages, memory_order_relaxed),
           size);
    table->page_room *= 2;
    atomic_store_explicit(&table->pages, pages, memory_order_release);
    return true;
}

/* The bucket that comes next, empty; NULL: no room. */
static mtci_bucket *bucket_new(mtci_table *table)
{
    uint32_t at = count_of(table);
    if (at / MTCI_PAGE_BUCKETS < table->page_count)
        return mtci_table_bucket(table, at);
    if (!grow_pages(table))
        return NULL;
    mtci_bucket *page = mtci_heap_room_new(table->heap, PAGE_BYTES);
    if (!page)
        return NULL;
    mtci_bucket **pages =
        atomic_load_explicit(&table->pages, memory_order_relaxed);
    pages[table->page_count++] = page;
    return page;
}

static bool goes_to(const mtci_table *table, const mtci_place *place,
                    uint32_t at, uint32_t count)
{
    const mtci_entry *entry = mtci_heap_at(table->heap, ref_at(place));
    return mtci_bucket_of(entry->node.hash, count) == at;
}

/* Empties a bucket that no reader has seen. */
static void empty_out(mtci_table *table, mtci_bucket *bucket)
{
    mtci_place place = {bucket, 0};
    for (; place.bucket; place = step(table, place))
        clear(&place);
    trim(table, bucket);
}

/* Copies what belongs into the new bucket. False: no room, nothing copied. */
static bool copy_half(mtci_table *table, mtci_bucket *from, mtci_bucket *to)
{
    uint32_t at = count_of(table);
    mtci_place place = {from, 0};
    mtci_place target = {to, 0};
    for (; place.bucket; place = step(table, place)) {
        if (ref_at(&place) == 0 || !goes_to(table, &place, at, at + 1))
            continue;
        if (!place_new(table, to, &target)) {
            empty_out(table, to);
            return false;
        }
        fill(&target, tag_at(&place), ref_at(&place));
    }
    return true;
}

static void clear_half(mtci_table *table, mtci_bucket *from, uint32_t at)
{
    mtci_place place = {from, 0};
    for (; place.bucket; place = step(table, place)) {
        if (ref_at(&place) != 0 && goes_to(table, &place, at, at + 1))
            clear(&place);
    }
}

/* Moves entries of overflow buckets into the gaps before them. Between the
 * copy and the end of the original the count of moves goes up. */
static void close_gaps(mtci_table *table, mtci_bucket *bucket)
{
    mtci_place gap = {bucket, 0};
    mtci_place place = {mtci_bucket_next(table->heap, bucket), 0};
    for (; place.bucket; place = step(table, place)) {
        if (ref_at(&place) == 0)
            continue;
        while (gap.bucket != place.bucket && ref_at(&gap) != 0)
            gap = step(table, gap);
        if (gap.bucket == place.bucket)
            break;
        fill(&gap, tag_at(&place), ref_at(&place));
        atomic_fetch_add_explicit(&table->shape, UINT64_C(1) << 32,
                                  memory_order_release);
        clear(&place);
    }
    trim(table, bucket);
}

/* Splits one bucket in two. Without room nothing changes: chains get longer. */
static void split(mtci_table *table)
{
    uint32_t at = count_of(table);
    mtci_bucket *to = bucket_new(table);
    if (!to)
        return;
    uint32_t mask = UINT32_MAX >> __builtin_clz(at);
    mtci_bucket *from = mtci_table_bucket(table, at & (mask >> 1));
    if (!copy_half(table, from, to))
        return;
    atomic_store_explicit(&table->mask, mask, memory_order_relaxed);
    atomic_fetch_add_explicit(&table->shape, 1, memory_order_release);
    clear_half(table, from, at);
    close_gaps(table, from);
}

/* -- the calls ---------------------------------------------------------- */

bool mtci_table_find(const mtci_table *table, mtc_slice key, uint64_t hash,
                     mtci_place *place)
{
    *place = first_place(table, (uint32_t)hash);
    mtci_bucket *bucket = place->bucket;
    for (; bucket; bucket = mtci_bucket_next(table->heap, bucket)) {
        uint32_t match = mtci_bucket_match(bucket, mtci_tag_of(hash));
        for (; match; match &= match - 1) {
            *place = (mtci_place){bucket, (unsigned)__builtin_ctz(match)};
            uint32_t ref = ref_at(place);
            if (ref && mtci_entry_has_key(mtci_heap_at(table->heap, ref), key))
                return true;
        }
    }
    return false;
}

void mtci_table_drop(mtci_table *table, uint32_t ref)
{
    const mtci_entry *entry = mtci_heap_at(table->heap, ref);
    mtci_place place = first_place(table, entry->node.hash);
    while (place.bucket && ref_at(&place) != ref)
        place = step(table, place);
    if (!place.bucket)
        return;
    clear(&place);
    table->entry_count--;
}

bool mtci_table_add(mtci_table *table, uint64_t hash, uint32_t ref)
{
    mtci_place place = first_place(table, (uint32_t)hash);
    if (!place_new(table, place.bucket, &place))
        return false;
    fill(&place, mtci_tag_of(hash), ref);
    table->entry_count++;
    if (table->entry_count * 2 > (size_t)FILL_TWICE * count_of(table))
        split(table);
    return true;
}

/* -- reading ------------------------------------------------------------ */

/* The entry at an index, pinned, if it is the key's. */
static mtci_entry *pin_at(const mtci_heap *heap, _Atomic uint32_t *at,
                          mtc_slice key, mtci_pins *pins, unsigned slot)
{
    uint32_t ref = atomic_load_explicit(at, memory_order_acquire);
    while (ref) {
        mtci_entry *entry = mtci_heap_at(heap, ref);
        mtci_pin_set(pins, slot, entry);
        uint32_t again = atomic_load_explicit(at, memory_order_seq_cst);
        if (again == ref)
            return mtci_entry_has_key(entry, key) ? entry : NULL;
        ref = again;
    }
    return NULL;
}

mtci_entry *mtci_table_pin(const mtci_table *table, mtc_slice key,
                           uint64_t hash, mtci_pins *pins, unsigned slot)
{
    const mtci_heap *heap = table->heap;
    uint64_t shape = atomic_load_explicit(&table->shape, memory_order_acquire);
    for (;;) {
        uint32_t at = mtci_bucket_of((uint32_t)hash, (uint32_t)shape);
        mtci_bucket *bucket = mtci_table_bucket(table, at);
        for (; bucket; bucket = mtci_bucket_next(heap, bucket)) {
            uint32_t match = mtci_bucket_match(bucket, mtci_tag_of(hash));
            for (; match; match &= match - 1) {
                unsigned i = (unsigned)__builtin_ctz(match);
                mtci_entry *entry =
                    pin_at(heap, &bucket->refs[i], key, pins, slot);
                if (entry)
                    return entry;
            }
        }
        uint64_t again =
            atomic_load_explicit(&table->shape, memory_order_acquire);
        if (again == shape)
            break;
        shape = again;
    }
    mtci_pin_clear(pins, slot);
    return NULL;
}
