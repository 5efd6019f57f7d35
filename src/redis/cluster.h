/*
 * A Redis cluster, with the calls of one client: commands go to the node that
 * serves their key's slot, one pipeline per node, and follow the slot when it
 * has moved.
 *
 * The map of slots is asked for when the first command comes, and again when a
 * node refuses or is lost: one request at a time for all, at most one a second.
 * What a node refused (MOVED, ASK, TRYAGAIN, CLUSTERDOWN) was not executed
 * there and is sent on; what may have been executed is never sent again,
 * unless it changes nothing. While a write of a key is unanswered, later
 * commands of that key wait for it.
 *
 * A node that cannot be reached, or answers nobody for a whole deadline, is
 * down: commands for its slots end at once, with its name and the reason, and
 * others are served as ever. Masters that are down are probed by whoever
 * drives; any answer ends it.
 *
 * Any thread, unless said otherwise.
 */
#ifndef MTCI_REDIS_CLUSTER_H
#define MTCI_REDIS_CLUSTER_H

#include "redis/client.h"
#include "redis/slots.h"

/* How often a command is sent on; beyond: UNAVAILABLE. */
#define MTCI_CLUSTER_REDIRECTS_MAX 5
/* Between two questions for the map of slots. */
#define MTCI_CLUSTER_REFRESH_MS 1000
/* Pauses after TRYAGAIN and CLUSTERDOWN: the first, and where doubling ends. */
#define MTCI_CLUSTER_PAUSE_MS_MIN 10
#define MTCI_CLUSTER_PAUSE_MS_MAX 160
/* How long a waiting caller stays with one node before it looks after what
 * others have left. */
#define MTCI_CLUSTER_LOOK_MS 20
/* The most servers to begin with. */
#define MTCI_CLUSTER_SEEDS_MAX 32

typedef struct mtci_redis_cluster mtci_redis_cluster;

/* Copies settings, whose host is not used, and the addresses of some nodes.
 * Connects to nothing yet. MTC_OK or MTC_E_NO_MEMORY. */
mtc_status mtci_cluster_new(const mtci_redis_settings *settings,
                            const mtci_address *seeds, size_t seed_count,
                            mtci_redis_cluster **out);

/* As mtci_client_free. */
void mtci_cluster_free(mtci_redis_cluster *cluster);

/* May be changed until the first submit. */
mtci_redis_settings *mtci_cluster_settings(mtci_redis_cluster *cluster);

/* As mtci_client_watch, for all nodes. */
void mtci_cluster_watch(mtci_redis_cluster *cluster, struct mtci_watch *watch);

/* Says which key a command is about, before it is submitted. place: a word of
 * the owner's that stays until done; drive and abandon need it. */
void mtci_cluster_route(mtci_redis_cluster *cluster,
                        mtci_redis_command *command, mtc_slice key,
                        uint64_t *place);

/* As mtci_client_submit, for routed commands; each ends by its done. An error
 * reply that is not followed ends a command with what it means, its failure
 * beginning with the node's address. */
void mtci_cluster_submit(mtci_redis_cluster *cluster,
                         mtci_command_queue *commands);

/* As mtci_client_has_pushes, of the node that a command is sent to. */
bool mtci_cluster_has_pushes(mtci_redis_cluster *cluster,
                             const mtci_redis_command *command);

/* As mtci_client_drive; place is that of the awaited command, NULL without. */
void mtci_cluster_drive(mtci_redis_cluster *cluster, const uint64_t *place,
                        const mtci_awaited *awaited, int64_t until_ms);

/* When a command was sent, and when its time is over. */
typedef struct mtci_sent {
    int64_t sent_ms, due_ms;
} mtci_sent;

/* As mtci_client_abandon, for the command with this place and ctx. One that is
 * parked or held may go on, and ends at its deadline. A node that had the
 * command for all its time is down. */
void mtci_cluster_abandon(mtci_redis_cluster *cluster, const uint64_t *place,
                          const void *ctx, const mtci_sent *sent);

/* How many nodes serve slots, as far as is known, and how many of those are
 * down. */
void mtci_cluster_parts(mtci_redis_cluster *cluster, uint32_t *parts,
                        uint32_t *parts_down);

/* Settings for a client of one's own to the node of a key, as far as it is
 * known now. They hold a password. */
void mtci_cluster_settings_for(mtci_redis_cluster *cluster, mtc_slice key,
                               mtci_redis_settings *settings);

/* Learns from the text of an error that such a client was given: MOVED is
 * noted. What it was. */
mtci_redirection mtci_cluster_learn(mtci_redis_cluster *cluster,
                                    const mtci_redis_settings *answered,
                                    const char *error);

#endif
