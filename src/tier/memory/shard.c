/*
 * One shard of the memory tier; see shard.h.
 */
#include "tier/memory/shard.h"

#include <stdlib.h>

/* Retired entries that are freed together: the fence is paid once for all. */
#define RETIRED_COUNT_MAX 1024u

static mtci_entry *entry_of(const mtci_shard *shard, uint32_t ref)
{
    return mtci_pool_entry(shard->pool, ref);
}

static uint32_t weight_of(const mtci_entry *entry)
{
    const mtci_extra *extra = mtci_entry_extra(entry, mtci_entry_flags(entry));
    return extra ? extra->weight : 0;
}

/* -- beginning and end -------------------------------------------------- */

mtc_status mtci_shard_init(mtci_shard *shard, mtci_pool *pool,
                           mtci_policy *policy, const mtci_policy_ops *ops,
                           const mtci_limits *limits)
{
    *shard = (mtci_shard){.pool = pool, .ops = ops, .limits = *limits};
    pthread_mutex_init(&shard->mutex, NULL);
    mtci_wheel_init(&shard->wheel, pool->heap->arena.base,
                    pool->heap->arena.shift, offsetof(mtci_entry, link),
                    offsetof(mtci_entry, end));
    shard->policy = policy;
    if (!policy || !mtci_table_init(&shard->table, pool->heap))
        return MTC_E_NO_MEMORY;
    return MTC_OK;
}

static void retire_all(mtci_shard *shard)
{
    while (shard->table.entry_count > 0 &&
           mtci_shard_evict_locked(shard, SIZE_MAX, SIZE_MAX,
                                   shard->table.entry_count) > 0)
        ;
}

void mtci_shard_fini(mtci_shard *shard, mtci_retired *left)
{
    if (!shard->pool)
        return;
    shard->has_listener = false;
    if (shard->policy) {
        retire_all(shard);
        shard->ops->shard_close(shard->policy);
    }
    mtci_shard_free_locked(shard);
    mtci_retired_move(left, shard->pool, &shard->retired);
    mtci_notices_free(&shard->notices);
    pthread_mutex_destroy(&shard->mutex);
    shard->pool = NULL;
}

/* -- leaving ------------------------------------------------------------ */

/* The entry can be found no longer: accounts, tells, retires. */
static void gone(mtci_shard *shard, uint32_t ref, mtc_eviction cause)
{
    const mtci_entry *entry = entry_of(shard, ref);
    size_t size = mtci_heap_object_size(shard->pool->heap, ref);
    mtci_wheel_drop(&shard->wheel, ref);
    atomic_fetch_sub_explicit(&shard->bytes, size, memory_order_relaxed);
    shard->weight -= weight_of(entry);
    shard->evicted[cause]++;
    if (shard->has_listener) {
        atomic_store_explicit(&shard->has_notices, true, memory_order_relaxed);
        mtc_slice key = mtci_entry_key(entry);
        mtci_notices_add(&shard->notices, key,
                         mtc_bytes(mtci_entry_value(key), entry->value_size),
                         cause);
    }
    mtci_retired_add(&shard->retired, shard->pool, ref);
}

/* Takes an entry out of table and queues. */
static void leave(mtci_shard *shard, uint32_t ref, mtc_eviction cause)
{
    mtci_table_drop(&shard->table, ref);
    shard->ops->drop(shard->policy, ref);
    gone(shard, ref, cause);
}

/* One makes room; 0: there is none. */
static uint32_t evict_one(mtci_shard *shard, uint64_t capacity)
{
    uint32_t ref = shard->ops->evict(shard->policy, capacity);
    if (!ref)
        return 0;
    mtci_table_drop(&shard->table, ref);
    gone(shard, ref, MTC_EVICTED_SIZE);
    return ref;
}

size_t mtci_shard_evict_locked(mtci_shard *shard, size_t bytes, size_t count,
                               uint64_t capacity)
{
    size_t so_far = 0;
    size_t evicted = 0;
    while (so_far < bytes && evicted < count) {
        uint32_t ref = evict_one(shard, capacity);
        if (!ref)
            break;
        so_far += mtci_heap_object_size(shard->pool->heap, ref);
        evicted++;
    }
    return evicted;
}

void mtci_shard_free_locked(mtci_shard *shard)
{
    mtci_retired_free(&shard->retired, shard->pool, &shard->magazine);
    shard->pinned_count = shard->retired.count;
    shard->pinned_bytes = shard->retired.bytes;
}

void mtci_shard_tidy_locked(mtci_shard *shard)
{
    /* What was pinned the last time is not looked at again for itself: values
     * may be held for long. */
    if (shard->retired.count - shard->pinned_count >= RETIRED_COUNT_MAX ||
        shard->retired.bytes - shard->pinned_bytes > shard->limits.retired_max)
        mtci_shard_free_locked(shard);
}

/* -- coming ------------------------------------------------------------- */

static void arrive(mtci_shard *shard, uint32_t ref)
{
    size_t size = mtci_heap_object_size(shard->pool->heap, ref);
    atomic_fetch_add_explicit(&shard->bytes, size, memory_order_relaxed);
    shard->weight += weight_of(entry_of(shard, ref));
    mtci_wheel_add(&shard->wheel, ref);
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

bool mtci_shard_put_locked(mtci_shard *shard, uint32_t ref, uint64_t hash,
                           uint64_t capacity)
{
    mtci_place place;
    const mtci_entry *entry = entry_of(shard, ref);
    mtc_slice key = mtci_entry_key(entry);
    if (mtci_table_find(&shard->table, key, hash, &place)) {
        uint32_t old = atomic_load_explicit(&place.bucket->refs[place.index],
                                            memory_order_relaxed);
        mtci_table_swap(&place, ref);
        shard->ops->swap(shard->policy, old, ref);
        gone(shard, old, MTC_EVICTED_REPLACED);
        arrive(shard, ref);
        keep_limits(shard, 0, 0, capacity);
        return true;
    }
    keep_limits(shard, 1, weight_of(entry), capacity);
    if (!mtci_table_add(&shard->table, hash, ref))
        return false;
    shard->ops->add(shard->policy, ref, hash, capacity);
    arrive(shard, ref);
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

void mtci_shard_expire_locked(mtci_shard *shard, mtc_slice key, uint64_t hash,
                              int64_t now_ms)
{
    uint32_t ref = find(shard, key, hash);
    if (!ref)
        return;
    mtc_facts facts;
    mtci_entry *entry = entry_of(shard, ref);
    mtci_entry_facts(entry, now_ms, &facts);
    int64_t left_ms = facts.left_ms;
    if (left_ms > facts.window_ms) {
        left_ms = facts.window_ms;
        mtci_wheel_drop(&shard->wheel, ref);
        atomic_store_explicit(&entry->end,
                              mtci_entry_flags(entry) |
                                  (uint64_t)(now_ms + left_ms),
                              memory_order_relaxed);
        mtci_wheel_add(&shard->wheel, ref);
    }
    if (left_ms <= 0)
        leave(shard, ref, MTC_EVICTED_EXPIRED);
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
