/*
 * Shadows; see shadow.h.
 */
#include "tier/memory/policy/shadow.h"

#include <string.h>

void mtci_shadow_init(mtci_shadow *shadow, size_t capacity,
                      unsigned (*estimate)(void *ctx, const mtci_node *node),
                      void *ctx)
{
    unsigned shift = (unsigned)__builtin_ctzll(sizeof(mtci_node));
    memset(shadow, 0, sizeof(*shadow));
    shadow->capacity = capacity;
    shadow->queues =
        (mtci_queues){.nodes = {(unsigned char *)shadow->nodes, shift},
                      .estimate = estimate,
                      .ctx = ctx};
    mtci_ghost_init(&shadow->queues.ghost, shadow->ghost, capacity);
    for (uint32_t ref = 1; ref <= capacity + 1; ref++) {
        shadow->nodes[ref].older = shadow->unused;
        shadow->unused = ref;
    }
}

static uint8_t *chain_of(mtci_shadow *shadow, uint32_t hash)
{
    return &shadow->chains[hash * UINT32_C(0x9e3779b1) >> 24];
}

static uint32_t find(mtci_shadow *shadow, uint32_t hash, uint16_t shard)
{
    uint8_t ref = *chain_of(shadow, hash);
    while (ref &&
           (shadow->nodes[ref].hash != hash || shadow->nodes[ref].own != shard))
        ref = shadow->next[ref];
    return ref;
}

static void evict(mtci_shadow *shadow, mtci_setup setup)
{
    uint32_t ref = mtci_queues_evict(&shadow->queues, setup, shadow->capacity);
    uint8_t *at = chain_of(shadow, shadow->nodes[ref].hash);
    while (*at != ref)
        at = &shadow->next[*at];
    *at = shadow->next[ref];
    shadow->nodes[ref].older = shadow->unused;
    shadow->unused = ref;
}

bool mtci_shadow_ask(mtci_shadow *shadow, uint32_t hash, uint16_t shard,
                     mtci_setup setup)
{
    mtci_queues *queues = &shadow->queues;
    uint32_t ref = find(shadow, hash, shard);
    if (ref) {
        mtci_node *node = &shadow->nodes[ref];
        uint8_t hits = atomic_load_explicit(&node->hits, memory_order_relaxed);
        if (hits < MTCI_HITS_MAX)
            atomic_store_explicit(&node->hits, (uint8_t)(hits + 1),
                                  memory_order_relaxed);
        return true;
    }
    while (queues->window.count + queues->main.count >= shadow->capacity)
        evict(shadow, setup);
    ref = shadow->unused;
    shadow->unused = shadow->nodes[ref].older;
    shadow->nodes[ref] = (mtci_node){.hash = hash, .own = shard};
    mtci_queues_add(queues, ref, setup, shadow->capacity);
    uint8_t *chain = chain_of(shadow, hash);
    shadow->next[ref] = *chain;
    *chain = (uint8_t)ref;
    return false;
}
