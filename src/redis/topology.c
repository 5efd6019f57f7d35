/*
 * The nodes of a cluster. See topology.h.
 */
#include "redis/topology.h"

#include <stdio.h>
#include <stdlib.h>

static void node_free(mtci_node *node)
{
    if (!node)
        return;
    mtci_client_free(node->client);
    free(node);
}

static mtci_node *node_new(const mtci_topology *topology,
                           const mtci_address *address)
{
    mtci_redis_settings own = *topology->settings;
    mtci_node *node = calloc(1, sizeof *node);
    if (!node)
        return NULL;
    node->address = *address;
    snprintf(node->name, sizeof node->name, "%.60s:%d", address->host,
             address->port);
    own.address = *address;
    own.log = NULL; /* the breaker tells */
    mtc_status status = mtci_client_new(&own, &node->client);
    explicit_bzero(&own, sizeof own);
    if (status != MTC_OK) {
        free(node);
        return NULL;
    }
    mtci_client_watch(node->client, topology->watch);
    return node;
}

void mtci_topology_init(mtci_topology *topology,
                        const mtci_redis_settings *settings)
{
    topology->settings = settings;
    topology->count = 0;
    memset(topology->owners, 0xff, sizeof topology->owners);
}

void mtci_topology_fini(mtci_topology *topology)
{
    for (uint16_t i = 0; i < topology->count; i++)
        node_free(topology->nodes[i]);
    topology->count = 0;
}

static bool is_spare(const mtci_topology *topology, uint16_t index)
{
    const mtci_node *node = topology->nodes[index];
    return !node->is_seed && node->users == 0 && !node->outbox.first &&
           atomic_load_explicit(&node->open, memory_order_acquire) == 0 &&
           node->slot_count == 0;
}

/* A free index; when there is none, that of a node that serves nothing. */
static uint16_t free_index(mtci_topology *topology)
{
    if (topology->count < MTCI_NODES_MAX) {
        topology->nodes[topology->count] = NULL;
        return topology->count++;
    }
    for (uint16_t i = 0; i < topology->count; i++) {
        if (topology->nodes[i] && !is_spare(topology, i))
            continue;
        node_free(topology->nodes[i]);
        topology->nodes[i] = NULL;
        return i;
    }
    return MTCI_NODE_NONE;
}

uint16_t mtci_topology_node(mtci_topology *topology,
                            const mtci_address *address)
{
    for (uint16_t i = 0; i < topology->count; i++) {
        const mtci_node *node = topology->nodes[i];
        if (node && mtci_address_is(&node->address, address))
            return i;
    }
    uint16_t index = free_index(topology);
    if (index == MTCI_NODE_NONE)
        return MTCI_NODE_NONE;
    topology->nodes[index] = node_new(topology, address);
    return topology->nodes[index] ? index : MTCI_NODE_NONE;
}

void mtci_topology_give(mtci_topology *topology, size_t slot, uint16_t index)
{
    uint16_t former = topology->owners[slot];
    if (former != MTCI_NODE_NONE)
        topology->nodes[former]->slot_count--;
    if (index != MTCI_NODE_NONE)
        topology->nodes[index]->slot_count++;
    topology->owners[slot] = index;
}

static void forget_slots(mtci_topology *topology)
{
    memset(topology->owners, 0xff, sizeof topology->owners);
    for (uint16_t i = 0; i < topology->count; i++)
        if (topology->nodes[i])
            topology->nodes[i]->slot_count = 0;
}

/* Whether every item can be read, and one at least has an address. More ranges
 * than there are slots make no sense, and would take long. */
static bool is_readable(const mtci_reply *slots, const mtci_address *from)
{
    size_t known = 0;
    if (slots->count > MTCI_SLOT_COUNT)
        return false;
    for (size_t i = 0; i < slots->count; i++) {
        mtci_slot_range range;
        mtc_status status = mtci_slot_range_read(slots, i, from, &range);
        if (status == MTC_E_CORRUPT)
            return false;
        known += status == MTC_OK;
    }
    return known > 0;
}

bool mtci_topology_learn(mtci_topology *topology, const mtci_reply *slots,
                         const mtci_address *from)
{
    mtci_address answered = *from; /* its node may leave the table below */
    if (!is_readable(slots, &answered))
        return false;
    forget_slots(topology);
    for (size_t i = 0; i < slots->count; i++) {
        mtci_slot_range range;
        if (mtci_slot_range_read(slots, i, &answered, &range) != MTC_OK)
            continue;
        uint16_t index = mtci_topology_node(topology, &range.address);
        for (size_t slot = range.first; slot <= range.last; slot++)
            mtci_topology_give(topology, slot, index);
    }
    return true;
}
