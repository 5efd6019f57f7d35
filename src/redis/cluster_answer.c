/*
 * What the nodes of a cluster answered, and what follows from it: a command has
 * ended, or goes on elsewhere, or later. See cluster_state.h.
 */
#include "redis/cluster_state.h"

#include <stdio.h>

#include "redis/pause.h"

/* The answers to ASKING are not the owner's. */
static void drop_asking(mtci_redis_command *command)
{
    size_t count = command->replied / 2;
    if (!command->route.is_asking)
        return;
    for (size_t i = 0; i < count; i++) {
        mtci_reply_fini(&command->replies[2 * i]);
        command->replies[i] = command->replies[2 * i + 1];
        command->replies[2 * i + 1] = (mtci_reply){0};
    }
    while (command->replied > count)
        mtci_reply_fini(&command->replies[--command->replied]);
}

void mtci_cluster_finish(mtci_redis_command *command)
{
    drop_asking(command);
    command->done = command->route.done;
    command->done(command);
}

void mtci_cluster_name_failure(const mtci_node *node,
                               mtci_redis_command *command,
                               char text[MTCI_CLUSTER_TEXT_SIZE])
{
    if (!command->failure)
        return;
    snprintf(text, MTCI_CLUSTER_TEXT_SIZE, "%s: %s", node->name,
             command->failure);
    command->failure = text;
}

static void unask(mtci_redis_command *command)
{
    if (command->route.is_asking)
        mtci_command_unask(command);
    else
        mtci_command_reset(command);
    command->route.is_asking = false;
}

static mtc_status ask(mtci_redis_command *command)
{
    if (command->route.is_asking)
        mtci_command_reset(command);
    else if (mtci_command_ask(command) != MTC_OK)
        return MTC_E_NO_MEMORY;
    command->route.is_asking = true;
    return MTC_OK;
}

/* Sends a refused command to another node. False: it has ended. */
static bool redirect_locked(mtci_redis_cluster *cluster,
                            mtci_redis_command *command, bool is_moved,
                            const mtci_address *to, int64_t now_ms)
{
    uint16_t index = mtci_topology_node(&cluster->topology, to);
    bool is_too_often =
        command->route.redirects++ >= MTCI_CLUSTER_REDIRECTS_MAX;
    if (index == MTCI_NODE_NONE || is_too_often) {
        mtci_command_fail(command, MTC_E_UNAVAILABLE,
                          is_too_often
                              ? "the key was sent from node to node too often"
                              : "no memory or no descriptor for another node");
        return false;
    }
    if (is_moved) {
        mtci_topology_give(&cluster->topology, command->route.slot, index);
        mtci_cluster_want_map_locked(cluster, command->route.node, now_ms);
        unask(command);
    } else if (ask(command) != MTC_OK) {
        mtci_command_fail(command, MTC_E_NO_MEMORY, "out of memory");
        return false;
    }
    mtci_cluster_send_locked(cluster, index, command);
    return true;
}

static void pause_locked(mtci_redis_cluster *cluster,
                         mtci_redis_command *command, int64_t now_ms)
{
    int64_t pause_ms =
        mtci_pause_bound_ms(command->route.pauses, MTCI_CLUSTER_PAUSE_MS_MIN,
                            MTCI_CLUSTER_PAUSE_MS_MAX);
    if (command->route.pauses < UINT8_MAX)
        command->route.pauses++;
    mtci_cluster_want_map_locked(cluster, command->route.node, now_ms);
    unask(command);
    mtci_cluster_park_locked(cluster, command, now_ms + pause_ms);
}

/* CLUSTERDOWN is as good as no answer. Whether there was too much of it. */
static bool is_down_locked(mtci_redis_cluster *cluster,
                           const mtci_redis_command *command, const char *what,
                           mtci_cluster_turn *turn)
{
    mtci_sent sent = {command->route.sent_ms, command->deadline_ms};
    return mtci_cluster_missed_locked(cluster, command->route.node, &sent, what,
                                      turn);
}

