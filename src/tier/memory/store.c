/*
 * Storing in the memory tier: an object from the heap, room made by evicting
 * if need be, then the entry in its shard. Any thread; see memory.h.
 */
#include "tier/memory/memory.h"

/* What is evicted at a time when the heap is full, so that the fence is paid
 * once for many: bytes of small budgets less, and never more entries. */
#define BATCH_BYTES 65536u
#define BATCH_PART  1024u
#define BATCH_COUNT 512u

/* Odd; neighbouring numbers times this differ in their high bits. */
#define SPREAD UINT64_C(0x9e3779b97f4a7c15)

/* -- making room -------------------------------------------------------- */

/* How many entries the policy of the shard can hold: by count, and by bytes as
 * many as it has now, or as would fit if the rest were like them. */
static uint64_t capacity_locked(const mtci_memory *memory,
                                const mtci_shard *shard)
{
    uint64_t count = shard->table.entry_count - shard->absent.count + 1;
    if (!atomic_load_explicit(&memory->is_full, memory_order_relaxed)) {
        const mtci_heap *heap = memory->pool->heap;
        double part = (double)mtci_heap_budget(heap) /
                      (double)(mtci_heap_committed(heap) + 1);
        count = (uint64_t)((double)count * part) + 1;
    }
    return count < shard->limits.entries_max ? count
                                             : shard->limits.entries_max;
}

/* Of two shards the fuller one, so that all stay about equally full. */
static mtci_shard *fuller_of_two(mtci_memory *memory)
{
    uint64_t turn =
        atomic_fetch_add_explicit(&memory->evict_next, 1, memory_order_relaxed);
    mtci_shard *one = &memory->shards[turn & (memory->shard_count - 1)];
    mtci_shard *other = mtci_memory_shard(memory, turn * SPREAD);
    size_t one_bytes = atomic_load_explicit(&one->bytes, memory_order_relaxed);
    size_t other_bytes =
        atomic_load_explicit(&other->bytes, memory_order_relaxed);
    return one_bytes >= other_bytes ? one : other;
}

/* Evicts from a shard; false: it was empty. */
static bool evict_some(mtci_memory *memory, mtci_shard *shard, size_t bytes)
{
    pthread_mutex_lock(&shard->mutex);
    size_t evicted = mtci_shard_evict_locked(shard, bytes, BATCH_COUNT,
                                             capacity_locked(memory, shard));
    pthread_mutex_unlock(&shard->mutex);
    return evicted > 0;
}

/* What other threads have in limbo, then what any shard has. */
static bool find_room(mtci_memory *memory, size_t bytes)
{
    bool has_freed = false;
    for (size_t i = 0; i < memory->limbos.count; i++)
        has_freed |= mtci_limbo_empty(&memory->limbos.all[i]);
    for (size_t i = 0; i < memory->shard_count && !has_freed; i++)
        has_freed = evict_some(memory, &memory->shards[i], bytes);
    return has_freed;
}

/* Makes room for an object: in the heap if this thread's limbo has something
 * to give, else by evicting; small objects then are in its stock. False:
 * nothing is left to evict. */
static bool make_room(mtci_memory *memory, size_t size)
{
    const mtci_heap *heap = memory->pool->heap;
    mtci_limbo *limbo = mtci_limbo_here(&memory->limbos);
    uint64_t part = mtci_heap_budget(heap) / BATCH_PART;
    size_t bytes = part < BATCH_BYTES ? (size_t)part : BATCH_BYTES;
    if (bytes < size)
        bytes = size;
    atomic_store_explicit(&memory->is_full, true, memory_order_relaxed);
    if (mtci_limbo_empty(limbo))
        return true;
    bool has_room = evict_some(memory, fuller_of_two(memory), bytes) ||
                    find_room(memory, bytes);
    if (mtci_heap_class(heap, size) == MTCI_CLASS_RUN)
        mtci_limbo_empty(limbo);
    else
        mtci_limbo_turn(limbo);
    return has_room;
}

