/*
 * The inside of a cluster, shared by cluster.c, which takes commands in,
 * cluster_place.c, which says where they go, cluster_answer.c, which says what
 * becomes of them, cluster_breaker.c, which says which nodes are down,
 * cluster_map.c, which asks for the map of slots, and cluster_drive.c, which
 * waits.
 *
 * The mutex guards everything here but the commands that a node's client has,
 * and is never held while a client is called or an owner is told. A client is
 * called by a thread that is counted in its node's users.
 */
#ifndef MTCI_REDIS_CLUSTER_STATE_H
#define MTCI_REDIS_CLUSTER_STATE_H

#include <pthread.h>

#include "redis/cluster.h"
#include "redis/order.h"
#include "redis/topology.h"

/* The place of a command that is with no node. */
#define MTCI_PLACE_PARKED UINT64_MAX

#define MTCI_CLUSTER_TEXT_SIZE 256

struct mtci_redis_cluster {
    pthread_mutex_t mutex;
    _Atomic uint32_t unparked; /* counts up when parked commands go on */
    mtci_redis_settings settings;
    mtci_address seeds[MTCI_CLUSTER_SEEDS_MAX];
    size_t seed_count;
    uint64_t hash_seed;
    mtci_topology topology;
    mtci_order order;
    mtci_command_queue parked;
    int64_t parked_due_ms; /* no command in parked is due before this */
    bool has_outgoing;     /* in some outbox */
    bool is_dispatching, is_closing;

    /* The question for the map. */
    bool is_wanted, is_asking;
    int64_t next_ms;      /* no question before this */
    uint16_t asked;       /* the node asked, or to be asked first */
    uint16_t asked_count; /* nodes asked in vain, this time */
    mtc_status away;      /* why there was no map, and in words */
    char failure[MTCI_CLUSTER_TEXT_SIZE];

    /* The probes of nodes that are down. */
    int64_t probe_ms; /* none is due before this */
    uint32_t probing; /* under way */
    uint64_t random;
};

/* What one look at commands leads to; its owner finishes it without the lock.*/
typedef struct mtci_cluster_turn {
    int64_t now_ms;
    mtci_command_queue ready; /* to be placed */
    mtci_command_queue ended;
    char text[MTCI_CLUSTER_TEXT_SIZE]; /* of those that ended without a map */
    char news[MTCI_CLUSTER_TEXT_SIZE]; /* for the log; "": none */
} mtci_cluster_turn;

static inline mtci_node *mtci_cluster_node(mtci_redis_cluster *cluster,
                                           uint16_t index)
{
    return cluster->topology.nodes[index];
}

static inline uint64_t mtci_place_get(const uint64_t *place)
{
    return __atomic_load_n(place, __ATOMIC_ACQUIRE);
}

/* -- cluster_place.c ------------------------------------------------------ */

/* Takes the lock. */
mtci_cluster_turn mtci_cluster_begin_turn(mtci_redis_cluster *cluster);

/* Places what is ready, lets the lock go, sends, and tells owners. */
void mtci_cluster_end_turn(mtci_redis_cluster *cluster,
                           mtci_cluster_turn *turn);

/* Puts a command into the outbox of a node; send notes its place, too. */
void mtci_cluster_post_locked(mtci_redis_cluster *cluster, uint16_t index,
                              mtci_redis_command *command);
void mtci_cluster_send_locked(mtci_redis_cluster *cluster, uint16_t index,
                              mtci_redis_command *command);

/* Keeps a command until due_ms, or its deadline if that is earlier. */
void mtci_cluster_park_locked(mtci_redis_cluster *cluster,
                              mtci_redis_command *command, int64_t due_ms);

/* Parked commands whose time has come are ready. */
void mtci_cluster_unpark_locked(mtci_redis_cluster *cluster,
                                mtci_cluster_turn *turn);

/* Whoever sleeps because his command is parked looks again. */
void mtci_cluster_wake_parked(mtci_redis_cluster *cluster);

/* A command has ended: what it held back is ready. */
void mtci_cluster_end_locked(mtci_redis_cluster *cluster,
                             mtci_redis_command *command,
                             mtci_cluster_turn *turn);

/* -- cluster_answer.c ----------------------------------------------------- */

/* The done of a command that a node's client has: given back by the driver of
 * the node, or in submit. */
void mtci_cluster_answered(mtci_redis_command *command);

/* Gives a command back to its owner. */
void mtci_cluster_finish(mtci_redis_command *command);

/* Puts the node's name before the command's failure, into text. */
void mtci_cluster_name_failure(const mtci_node *node,
                               mtci_redis_command *command,
                               char text[MTCI_CLUSTER_TEXT_SIZE]);

/* -- cluster_breaker.c ---------------------------------------------------- */

/* What a command of a node came to says of the node. is_away: it cannot be
 * reached now. */
void mtci_cluster_judge_locked(mtci_redis_cluster *cluster,
                               const mtci_redis_command *command, bool is_away,
                               mtci_cluster_turn *turn);

/* A command was left without an answer that serves. Whether the node is down.
 */
bool mtci_cluster_missed_locked(mtci_redis_cluster *cluster, uint16_t index,
                                const mtci_sent *sent, const char *failure,
                                mtci_cluster_turn *turn);

/* Ends a command whose slot is served by a node that is down. False: it is
 * not. */
bool mtci_cluster_refuse_locked(mtci_redis_cluster *cluster,
                                mtci_redis_command *command, int64_t now_ms);

/* Sends the probes that are due. */
void mtci_cluster_probe_locked(mtci_redis_cluster *cluster, int64_t now_ms);

/* -- cluster_map.c -------------------------------------------------------- */

/* CLUSTER and a word, from the cluster itself, answered by this type. NULL: no
 * memory. */
mtci_redis_command *mtci_cluster_question(mtci_redis_cluster *cluster,
                                          const char *word, uint32_t expects);

/* The map is wanted; first: the node to be asked first. */
void mtci_cluster_want_map_locked(mtci_redis_cluster *cluster, uint16_t first,
                                  int64_t now_ms);

/* Asks for the map, if it is wanted and time. */
void mtci_cluster_ask_locked(mtci_redis_cluster *cluster, int64_t now_ms);

/* Whether a map may come: the question is under way, or may be asked. */
bool mtci_cluster_may_ask_locked(const mtci_redis_cluster *cluster,
                                 int64_t now_ms);

#endif
