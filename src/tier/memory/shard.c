/*
 * One shard of the memory tier; see shard.h.
 */
#include "tier/memory/shard.h"

#include <stdlib.h>

#include "base/mutex.h"

/* Beyond their share negative entries leave down to a part of it, at most so
 * many at a time, so that the fence is paid once for many. */
#define TRIM_PART  0.875
#define TRIM_COUNT 512u

static mtci_entry *entry_of(const mtci_shard *shard, uint32_t ref)
{
    return mtci_pool_entry(shard->pool, ref);
}

static mtci_nodes nodes_of(const mtci_shard *shard)
{
    const mtci_heap *heap = shard->pool->heap;
    return (mtci_nodes){heap->arena.base, heap->arena.shift};
}

static uint32_t weight_of(const mtci_entry *entry)
{
    const mtci_extra *extra = mtci_entry_extra(entry, mtci_entry_flags(entry));
    return extra ? extra->weight : 0;
}

/* -- beginning and end -------------------------------------------------- */

mtc_status mtci_shard_init(mtci_shard *shard, const mtci_limbos *limbos,
                           mtci_policy *policy, const mtci_policy_ops *ops,
                           const mtci_limits *limits)
{
    mtci_pool *pool = limbos->all->pool;
    *shard = (mtci_shard){.limbos = limbos,
                          .pool = pool,
                          .ops = ops,
                          .limits = *limits};
    mtci_mutex_init(&shard->mutex);
    mtci_wheel_init(&shard->wheel, pool->heap->arena.base,
                    pool->heap->arena.shift, offsetof(mtci_entry, link),
                    offsetof(mtci_entry, end));
    shard->policy = policy;
    if (!policy || !mtci_table_init(&shard->table, pool->heap, limits->bytes))
        return MTC_E_NO_MEMORY;
    return MTC_OK;
}

/* -- leaving ------------------------------------------------------------ */

/* What the object of an entry occupies, and its class. */
static size_t size_of(const mtci_shard *shard, const mtci_entry *entry,
                      unsigned *class)
{
    const mtci_heap *heap = shard->pool->heap;
    size_t size = mtci_entry_bytes(entry);
    *class = mtci_heap_class(heap, size);
    return mtci_heap_size(heap, *class, size);
}

/* Bytes are read without the mutex and written with it. */
static void add_bytes(mtci_shard *shard, size_t size)
{
    size_t now = atomic_load_explicit(&shard->bytes, memory_order_relaxed);
    atomic_store_explicit(&shard->bytes, now + size, memory_order_relaxed);
}

/* The entry can be found no longer and is not the policy's: accounts, tells,
 * puts it into limbo. Tells what it occupied. */
static size_t gone(mtci_shard *shard, uint32_t ref, mtc_eviction cause)
{
    unsigned class;
    const mtci_entry *entry = entry_of(shard, ref);
    size_t size = size_of(shard, entry, &class);
    mtci_wheel_drop(&shard->wheel, ref);
    add_bytes(shard, (size_t)0 - size);
    shard->weight -= weight_of(entry);
    if (mtci_entry_is_absent(entry)) {
        mtci_queue_drop(&shard->absent, nodes_of(shard), ref);
        shard->absent_bytes -= size;
    }
    shard->evicted[cause]++;
    if (shard->has_listener) {
        atomic_store_explicit(&shard->has_notices, true, memory_order_relaxed);
        mtc_slice key = mtci_entry_key(entry);
        mtci_notices_add(&shard->notices, key,
                         mtc_bytes(mtci_entry_value(key), entry->value_size),
                         cause);
    }
    mtci_limbo_add(mtci_limbo_here(shard->limbos), ref, class, size);
    return size;
}

/* Takes an entry out of table and queues. */
static void leave(mtci_shard *shard, uint32_t ref, mtc_eviction cause)
{
    mtci_table_drop(&shard->table, ref);
    if (!mtci_entry_is_absent(entry_of(shard, ref)))
        shard->ops->drop(shard->policy, ref);
    gone(shard, ref, cause);
}

/* Whether negative entries, with so many bytes and entries more, are beyond a
 * part of their share. One is always within it. */
