/*
 * Where the commands of a cluster go: to a node, or into the parking place
 * until a map comes or a pause is over. See cluster_state.h.
 *
 * What is to be sent waits in the outbox of its node; one thread at a time
 * empties them all, so that a client that refuses at once leads to no
 * recursion.
 */
#include "redis/cluster_state.h"

#include <stdio.h>

#include "base/sync.h"

/* -- places -------------------------------------------------------------- */

/* Also of those that wait behind it: they move when it does. */
static void set_place_locked(mtci_redis_command *command, uint64_t place)
{
    __atomic_store_n(command->route.place, place, __ATOMIC_RELEASE);
    for (mtci_redis_command *c = command->route.held_first; c; c = c->next)
        __atomic_store_n(c->route.place, place, __ATOMIC_RELEASE);
}

void mtci_cluster_post_locked(mtci_redis_cluster *cluster, uint16_t index,
                              mtci_redis_command *command)
{
    mtci_node *node = mtci_cluster_node(cluster, index);
    command->route.node = index;
    atomic_fetch_add_explicit(&node->open, 1, memory_order_relaxed);
    mtci_queue_push(&node->outbox, command);
    cluster->has_outgoing = true;
}

void mtci_cluster_send_locked(mtci_redis_cluster *cluster, uint16_t index,
                              mtci_redis_command *command)
{
    mtci_cluster_post_locked(cluster, index, command);
    set_place_locked(command, index);
}

void mtci_cluster_park_locked(mtci_redis_cluster *cluster,
                              mtci_redis_command *command, int64_t due_ms)
{
    if (due_ms > command->deadline_ms)
        due_ms = command->deadline_ms;
    command->route.due_ms = due_ms;
    mtci_queue_push(&cluster->parked, command);
    if (due_ms < cluster->parked_due_ms)
        cluster->parked_due_ms = due_ms;
    set_place_locked(command, MTCI_PLACE_PARKED);
}

void mtci_cluster_wake_parked(mtci_redis_cluster *cluster)
{
    atomic_fetch_add_explicit(&cluster->unparked, 1, memory_order_release);
    mtci_word_wake(&cluster->unparked);
}

static bool is_due(const mtci_redis_command *command, const void *ctx)
{
    const int64_t *now_ms = ctx;
    return command->route.due_ms <= *now_ms;
}

void mtci_cluster_unpark_locked(mtci_redis_cluster *cluster,
                                mtci_cluster_turn *turn)
{
    if (turn->now_ms < cluster->parked_due_ms)
        return;
    mtci_queue_extract(&cluster->parked, is_due, &turn->now_ms, &turn->ready);
    cluster->parked_due_ms = INT64_MAX;
    for (mtci_redis_command *c = cluster->parked.first; c; c = c->next)
        if (c->route.due_ms < cluster->parked_due_ms)
            cluster->parked_due_ms = c->route.due_ms;
    mtci_cluster_wake_parked(cluster);
}

/* -- placing ------------------------------------------------------------- */

/* Gives the command to its node or parks it. False: it has ended. */
static bool place_locked(mtci_redis_cluster *cluster,
                         mtci_redis_command *command, mtci_cluster_turn *turn)
{
    uint16_t owner = cluster->topology.owners[command->route.slot];
    if (cluster->is_closing) {
        mtci_command_fail(command, MTC_E_CLOSED, "closed");
        return false;
    }
    if (turn->now_ms >= command->deadline_ms) {
        mtci_command_fail(command, MTC_E_TIMEOUT, MTCI_COMMAND_LATE);
        return false;
    }
    if (mtci_cluster_refuse_locked(cluster, command, turn->now_ms))
        return false;
    if (owner != MTCI_NODE_NONE) {
        mtci_cluster_send_locked(cluster, owner, command);
        return true;
    }
    if (!mtci_cluster_may_ask_locked(cluster, turn->now_ms)) {
        snprintf(turn->text, sizeof turn->text, "%s",
                 cluster->failure[0] ? cluster->failure
                                     : "no node serves the key's slot");
        mtci_command_fail(command,
                          cluster->away == MTC_E_DENIED ? MTC_E_DENIED
                                                        : MTC_E_UNAVAILABLE,
                          turn->text);
        return false;
    }
    mtci_cluster_want_map_locked(cluster, cluster->asked, turn->now_ms);
    command->route.awaits_map = true;
    mtci_cluster_park_locked(cluster, command, command->deadline_ms);
    return true;
}

void mtci_cluster_end_locked(mtci_redis_cluster *cluster,
                             mtci_redis_command *command,
                             mtci_cluster_turn *turn)
{
    if (command->route.is_write)
        mtci_order_leave(&cluster->order, command, &turn->ready);
    mtci_queue_push(&turn->ended, command);
}

static void place_all_locked(mtci_redis_cluster *cluster,
                             mtci_cluster_turn *turn)
{
    mtci_redis_command *command;
    while ((command = mtci_queue_pop(&turn->ready)) != NULL)
        if (!place_locked(cluster, command, turn))
            mtci_cluster_end_locked(cluster, command, turn);
}

/* -- turns --------------------------------------------------------------- */

mtci_cluster_turn mtci_cluster_begin_turn(mtci_redis_cluster *cluster)
{
    mtci_cluster_turn turn;
    turn.now_ms = mtci_clock_ms(&cluster->settings.clock);
    turn.ready = (mtci_command_queue){0};
    turn.ended = (mtci_command_queue){0};
    turn.text[0] = '\0';
    turn.news[0] = '\0';
    pthread_mutex_lock(&cluster->mutex);
    return turn;
}

/* Empties the outboxes. Called with the lock; lets it go while clients are
 * called. */
static void dispatch_locked(mtci_redis_cluster *cluster)
{
    if (!cluster->has_outgoing || cluster->is_dispatching ||
        cluster->is_closing)
        return;
    cluster->is_dispatching = true;
    for (uint16_t i = 0; i < cluster->topology.count; i++) {
        mtci_node *node = mtci_cluster_node(cluster, i);
        if (!node || !node->outbox.first)
            continue;
        mtci_command_queue commands = node->outbox;
        node->outbox = (mtci_command_queue){0};
        node->users++;
        pthread_mutex_unlock(&cluster->mutex);
        mtci_client_submit(node->client, &commands);
        pthread_mutex_lock(&cluster->mutex);
        node->users--;
        i = UINT16_MAX; /* what was refused may have gone to any node */
    }
    cluster->is_dispatching = false;
    cluster->has_outgoing = false;
}

static void tell_log(const mtci_redis_cluster *cluster,
                     const mtci_cluster_turn *turn)
{
    if (turn->news[0] && cluster->settings.log)
        cluster->settings.log(cluster->settings.log_ctx, MTC_LOG_WARNING,
                              turn->news);
}

void mtci_cluster_end_turn(mtci_redis_cluster *cluster, mtci_cluster_turn *turn)
{
    mtci_redis_command *command;
    place_all_locked(cluster, turn);
    dispatch_locked(cluster);
    pthread_mutex_unlock(&cluster->mutex);
    tell_log(cluster, turn);
    while ((command = mtci_queue_pop(&turn->ended)) != NULL)
        mtci_cluster_finish(command);
}
