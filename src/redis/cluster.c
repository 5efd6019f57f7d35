/*
 * The cluster: where commands go, and what becomes of them. See cluster.h and
 * cluster_state.h.
 *
 * What is to be sent waits in the outbox of its node; one thread at a time
 * empties them all, so that a client that refuses at once leads to no
 * recursion.
 */
#include "redis/cluster_state.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/sync.h"
#include "redis/pause.h"

mtci_cluster_turn mtci_cluster_begin_turn(mtci_redis_cluster *cluster)
{
    mtci_cluster_turn turn = {.now_ms =
                                  mtci_clock_ms(&cluster->settings.clock)};
    pthread_mutex_lock(&cluster->mutex);
    return turn;
}

/* -- places -------------------------------------------------------------- */

/* Also of those that wait behind it: they move when it does. */
static void set_place_locked(mtci_redis_command *command, uint64_t place)
{
    __atomic_store_n(command->route.place, place, __ATOMIC_RELEASE);
    for (mtci_redis_command *c = command->route.held_first; c; c = c->next)
        __atomic_store_n(c->route.place, place, __ATOMIC_RELEASE);
}

static void post_locked(mtci_redis_cluster *cluster, uint16_t index,
                        mtci_redis_command *command)
{
    mtci_node *node = mtci_cluster_node(cluster, index);
    command->route.node = index;
    atomic_fetch_add_explicit(&node->open, 1, memory_order_relaxed);
    mtci_queue_push(&node->outbox, command);
    cluster->has_outgoing = true;
}

static void send_locked(mtci_redis_cluster *cluster, uint16_t index,
                        mtci_redis_command *command)
{
    post_locked(cluster, index, command);
    set_place_locked(command, index);
}

static void park_locked(mtci_redis_cluster *cluster,
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

static void wake_parked(mtci_redis_cluster *cluster)
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
    wake_parked(cluster);
}

/* -- the question for the map -------------------------------------------- */

static void map_done(mtci_redis_command *command);

static bool ask_locked(mtci_redis_cluster *cluster, int64_t now_ms)
{
    mtci_redis_command *command = mtci_command_new(MTCI_REPLY_ARRAY);
    if (!command)
        return false;
    mtci_resp_begin(&command->bytes, 2);
    mtci_resp_add_text(&command->bytes, "CLUSTER");
    mtci_resp_add_text(&command->bytes, "SLOTS");
    command->ctx = cluster;
    command->done = map_done;
    command->deadline_ms = now_ms + cluster->settings.connect_ms;
    post_locked(cluster, cluster->asked, command);
    return true;
}

/* Turns asked to the next node that there is. */
static bool find_asked_locked(mtci_redis_cluster *cluster)
{
    uint16_t count = cluster->topology.count;
    for (uint16_t i = 0; i < count; i++, cluster->asked++) {
        cluster->asked = cluster->asked < count ? cluster->asked : 0;
        if (mtci_cluster_node(cluster, cluster->asked))
            return true;
    }
    return false;
}

static bool may_ask_locked(const mtci_redis_cluster *cluster, int64_t now_ms)
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

/* first: the node to be asked first. */
static void want_map_locked(mtci_redis_cluster *cluster, uint16_t first,
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
    wake_parked(cluster);
}

/* -- placing ------------------------------------------------------------- */

static void fail(mtci_redis_command *command, mtc_status status,
                 const char *failure)
{
    command->status = status;
    command->failure = failure;
}

/* Gives the command to its node or parks it. False: it has ended. */
static bool place_locked(mtci_redis_cluster *cluster,
                         mtci_redis_command *command, mtci_cluster_turn *turn)
{
    uint16_t owner = cluster->topology.owners[command->route.slot];
    if (cluster->is_closing) {
        fail(command, MTC_E_CLOSED, "closed");
        return false;
    }
    if (turn->now_ms >= command->deadline_ms) {
        fail(command, MTC_E_TIMEOUT, MTCI_COMMAND_LATE);
        return false;
    }
    if (owner != MTCI_NODE_NONE) {
        send_locked(cluster, owner, command);
        return true;
    }
    if (!may_ask_locked(cluster, turn->now_ms)) {
        snprintf(turn->text, sizeof turn->text, "%s",
                 cluster->failure[0] ? cluster->failure
                                     : "no node serves the key's slot");
        fail(command,
             cluster->away == MTC_E_DENIED ? MTC_E_DENIED : MTC_E_UNAVAILABLE,
             turn->text);
        return false;
    }
    want_map_locked(cluster, cluster->asked, turn->now_ms);
    command->route.awaits_map = true;
    park_locked(cluster, command, command->deadline_ms);
    return true;
}

