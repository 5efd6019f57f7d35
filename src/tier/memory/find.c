/*
 * Finding in the memory tier: without a lock and by a pin if that can be, by
 * count otherwise. Any thread; see memory.h.
 */
#include "tier/memory/memory.h"

/* Keys whose entries are fetched at the same time. */
#define EXPECT_CHUNK 16u

/* The key's entry, counted: for a thread that has no pin left. */
static mtci_entry *find_counted(mtci_shard *shard, mtc_slice key, uint64_t hash)
{
    mtci_place place;
    mtci_entry *entry = NULL;
    pthread_mutex_lock(&shard->mutex);
    if (mtci_table_find(&shard->table, key, hash, &place)) {
        entry = mtci_pool_entry(
            shard->pool, atomic_load_explicit(&place.bucket->refs[place.index],
                                              memory_order_relaxed));
        if (!mtci_entry_hold(entry))
            entry = NULL;
    }
    pthread_mutex_unlock(&shard->mutex);
    return entry;
}

/* What an entry is at now_ms: MTC_OK, MTC_STALE, MTC_ABSENT or MTC_MISS. */
static mtc_status judge(const mtci_entry *entry, uint64_t end, int64_t now_ms)
{
    int64_t left_ms = mtci_end_left_ms(end, now_ms);
    const mtci_extra *extra = mtci_entry_extra(entry, end & ~MTCI_END_MASK);
    if (left_ms <= 0)
        return MTC_MISS;
    if (!extra)
        return MTC_OK;
    bool is_stale = left_ms <= extra->window_ms || (end & MTCI_ENTRY_EXPIRED);
    if (extra->kind == MTC_KIND_VALUE)
        return is_stale ? MTC_STALE : MTC_OK;
    /* A negative entry past its soft end says nothing, and neither does a
     * lease. */
    return extra->kind == MTC_KIND_ABSENT && !is_stale ? MTC_ABSENT : MTC_MISS;
}

/* Counts a hit for the policy, which knows no negative entries; true: it is
 * one of those that are sampled. */
static inline bool note_hit(const mtci_memory *memory, mtci_entry *entry,
                            uint64_t hash)
{
    uint8_t hits =
        atomic_load_explicit(&entry->node.hits, memory_order_relaxed);
    if (hits < MTCI_HITS_MAX)
        atomic_store_explicit(&entry->node.hits, (uint8_t)(hits + 1),
                              memory_order_relaxed);
    uint64_t mask = atomic_load_explicit(&memory->shared->sample_mask,
                                         memory_order_relaxed);
    return __builtin_expect((hash & mask) == 0, 0);
}

static __attribute__((noinline)) mtc_status
sample_hit(const mtci_memory *memory, uint64_t hash)
{
    if (memory->policy->sample)
        memory->policy->sample(memory->shared, hash);
    return MTC_OK;
}

/* A policy that wants every hit in its order gets it under the mutex. */
static void tell_hit(const mtci_memory *memory, mtc_slice key, uint64_t hash)
{
    mtci_place place;
    mtci_shard *shard = mtci_memory_shard(memory, hash);
    pthread_mutex_lock(&shard->mutex);
    if (mtci_table_find(&shard->table, key, hash, &place)) {
        uint32_t ref = atomic_load_explicit(&place.bucket->refs[place.index],
                                            memory_order_relaxed);
        if (!mtci_entry_is_absent(mtci_pool_entry(shard->pool, ref)))
            memory->policy->hit(shard->policy, ref);
    }
    pthread_mutex_unlock(&shard->mutex);
}

static void value_of(const mtci_entry *entry, mtc_value *out)
{
    out->data = mtci_entry_value(mtci_entry_key(entry));
    out->size = entry->value_size;
}

/* A hit of a thread without a free pin is counted in place of pinned. */
static mtc_status find_slowly(mtci_memory *memory, mtc_slice key, uint64_t hash,
                              int64_t now_ms, mtc_value *out)
{
    mtci_entry *entry =
        find_counted(mtci_memory_shard(memory, hash), key, hash);
    if (!entry)
        return MTC_MISS;
    *out = (mtc_value){NULL, 0, &memory->pool->counted, entry};
    value_of(entry, out);
    mtc_status status =
        judge(entry, atomic_load_explicit(&entry->end, memory_order_relaxed),
              now_ms);
    if (status == MTC_MISS)
        mtc_value_free(out);
    else if (status != MTC_ABSENT && note_hit(memory, entry, hash))
        sample_hit(memory, hash);
    return status;
}

/* Hands out an entry that is pinned in the free slot. */
static inline void give_pinned(const mtci_memory *memory, mtci_entry *entry,
                               mtci_pins *pins, unsigned slot, mtc_value *out)
{
    mtci_pin_keep(pins);
    out->ops = &memory->pool->pinned;
    out->owner = &pins->at[slot];
    value_of(entry, out);
}

