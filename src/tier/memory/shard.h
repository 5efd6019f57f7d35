/*
 * One shard of the memory tier: table, queues of the policy, wheel.
 *
 * Negative entries have a queue and a share of the budget of their own, so
 * that a flood of unknown keys evicts no values: beyond the share the oldest
 * leave.
 *
 * Readers find and pin entries without a lock. Whoever changes anything holds
 * the mutex; two shards' mutexes are never held together. Inside it a limbo's
 * is taken, the heap's and the policy's, nothing else.
 */
#ifndef MTCI_TIER_MEMORY_SHARD_H
#define MTCI_TIER_MEMORY_SHARD_H

#include <pthread.h>

#include "tier/memory/limbo.h"
#include "tier/memory/notice.h"
#include "tier/memory/policy/policy.h"
#include "tier/memory/table.h"

#define MTCI_CAUSES 4u /* of mtc_eviction */

/* What a shard may hold beside its share of the heap, and negative entries of
 * that. */
typedef struct mtci_limits {
    uint64_t entries_max; /* UINT64_MAX: none */
    uint64_t weight_max;  /* UINT64_MAX: none */
    uint64_t bytes;       /* its share of the budget, when it is opened */
    double absent_share;  /* of negative entries: a part of its bytes, as the
                           * budget is now, and of entries_max */
    size_t shard_count;   /* that share the budget */
} mtci_limits;

typedef struct mtci_shard {
    _Alignas(64) mtci_table table;
    /* Guards all that follows, and the table against other writers. */
    _Alignas(64) pthread_mutex_t mutex;
    uint64_t evicted[MTCI_CAUSES];
    _Atomic size_t bytes; /* of linked entries; read without the mutex */
    uint64_t weight;
    mtci_pool *pool;
    const mtci_policy_ops *ops;
    mtci_policy *policy;
    mtci_queue absent; /* negative entries, which the policy never sees */
    size_t absent_bytes;
    mtci_limits limits;
    const mtci_limbos *limbos;
    mtci_notices notices;
    bool has_listener;
    _Atomic bool has_notices; /* read without the mutex */
    mtci_wheel wheel;
} mtci_shard;

/* Takes over the policy's object, which may be NULL: MTC_E_NO_MEMORY. MTC_OK.
 * fini is due in either case. */
mtc_status mtci_shard_init(mtci_shard *shard, const mtci_limbos *limbos,
                           mtci_policy *policy, const mtci_policy_ops *ops,
                           const mtci_limits *limits);

/* Puts every entry into limbo. A zeroed shard is valid. */
void mtci_shard_fini(mtci_shard *shard);

/* Publishes an entry that was filled, in place of what its key had, and lets
 * others leave that are too many: for a negative entry older ones, as soon as
 * the next would be beyond their share. capacity as in policy.h. False: no
 * room in the table, and the entry is still the caller's. */
bool mtci_shard_put_locked(mtci_shard *shard, uint32_t ref, uint64_t hash,
                           uint64_t capacity);

/* A key will be changed: fetches what every change touches. Needs no mutex. */
static inline void mtci_shard_expect(const mtci_shard *shard, uint64_t hash)
{
    __builtin_prefetch(&shard->mutex, 1);
    __builtin_prefetch(mtci_table_bucket_of(&shard->table, hash), 1);
}

/* The entry that the key may have will leave its lists, which writes to those
 * beside it: fetches them. Needs no mutex: what it reads may be of another
 * entry, or half written, and is only a guess. */
__attribute__((no_sanitize("thread", "address"))) static inline void
mtci_shard_expect_swap(const mtci_shard *shard, uint32_t guess)
{
    const mtci_heap *heap = shard->pool->heap;
    const mtci_entry *entry = mtci_heap_at(heap, guess);
    __builtin_prefetch(mtci_heap_at(heap, entry->node.newer), 1);
    __builtin_prefetch(mtci_heap_at(heap, entry->node.older), 1);
    __builtin_prefetch(mtci_heap_at(heap, entry->link.next), 1);
    __builtin_prefetch(mtci_heap_at(heap, entry->link.prev), 1);
}

/* Takes a key away; true: it was there. */
bool mtci_shard_remove_locked(mtci_shard *shard, mtc_slice key, uint64_t hash);

/* Gives the key's entry the life of a request whose value is the entry's own,
 * in place, if nothing else of it differs. False: it has to be stored. */
bool mtci_shard_renew_locked(mtci_shard *shard, const mtc_request *request);

/* Cuts what is left of a key to its stale window, and marks it: it is stale
 * also for a reader whose time is behind now_ms, as that of hits can be. */
void mtci_shard_expire_locked(mtci_shard *shard, mtc_slice key, uint64_t hash,
                              int64_t now_ms);

/* Evicts entries of at least bytes in all, at most count; tells how many. */
size_t mtci_shard_evict_locked(mtci_shard *shard, size_t bytes, size_t count,
                               uint64_t capacity);

/* Drops what has expired, until *work is used up; true: there is more. */
bool mtci_shard_sweep_locked(mtci_shard *shard, int64_t now_ms, size_t *work);

#endif