/* The node said no. False: that is final. */
static bool refused_locked(mtci_redis_cluster *cluster,
                           mtci_redis_command *command, mtci_cluster_turn *turn,
                           char text[MTCI_CLUSTER_TEXT_SIZE])
{
    const mtci_reply *error = mtci_command_error(command);
    const mtci_node *node = mtci_cluster_node(cluster, command->route.node);
    mtci_address to;
    uint16_t slot = 0;
    mtci_redirection is =
        mtci_redirect_read(mtci_reply_slice(error), &node->address, &slot, &to);
    if (is != MTCI_REDIRECT_DOWN)
        mtci_cluster_judge_locked(cluster, command, false, turn);
    bool is_elsewhere = is == MTCI_REDIRECT_MOVED || is == MTCI_REDIRECT_ASK;
    if (is_elsewhere && slot == command->route.slot) {
        if (redirect_locked(cluster, command, is == MTCI_REDIRECT_MOVED, &to,
                            turn->now_ms))
            return true;
        mtci_cluster_name_failure(node, command, text);
        return false;
    }
    char what[MTCI_CLUSTER_TEXT_SIZE - MTCI_NODE_NAME_SIZE - 2];
    mtci_reply_error_text(error, what, sizeof what);
    if (is == MTCI_REDIRECT_LATER ||
        (is == MTCI_REDIRECT_DOWN &&
         !is_down_locked(cluster, command, what, turn))) {
        pause_locked(cluster, command, turn->now_ms);
        return true;
    }
    mtci_command_fail(command, mtci_reply_error_status(error), what);
    mtci_cluster_name_failure(node, command, text);
    return false;
}

/* The node did not answer. False: that is final. A read is tried once more
 * where the next map says. */
static bool lost_locked(mtci_redis_cluster *cluster,
                        mtci_redis_command *command, mtci_cluster_turn *turn,
                        char text[MTCI_CLUSTER_TEXT_SIZE])
{
    const mtci_node *node = mtci_cluster_node(cluster, command->route.node);
    mtc_status status = command->status;
    uint16_t next = (uint16_t)(command->route.node + 1u);
    mtci_cluster_name_failure(node, command, text);
    if (cluster->is_closing ||
        (status != MTC_E_UNAVAILABLE && status != MTC_E_TIMEOUT))
        return false;
    bool may_ask = mtci_cluster_may_ask_locked(cluster, turn->now_ms);
    mtci_cluster_want_map_locked(cluster, next, turn->now_ms);
    if (status != MTC_E_UNAVAILABLE || command->route.is_write ||
        command->route.was_lost || !may_ask)
        return false;
    unask(command);
    command->route.was_lost = true;
    command->route.awaits_map = true;
    mtci_cluster_park_locked(cluster, command, command->deadline_ms);
    return true;
}

void mtci_cluster_answered(mtci_redis_command *command)
{
    mtci_redis_cluster *cluster = command->route.cluster;
    mtci_node *node = mtci_cluster_node(cluster, command->route.node);
    bool is_answered = command->status == MTC_OK;
    bool is_refused = is_answered && mtci_command_error(command);
    bool is_away = !is_answered && mtci_client_is_away(node->client);
    bool is_news = is_refused || mtci_breaker_is_doubted(&node->breaker);
    bool goes_on = false;
    char text[MTCI_CLUSTER_TEXT_SIZE];
    atomic_fetch_sub_explicit(&node->open, 1, memory_order_release);
    if (is_answered && !is_news && !command->route.is_write) {
        mtci_cluster_finish(command);
        return;
    }
    mtci_cluster_turn turn = mtci_cluster_begin_turn(cluster);
    if (is_refused)
        goes_on = refused_locked(cluster, command, &turn, text);
    else
        mtci_cluster_judge_locked(cluster, command, is_away, &turn);
    if (!is_answered)
        goes_on = lost_locked(cluster, command, &turn, text);
    if (!goes_on)
        mtci_cluster_end_locked(cluster, command, &turn);
    mtci_cluster_end_turn(cluster, &turn);
}
