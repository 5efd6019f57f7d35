/*
 * Waiting for a cluster: a caller drives the node that its command is with,
 * changes over when the command moves, and looks after what nobody else
 * drives. See cluster.h. Any thread.
 */
#include "redis/cluster_state.h"

#include "base/sync.h"
#include "redis/watch.h"

/* Nodes that one look after others takes in. */
#define LOOK_NODES_MAX 32

/* Parked commands whose time has come, the map, and probes. Whether the
 * cluster awaits an answer of its own. */
static bool tend(mtci_redis_cluster *cluster)
{
    mtci_cluster_turn turn = mtci_cluster_begin_turn(cluster);
    mtci_cluster_unpark_locked(cluster, &turn);
    mtci_cluster_ask_locked(cluster, turn.now_ms);
    mtci_cluster_probe_locked(cluster, turn.now_ms);
    bool is_asking = cluster->is_asking || cluster->probing > 0;
    mtci_cluster_end_turn(cluster, &turn);
    return is_asking;
}

/* What a caller waits for on one node. */
typedef struct watch {
    const mtci_awaited *awaited;
    const uint64_t *place;
    uint64_t expected;
} watch;

static bool is_over(const void *ctx)
{
    const watch *watch = ctx;
    return watch->awaited->is_complete(watch->awaited->ctx) ||
           mtci_place_get(watch->place) != watch->expected;
}

/* Nodes with something open that nobody is inside of, but one. */
static size_t neglected_locked(mtci_redis_cluster *cluster, uint64_t but,
                               mtci_node *nodes[LOOK_NODES_MAX])
{
    size_t count = 0;
    bool is_awaited = mtci_push_is_awaited(&cluster->settings);
    for (uint16_t i = 0; i < cluster->topology.count; i++) {
        mtci_node *node = mtci_cluster_node(cluster, i);
        if (!node || i == but || node->users > 0 || count == LOOK_NODES_MAX ||
            (!is_awaited &&
             atomic_load_explicit(&node->open, memory_order_relaxed) == 0))
            continue;
        node->users++;
        nodes[count++] = node;
    }
    return count;
}

static void drive_nodes(mtci_redis_cluster *cluster, mtci_node *const *nodes,
                        size_t count, int64_t until_ms)
{
    for (size_t i = 0; i < count; i++)
        mtci_client_drive(nodes[i]->client, NULL, until_ms);
    pthread_mutex_lock(&cluster->mutex);
    for (size_t i = 0; i < count; i++)
        nodes[i]->users--;
    pthread_mutex_unlock(&cluster->mutex);
}

/* Drives what nobody else does, but for one node; until_ms in the past: sends
 * and takes in what can be. */
static void drive_neglected(mtci_redis_cluster *cluster, uint64_t but,
                            int64_t until_ms)
{
    mtci_node *nodes[LOOK_NODES_MAX];
    pthread_mutex_lock(&cluster->mutex);
    size_t count = neglected_locked(cluster, but, nodes);
    pthread_mutex_unlock(&cluster->mutex);
    if (count > 0)
        drive_nodes(cluster, nodes, count, until_ms);
}

static bool is_among(void *const *clients, size_t count, const void *client)
{
    while (count > 0 && clients[count - 1] != client)
        count--;
    return count > 0;
}

/* Nodes with nothing open whose connections have something to do: a server
 * that hung up. They would go on saying so. */
static void drive_signalled(mtci_redis_cluster *cluster)
{
    void *clients[LOOK_NODES_MAX];
    mtci_node *nodes[LOOK_NODES_MAX];
    size_t found = 0;
    size_t count =
        mtci_watch_signalled(cluster->topology.watch, clients, LOOK_NODES_MAX);
    if (count == 0)
        return;
    pthread_mutex_lock(&cluster->mutex);
    for (uint16_t i = 0; i < cluster->topology.count && found < count; i++) {
        mtci_node *node = mtci_cluster_node(cluster, i);
        if (!node || !is_among(clients, count, node->client))
            continue;
        node->users++;
        nodes[found++] = node;
    }
    pthread_mutex_unlock(&cluster->mutex);
    drive_nodes(cluster, nodes, found, 0);
}

