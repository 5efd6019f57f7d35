/*
 * What the policies of two queues have in common: the object of a shard, and
 * its sketch and ghost, which come when the shard fills and grow with it.
 *
 * A shard's object is guarded by the shard's mutex. The words of its sketch
 * are only replaced with the shared mutex held too, which those hold who read
 * the sketches of other shards.
 */
#ifndef MTCI_TIER_MEMORY_POLICY_QUEUED_H
#define MTCI_TIER_MEMORY_POLICY_QUEUED_H

#include <pthread.h>

#include "tier/memory/policy/policy.h"
#include "tier/memory/policy/queues.h"

typedef struct mtci_queued mtci_queued;

struct mtci_policy {
    mtci_queues queues;
    mtci_sketch sketch;
    mtci_queued *shared;
    size_t index;
    size_t sketch_entries; /* that it was made for; 0: there is none */
    size_t ghost_entries;
    uint32_t drains; /* of the shared count, those that were noted */
};

struct mtci_queued {
    mtci_policy_shared base;
    mtci_policy_env env;
    pthread_mutex_t mutex;
    mtci_policy **policies; /* by shard */
    _Atomic uint32_t rule;  /* the setup now */
    _Atomic uint32_t window;
    _Atomic uint32_t drains; /* how often main was to be drained */
};

/* Begins and ends what the shards share. False: out of memory. */
bool mtci_queued_init(mtci_queued *queued, const mtci_policy_env *env,
                      mtci_setup setup);
void mtci_queued_fini(mtci_queued *queued);

static inline mtci_setup mtci_queued_setup(const mtci_queued *queued)
{
    return (mtci_setup){(mtci_rule)atomic_load_explicit(&queued->rule,
                                                        memory_order_relaxed),
                        atomic_load_explicit(&queued->window,
                                             memory_order_relaxed)};
}

/* How often the key of a node was seen, as far as the sketch of its shard
 * knows; own is the shard, ctx the shared part. With the shared mutex. */
unsigned mtci_queued_estimate(void *ctx, const mtci_node *node);

/* Entries of the contract. */
mtci_policy *mtci_queued_shard_open(mtci_policy_shared *shared, size_t index);
void mtci_queued_shard_close(mtci_policy *policy);
void mtci_queued_add(mtci_policy *policy, uint32_t ref, uint64_t hash,
                     uint64_t capacity);
void mtci_queued_expect(const mtci_policy *policy, uint64_t hash);
void mtci_queued_drop(mtci_policy *policy, uint32_t ref);
void mtci_queued_swap(mtci_policy *policy, uint32_t old, uint32_t ref);
uint32_t mtci_queued_evict(mtci_policy *policy, uint64_t capacity);

#endif
