/*
 * Nodes: what a policy sees of an entry.
 *
 * Nodes are named by refs: base + (ref << shift), and 0 is none. All fields
 * but hits are guarded by the mutex of whoever owns the policy.
 */
#ifndef MTCI_TIER_MEMORY_POLICY_NODE_H
#define MTCI_TIER_MEMORY_POLICY_NODE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* Where hits stops counting, so that a hot node is no longer written. */
#define MTCI_HITS_MAX 3u

typedef struct mtci_node {
    uint32_t newer; /* in its queue, towards the head */
    uint32_t older;
    uint32_t hash;        /* 32 bits of the key's hash */
    _Atomic uint8_t hits; /* written by readers without a lock */
    uint8_t place;        /* the policy's: queue and credit */
    uint16_t own;         /* not the policy's */
} mtci_node;

typedef struct mtci_nodes {
    unsigned char *base;
    unsigned shift;
} mtci_nodes;

static inline mtci_node *mtci_node_at(mtci_nodes nodes, uint32_t ref)
{
    return (mtci_node *)(void *)(nodes.base + ((size_t)ref << nodes.shift));
}

/* A queue of nodes. A zeroed one is empty. */
typedef struct mtci_queue {
    uint32_t newest;
    uint32_t oldest;
    size_t count;
} mtci_queue;

static inline void mtci_queue_add(mtci_queue *queue, mtci_nodes nodes,
                                  uint32_t ref)
{
    mtci_node *node = mtci_node_at(nodes, ref);
    node->newer = 0;
    node->older = queue->newest;
    if (queue->newest)
        mtci_node_at(nodes, queue->newest)->newer = ref;
    else
        queue->oldest = ref;
    queue->newest = ref;
    queue->count++;
}

static inline void mtci_queue_drop(mtci_queue *queue, mtci_nodes nodes,
                                   uint32_t ref)
{
    const mtci_node *node = mtci_node_at(nodes, ref);
    if (node->newer)
        mtci_node_at(nodes, node->newer)->older = node->older;
    else
        queue->newest = node->older;
    if (node->older)
        mtci_node_at(nodes, node->older)->newer = node->newer;
    else
        queue->oldest = node->newer;
    queue->count--;
}

/* Puts a node in the place of another one. */
static inline void mtci_queue_swap(mtci_queue *queue, mtci_nodes nodes,
                                   uint32_t old, uint32_t ref)
{
    const mtci_node *before = mtci_node_at(nodes, old);
    mtci_node *node = mtci_node_at(nodes, ref);
    node->newer = before->newer;
    node->older = before->older;
    if (node->newer)
        mtci_node_at(nodes, node->newer)->older = ref;
    else
        queue->newest = ref;
    if (node->older)
        mtci_node_at(nodes, node->older)->newer = ref;
    else
        queue->oldest = ref;
}

#endif