void mtci_memory_shrink(mtci_memory *memory)
{
    mtci_heap *heap = memory->pool->heap;
    while (mtci_heap_committed(heap) > mtci_heap_budget(heap)) {
        if (!make_room(memory, BATCH_BYTES))
            return;
        /* What has become free goes to the kernel. */
        mtci_heap_resize(heap, mtci_heap_budget(heap));
    }
}

/* -- storing ------------------------------------------------------------ */

/* An object for an entry; 0: there is no room for it. */
static uint32_t take(mtci_memory *memory, size_t size)
{
    unsigned class = mtci_heap_class(memory->pool->heap, size);
    mtci_limbo *limbo = mtci_limbo_here(&memory->limbos);
    for (;;) {
        uint32_t ref = mtci_limbo_take(limbo, class, size);
        if (ref)
            return ref;
        /* Without anything to evict, limbos were emptied all the same. */
        if (!make_room(memory, size))
            return mtci_limbo_take(limbo, class, size);
    }
}

/* The mutex is free meanwhile if the table has no room. */
static bool put_locked(mtci_memory *memory, mtci_shard *shard, uint32_t ref,
                       const mtc_request *request)
{
    while (!mtci_shard_put_locked(shard, ref, request->hash,
                                  capacity_locked(memory, shard))) {
        pthread_mutex_unlock(&shard->mutex);
        bool has_room = make_room(memory, MTCI_PAGE_BYTES);
        pthread_mutex_lock(&shard->mutex);
        if (!has_room)
            return false;
    }
    return true;
}

/* A filled object for the entry of a request; 0: it cannot be stored. */
static uint32_t entry_new(mtci_memory *memory, const mtci_shard *shard,
                          const mtc_request *request)
{
    size_t size = mtci_entry_size(request);
    if (size > mtci_heap_object_max(memory->pool->heap) ||
        request->weight > shard->limits.weight_max)
        return 0;
    uint32_t ref = take(memory, size);
    if (ref)
        mtci_entry_fill(mtci_pool_entry(memory->pool, ref), request);
    return ref;
}

/* What a loader found unchanged is stored with its own bytes: nothing is
 * copied then. */
static bool renew(const mtci_memory *memory, mtci_shard *shard,
                  const mtc_request *request)
{
    if (!mtci_heap_has(memory->pool->heap, request->value.data))
        return false;
    pthread_mutex_lock(&shard->mutex);
    bool is_renewed = mtci_shard_renew_locked(shard, request);
    pthread_mutex_unlock(&shard->mutex);
    return is_renewed;
}

mtc_status mtci_memory_store(mtci_memory *memory, const mtc_request *request)
{
    mtci_shard *shard = mtci_memory_shard(memory, request->hash);
    if (renew(memory, shard, request))
        return MTC_OK;
    mtci_bucket *bucket = mtci_table_bucket_of(&shard->table, request->hash);
    mtci_table_expect_in(&shard->table, bucket, request->hash);
    uint32_t ref = entry_new(memory, shard, request);
    uint32_t guess = mtci_bucket_guess(bucket, request->hash);
    if (guess)
        mtci_shard_expect_swap(shard, guess);
    pthread_mutex_lock(&shard->mutex);
    bool is_stored = ref && put_locked(memory, shard, ref, request);
    if (!is_stored)
        mtci_shard_remove_locked(shard, request->key, request->hash);
    pthread_mutex_unlock(&shard->mutex);
    if (ref && !is_stored)
        mtci_heap_give(memory->pool->heap, ref);
    mtci_limbo_tidy(mtci_limbo_here(&memory->limbos));
    return is_stored ? MTC_OK : MTC_PARTIAL;
}

void mtci_memory_remove(mtci_memory *memory, const mtc_request *request)
{
    mtci_shard *shard = mtci_memory_shard(memory, request->hash);
    pthread_mutex_lock(&shard->mutex);
    mtci_shard_remove_locked(shard, request->key, request->hash);
    pthread_mutex_unlock(&shard->mutex);
    mtci_limbo_tidy(mtci_limbo_here(&memory->limbos));
}
