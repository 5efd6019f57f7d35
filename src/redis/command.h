/*
 * A command on its way: its bytes, the replies it expects, and who is told.
 *
 * Made by whoever asks, owned by the client from submit until done is called,
 * which frees it. Queues are plain lists of commands. One thread at a time.
 */
#ifndef MTCI_REDIS_COMMAND_H
#define MTCI_REDIS_COMMAND_H

#include "redis/reply.h"
#include "redis/resp_writer.h"

/* The most replies for which there is room in the command itself: two, each
 * behind that to an ASKING. */
#define MTCI_COMMAND_REPLIES_OWN 4

typedef struct mtci_redis_command mtci_redis_command;

/* What a cluster notes on a command while it has it (cluster_state.h). */
typedef struct mtci_route {
    struct mtci_redis_cluster *cluster;
    void (*done)(mtci_redis_command *command); /* the owner's */
    uint64_t *place;                           /* where the owner looks */
    uint64_t key_hash;
    int64_t sent_ms;          /* when the cluster was given it */
    int64_t due_ms;           /* parked until then */
    mtci_redis_command *next; /* in the table of unanswered writes */
    mtci_redis_command *held_first, *held_last; /* wait for this write */
    uint16_t slot, node;
    uint8_t redirects, pauses;
    bool is_write, is_asking, awaits_map, was_lost;
} mtci_route;

struct mtci_redis_command {
    mtci_redis_command *next;

    /* What is sent: bytes, with payload between its first split bytes and the
     * rest. */
    mtci_buffer bytes;
    size_t split;
    mtc_value payload;
    size_t size; /* as counted by the client */

    /* Which types answer it, one set per reply. Errors always may. */
    uint32_t *expects;
    size_t reply_count;
    size_t replied;
    mtci_reply *replies;
    /* Of an array that answers it: items and their types; 0: any. */
    size_t item_count;
    uint32_t items_expect;

    /* Sent once more when the connection ends before the reply: only for
     * commands that change nothing. */
    bool is_retryable;
    bool is_own; /* the connection's: a PING, a push; not counted as open */
    bool was_sent;

    int64_t deadline_ms; /* not sent after this */
    int64_t stall_ms;    /* no reply by then: the connection is dead */

    mtc_status status;   /* MTC_OK: every reply is there */
    const char *failure; /* else one line, valid during done */

    /* Optional: called right before it is sent, by the driver; false: do not
     * send it, its time is over. */
    bool (*prepare)(mtci_redis_command *command, int64_t now_ms);
    /* Takes the command back, by the driver or inside submit, without locks.*/
    void (*done)(mtci_redis_command *command);
    void *ctx;
    /* Optional, for one that serves several: notes that what is given up.
     * Whether nobody wants it now. With the client's lock. */
    bool (*give_up)(const mtci_redis_command *command, const void *what);
    size_t mark;   /* the owner's: an offset into bytes */
    size_t second; /* where the command of the second reply begins */
    mtci_route route;
    uint32_t own_expects[MTCI_COMMAND_REPLIES_OWN];
    mtci_reply own_replies[MTCI_COMMAND_REPLIES_OWN];
};

/* A command answered by one reply of the types; NULL: no memory. */
mtci_redis_command *mtci_command_new(uint32_t expects);

/* One answered by many replies, expecting nothing yet; no cluster takes it. */
mtci_redis_command *mtci_command_new_of_many(size_t reply_count);
void mtci_command_free(mtci_redis_command *command);

/* Puts ASKING before each of its commands, or takes that away again; forgets
 * what was answered. Neither while a client has it. MTC_OK or
 * MTC_E_NO_MEMORY. */
mtc_status mtci_command_ask(mtci_redis_command *command);
void mtci_command_unask(mtci_redis_command *command);

/* Forgets what became of it, to be sent anew. */
void mtci_command_reset(mtci_redis_command *command);

/* Notes how it failed. */
void mtci_command_fail(mtci_redis_command *command, mtc_status status,
                       const char *failure);

/* The same; keeps a copy of failure in place of its bytes: it is not sent
 * again. */
void mtci_command_fail_copy(mtci_redis_command *command, mtc_status status,
                            const char *failure);

/* The last of the error replies that it got: the one to what the command is
 * about; or NULL. */
const mtci_reply *mtci_command_error(const mtci_redis_command *command);

static inline size_t mtci_command_size(const mtci_redis_command *command)
{
    return command->bytes.size + command->payload.size;
}

/* Why a command was ended without being sent. */
#define MTCI_COMMAND_LATE "the deadline passed before it could be sent"

/* Whether its deadline has passed; ctx: int64_t now_ms. */
bool mtci_command_is_late(const mtci_redis_command *command, const void *ctx);

typedef struct mtci_command_queue {
    mtci_redis_command *first, *last;
    size_t count;
} mtci_command_queue;

void mtci_queue_push(mtci_command_queue *queue, mtci_redis_command *command);

/* The first, or NULL. */
mtci_redis_command *mtci_queue_pop(mtci_command_queue *queue);

/* Moves everything from one queue behind another. */
void mtci_queue_append(mtci_command_queue *queue, mtci_command_queue *from);

/* Ends every command of a queue alike and moves it behind finished. */
void mtci_queue_fail(mtci_command_queue *queue, mtc_status status,
                     const char *failure, mtci_command_queue *finished);

/* Puts the commands for which is_meant holds, in order, behind out. */
void mtci_queue_extract(mtci_command_queue *queue,
                        bool (*is_meant)(const mtci_redis_command *command,
                                         const void *ctx),
                        const void *ctx, mtci_command_queue *out);

#endif
