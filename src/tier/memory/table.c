/*
 * The table of one shard; see table.h. Everything here expects the shard's
 * mutex held.
 */
#include "tier/memory/table.h"

#define PAGE_BYTES (MTCI_PAGE_BUCKETS * sizeof(mtci_bucket))

/* Entries to a bucket on the average, before one more is split: fewer waste
 * memory, more go to overflow buckets. And below which two are joined. */
#define FILL_MAX 8u
#define FILL_MIN 3u

/* Buckets take one byte in eight of what their entries do, or less; four
 * times as much address space is for a budget that is raised. */
#define STRETCH_PART 8u
#define STRETCH_MORE 4u

_Static_assert(sizeof(mtci_bucket) == 64, "a bucket is a cache line");

static uint32_t count_of(const mtci_table *table)
{
    return (uint32_t)atomic_load_explicit(&table->shape, memory_order_relaxed);
}

bool mtci_table_init(mtci_table *table, mtci_heap *heap, uint64_t bytes)
{
    *table = (mtci_table){.base = heap->arena.base,
                          .shift = heap->arena.shift,
                          .heap = heap};
    size_t pages = (size_t)(bytes * STRETCH_MORE / STRETCH_PART / PAGE_BYTES);
    size_t size = (pages + 1) * PAGE_BYTES;
    if (!mtci_stretch_init(&table->buckets_in, size) ||
        !mtci_stretch_init(&table->overflow_in, size) ||
        !mtci_stretch_grow(&table->buckets_in, heap))
        return false;
    table->buckets = (mtci_bucket *)(void *)table->buckets_in.base;
    table->overflow = (mtci_bucket *)(void *)table->overflow_in.base;
    table->overflow_count = 1;
    atomic_init(&table->shape, MTCI_PAGE_BUCKETS);
    atomic_init(&table->mask, MTCI_PAGE_BUCKETS - 1);
    return true;
}

void mtci_table_fini(mtci_table *table)
{
    mtci_stretch_fini(&table->buckets_in, table->heap);
    mtci_stretch_fini(&table->overflow_in, table->heap);
    *table = (mtci_table){0};
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

static uint32_t next_number(const mtci_bucket *bucket)
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
    return (mtci_place){mtci_bucket_next(table, place.bucket), 0};
}

static mtci_place first_place(const mtci_table *table, uint32_t hash)
{
    uint32_t at = mtci_bucket_of(hash, count_of(table));
    return (mtci_place){mtci_table_bucket(table, at), 0};
}

/* -- overflow buckets --------------------------------------------------- */

/* The number of an empty bucket; 0: no room. */
static uint32_t overflow_new(mtci_table *table)
{
    uint32_t number = table->spare;
    if (number) {
        table->spare = next_number(&table->overflow[number]);
        set_next(&table->overflow[number], 0);
    } else {
        size_t end = ((size_t)table->overflow_count + 1) * sizeof(mtci_bucket);
        if (end > table->overflow_in.committed &&
            !mtci_stretch_grow(&table->overflow_in, table->heap))
            return 0;
        number = table->overflow_count++;
    }
    table->chained_count++;
    return number;
}

