/*
 * One shard of the memory tier: table, queues of the policy, wheel.
 *
 * Readers find and pin entries without a lock. Whoever changes anything holds
 * the mutex; two shards' mutexes are never held together. Inside it the
 * heap's locks and the policy's are taken, nothing else.
 */
#ifndef MTCI_TIER_MEMORY_SHARD_H
#define MTCI_TIER_MEMORY_SHARD_H

#include <pthread.h>

#include "tier/memory/notice.h"
#include "tier/memory/policy/policy.h"
#include "tier/memory/pool.h"
#include "tier/memory/table.h"

#define MTCI_CAUSES 4u /* of mtc_eviction */

/* What a shard may hold beside its share of the heap. */
typedef struct mtci_limits {
    uint64_t entries_max; /* UINT64_MAX: none */
    uint64_t weight_max;  /* UINT64_MAX: none */
    size_t retired_max;   /* bytes, before they are freed */
} mtci_limits;

typedef struct mtci_shard {
    _Alignas(64) mtci_table table;
    /* Guards all that follows, and the table against other writers. */
    _Alignas(64) pthread_mutex_t mutex;
    mtci_pool *pool;
    const mtci_policy_ops *ops;
    mtci_policy *policy;
    mtci_limits limits;
    mtci_retired retired;
    uint32_t pinned_count; /* of those, left when some were freed last */
    size_t pinned_bytes;
    mtci_notices notices;
    bool has_listener;
    _Atomic bool has_notices; /* read without the mutex */
    uint64_t weight;
    uint64_t evicted[MTCI_CAUSES];
    _Atomic size_t bytes; /* of linked entries; read without the mutex */
    mtci_magazine magazine;
    mtci_wheel wheel;
} mtci_shard;

/* Takes over the policy's object, which may be NULL: MTC_E_NO_MEMORY. MTC_OK.
 * fini is due in either case. */
mtc_status mtci_shard_init(mtci_shard *shard, mtci_pool *pool,
                           mtci_policy *policy, const mtci_policy_ops *ops,
                           const mtci_limits *limits);

/* Retires every entry and frees what is not pinned; the rest goes to left. A
 * zeroed shard is valid. */
void mtci_shard_fini(mtci_shard *shard, mtci_retired *left);

/* Publishes an entry that was filled, in place of what its key had, and lets
 * others leave that are too many. capacity as in policy.h. False: no room in
 * the table, and the entry is still the caller's. */
bool mtci_shard_put_locked(mtci_shard *shard, uint32_t ref, uint64_t hash,
                           uint64_t capacity);

/* Takes a key away; true: it was there. */
bool mtci_shard_remove_locked(mtci_shard *shard, mtc_slice key, uint64_t hash);

/* Cuts what is left of a key to its stale window. */
void mtci_shard_expire_locked(mtci_shard *shard, mtc_slice key, uint64_t hash,
                              int64_t now_ms);

/* Evicts entries of at least bytes in all, at most count; tells how many. */
size_t mtci_shard_evict_locked(mtci_shard *shard, size_t bytes, size_t count,
                               uint64_t capacity);

/* Drops what has expired, until *work is used up; true: there is more. */
bool mtci_shard_sweep_locked(mtci_shard *shard, int64_t now_ms, size_t *work);

/* Gives back what was retired, if it has become much. */
void mtci_shard_tidy_locked(mtci_shard *shard);

/* Gives back all that was retired and is not pinned. */
void mtci_shard_free_locked(mtci_shard *shard);

#endif
