/*
 * The common part of the policies of two queues; see queued.h.
 */
#include "tier/memory/policy/queued.h"

#include <stdlib.h>

#include "base/mutex.h"

/* Entries of a shard whose sketch is there from the beginning. */
#define SMALL 4096u

/* -- shared ------------------------------------------------------------- */

bool mtci_queued_init(mtci_queued *queued, const mtci_policy_env *env,
                      mtci_setup setup)
{
    queued->env = *env;
    queued->policies = calloc(env->shard_count, sizeof(*queued->policies));
    mtci_mutex_init(&queued->mutex);
    atomic_init(&queued->base.sample_mask, UINT64_MAX);
    atomic_init(&queued->rule, (uint32_t)setup.rule);
    atomic_init(&queued->window, setup.window);
    atomic_init(&queued->drains, 0);
    return queued->policies != NULL;
}

void mtci_queued_fini(mtci_queued *queued)
{
    pthread_mutex_destroy(&queued->mutex);
    free(queued->policies);
}

unsigned mtci_queued_estimate(void *ctx, const mtci_node *node)
{
    const mtci_queued *queued = ctx;
    const mtci_policy *policy = queued->policies[node->own];
    return policy ? mtci_sketch_estimate(&policy->sketch, node->hash) : 0;
}

/* -- a shard ------------------------------------------------------------ */

static unsigned estimate_own(void *ctx, const mtci_node *node)
{
    return mtci_sketch_estimate(ctx, node->hash);
}

mtci_policy *mtci_queued_shard_open(mtci_policy_shared *shared, size_t index)
{
    mtci_queued *queued = (mtci_queued *)shared;
    mtci_policy *policy = calloc(1, sizeof(*policy));
    if (!policy)
        return NULL;
    policy->shared = queued;
    policy->index = index;
    policy->queues = (mtci_queues){.nodes = queued->env.nodes,
                                   .estimate = estimate_own,
                                   .ctx = &policy->sketch,
                                   .sketch = &policy->sketch};
    pthread_mutex_lock(&queued->mutex);
    queued->policies[index] = policy;
    pthread_mutex_unlock(&queued->mutex);
    return policy;
}

static void room_free(const mtci_policy *policy, void *room, size_t size)
{
    const mtci_policy_env *env = &policy->shared->env;
    if (room)
        env->room_free(env->ctx, room, size);
}

void mtci_queued_shard_close(mtci_policy *policy)
{
    mtci_queued *queued = policy->shared;
    pthread_mutex_lock(&queued->mutex);
    queued->policies[policy->index] = NULL;
    pthread_mutex_unlock(&queued->mutex);
    room_free(policy, (void *)policy->sketch.words,
              mtci_sketch_size(policy->sketch_entries));
    room_free(policy, policy->queues.ghost.keys,
              mtci_ghost_size(policy->ghost_entries));
    free(policy);
}

static void sketch_grow(mtci_policy *policy, size_t entries)
{
    const mtci_policy_env *env = &policy->shared->env;
    mtci_sketch old = policy->sketch;
    size_t old_entries = policy->sketch_entries;
    if (old.words)
        entries = old_entries * 2;
    void *room = env->room_new(env->ctx, mtci_sketch_size(entries));
    if (!room)
        return;
    mtci_sketch sketch;
    mtci_sketch_init(&sketch, room, entries);
    if (old.words)
        mtci_sketch_widen(&sketch, &old);
    pthread_mutex_lock(&policy->shared->mutex);
    policy->sketch = sketch;
    policy->sketch_entries = entries;
    pthread_mutex_unlock(&policy->shared->mutex);
    room_free(policy, (void *)old.words, mtci_sketch_size(old_entries));
}

/* A larger ghost begins empty: it forgets, which costs a few wrong guesses
 * each time that the cache has doubled. */
static void ghost_grow(mtci_policy *policy, size_t entries)
{
    const mtci_policy_env *env = &policy->shared->env;
    mtci_ghost *ghost = &policy->queues.ghost;
    void *old = ghost->keys;
    void *room = env->room_new(env->ctx, mtci_ghost_size(entries));
    if (!room)
        return;
    mtci_ghost_init(ghost, room, entries);
    room_free(policy, old, mtci_ghost_size(policy->ghost_entries));
    policy->ghost_entries = entries;
}

static size_t count_of(const mtci_policy *policy)
{
    return policy->queues.window.count + policy->queues.main.count;
}

/* Whether the shard should have a sketch by now. A large one that
 * never fills pays nothing for them; a small one has little time to learn. */
static bool is_time(const mtci_policy *policy, uint64_t capacity)
{
    return capacity <= SMALL || count_of(policy) >= capacity / 4 * 3;
}

/* A sketch of the right size. */
static void fit(mtci_policy *policy, size_t capacity)
{
    size_t entries = mtci_sketch_entries(capacity);
    bool needs_sketch =
        !policy->sketch.words || entries > policy->sketch_entries * 2;
    if (needs_sketch)
        sketch_grow(policy, entries);
}

/* The ghost comes with the first that is evicted. */
static void fit_ghost(mtci_policy *policy, size_t capacity)
{
    if (!policy->queues.ghost.keys || capacity > policy->ghost_entries * 2)
        ghost_grow(policy, capacity);
}

/* -- the contract ------------------------------------------------------- */

void mtci_queued_add(mtci_policy *policy, uint32_t ref, uint64_t hash,
                     uint64_t capacity)
{
    (void)hash;
    if (is_time(policy, capacity))
        fit(policy, (size_t)capacity);
    const mtci_node *node = mtci_node_at(policy->queues.nodes, ref);
    mtci_sketch_add(&policy->sketch, node->hash, 1);
    mtci_queues_add(&policy->queues, ref, mtci_queued_setup(policy->shared),
                    (size_t)capacity);
}

void mtci_queued_expect(const mtci_policy *policy, uint64_t hash)
{
    mtci_sketch_expect(&policy->sketch, (uint32_t)hash);
}

void mtci_queued_drop(mtci_policy *policy, uint32_t ref)
{
    mtci_queues_drop(&policy->queues, ref);
}

void mtci_queued_swap(mtci_policy *policy, uint32_t old, uint32_t ref)
{
    mtci_queues_swap(&policy->queues, old, ref);
}

uint32_t mtci_queued_evict(mtci_policy *policy, uint64_t capacity)
{
    uint32_t drains =
        atomic_load_explicit(&policy->shared->drains, memory_order_relaxed);
    if (drains != policy->drains) {
        policy->drains = drains;
        policy->queues.drain = policy->queues.main.count;
    }
    fit_ghost(policy, (size_t)capacity);
    return mtci_queues_evict(&policy->queues, mtci_queued_setup(policy->shared),
                             (size_t)capacity);
}