/* The bucket is in no chain any more. */
static void overflow_free(mtci_table *table, uint32_t number)
{
    set_next(&table->overflow[number], table->spare);
    table->spare = number;
    table->chained_count--;
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
    uint32_t number = next_number(bucket);
    while (number) {
        mtci_bucket *next = &table->overflow[number];
        uint32_t after = next_number(next);
        if (is_empty(next)) {
            set_next(bucket, after);
            overflow_free(table, number);
        } else {
            bucket = next;
        }
        number = after;
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
    uint32_t number = overflow_new(table);
    if (!number)
        return false;
    *place = (mtci_place){&table->overflow[number], 0};
    set_next(last, number);
    return true;
}

/* -- growing ------------------------------------------------------------ */

/* The bucket that comes next, empty; NULL: no room. */
static mtci_bucket *bucket_new(mtci_table *table)
{
    size_t end = ((size_t)count_of(table) + 1) * sizeof(mtci_bucket);
    if (end > table->buckets_in.committed &&
        !mtci_stretch_grow(&table->buckets_in, table->heap))
        return NULL;
    return mtci_table_bucket(table, count_of(table));
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

/* Takes out of a chain what belongs into bucket at. */
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
    mtci_place place = {mtci_bucket_next(table, bucket), 0};
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

/* -- shrinking ---------------------------------------------------------- */

/* Copies all of a chain to another one. False: no room; what was copied stays
 * where no reader looks for it. */
static bool copy_all(mtci_table *table, mtci_bucket *from, mtci_bucket *to)
{
    mtci_place place = {from, 0};
    mtci_place target = {to, 0};
    for (; place.bucket; place = step(table, place)) {
        if (ref_at(&place) == 0)
            continue;
        if (!place_new(table, to, &target))
            return false;
        fill(&target, tag_at(&place), ref_at(&place));
    }
    return true;
}

/* Memory behind the last bucket goes, but for a page that may soon be wanted
 * again; that of overflow buckets once none is in a chain. */
static void cut_pages(mtci_table *table)
{
    if (table->chained_count == 0) {
        mtci_stretch_cut(&table->overflow_in, table->heap, 0);
        if (table->overflow_in.committed == 0) {
            table->spare = 0;
            table->overflow_count = 1;
        }
    }
    size_t used = (size_t)count_of(table) * sizeof(mtci_bucket);
    size_t committed = table->buckets_in.committed;
    if (committed - used >= 2 * PAGE_BYTES)
        mtci_stretch_cut(&table->buckets_in, table->heap,
                         committed - PAGE_BYTES);
}

/* Joins the last bucket with the one that it was split from. Without room
 * nothing changes. */
static void join(mtci_table *table)
{
    uint32_t at = count_of(table) - 1;
    uint32_t mask = UINT32_MAX >> __builtin_clz(at);
    mtci_bucket *from = mtci_table_bucket(table, at);
    mtci_bucket *to = mtci_table_bucket(table, at & (mask >> 1));
    if (!copy_all(table, from, to)) {
        clear_half(table, to, at);
        trim(table, to);
        return;
    }
    /* One bucket less, one move more: whoever looked into the old bucket
     * looks again. */
    atomic_fetch_add_explicit(&table->shape, (UINT64_C(1) << 32) - 1,
                              memory_order_release);
    atomic_store_explicit(&table->mask, UINT32_MAX >> __builtin_clz(at - 1),
                          memory_order_relaxed);
    empty_out(table, from);
    cut_pages(table);
}

/* -- the calls ---------------------------------------------------------- */

bool mtci_table_find(const mtci_table *table, mtc_slice key, uint64_t hash,
                     mtci_place *place)
{
    *place = first_place(table, (uint32_t)hash);
    mtci_bucket *bucket = place->bucket;
    for (; bucket; bucket = mtci_bucket_next(table, bucket)) {
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
    mtci_place first = first_place(table, entry->node.hash);
    if (place.bucket != first.bucket)
        trim(table, first.bucket);
    uint32_t count = count_of(table);
    if (count > MTCI_PAGE_BUCKETS &&
        table->entry_count < (size_t)FILL_MIN * count)
        join(table);
}

bool mtci_table_add(mtci_table *table, uint64_t hash, uint32_t ref)
{
    mtci_place place = first_place(table, (uint32_t)hash);
    if (!place_new(table, place.bucket, &place))
        return false;
    fill(&place, mtci_tag_of(hash), ref);
    table->entry_count++;
    if (table->entry_count > (size_t)FILL_MAX * count_of(table))
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
        for (; bucket; bucket = mtci_bucket_next(table, bucket)) {
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
