/*
 * Which nodes of a cluster are down: what their commands came to opens and
 * closes their breakers, commands for a node that is down end at once, and
 * masters that are down are probed. See cluster_state.h.
 *
 * The probe is CLUSTER INFO: a node may answer and yet serve nothing, because
 * it sees too little of the cluster.
 */
#include "redis/cluster_state.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/hash.h"

/* Between two lines of the log on one node that comes and goes. */
#define TELL_MS 60000

/* -- down and back ------------------------------------------------------- */

static void note_down(mtci_redis_cluster *cluster, uint16_t index,
                      mtc_status status, const char *failure,
                      mtci_cluster_turn *turn)
{
    mtci_node *node = mtci_cluster_node(cluster, index);
    node->away = status == MTC_E_DENIED ? MTC_E_DENIED : MTC_E_UNAVAILABLE;
    snprintf(node->failure, sizeof node->failure, "%s", failure);
    cluster->probe_ms = turn->now_ms;
    mtci_cluster_want_map_locked(cluster, (uint16_t)(index + 1u), turn->now_ms);
    node->is_told = turn->now_ms >= node->tell_ms;
    if (!node->is_told)
        return;
    node->tell_ms = turn->now_ms + TELL_MS;
    snprintf(turn->news, sizeof turn->news, "%s is down: %s", node->name,
             node->failure);
}

static void note_answer(mtci_node *node, mtci_cluster_turn *turn)
{
    if (!mtci_breaker_answer(&node->breaker) || !node->is_told)
        return;
    snprintf(turn->news, sizeof turn->news, "%s is back after %" PRId64 " ms",
             node->name, turn->now_ms - node->breaker.opened_ms);
}

bool mtci_cluster_missed_locked(mtci_redis_cluster *cluster, uint16_t index,
                                const mtci_sent *sent, const char *failure,
                                mtci_cluster_turn *turn)
{
    mtci_node *node = mtci_cluster_node(cluster, index);
    if (cluster->is_closing)
        return false;
    if (mtci_breaker_miss(&node->breaker, sent->sent_ms, sent->due_ms,
                          turn->now_ms))
        note_down(cluster, index, MTC_E_UNAVAILABLE, failure, turn);
    return node->breaker.is_open;
}

void mtci_cluster_judge_locked(mtci_redis_cluster *cluster,
                               const mtci_redis_command *command, bool is_away,
                               mtci_cluster_turn *turn)
{
    uint16_t index = command->route.node;
    mtci_node *node = mtci_cluster_node(cluster, index);
    const char *failure = command->failure ? command->failure : "";
    mtci_sent sent = {command->route.sent_ms, command->deadline_ms};
    bool is_lost =
        command->status == MTC_E_UNAVAILABLE || command->status == MTC_E_DENIED;
    if (command->status == MTC_OK)
        note_answer(node, turn);
    else if (command->status == MTC_E_TIMEOUT)
        mtci_cluster_missed_locked(cluster, index, &sent, failure, turn);
    else if (is_lost && is_away && !cluster->is_closing &&
             mtci_breaker_fail(&node->breaker, turn->now_ms))
        note_down(cluster, index, command->status, failure, turn);
}

bool mtci_cluster_refuse_locked(mtci_redis_cluster *cluster,
                                mtci_redis_command *command, int64_t now_ms)
{
    char text[MTCI_CLUSTER_TEXT_SIZE];
    uint16_t owner = cluster->topology.owners[command->route.slot];
    const mtci_node *node =
        owner == MTCI_NODE_NONE ? NULL : mtci_cluster_node(cluster, owner);
    if (!node || !node->breaker.is_open || cluster->is_closing)
        return false;
    int64_t due_ms = mtci_breaker_due_ms(&node->breaker);
    if (due_ms < cluster->probe_ms)
        cluster->probe_ms = due_ms;
    mtci_cluster_want_map_locked(cluster, (uint16_t)(owner + 1u), now_ms);
    snprintf(text, sizeof text, "%s is down: %s", node->name, node->failure);
    mtci_command_fail_copy(command, node->away, text);
    return true;
}

void mtci_cluster_parts(mtci_redis_cluster *cluster, uint32_t *parts,
                        uint32_t *parts_down)
{
    *parts = 0;
    *parts_down = 0;
    pthread_mutex_lock(&cluster->mutex);
    for (uint16_t i = 0; i < cluster->topology.count; i++) {
        const mtci_node *node = mtci_cluster_node(cluster, i);
        bool is_master = node && node->slot_count > 0;
        *parts += is_master;
        *parts_down += is_master && node->breaker.is_open;
    }
    pthread_mutex_unlock(&cluster->mutex);
}

/* -- probes -------------------------------------------------------------- */

/* An error is the answer of a node that lives. */
static bool says_serving(const mtci_redis_command *probe)
{
    static const char FAIL[] = "cluster_state:fail";
    mtc_slice info = mtci_reply_slice(&probe->replies[0]);
    return info.size == 0 ||
           !memmem(info.data, info.size, FAIL, sizeof FAIL - 1);
}

static void probe_done(mtci_redis_command *command)
{
    mtci_redis_cluster *cluster = command->ctx;
    mtci_cluster_turn turn = mtci_cluster_begin_turn(cluster);
    mtci_node *node = mtci_cluster_node(cluster, command->route.node);
    atomic_fetch_sub_explicit(&node->open, 1, memory_order_release);
    cluster->probing--;
    mtci_breaker_end_probe(&node->breaker, turn.now_ms,
                           mtci_random(&cluster->random));
    if (command->status == MTC_OK && says_serving(command))
        note_answer(node, &turn);
    int64_t due_ms = mtci_breaker_due_ms(&node->breaker);
    if (due_ms < cluster->probe_ms)
        cluster->probe_ms = due_ms;
    mtci_command_free(command);
    mtci_cluster_end_turn(cluster, &turn);
}

static bool probe(mtci_redis_cluster *cluster, uint16_t index, int64_t now_ms)
{
    mtci_redis_command *command =
        mtci_cluster_question(cluster, "INFO", MTCI_REPLY_BULK);
    if (!command)
        return false;
    command->done = probe_done;
    command->deadline_ms = now_ms + cluster->settings.connect_ms;
    mtci_breaker_begin_probe(&mtci_cluster_node(cluster, index)->breaker);
    cluster->probing++;
    mtci_cluster_post_locked(cluster, index, command);
    return true;
}

void mtci_cluster_probe_locked(mtci_redis_cluster *cluster, int64_t now_ms)
{
    if (now_ms < cluster->probe_ms || cluster->is_closing)
        return;
    cluster->probe_ms = INT64_MAX;
    for (uint16_t i = 0; i < cluster->topology.count; i++) {
        const mtci_node *node = mtci_cluster_node(cluster, i);
        if (!node || node->slot_count == 0)
            continue;
        int64_t due_ms = mtci_breaker_due_ms(&node->breaker);
        bool is_sent = due_ms <= now_ms && probe(cluster, i, now_ms);
        if (!is_sent && due_ms < cluster->probe_ms)
            cluster->probe_ms = due_ms;
    }
}