/* Any entry, wherever it is. */
static __attribute__((noinline)) mtc_status
find_any(mtci_memory *memory, mtc_slice key, uint64_t hash, int64_t now_ms,
         mtc_value *out)
{
    unsigned slot;
    mtci_shard *shard = mtci_memory_shard(memory, hash);
    mtci_pins *pins = mtci_pins_here();
    if (!pins || !mtci_pins_slot(pins, &slot))
        return find_slowly(memory, key, hash, now_ms, out);
    mtci_entry *entry = mtci_table_pin(&shard->table, key, hash, pins, slot);
    if (!entry)
        return MTC_MISS;
    uint64_t end = atomic_load_explicit(&entry->end, memory_order_relaxed);
    mtc_status status = judge(entry, end, now_ms);
    if (status == MTC_MISS) {
        mtci_pin_clear(pins, slot);
        return MTC_MISS;
    }
    if (status != MTC_ABSENT && note_hit(memory, entry, hash))
        sample_hit(memory, hash);
    if (memory->policy->hit)
        tell_hit(memory, key, hash);
    give_pinned(memory, entry, pins, slot, out);
    return status;
}

/* Most hits are plain values under short keys; all else is found the longer
 * way. Nothing but the last thing that this does is a call, so that no
 * register need be saved. */
mtc_status mtci_memory_find(mtc_tier *tier, mtc_slice key, uint64_t hash,
                            int64_t now_ms, mtc_value *out)
{
    mtci_memory *memory = (mtci_memory *)tier;
    mtci_pins *pins = mtci_self.pins;
    if (__builtin_expect(!pins || !pins->free, 0))
        return find_any(memory, key, hash, now_ms, out);
    unsigned slot = (unsigned)__builtin_ctzll(pins->free);
    const mtci_table *table = &mtci_memory_shard(memory, hash)->table;
    mtci_entry *entry = mtci_table_pin_first(table, key, hash, pins, slot);
    if (__builtin_expect(!entry, 0))
        return find_any(memory, key, hash, now_ms, out);
    uint64_t end = atomic_load_explicit(&entry->end, memory_order_relaxed);
    if (__builtin_expect(end > MTCI_END_MASK || (int64_t)end <= now_ms, 0))
        return find_any(memory, key, hash, now_ms, out);
    mtci_pin_keep(pins);
    size_t value_at = (MTCI_KEY_AT + key.size + 7) & ~(size_t)7;
    out->data = (const char *)entry + value_at;
    out->size = entry->value_size;
    out->ops = &memory->pool->pinned;
    out->owner = &pins->at[slot];
    return note_hit(memory, entry, hash) ? sample_hit(memory, hash) : MTC_OK;
}

/* For a policy that is told of every hit. */
mtc_status mtci_memory_find_exact(mtc_tier *tier, mtc_slice key, uint64_t hash,
                                  int64_t now_ms, mtc_value *out)
{
    return find_any((mtci_memory *)tier, key, hash, now_ms, out);
}

void mtci_memory_read(mtci_memory *memory, mtc_request *request)
{
    mtci_entry *entry = find_counted(mtci_memory_shard(memory, request->hash),
                                     request->key, request->hash);
    if (!entry) {
        mtc_request_complete(request, MTC_MISS, NULL);
        return;
    }
    mtc_value value = {NULL, 0, &memory->pool->counted, entry};
    value_of(entry, &value);
    mtci_entry_facts(entry, request->sent_ms, &request->facts);
    if (request->facts.left_ms <= 0) {
        mtc_value_free(&value);
        mtc_request_complete(request, MTC_MISS, NULL);
        return;
    }
    if (request->facts.kind != MTC_KIND_ABSENT &&
        note_hit(memory, entry, request->hash))
        sample_hit(memory, request->hash);
    request->value = value;
    mtc_request_complete(request, MTC_OK, NULL);
}

/* Fetches the buckets of a few keys, then, as they come, the entries. */
static void expect_some(const mtci_memory *memory, const uint64_t *hashes,
                        size_t count)
{
    mtci_bucket *buckets[EXPECT_CHUNK];
    for (size_t i = 0; i < count; i++) {
        const mtci_shard *shard = mtci_memory_shard(memory, hashes[i]);
        buckets[i] = mtci_table_bucket_of(&shard->table, hashes[i]);
        __builtin_prefetch(buckets[i]);
    }
    for (size_t i = 0; i < count; i++)
        mtci_table_expect_in(&memory->shards->table, buckets[i], hashes[i]);
}

void mtci_memory_expect(mtc_tier *tier, mtc_verb verb, const uint64_t *hashes,
                        size_t count)
{
    const mtci_memory *memory = (mtci_memory *)tier;
    for (size_t at = 0; verb == MTC_VERB_READ && at < count; at += EXPECT_CHUNK)
        expect_some(memory, hashes + at,
                    count - at < EXPECT_CHUNK ? count - at : EXPECT_CHUNK);
    for (size_t i = 0; verb != MTC_VERB_READ && i < count; i++)
        mtci_shard_expect(mtci_memory_shard(memory, hashes[i]), hashes[i]);
}