/* It has ended: what it held back may come. */
static void end_locked(mtci_redis_cluster *cluster, mtci_redis_command *command,
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
            end_locked(cluster, command, turn);
}

/* -- without the lock ---------------------------------------------------- */

/* Empties the outboxes. Called with the lock; lets it go while clients are
 * called. */
static void dispatch_locked(mtci_redis_cluster *cluster)
{
    bool is_mine = cluster->has_outgoing && !cluster->is_dispatching &&
                   !cluster->is_closing;
    cluster->is_dispatching |= is_mine;
    for (uint16_t i = 0; is_mine && i < cluster->topology.count; i++) {
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
    if (!is_mine)
        return;
    cluster->is_dispatching = false;
    cluster->has_outgoing = false;
}

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

static void finish(mtci_redis_command *command)
{
    drop_asking(command);
    command->done = command->route.done;
    command->done(command);
}

void mtci_cluster_end_turn(mtci_redis_cluster *cluster, mtci_cluster_turn *turn)
{
    mtci_redis_command *command;
    place_all_locked(cluster, turn);
    dispatch_locked(cluster);
    pthread_mutex_unlock(&cluster->mutex);
    while ((command = mtci_queue_pop(&turn->ended)) != NULL)
        finish(command);
}

/* -- what a node answered ------------------------------------------------ */

static void name_failure(const mtci_node *node, mtci_redis_command *command,
                         char text[MTCI_CLUSTER_TEXT_SIZE])
{
    if (!command->failure)
        return;
    snprintf(text, MTCI_CLUSTER_TEXT_SIZE, "%s: %s", node->name,
             command->failure);
    command->failure = text;
}

/* The last of the error replies: the one to what the command is about. */
static const mtci_reply *error_of(const mtci_redis_command *command)
{
    for (size_t i = command->replied; i > 0; i--)
        if (command->replies[i - 1].type == MTCI_REPLY_ERROR)
            return &command->replies[i - 1];
    return NULL;
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
        fail(command, MTC_E_UNAVAILABLE,
             is_too_often ? "the key was sent from node to node too often"
                          : "no memory or no descriptor for another node");
        return false;
    }
    if (is_moved) {
        cluster->topology.owners[command->route.slot] = index;
        want_map_locked(cluster, command->route.node, now_ms);
        unask(command);
    } else if (ask(command) != MTC_OK) {
        fail(command, MTC_E_NO_MEMORY, "out of memory");
        return false;
    }
    send_locked(cluster, index, command);
    return true;
}

static bool pause_locked(mtci_redis_cluster *cluster,
                         mtci_redis_command *command, int64_t now_ms)
{
    int64_t pause_ms =
        mtci_pause_bound_ms(command->route.pauses, MTCI_CLUSTER_PAUSE_MS_MIN,
                            MTCI_CLUSTER_PAUSE_MS_MAX);
    if (command->route.pauses < UINT8_MAX)
        command->route.pauses++;
    uint16_t node = command->route.node;
    want_map_locked(cluster, node, now_ms);
    unask(command);
    park_locked(cluster, command, now_ms + pause_ms);
    return true;
}

/* The node said no. False: that is final. */
static bool refused_locked(mtci_redis_cluster *cluster,
                           mtci_redis_command *command, mtci_cluster_turn *turn,
                           char text[MTCI_CLUSTER_TEXT_SIZE])
{
    const mtci_reply *error = error_of(command);
    const mtci_node *node = mtci_cluster_node(cluster, command->route.node);
    mtci_address to;
    uint16_t slot = 0;
    mtci_redirection is =
        mtci_redirect_read(mtci_reply_slice(error), &node->address, &slot, &to);
    bool is_elsewhere = is == MTCI_REDIRECT_MOVED || is == MTCI_REDIRECT_ASK;
    if (is_elsewhere && slot == command->route.slot) {
        if (redirect_locked(cluster, command, is == MTCI_REDIRECT_MOVED, &to,
                            turn->now_ms))
            return true;
        name_failure(node, command, text);
        return false;
    }
    if (is == MTCI_REDIRECT_LATER)
        return pause_locked(cluster, command, turn->now_ms);
    char what[MTCI_CLUSTER_TEXT_SIZE - MTCI_NODE_NAME_SIZE - 2];
    mtci_reply_error_text(error, what, sizeof what);
    fail(command, mtci_reply_error_status(error), what);
    name_failure(node, command, text);
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
    name_failure(node, command, text);
    if (cluster->is_closing ||
        (status != MTC_E_UNAVAILABLE && status != MTC_E_TIMEOUT))
        return false;
    bool may_ask = may_ask_locked(cluster, turn->now_ms);
    want_map_locked(cluster, next, turn->now_ms);
    if (status != MTC_E_UNAVAILABLE || command->route.is_write ||
        command->route.was_lost || !may_ask)
        return false;
    unask(command);
    command->route.was_lost = true;
    command->route.awaits_map = true;
    park_locked(cluster, command, command->deadline_ms);
    return true;
}

