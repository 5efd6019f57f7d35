/*
 * The contract of eviction policies: who leaves when room is needed.
 *
 * A tier has one policy object for each of its shards, and what all of them
 * share. Calls for a shard's object come under that shard's mutex; sample may
 * be called by anyone. A policy allocates nothing for an entry. Its larger
 * structures are rooms, which count in the budget of the tier; when it gets
 * none it goes on with what it has.
 */
#ifndef MTCI_TIER_MEMORY_POLICY_POLICY_H
#define MTCI_TIER_MEMORY_POLICY_POLICY_H

#include <stdbool.h>

#include "tier/memory/policy/node.h"

/* What the tier offers. */
typedef struct mtci_policy_env {
    mtci_nodes nodes;
    size_t shard_count;
    unsigned shard_shift; /* the shard of a hash is hash >> shift >> 1 */
    void *(*room_new)(void *ctx, size_t size); /* zeroed; NULL: none now */
    void (*room_free)(void *ctx, void *room, size_t size);
    void *ctx;
} mtci_policy_env;

/* What all shards share; policies put more behind it. */
typedef struct mtci_policy_shared {
    /* Of hits, sample is called for those whose hash has none of these bits;
     * all bits set: for none. */
    _Atomic uint64_t sample_mask;
} mtci_policy_shared;

typedef struct mtci_policy mtci_policy;

typedef struct mtci_policy_ops {
    const char *name;

    /* What the shards of a tier share, and its end. NULL: out of memory. */
    mtci_policy_shared *(*open)(const mtci_policy_env *env);
    void (*close)(mtci_policy_shared *shared);

    /* The object of shard index. NULL: out of memory. */
    mtci_policy *(*shard_open)(mtci_policy_shared *shared, size_t index);
    void (*shard_close)(mtci_policy *policy);

    /* A key that was not there was stored, which was its miss. capacity is
     * how many entries the shard can hold, as far as is known now. */
    void (*add)(mtci_policy *policy, uint32_t ref, uint64_t hash,
                uint64_t capacity);

    /* Optional: add is going to be called for that key, soon. */
    void (*expect)(const mtci_policy *policy, uint64_t hash);

    /* A node left for another reason than room. */
    void (*drop)(mtci_policy *policy, uint32_t ref);

    /* A node was replaced by a newer one of its key, which counts as a hit. */
    void (*swap)(mtci_policy *policy, uint32_t old, uint32_t ref);

    /* Chooses a node, forgets it and tells which it was; 0: there is none. */
    uint32_t (*evict)(mtci_policy *policy, uint64_t capacity);

    /* Optional: is told of every hit, under the mutex. */
    void (*hit)(mtci_policy *policy, uint32_t ref);

    /* Optional: a sampled hit. */
    void (*sample)(mtci_policy_shared *shared, uint64_t hash);
} mtci_policy_ops;

extern const mtci_policy_ops mtci_policy_lru;
extern const mtci_policy_ops mtci_policy_s3fifo;
extern const mtci_policy_ops mtci_policy_tinylfu;
extern const mtci_policy_ops mtci_policy_duel;

/* A policy by its name; NULL: there is none. */
const mtci_policy_ops *mtci_policy_by_name(const char *name);

/* The next one for index 0 and up; NULL past the last. */
const mtci_policy_ops *mtci_policy_at(size_t index);

#endif