static bool is_beyond(const mtci_shard *shard, double part, size_t bytes,
                      size_t entries)
{
    size_t count = shard->absent.count + entries;
    if (count < 2)
        return false;
    const mtci_limits *limits = &shard->limits;
    double share = part * limits->absent_share;
    double budget = (double)mtci_heap_budget(shard->pool->heap) /
                    (double)limits->shard_count;
    return (double)(shard->absent_bytes + bytes) > share * budget ||
           (double)count > share * (double)limits->entries_max;
}

/* Who makes room, no longer in the policy; 0: there is none. */
static uint32_t choose(mtci_shard *shard, uint64_t capacity)
{
    if (is_beyond(shard, 1, 0, 0))
        return shard->absent.oldest;
    uint32_t ref = shard->ops->evict(shard->policy, capacity);
    return ref ? ref : shard->absent.oldest;
}

/* One makes room, and so much; 0: there is none. */
static size_t evict_one(mtci_shard *shard, uint64_t capacity)
{
    uint32_t ref = choose(shard, capacity);
    if (!ref)
        return 0;
    mtci_table_drop(&shard->table, ref);
    return gone(shard, ref, MTC_EVICTED_SIZE);
}

size_t mtci_shard_evict_locked(mtci_shard *shard, size_t bytes, size_t count,
                               uint64_t capacity)
{
    size_t so_far = 0;
    size_t evicted = 0;
    while (so_far < bytes && evicted < count) {
        size_t size = evict_one(shard, capacity);
        if (size == 0)
            break;
        so_far += size;
        evicted++;
    }
    return evicted;
}

/* -- coming ------------------------------------------------------------- */

static void count_in(mtci_shard *shard, uint32_t ref)
{
    unsigned class;
    const mtci_entry *entry = entry_of(shard, ref);
    size_t size = size_of(shard, entry, &class);
    add_bytes(shard, size);
    shard->weight += weight_of(entry);
    if (mtci_entry_is_absent(entry)) {
        mtci_queue_add(&shard->absent, nodes_of(shard), ref);
        shard->absent_bytes += size;
    }
}

/* Makes place for one more entry of that weight. */
static void keep_limits(mtci_shard *shard, uint64_t entries, uint32_t weight,
                        uint64_t capacity)
{
    while (shard->table.entry_count + entries > shard->limits.entries_max ||
           shard->weight + weight > shard->limits.weight_max) {
        if (!evict_one(shard, capacity))
            return;
    }
}

/* A negative entry came: older ones leave if another like it would be beyond
 * the share, so that the next store finds room that was theirs. */
static void keep_share(mtci_shard *shard, uint32_t ref)
{
    unsigned class;
    unsigned left = TRIM_COUNT;
    if (!is_beyond(shard, 1, size_of(shard, entry_of(shard, ref), &class), 1))
        return;
    while (left-- > 0 && shard->absent.oldest != ref &&
           is_beyond(shard, TRIM_PART, 0, 0))
        leave(shard, shard->absent.oldest, MTC_EVICTED_SIZE);
}

/* The policy sees values alone, and so a new one where a value takes the
 * place of a negative entry. */
static void swap_in_policy(mtci_shard *shard, uint32_t old, uint32_t ref,
                           uint64_t hash, uint64_t capacity)
{
    bool was_absent = mtci_entry_is_absent(entry_of(shard, old));
    bool is_absent = mtci_entry_is_absent(entry_of(shard, ref));
    if (!was_absent && !is_absent)
        shard->ops->swap(shard->policy, old, ref);
    else if (!was_absent)
        shard->ops->drop(shard->policy, old);
    else if (!is_absent)
        shard->ops->add(shard->policy, ref, hash, capacity);
}

static void swap(mtci_shard *shard, const mtci_place *place, uint32_t ref,
                 uint64_t hash, uint64_t capacity)
{
    uint32_t old = atomic_load_explicit(&place->bucket->refs[place->index],
                                        memory_order_relaxed);
    mtci_table_swap(place, ref);
    swap_in_policy(shard, old, ref, hash, capacity);
    mtci_wheel_swap(&shard->wheel, old, ref);
    gone(shard, old, MTC_EVICTED_REPLACED);
    count_in(shard, ref);
    keep_limits(shard, 0, 0, capacity);
}

static bool add(mtci_shard *shard, uint32_t ref, uint64_t hash,
                uint64_t capacity)
{
    const mtci_entry *entry = entry_of(shard, ref);
    bool is_absent = mtci_entry_is_absent(entry);
    if (shard->ops->expect && !is_absent)
        shard->ops->expect(shard->policy, hash);
    keep_limits(shard, 1, weight_of(entry), capacity);
    if (!mtci_table_add(&shard->table, hash, ref))
        return false;
    if (!is_absent)
        shard->ops->add(shard->policy, ref, hash, capacity);
    mtci_wheel_add(&shard->wheel, ref);
    count_in(shard, ref);
    return true;
}

