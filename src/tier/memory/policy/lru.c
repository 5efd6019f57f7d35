/*
 * LRU, exact: the one that was not asked for the longest leaves.
 *
 * It wants to know every hit in its order, so each hit takes the mutex of its
 * shard. For comparison, and for those who need just this.
 */
#include <stdlib.h>

#include "tier/memory/policy/policy.h"

typedef struct lru_shared {
    mtci_policy_shared base;
    mtci_nodes nodes;
} lru_shared;

struct mtci_policy {
    mtci_nodes nodes;
    mtci_queue queue;
};

static mtci_policy_shared *lru_open(const mtci_policy_env *env)
{
    lru_shared *shared = calloc(1, sizeof(*shared));
    if (!shared)
        return NULL;
    shared->nodes = env->nodes;
    atomic_init(&shared->base.sample_mask, UINT64_MAX);
    return &shared->base;
}

static void lru_close(mtci_policy_shared *shared)
{
    free(shared);
}

static mtci_policy *lru_shard_open(mtci_policy_shared *shared, size_t index)
{
    (void)index;
    mtci_policy *policy = calloc(1, sizeof(*policy));
    if (policy)
        policy->nodes = ((lru_shared *)shared)->nodes;
    return policy;
}

static void lru_shard_close(mtci_policy *policy)
{
    free(policy);
}

static void lru_add(mtci_policy *policy, uint32_t ref, uint64_t hash,
                    uint64_t capacity)
{
    (void)hash;
    (void)capacity;
    mtci_queue_add(&policy->queue, policy->nodes, ref);
}

static void lru_drop(mtci_policy *policy, uint32_t ref)
{
    mtci_queue_drop(&policy->queue, policy->nodes, ref);
}

static void lru_hit(mtci_policy *policy, uint32_t ref)
{
    lru_drop(policy, ref);
    mtci_queue_add(&policy->queue, policy->nodes, ref);
}

static void lru_swap(mtci_policy *policy, uint32_t old, uint32_t ref)
{
    lru_drop(policy, old);
    mtci_queue_add(&policy->queue, policy->nodes, ref);
}

static uint32_t lru_evict(mtci_policy *policy, uint64_t capacity)
{
    (void)capacity;
    uint32_t ref = policy->queue.oldest;
    if (ref)
        lru_drop(policy, ref);
    return ref;
}

const mtci_policy_ops mtci_policy_lru = {
    .name = "lru",
    .open = lru_open,
    .close = lru_close,
    .shard_open = lru_shard_open,
    .shard_close = lru_shard_close,
    .add = lru_add,
    .drop = lru_drop,
    .swap = lru_swap,
    .evict = lru_evict,
    .hit = lru_hit,
};
