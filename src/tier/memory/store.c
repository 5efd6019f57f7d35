/*
 * Storing in the memory tier: an object from the heap, room made by evicting
 * if need be, then the entry in its shard. Any thread; see memory.h.
 */
#include "tier/memory/memory.h"

/* Larger entries are written before the shard's mutex is taken. */
#define LOCKED_SIZE_MAX 16384u

/* What is evicted at a time when the heap is full, so that the fence is paid
 * once for many: bytes of small budgets less, and never more entries. */
#define BATCH_BYTES 65536u
#define BATCH_PART  1024u
#define BATCH_COUNT 512u

/* Odd; neighbouring numbers times this differ in their high bits. */
#define SPREAD UINT64_C(0x9e3779b97f4a7c15)

/* -- making room -------------------------------------------------------- */

/* How many entries the shard can hold: by count, and by bytes as many as it
 * has now, or as would fit if the rest were like them. */
static uint64_t capacity_locked(const mtci_memory *memory,
                                const mtci_shard *shard)
{
    uint64_t count = shard->table.entry_count + 1;
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

/* Evicts from a shard and gives back what can be; false: it was empty. */
static bool empty_some(mtci_memory *memory, mtci_shard *shard, size_t bytes)
{
    pthread_mutex_lock(&shard->mutex);
    uint32_t retired = shard->retired.count;
    mtci_shard_free_locked(shard);
    bool has_freed = shard->retired.count < retired;
    size_t evicted = 0;
    if (!has_freed) {
        evicted = mtci_shard_evict_locked(shard, bytes, BATCH_COUNT,
                                          capacity_locked(memory, shard));
        mtci_shard_free_locked(shard);
    }
    mtci_magazine_flush(memory->pool->heap, &shard->magazine);
    pthread_mutex_unlock(&shard->mutex);
    return has_freed || evicted > 0;
}

/* Makes room for an object. False: nothing is left to evict. */
static bool make_room(mtci_memory *memory, size_t size)
{
    uint64_t part = mtci_heap_budget(memory->pool->heap) / BATCH_PART;
    size_t bytes = part < BATCH_BYTES ? (size_t)part : BATCH_BYTES;
    if (bytes < size)
        bytes = size;
    atomic_store_explicit(&memory->is_full, true, memory_order_relaxed);
    if (empty_some(memory, fuller_of_two(memory), bytes))
        return true;
    for (size_t i = 0; i < memory->shard_count; i++) {
        if (empty_some(memory, &memory->shards[i], bytes))
            return true;
    }
    return false;
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

/* An object for the entry; the mutex is free meanwhile if room has to be
 * made. 0: there is none. */
static uint32_t take_locked(mtci_memory *memory, mtci_shard *shard, size_t size)
{
    for (;;) {
        uint32_t ref =
            mtci_heap_take(memory->pool->heap, &shard->magazine, size);
        if (ref)
            return ref;
        pthread_mutex_unlock(&shard->mutex);
        bool has_room = make_room(memory, size);
        pthread_mutex_lock(&shard->mutex);
        /* Without anything to evict, magazines were emptied all the same. */
        if (!has_room)
            return mtci_heap_take(memory->pool->heap, &shard->magazine, size);
    }
}

static void fill_locked(mtci_memory *memory, mtci_shard *shard, uint32_t ref,
                        const mtc_request *request)
{
    mtci_entry *entry = mtci_pool_entry(memory->pool, ref);
    bool is_large = request->value.size > LOCKED_SIZE_MAX;
    if (is_large)
        pthread_mutex_unlock(&shard->mutex);
    mtci_entry_fill(entry, request);
    if (is_large)
        pthread_mutex_lock(&shard->mutex);
}

static bool store_locked(mtci_memory *memory, mtci_shard *shard,
                         const mtc_request *request)
{
    size_t size = mtci_entry_size(request);
    uint32_t ref = take_locked(memory, shard, size);
    if (!ref)
        return false;
    fill_locked(memory, shard, ref, request);
    while (!mtci_shard_put_locked(shard, ref, request->hash,
                                  capacity_locked(memory, shard))) {
        pthread_mutex_unlock(&shard->mutex);
        bool has_room = make_room(memory, size);
        pthread_mutex_lock(&shard->mutex);
        if (!has_room) {
            mtci_heap_give(memory->pool->heap, &shard->magazine, ref);
            return false;
        }
    }
    return true;
}

mtc_status mtci_memory_store(mtci_memory *memory, const mtc_request *request)
{
    mtci_shard *shard = mtci_memory_shard(memory, request->hash);
    uint64_t size_max = mtci_heap_object_max(memory->pool->heap);
    bool is_stored = mtci_entry_size(request) <= size_max &&
                     request->weight <= shard->limits.weight_max;
    pthread_mutex_lock(&shard->mutex);
    if (is_stored)
        is_stored = store_locked(memory, shard, request);
    if (!is_stored)
        mtci_shard_remove_locked(shard, request->key, request->hash);
    mtci_shard_tidy_locked(shard);
    pthread_mutex_unlock(&shard->mutex);
    return is_stored ? MTC_OK : MTC_PARTIAL;
}

void mtci_memory_remove(mtci_memory *memory, const mtc_request *request)
{
    mtci_shard *shard = mtci_memory_shard(memory, request->hash);
    pthread_mutex_lock(&shard->mutex);
    mtci_shard_remove_locked(shard, request->key, request->hash);
    mtci_shard_tidy_locked(shard);
    pthread_mutex_unlock(&shard->mutex);
}