bool mtci_shard_put_locked(mtci_shard *shard, uint32_t ref, uint64_t hash,
                           uint64_t capacity)
{
    mtci_place place;
    const mtci_entry *entry = entry_of(shard, ref);
    bool is_absent = mtci_entry_is_absent(entry);
    if (mtci_table_find(&shard->table, mtci_entry_key(entry), hash, &place))
        swap(shard, &place, ref, hash, capacity);
    else if (!add(shard, ref, hash, capacity))
        return false;
    if (is_absent)
        keep_share(shard, ref);
    return true;
}

/* -- changing ----------------------------------------------------------- */

static uint32_t find(const mtci_shard *shard, mtc_slice key, uint64_t hash)
{
    mtci_place place;
    if (!mtci_table_find(&shard->table, key, hash, &place))
        return 0;
    return atomic_load_explicit(&place.bucket->refs[place.index],
                                memory_order_relaxed);
}

bool mtci_shard_remove_locked(mtci_shard *shard, mtc_slice key, uint64_t hash)
{
    uint32_t ref = find(shard, key, hash);
    if (ref)
        leave(shard, ref, MTC_EVICTED_REMOVED);
    return ref != 0;
}

/* Ends an entry at another time; expired is MTCI_ENTRY_EXPIRED or 0. */
static void move_end(mtci_shard *shard, uint32_t ref, uint64_t end,
                     uint64_t expired)
{
    mtci_entry *entry = entry_of(shard, ref);
    uint64_t flags = mtci_entry_flags(entry) & ~MTCI_ENTRY_EXPIRED;
    mtci_wheel_drop(&shard->wheel, ref);
    atomic_store_explicit(&entry->end, flags | expired | end,
                          memory_order_relaxed);
    mtci_wheel_add(&shard->wheel, ref);
}

bool mtci_shard_renew_locked(mtci_shard *shard, const mtc_request *request)
{
    uint32_t ref = find(shard, request->key, request->hash);
    if (!ref || !mtci_entry_is_of(entry_of(shard, ref), request))
        return false;
    move_end(shard, ref,
             mtci_entry_end(request->sent_ms, request->facts.left_ms), 0);
    return true;
}

void mtci_shard_expire_locked(mtci_shard *shard, mtc_slice key, uint64_t hash,
                              int64_t now_ms)
{
    uint32_t ref = find(shard, key, hash);
    if (!ref)
        return;
    mtc_facts facts;
    mtci_entry_facts(entry_of(shard, ref), now_ms, &facts);
    int64_t left_ms = facts.left_ms;
    if (left_ms > facts.window_ms)
        left_ms = facts.window_ms;
    if (left_ms <= 0)
        leave(shard, ref, MTC_EVICTED_EXPIRED);
    else
        move_end(shard, ref, (uint64_t)(now_ms + left_ms), MTCI_ENTRY_EXPIRED);
}

bool mtci_shard_sweep_locked(mtci_shard *shard, int64_t now_ms, size_t *work)
{
    for (;;) {
        uint32_t ref = mtci_wheel_next(&shard->wheel, now_ms, work);
        if (!ref)
            return *work == 0;
        leave(shard, ref, MTC_EVICTED_EXPIRED);
    }
}

/* -- the end ------------------------------------------------------------ */

/* The tier ends: nobody looks into the table any more. */
static void retire_all(mtci_shard *shard)
{
    mtci_limbo *limbo = mtci_limbo_here(shard->limbos);
    uint32_t ref;
    while ((ref = choose(shard, shard->table.entry_count))) {
        gone(shard, ref, MTC_EVICTED_SIZE);
        mtci_limbo_tidy(limbo);
    }
}

void mtci_shard_fini(mtci_shard *shard)
{
    if (!shard->pool)
        return;
    shard->has_listener = false;
    if (shard->policy) {
        retire_all(shard);
        shard->ops->shard_close(shard->policy);
    }
    mtci_table_fini(&shard->table);
    mtci_notices_free(&shard->notices);
    pthread_mutex_destroy(&shard->mutex);
    shard->pool = NULL;
}
