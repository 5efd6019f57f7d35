/*
 * The pipeline to one Redis server: commands of all threads in one order over
 * one connection.
 *
 * submit only queues. I/O is done by whoever waits: the first to call drive
 * becomes the driver, sends what is queued, reads replies, completes the
 * commands of others on the way, and hands the role on when its own is
 * complete or its time is up. The connection is made when there is something
 * to send; a lost one is made anew, one attempt for all, with growing random
 * pauses during which commands fail at once. With sentinels in the settings,
 * the driver asks them for the master first and hears from them when it moves.
 *
 * Any thread, unless said otherwise.
 */
#ifndef MTCI_REDIS_CLIENT_H
#define MTCI_REDIS_CLIENT_H

#include "redis/command.h"
#include "redis/settings.h"

/* Commands and bytes that may be queued or in flight; beyond: BUSY. */
#define MTCI_CLIENT_COMMANDS_MAX 65536u
#define MTCI_CLIENT_BYTES_MAX    ((size_t)256 << 20)

/* Pauses between attempts to connect: random up to a bound that doubles. */
#define MTCI_CLIENT_PAUSE_MS_MIN 10
#define MTCI_CLIENT_PAUSE_MS_MAX 1000

/* A server that refuses a write because it is a replica is left at most once
 * in so long. */
#define MTCI_CLIENT_REPLICA_MS 1000
/* The log hears of that at most once in so long. */
#define MTCI_CLIENT_TELL_MS 60000

typedef struct mtci_redis_client mtci_redis_client;
struct mtci_watch;

/* What a caller of drive waits for. */
typedef struct mtci_awaited {
    bool (*is_complete)(const void *ctx);
    const void *ctx;
} mtci_awaited;

/* Copies settings; connects to nothing yet. MTC_OK, MTC_E_NO_MEMORY,
 * MTC_E_UNAVAILABLE (no descriptor). */
mtc_status mtci_client_new(const mtci_redis_settings *settings,
                           mtci_redis_client **out);

/* Ends what is open with MTC_E_CLOSED. Sends nothing, so that a forked child
 * may call it. No other call is under way; NULL is fine. */
void mtci_client_free(mtci_redis_client *client);

/* May be changed until the first submit. */
mtci_redis_settings *mtci_client_settings(mtci_redis_client *client);

/* Has the connection watched; before the first submit. The watch outlives the
 * client. */
void mtci_client_watch(mtci_redis_client *client, struct mtci_watch *watch);

/* Takes the commands, in order. Each ends by its done: here with
 * MTC_E_UNAVAILABLE or MTC_E_DENIED while the server is away, with MTC_E_BUSY
 * over a limit; later otherwise, with MTC_E_TIMEOUT if its deadline passes
 * before it can be sent. */
void mtci_client_submit(mtci_redis_client *client,
                        mtci_command_queue *commands);

/* Drives until awaited is complete or until_ms has passed. awaited NULL: while
 * there is something outstanding; at once when another thread drives. until_ms
 * in the past: sends and takes in what can be without waiting; an idle
 * connection that is watched is looked at as well. */
void mtci_client_drive(mtci_redis_client *client, const mtci_awaited *awaited,
                       int64_t until_ms);

/* Without waiting: takes in what has come, pushes among it, listens to the
 * sentinels, and asks a silent server whether it lives. To be called now and
 * then while nobody drives. */
void mtci_client_tend(mtci_redis_client *client);

/* Whether the last attempt to connect failed, and none has succeeded since. */
bool mtci_client_is_away(mtci_redis_client *client);

/* Whether the connection brings pushes: it speaks RESP3. By the driver, while
 * it sends. */
bool mtci_client_has_pushes(const mtci_redis_client *client);

/* Whether somebody waits for a push on a connection with these settings. */
static inline bool mtci_push_is_awaited(const mtci_redis_settings *settings)
{
    return settings->push && settings->is_awaited &&
           settings->is_awaited(settings->push_ctx);
}

/* Pushes that no handler knew. */
uint64_t mtci_client_pushes_unknown(const mtci_redis_client *client);

/* Makes the driver look again whether what it awaits is complete. */
void mtci_client_interrupt(mtci_redis_client *client);

/* Ends queued commands that were made for this, their ctx, and for nobody
 * else, as MTC_E_CANCELLED. What was sent stays: its reply is taken in, in its
 * place. */
void mtci_client_abandon(mtci_redis_client *client, const void *what);

#endif
