/*
 * The cluster: beginning, end, and what comes in. See cluster.h and
 * cluster_state.h. Any thread.
 */
#include "redis/cluster_state.h"

#include <stdlib.h>

#include "base/hash.h"
#include "redis/watch.h"

mtc_status mtci_cluster_new(const mtci_redis_settings *settings,
                            const mtci_address *seeds, size_t seed_count,
                            mtci_redis_cluster **out)
{
    mtci_redis_cluster *cluster = calloc(1, sizeof *cluster);
    *out = cluster;
    if (!cluster)
        return MTC_E_NO_MEMORY;
    pthread_mutex_init(&cluster->mutex, NULL);
    cluster->settings = *settings;
    cluster->hash_seed = mtci_seed();
    cluster->parked_due_ms = INT64_MAX;
    cluster->probe_ms = INT64_MAX;
    cluster->random = mtci_seed() | 1;
    if (seed_count > MTCI_CLUSTER_SEEDS_MAX)
        seed_count = MTCI_CLUSTER_SEEDS_MAX;
    cluster->seed_count = seed_count;
    memcpy(cluster->seeds, seeds, seed_count * sizeof *seeds);
    mtci_topology_init(&cluster->topology, &cluster->settings);
    return MTC_OK;
}

/* No other call is under way, but a forked child may have inherited the mutex
 * locked. */
void mtci_cluster_free(mtci_redis_cluster *cluster)
{
    if (!cluster)
        return;
    mtci_command_queue unsent = {0};
    mtci_command_queue failed = {0};
    mtci_redis_command *command;
    pthread_mutex_init(&cluster->mutex, NULL);
    cluster->is_closing = true;
    for (uint16_t i = 0; i < cluster->topology.count; i++)
        if (mtci_cluster_node(cluster, i))
            mtci_queue_append(&unsent, &mtci_cluster_node(cluster, i)->outbox);
    mtci_cluster_turn turn = mtci_cluster_begin_turn(cluster);
    mtci_queue_append(&turn.ready, &cluster->parked);
    mtci_cluster_end_turn(cluster, &turn);
    mtci_queue_fail(&unsent, MTC_E_CLOSED, "closed", &failed);
    while ((command = mtci_queue_pop(&failed)) != NULL)
        command->done(command);
    mtci_topology_fini(&cluster->topology);
    pthread_mutex_destroy(&cluster->mutex);
    explicit_bzero(&cluster->settings, sizeof cluster->settings);
    free(cluster);
}

mtci_redis_settings *mtci_cluster_settings(mtci_redis_cluster *cluster)
{
    return &cluster->settings;
}

void mtci_cluster_watch(mtci_redis_cluster *cluster, mtci_watch *watch)
{
    cluster->topology.watch = watch;
}

void mtci_cluster_route(mtci_redis_cluster *cluster,
                        mtci_redis_command *command, mtc_slice key,
                        uint64_t *place)
{
    command->route = (mtci_route){
        .cluster = cluster,
        .place = place,
        .key_hash = mtci_hash(key, cluster->hash_seed),
        .slot = mtci_slot_of_key(key),
        .is_write = !command->is_retryable,
    };
    __atomic_store_n(place, MTCI_PLACE_PARKED, __ATOMIC_RELAXED);
}

/* Nodes are made when they are needed: settings may change until then. */
static void start_locked(mtci_redis_cluster *cluster)
{
    if (cluster->topology.count > 0)
        return;
    for (size_t i = 0; i < cluster->seed_count; i++) {
        uint16_t index =
            mtci_topology_node(&cluster->topology, &cluster->seeds[i]);
        if (index != MTCI_NODE_NONE)
            mtci_cluster_node(cluster, index)->is_seed = true;
    }
}

static void admit_locked(mtci_redis_cluster *cluster,
                         mtci_redis_command *command, mtci_cluster_turn *turn)
{
    command->route.done = command->done;
    command->done = mtci_cluster_answered;
    command->route.sent_ms = turn->now_ms;
    if (mtci_cluster_refuse_locked(cluster, command, turn->now_ms)) {
        mtci_queue_push(&turn->ended, command);
        return;
    }
    const mtci_redis_command *write =
        mtci_order_enter(&cluster->order, command);
    if (write)
        __atomic_store_n(command->route.place,
                         mtci_place_get(write->route.place), __ATOMIC_RELEASE);
    else
        mtci_queue_push(&turn->ready, command);
}

void mtci_cluster_submit(mtci_redis_cluster *cluster,
                         mtci_command_queue *commands)
{
    mtci_redis_command *command;
    mtci_cluster_turn turn = mtci_cluster_begin_turn(cluster);
    start_locked(cluster);
    while ((command = mtci_queue_pop(commands)) != NULL)
        admit_locked(cluster, command, &turn);
    mtci_cluster_end_turn(cluster, &turn);
}

/* A node with a command stays. */
bool mtci_cluster_has_pushes(mtci_redis_cluster *cluster,
                             const mtci_redis_command *command)
{
    const mtci_node *node = mtci_cluster_node(cluster, command->route.node);
    return mtci_client_has_pushes(node->client);
}

void mtci_cluster_settings_for(mtci_redis_cluster *cluster, mtc_slice key,
                               mtci_redis_settings *settings)
{
    uint16_t slot = mtci_slot_of_key(key);
    pthread_mutex_lock(&cluster->mutex);
    uint16_t owner = cluster->topology.owners[slot];
    const mtci_address *address =
        owner == MTCI_NODE_NONE ? &cluster->seeds[0]
                                : &mtci_cluster_node(cluster, owner)->address;
    *settings = cluster->settings;
    settings->address = *address;
    pthread_mutex_unlock(&cluster->mutex);
}

mtci_redirection mtci_cluster_learn(mtci_redis_cluster *cluster,
                                    const mtci_redis_settings *answered,
                                    const char *error)
{
    mtci_address to;
    uint16_t slot = 0;
    mtci_redirection is =
        mtci_redirect_read(mtc_str(error), &answered->address, &slot, &to);
    if (is != MTCI_REDIRECT_MOVED)
        return is;
    pthread_mutex_lock(&cluster->mutex);
    start_locked(cluster);
    uint16_t index = mtci_topology_node(&cluster->topology, &to);
    if (index != MTCI_NODE_NONE)
        mtci_topology_give(&cluster->topology, slot, index);
    pthread_mutex_unlock(&cluster->mutex);
    return is;
}
