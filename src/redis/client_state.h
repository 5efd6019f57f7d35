/*
 * The inside of a client, shared by client.c, which takes commands in and
 * gives them back, and client_drive.c, which sends them and reads replies.
 *
 * The mutex guards the queue, the counts, who drives, and what submit must
 * know of the connection. The connection itself belongs to the driver, which
 * holds no lock while it works.
 */
#ifndef MTCI_REDIS_CLIENT_STATE_H
#define MTCI_REDIS_CLIENT_STATE_H

#include "redis/client.h"
#include "redis/conn.h"
#include "redis/master.h"
#include "redis/role.h"
#include "redis/watch.h"

struct mtci_redis_client {
    pthread_mutex_t mutex;
    /* Under the mutex. */
    mtci_role role;
    mtci_command_queue queued;
    int64_t queued_due_ms; /* no deadline in queued is before this */
    size_t open_count, open_bytes;
    bool is_asleep;   /* the driver polls; wake_fd ends that */
    int64_t retry_ms; /* no attempt to connect before this */
    mtc_status away;  /* what a command gets until then */
    char away_text[256];

    int wake_fd;
    mtci_redis_settings settings;
    mtci_watch *watch; /* NULL: none */

    /* The driver's. */
    mtci_watched watched;
    mtci_redis_conn conn;
    mtci_master *master;      /* NULL: settings say where the server is */
    int64_t replica_ms;       /* a replica is not left before this */
    int64_t replica_told_ms;  /* nor told of before this */
    unsigned attempts_failed; /* since a command was answered */
    bool is_lost;             /* and the log knows */
    uint64_t random;
};

/* Wakes those whose commands, or whatever they await, are complete. */
void mtci_client_tell_answered(mtci_redis_client *client);

/* Gives finished commands back and wakes those who waited for them. */
void mtci_client_deliver(mtci_redis_client *client,
                         mtci_command_queue *finished);

#endif
