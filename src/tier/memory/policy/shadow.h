/*
 * A shadow: a small cache of sampled keys without values, run with one setup,
 * to see how many hits that setup would have.
 *
 * Same machine as the real thing, nodes of its own, its own ghost; the sketch
 * is the real one, which it only reads. Guarded by the duel's mutex.
 *
 * Source of the idea: Waldspurger et al., "Cache Modeling and Optimization
 * using Miniature Simulations", USENIX ATC 2017.
 */
#ifndef MTCI_TIER_MEMORY_POLICY_SHADOW_H
#define MTCI_TIER_MEMORY_POLICY_SHADOW_H

#include "tier/memory/policy/queues.h"

/* The most entries of a shadow. */
#define MTCI_SHADOW_ENTRIES 192u

typedef struct mtci_shadow {
    mtci_queues queues;
    size_t capacity;
    uint32_t unused;                          /* nodes chained by older */
    uint8_t chains[256];                      /* by the hash; 0: none */
    uint8_t next[MTCI_SHADOW_ENTRIES + 2];    /* in the chain of a node */
    mtci_node nodes[MTCI_SHADOW_ENTRIES + 2]; /* own is the shard */
    mtci_ghost_key ghost[8 * (MTCI_SHADOW_ENTRIES / 5 + 2)];
} mtci_shadow;

/* An empty shadow of at most MTCI_SHADOW_ENTRIES entries. */
void mtci_shadow_init(mtci_shadow *shadow, size_t capacity,
                      unsigned (*estimate)(void *ctx, const mtci_node *node),
                      void *ctx);

/* A key of a shard is asked for, and stored if it is missed. True: a hit. */
bool mtci_shadow_ask(mtci_shadow *shadow, uint32_t hash, uint16_t shard,
                     mtci_setup setup);

#endif
