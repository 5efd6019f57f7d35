/*
 * Two queues and a ghost: the machine that all policies but LRU set up.
 *
 * New entries come into the window. When it is over its target its oldest
 * entry is judged: by the S3-FIFO rule it goes on to main if it was asked for
 * twice, else it leaves and is remembered in the ghost, and a remembered key
 * comes straight into main; by the TinyLFU rule it takes the place of main's
 * candidate if the sketch has seen it more often. Main is a FIFO queue that
 * spares what was asked for. A hit only raises the entry's counter; it is
 * looked at when the entry is, and handed on to the sketch.
 *
 * One machine a shard (and one a shadow), guarded by its owner's mutex.
 *
 * Sources: Yang et al., "FIFO queues are all you need for cache eviction"
 * (S3-FIFO), SOSP 2023; Einziger, Friedman, Manes, "TinyLFU", ACM ToS 2017.
 */
#ifndef MTCI_TIER_MEMORY_POLICY_QUEUES_H
#define MTCI_TIER_MEMORY_POLICY_QUEUES_H

#include "tier/memory/policy/ghost.h"
#include "tier/memory/policy/node.h"
#include "tier/memory/policy/sketch.h"

typedef enum mtci_rule { MTCI_RULE_TINYLFU, MTCI_RULE_S3FIFO } mtci_rule;

/* Shares of a capacity are counted in parts of this. */
#define MTCI_WHOLE 4096u

/* A way to run the machine. */
typedef struct mtci_setup {
    mtci_rule rule;
    uint32_t window; /* target of the window, in parts of MTCI_WHOLE */
} mtci_setup;

typedef struct mtci_queues {
    mtci_nodes nodes;
    mtci_queue window;
    mtci_queue main;
    mtci_ghost ghost;
    /* Tells how often the key of a node was seen. */
    unsigned (*estimate)(void *ctx, const mtci_node *node);
    void *ctx;
    mtci_sketch *sketch; /* counts what is inspected; NULL: nothing is */
    size_t drain;        /* entries of main still to be judged anew */
} mtci_queues;

/* A key that was not there has come; room was made before. */
void mtci_queues_add(mtci_queues *queues, uint32_t ref, mtci_setup setup,
                     size_t capacity);

void mtci_queues_drop(mtci_queues *queues, uint32_t ref);
void mtci_queues_swap(mtci_queues *queues, uint32_t old, uint32_t ref);

/* Chooses who leaves and forgets it; 0: there is none. */
uint32_t mtci_queues_evict(mtci_queues *queues, mtci_setup setup,
                           size_t capacity);

#endif
