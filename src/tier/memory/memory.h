/*
 * The memory tier: shards over one heap.
 *
 * It owns the shards, the policy's shared state and one use of the pool. It
 * answers at once, inside submit or find, on whatever thread calls. A read
 * takes no lock; a change takes the mutex of one shard, and of others one at
 * a time to make room.
 */
#ifndef MTCI_TIER_MEMORY_MEMORY_H
#define MTCI_TIER_MEMORY_MEMORY_H

#include "tier/memory/shard.h"

typedef struct mtci_memory {
    mtc_tier base;
    unsigned shard_shift; /* the top bits of the hash choose the shard */
    size_t shard_count;   /* a power of two */
    mtci_shard *shards;
    mtci_pool *pool;
    mtci_limbos limbos;
    const mtci_policy_ops *policy;
    mtci_policy_shared *shared;
    const mtc_tier_host *host;
    uint64_t fixed_bytes;        /* of the budget, beside the heap */
    _Atomic bool is_full;        /* had to make room since it was resized */
    _Atomic uint64_t evict_next; /* counts the choices of a shard */
} mtci_memory;

static inline mtci_shard *mtci_memory_shard(const mtci_memory *memory,
                                            uint64_t hash)
{
    /* In two steps: with one shard the shift would be 64. */
    return &memory->shards[hash >> memory->shard_shift >> 1];
}

/* As find, expect and submit of the contract; read completes the request. */
mtc_status mtci_memory_find(mtc_tier *tier, mtc_slice key, uint64_t hash,
                            int64_t now_ms, mtc_value *out);
void mtci_memory_expect(mtc_tier *tier, mtc_verb verb, const uint64_t *hashes,
                        size_t count);
void mtci_memory_read(mtci_memory *memory, mtc_request *request);

/* As find, for a policy that is told of every hit. */
mtc_status mtci_memory_find_exact(mtc_tier *tier, mtc_slice key, uint64_t hash,
                                  int64_t now_ms, mtc_value *out);

/* Stores an entry. MTC_OK; MTC_PARTIAL: no room, and the key is gone. */
mtc_status mtci_memory_store(mtci_memory *memory, const mtc_request *request);

/* Takes a key away. */
void mtci_memory_remove(mtci_memory *memory, const mtc_request *request);

/* Evicts until the heap is within its budget. */
void mtci_memory_shrink(mtci_memory *memory);

#endif
