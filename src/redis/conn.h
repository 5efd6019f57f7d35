/*
 * One connection to a Redis server, as a state machine that never blocks:
 * dialling, handshake (with TLS), greeting, ready, and back to closed.
 *
 * Commands handed to it are sent in order; replies are given to them in
 * order. Whatever breaks that order (a reply nobody asked for, of a type that
 * does not fit, a damaged one) ends the connection. Owns the socket and the
 * commands between send and reply. One thread at a time, the driver.
 */
#ifndef MTCI_REDIS_CONN_H
#define MTCI_REDIS_CONN_H

#include <stdatomic.h>
#include <sys/socket.h>

#include "redis/command.h"
#include "redis/dial.h"
#include "redis/resp_reader.h"
#include "redis/transport.h"

/* A connection is dead when a reply is late by this many times what its
 * command had, at least MTCI_CONN_STALL_MS_MIN. */
#define MTCI_CONN_STALL_FACTOR 4
#define MTCI_CONN_STALL_MS_MIN 1000
/* After this long without a byte, look for an end before sending. */
#define MTCI_CONN_IDLE_MS 1000
/* Commands that one system call sends. */
#define MTCI_CONN_BATCH 64
/* Bytes received before the others have their turn. */
#define MTCI_CONN_RECEIVE_MAX ((size_t)1 << 20)
/* Replies and pushes taken in before they are told: a push of few bytes is
 * held in many. */
#define MTCI_CONN_FINISHED_MAX 4096

#define MTCI_CONN_GREETINGS 6

typedef enum mtci_conn_state {
    MTCI_CONN_CLOSED,
    MTCI_CONN_DIALLING,
    MTCI_CONN_HANDSHAKE,
    MTCI_CONN_GREETING,
    MTCI_CONN_READY
} mtci_conn_state;

/* What the greeting asks, in order. */
typedef enum mtci_greeting {
    MTCI_GREET_HELLO,
    MTCI_GREET_AUTH,
    MTCI_GREET_SELECT,
    MTCI_GREET_ROLE,
    MTCI_GREET_KILL,
    MTCI_GREET_NAME,
    MTCI_GREET_ID
} mtci_greeting;

typedef struct mtci_redis_conn {
    const mtci_redis_settings *settings;
    mtci_conn_state state;
    mtci_dial dial;
    int fd;
    struct mtci_watch *watch; /* NULL: none; told before a socket closes */
    uint32_t opened;          /* counts connections */
    mtci_transport transport;
    mtci_resp_reader reader;
    int64_t deadline_ms; /* to be ready by */
    int64_t active_ms;   /* when a byte came or went last */

    mtci_buffer greeting;
    size_t greeting_sent;
    mtci_greeting greetings[MTCI_CONN_GREETINGS];
    size_t greeting_count, greeted;
    bool is_resp2; /* HELLO was refused; forgotten when dialling fails */

    mtci_command_queue unsent; /* the first may be sent in part */
    size_t first_sent;
    mtci_command_queue flying; /* sent, waiting for replies */
    bool is_full;              /* no more can be sent for now */
    bool has_answered;         /* some command, on this connection */
    bool is_readonly;          /* a write was refused: this is a replica */

    /* Optional: takes a reply that answers no command; false: it is one. */
    bool (*take_message)(void *ctx, const mtci_reply *reply);
    void *message_ctx;

    bool was_lost;                   /* when ready, and nobody was told yet */
    _Atomic uint64_t pushes_unknown; /* to the handler */

    int64_t id;        /* the server's number for this connection */
    int64_t former_id; /* for the one before, which may still be executing */
    struct sockaddr_storage peer; /* the server that gave these numbers */
    socklen_t peer_size;

    mtc_status status; /* why it was closed last */
    char failure[256];
} mtci_redis_conn;

void mtci_conn_init(mtci_redis_conn *conn, const mtci_redis_settings *settings);

/* Begins to dial; from closed. What follows is seen in the state. */
void mtci_conn_open(mtci_redis_conn *conn, int64_t now_ms);

/* Goes on as far as it can without waiting. Answered commands come out in
 * finished. When the connection ends: what was sent as well, with the
 * failure; what was not, or may be sent again, is in unsent. */
void mtci_conn_step(mtci_redis_conn *conn, int64_t now_ms, short events,
                    mtci_command_queue *finished);

/* Sends what is in unsent as far as the socket takes it. */
void mtci_conn_send(mtci_redis_conn *conn, int64_t now_ms,
                    mtci_command_queue *finished);

/* After a silence of ping_ms with nothing under way: sends a PING, which
 * must be answered as any command. */
void mtci_conn_ping(mtci_redis_conn *conn, int64_t now_ms,
                    mtci_command_queue *finished);

/* Ends what is in unsent, not begun, and past its deadline. */
void mtci_conn_expire(mtci_redis_conn *conn, int64_t now_ms,
                      mtci_command_queue *finished);

/* What to poll for; -1 when closed. */
int mtci_conn_fd(const mtci_redis_conn *conn, short *events);

/* When to look again even if nothing comes, in boot time. */
int64_t mtci_conn_due_ms(const mtci_redis_conn *conn);

/* Closes the socket without a word: a forked child may call it, too, if it is
 * not watched. Sent commands are failed as step does. */
void mtci_conn_close(mtci_redis_conn *conn, mtc_status status,
                     const char *failure, mtci_command_queue *finished);
/* Notes why a closed one was not opened. */
void mtci_conn_refuse(mtci_redis_conn *conn, mtc_status status,
                      const char *failure);
void mtci_conn_fini(mtci_redis_conn *conn);

#endif