/* The node to drive for a place: for a parked command the one that is asked
 * for the map; NULL: none. */
static mtci_node *enter_place(mtci_redis_cluster *cluster, uint64_t place)
{
    mtci_node *node = NULL;
    pthread_mutex_lock(&cluster->mutex);
    if (place != MTCI_PLACE_PARKED)
        node = mtci_cluster_node(cluster, (uint16_t)place);
    else if (cluster->is_asking)
        node = mtci_cluster_node(cluster, cluster->asked);
    if (node)
        node->users++;
    pthread_mutex_unlock(&cluster->mutex);
    return node;
}

static void leave_node(mtci_redis_cluster *cluster, mtci_node *node)
{
    pthread_mutex_lock(&cluster->mutex);
    node->users--;
    pthread_mutex_unlock(&cluster->mutex);
}

/* Until a parked command is due. */
static void sleep_parked(mtci_redis_cluster *cluster, int64_t until_ms)
{
    pthread_mutex_lock(&cluster->mutex);
    uint32_t seen =
        atomic_load_explicit(&cluster->unparked, memory_order_acquire);
    if (cluster->parked_due_ms < until_ms)
        until_ms = cluster->parked_due_ms;
    pthread_mutex_unlock(&cluster->mutex);
    int64_t wait_ms = until_ms - mtci_clock_ms(&cluster->settings.clock);
    if (wait_ms > 0)
        mtci_word_wait(&cluster->unparked, seen, wait_ms);
}

static void drive_place(mtci_redis_cluster *cluster, const uint64_t *place,
                        const mtci_awaited *awaited, int64_t until_ms)
{
    watch watch = {awaited, place, mtci_place_get(place)};
    mtci_awaited one = {is_over, &watch};
    if (awaited->is_complete(awaited->ctx))
        return;
    mtci_node *node = enter_place(cluster, watch.expected);
    if (!node) {
        sleep_parked(cluster, until_ms);
        return;
    }
    mtci_client_drive(node->client, &one, until_ms);
    leave_node(cluster, node);
}

void mtci_cluster_drive(mtci_redis_cluster *cluster, const uint64_t *place,
                        const mtci_awaited *awaited, int64_t until_ms)
{
    for (bool has_looked = false;; has_looked = true) {
        bool is_asking = tend(cluster);
        if (!awaited) {
            drive_neglected(cluster, MTCI_PLACE_PARKED, 0);
            drive_neglected(cluster, MTCI_PLACE_PARKED, until_ms);
            drive_signalled(cluster);
            return;
        }
        int64_t now_ms = mtci_clock_ms(&cluster->settings.clock);
        bool is_complete = awaited->is_complete(awaited->ctx);
        /* Whoever was refused at once sees to the questions at least. */
        if (is_complete && is_asking && !has_looked)
            drive_neglected(cluster, MTCI_PLACE_PARKED, 0);
        if (is_complete || (has_looked && now_ms >= until_ms))
            return;
        int64_t look_ms = now_ms + MTCI_CLUSTER_LOOK_MS;
        drive_neglected(cluster, mtci_place_get(place), 0);
        drive_place(cluster, place, awaited,
                    look_ms < until_ms ? look_ms : until_ms);
    }
}

void mtci_cluster_abandon(mtci_redis_cluster *cluster, const uint64_t *place,
                          const void *ctx, const mtci_sent *sent)
{
    uint64_t at = mtci_place_get(place);
    mtci_node *node = at == MTCI_PLACE_PARKED ? NULL : enter_place(cluster, at);
    if (!node)
        return;
    mtci_client_abandon(node->client, ctx);
    mtci_cluster_turn turn = mtci_cluster_begin_turn(cluster);
    node->users--;
    mtci_cluster_missed_locked(cluster, (uint16_t)at, sent,
                               "no answer within the deadline", &turn);
    mtci_cluster_end_turn(cluster, &turn);
}
