/*
 * The nodes of a cluster, and which of them serves which slot.
 *
 * Owns one client per node. A node keeps its index as long as anything uses
 * it; one that serves nothing gives its place to a new one when the table is
 * full. The lock is its owner's.
 */
#ifndef MTCI_REDIS_TOPOLOGY_H
#define MTCI_REDIS_TOPOLOGY_H

#include <stdatomic.h>

#include "redis/breaker.h"
#include "redis/client.h"
#include "redis/slots.h"

/* The most nodes that are known at a time. */
#define MTCI_NODES_MAX 1024u
#define MTCI_NODE_NONE UINT16_MAX

/* "host:port", host cut. */
#define MTCI_NODE_NAME_SIZE    80
#define MTCI_NODE_FAILURE_SIZE 160

typedef struct mtci_node {
    mtci_redis_client *client;
    mtci_address address;
    char name[MTCI_NODE_NAME_SIZE];
    bool is_seed;              /* from the URL: kept for good */
    uint32_t slot_count;       /* that it serves */
    _Atomic uint32_t open;     /* commands that it has not answered */
    uint32_t users;            /* threads inside its client */
    mtci_command_queue outbox; /* not yet handed to its client */
    mtci_breaker breaker;
    mtc_status away; /* why it is down, and in words */
    char failure[MTCI_NODE_FAILURE_SIZE];
    bool is_told;    /* the log knows that it is down */
    int64_t tell_ms; /* and is not told anew before this */
} mtci_node;

typedef struct mtci_topology {
    const mtci_redis_settings *settings;
    struct mtci_watch *watch; /* of the clients; NULL: none */
    mtci_node *nodes[MTCI_NODES_MAX];
    uint16_t count; /* nodes have indices below; some may be NULL */
    uint16_t owners[MTCI_SLOT_COUNT];
} mtci_topology;

void mtci_topology_init(mtci_topology *topology,
                        const mtci_redis_settings *settings);
/* Frees nodes and clients; their commands end with MTC_E_CLOSED. */
void mtci_topology_fini(mtci_topology *topology);

/* The index of the node with this address, which is made if need be;
 * MTCI_NODE_NONE: out of memory, of descriptors, or of places. */
uint16_t mtci_topology_node(mtci_topology *topology,
                            const mtci_address *address);

/* A slot is served by this node now. */
void mtci_topology_give(mtci_topology *topology, size_t slot, uint16_t index);

/* Puts what CLUSTER SLOTS answered in place of what was known, if the whole
 * reply can be read and names a node. */
bool mtci_topology_learn(mtci_topology *topology, const mtci_reply *slots,
                         const mtci_address *from);

#endif
