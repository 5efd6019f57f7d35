/*
 * The question for the map of slots, and learning from its answer. See
 * cluster_state.h.
 */
#include "redis/cluster_state.h"

static void map_done(mtci_redis_command *command);

mtci_redis_command *mtci_cluster_question(mtci_redis_cluster *cluster,
                                          const char *word, uint32_t expects)
{
    mtci_redis_command *command = mtci_command_new(expects);
    if (!command)
        return NULL;
    mtci_resp_begin(&command->bytes, 2);
    mtci_resp_add_text(&command->bytes, "CLUSTER");
    mtci_resp_add_text(&command->bytes, word);
    command->ctx = cluster;
    return command;
}

static bool ask_locked(mtci_redis_cluster *cluster, int64_t now_ms)
{
    mtci_redis_command *command =
        mtci_cluster_question(cluster, "SLOTS", MTCI_REPLY_ARRAY);
    if (!command)
        return false;
    command->done = map_done;
    command->route.sent_ms = now_ms;
    command->deadline_ms = now_ms + cluster->settings.connect_ms;
    mtci_cluster_post_locked(cluster, cluster->asked, command);
    return true;
}

/* Turns asked to the next node that is not down; where all are, to the next
 * that there is. */
static bool find_asked_locked(mtci_redis_cluster *cluster)
{
    uint16_t count = cluster->topology.count;
    uint16_t first = MTCI_NODE_NONE;
    for (uint16_t i = 0; i < count; i++, cluster->asked++) {
        cluster->asked = cluster->asked < count ? cluster->asked : 0;
        const mtci_node *node = mtci_cluster_node(cluster, cluster->asked);
        if (node && !node->breaker.is_open)
            return true;
        if (node && first == MTCI_NODE_NONE)
            first = cluster->asked;
    }
    cluster->asked = first;
    return first != MTCI_NODE_NONE;
}

bool mtci_cluster_may_ask_locked(const mtci_redis_cluster *cluster,
                                 int64_t now_ms)
{
    return cluster->is_asking || now_ms >= cluster->next_ms;
}

void mtci_cluster_ask_locked(mtci_redis_cluster *cluster, int64_t now_ms)
{
    if (!cluster->is_wanted || cluster->is_asking || now_ms < cluster->next_ms)
        return;
    cluster->next_ms = now_ms + MTCI_CLUSTER_REFRESH_MS;
    cluster->asked_count = 0;
    if (find_asked_locked(cluster))
        cluster->is_asking = ask_locked(cluster, now_ms);
}

void mtci_cluster_want_map_locked(mtci_redis_cluster *cluster, uint16_t first,
                                  int64_t now_ms)
{
    cluster->is_wanted = true;
    if (!cluster->is_asking)
        cluster->asked = first;
    mtci_cluster_ask_locked(cluster, now_ms);
}

static bool awaits_map(const mtci_redis_command *command, const void *ctx)
{
    (void)ctx;
    return command->route.awaits_map;
}

/* Who waited for the map goes on, with or without it. */
static void end_asking_locked(mtci_redis_cluster *cluster,
                              mtci_cluster_turn *turn)
{
    cluster->is_asking = false;
    mtci_queue_extract(&cluster->parked, awaits_map, NULL, &turn->ready);
    for (mtci_redis_command *c = turn->ready.first; c; c = c->next)
        c->route.awaits_map = false;
    mtci_cluster_wake_parked(cluster);
}

static bool learn_locked(mtci_redis_cluster *cluster,
                         mtci_redis_command *command, mtci_node *node)
{
    const mtci_reply *reply = &command->replies[0];
    cluster->away = command->status;
    if (command->status != MTC_OK) {
        mtci_cluster_name_failure(node, command, cluster->failure);
        return false;
    }
    if (reply->type == MTCI_REPLY_ARRAY &&
        mtci_topology_learn(&cluster->topology, reply, &node->address))
        return true;
    char what[MTCI_CLUSTER_TEXT_SIZE - MTCI_NODE_NAME_SIZE - 16] =
        "the map of slots makes no sense, or is empty";
    if (reply->type == MTCI_REPLY_ERROR) {
        mtci_reply_error_text(reply, what, sizeof what);
        cluster->away = mtci_reply_error_status(reply);
    }
    command->failure = what;
    mtci_cluster_name_failure(node, command, cluster->failure);
    return false;
}

/* Asks the next node. False: all were asked, or there is no memory. */
static bool ask_next_locked(mtci_redis_cluster *cluster, int64_t now_ms)
{
    if (++cluster->asked_count >= cluster->topology.count)
        return false;
    cluster->asked++;
    return find_asked_locked(cluster) && ask_locked(cluster, now_ms);
}

static void map_done(mtci_redis_command *command)
{
    mtci_redis_cluster *cluster = command->ctx;
    mtci_node *node = mtci_cluster_node(cluster, command->route.node);
    bool is_away = mtci_client_is_away(node->client);
    mtci_cluster_turn turn = mtci_cluster_begin_turn(cluster);
    atomic_fetch_sub_explicit(&node->open, 1, memory_order_release);
    /* One that nobody drove in time says nothing of the node. */
    if (command->status != MTC_E_TIMEOUT)
        mtci_cluster_judge_locked(cluster, command, is_away, &turn);
    bool is_learnt = learn_locked(cluster, command, node);
    if (is_learnt) {
        cluster->is_wanted = false;
        cluster->probe_ms = turn.now_ms; /* a node may be a master now */
        cluster->failure[0] = '\0';
    }
    if (!cluster->is_closing &&
        (is_learnt || !ask_next_locked(cluster, turn.now_ms)))
        end_asking_locked(cluster, &turn);
    mtci_command_free(command);
    mtci_cluster_end_turn(cluster, &turn);
}
