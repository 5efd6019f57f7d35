/*
 * What the parts of streams share: the stream, its calls, and links, which
 * are connections for commands that wait.
 *
 * A link is used by one thread at a time and is cancelled by any. It is
 * listed in its stream, so that closing the stream ends its waiting. Other
 * calls are for any thread.
 */
#ifndef MTCI_STREAM_STREAM_H
#define MTCI_STREAM_STREAM_H

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "mtc/stream.h"
#include "redis/call.h"

/* The server is asked to block at most so long at a time. */
#define MTCI_STREAM_BLOCK_MS_MAX 1000
#define MTCI_STREAM_WAIT_MS_MAX  3600000
/* The pauses while a server is away. */
#define MTCI_STREAM_PAUSE_MS_MIN 10
#define MTCI_STREAM_PAUSE_MS_MAX 1000
/* The pause while a slot is on its way from node to node. */
#define MTCI_STREAM_FOLLOW_MS 20
/* Connections at rest that a stream keeps. */
#define MTCI_STREAM_LINKS_MAX 8

typedef struct mtci_link {
    struct mtci_link *next, *former;
    mtc_stream *stream;
    mtci_redis_client *client; /* NULL: none yet; changed under the mutex */
    _Atomic uint32_t cancelled;
} mtci_link;

struct mtc_stream {
    mtc_cache *cache;
    mtci_redis_target target; /* the tier's client or cluster */
    pid_t pid;                /* a forked child owns none of this */
    mtc_stream_options options;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t left;   /* a call has ended */
    size_t calls;
    bool is_closing;
    mtci_link *links;
    size_t rest_count;
    mtci_redis_client *rest[MTCI_STREAM_LINKS_MAX];
    int64_t clock_read_ms; /* when the server's clock was asked; 0: never */
    int64_t clock_ahead_ms;
    size_t key_size;
    char key[];
};

/* A call begins, in which the thread cannot be cancelled: it may drive the
 * connection of all. MTC_OK, then leave; MTC_E_INVALID for NULL, MTC_E_CLOSED,
 * MTC_E_FORKED. */
mtc_status mtci_stream_enter(mtc_stream *stream, int *cancel_state);
void mtci_stream_leave(mtc_stream *stream, int cancel_state);

int64_t mtci_stream_now_ms(const mtc_stream *stream);
mtc_slice mtci_stream_key(const mtc_stream *stream);

/* Takes over a command that does not wait. As mtci_redis_call_at; the command
 * NULL: MTC_E_NO_MEMORY. */
mtc_status mtci_stream_call(const mtc_stream *stream,
                            mtci_redis_command *command, mtci_answer *answer);

/* An id as a server says it: no '$'. MTC_OK or MTC_E_INVALID. */
mtc_status mtci_id_read(mtc_slice text, mtc_stream_id *id);

/* Adds an id as the server spells it. */
void mtci_stream_add_id(mtci_redis_command *command, mtc_stream_id id);

static inline bool mtci_id_is_zero(mtc_stream_id id)
{
    return id.ms == 0 && id.sequence == 0;
}

static inline bool mtci_id_is_end(mtc_stream_id id)
{
    return id.ms == UINT64_MAX && id.sequence == UINT64_MAX;
}

static inline bool mtci_id_is_before(mtc_stream_id a, mtc_stream_id b)
{
    return a.ms < b.ms || (a.ms == b.ms && a.sequence < b.sequence);
}

static inline bool mtci_stream_is_count(size_t count)
{
    return count > 0 && count <= MTC_STREAM_COUNT_MAX;
}

static inline bool mtci_stream_is_wait(int64_t wait_ms)
{
    return wait_ms >= 0 && wait_ms <= MTCI_STREAM_WAIT_MS_MAX;
}

/* The id behind; the last one has none and stays. */
mtc_stream_id mtci_id_behind(mtc_stream_id id);

void mtci_link_init(mtci_link *link, mtc_stream *stream);
void mtci_link_fini(mtci_link *link);

/* Ends what waits on the link, and all that will. Any thread. */
void mtci_link_cancel(mtci_link *link);
void mtci_link_cancel_locked(mtci_link *link);

/* MTC_OK; MTC_E_CANCELLED, MTC_E_CLOSED. */
mtc_status mtci_link_state(mtci_link *link);

/* What is read over a link. */
typedef struct mtci_link_read {
    /* Makes the command; NULL: no memory. wait_ms 0: it does not wait. */
    mtci_redis_command *(*make)(const void *ctx, int64_t wait_ms);
    const void *ctx;
    bool is_repeatable; /* the server may do it twice */
} mtci_link_read;

/* As mtci_stream_call, for what waits at the server, up to wait_ms or
 * MTCI_STREAM_BLOCK_MS_MAX; also MTC_E_CANCELLED and MTC_E_CLOSED, at once. In
 * a cluster, where the node did nothing, for the slot has moved or is moving,
 * the same is asked without waiting wherever the slot is; also when the node is
 * gone and what is read is repeatable. When a node is away, another deadline
 * may pass in looking for its heir. */
mtc_status mtci_link_ask(mtci_link *link, const mtci_link_read *read,
                         int64_t wait_ms, mtci_answer *answer);

/* Sleeps so long, or until cancelled. */
void mtci_link_pause(mtci_link *link, int64_t wait_ms);

/* Sleeps while a server is away: *pause_ms, which begins with
 * MTCI_STREAM_PAUSE_MS_MIN and doubles, or up to left_ms. */
void mtci_link_back_off(mtci_link *link, int64_t left_ms, int64_t *pause_ms);

#endif