/* A client gives a command back: by the driver of its node, or in submit. */
static void node_done(mtci_redis_command *command)
{
    mtci_redis_cluster *cluster = command->route.cluster;
    mtci_node *node = mtci_cluster_node(cluster, command->route.node);
    bool is_answered = command->status == MTC_OK;
    bool is_refused = is_answered && error_of(command);
    bool goes_on = false;
    char text[MTCI_CLUSTER_TEXT_SIZE];
    atomic_fetch_sub_explicit(&node->open, 1, memory_order_release);
    if (is_answered && !is_refused && !command->route.is_write) {
        finish(command);
        return;
    }
    mtci_cluster_turn turn = mtci_cluster_begin_turn(cluster);
    if (is_refused)
        goes_on = refused_locked(cluster, command, &turn, text);
    else if (!is_answered)
        goes_on = lost_locked(cluster, command, &turn, text);
    if (!goes_on)
        end_locked(cluster, command, &turn);
    mtci_cluster_end_turn(cluster, &turn);
}

/* -- the map ------------------------------------------------------------- */

static bool learn_locked(mtci_redis_cluster *cluster,
                         mtci_redis_command *command, mtci_node *node)
{
    const mtci_reply *reply = &command->replies[0];
    cluster->away = command->status;
    if (command->status != MTC_OK) {
        name_failure(node, command, cluster->failure);
        return false;
    }
    if (reply->type == MTCI_REPLY_ARRAY &&
        mtci_topology_learn(&cluster->topology, reply, &node->address))
        return true;
    char what[MTCI_CLUSTER_TEXT_SIZE - MTCI_NODE_NAME_SIZE - 16] =
        "the map of slots makes no sense, or is empty";
    if (reply->type == MTCI_REPLY_ERROR)
        mtci_reply_error_text(reply, what, sizeof what);
    if (reply->type == MTCI_REPLY_ERROR)
        cluster->away = mtci_reply_error_status(reply);
    command->failure = what;
    name_failure(node, command, cluster->failure);
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
    mtci_cluster_turn turn = mtci_cluster_begin_turn(cluster);
    mtci_node *node = mtci_cluster_node(cluster, command->route.node);
    atomic_fetch_sub_explicit(&node->open, 1, memory_order_release);
    bool is_learnt = learn_locked(cluster, command, node);
    if (is_learnt) {
        cluster->is_wanted = false;
        cluster->failure[0] = '\0';
    }
    if (!cluster->is_closing &&
        (is_learnt || !ask_next_locked(cluster, turn.now_ms)))
        end_asking_locked(cluster, &turn);
    mtci_command_free(command);
    mtci_cluster_end_turn(cluster, &turn);
}

/* -- public -------------------------------------------------------------- */

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
    mtci_cluster_turn turn = {.text = ""};
    pthread_mutex_init(&cluster->mutex, NULL);
    cluster->is_closing = true;
    for (uint16_t i = 0; i < cluster->topology.count; i++)
        if (mtci_cluster_node(cluster, i))
            mtci_queue_append(&turn.ready,
                              &mtci_cluster_node(cluster, i)->outbox);
    mtci_queue_append(&turn.ready, &cluster->parked);
    mtci_redis_command *command;
    while ((command = mtci_queue_pop(&turn.ready)) != NULL) {
        fail(command, MTC_E_CLOSED, "closed");
        if (command->done == map_done)
            mtci_command_free(command);
        else
            end_locked(cluster, command, &turn);
    }
    while ((command = mtci_queue_pop(&turn.ended)) != NULL)
        finish(command);
    mtci_topology_fini(&cluster->topology);
    pthread_mutex_destroy(&cluster->mutex);
    explicit_bzero(&cluster->settings, sizeof cluster->settings);
    free(cluster);
}

mtci_redis_settings *mtci_cluster_settings(mtci_redis_cluster *cluster)
{
    return &cluster->settings;
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
    command->done = node_done;
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
        cluster->topology.owners[slot] = index;
    pthread_mutex_unlock(&cluster->mutex);
    return is;
}
