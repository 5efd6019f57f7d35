/*
 * Where a Redis server is and how to speak to it.
 *
 * Filled once, by the tier from its URL; read by every connection. Strings
 * are its own.
 */
#ifndef MTCI_REDIS_SETTINGS_H
#define MTCI_REDIS_SETTINGS_H

#include "base/clock.h"
#include "mtc/tier.h"
#include "redis/reply.h"

typedef struct mtci_redis_settings {
    char host[256]; /* "" with a socket path */
    int port;
    char path[108];      /* Unix socket; "" with a host */
    char user[256];      /* "": the default user */
    char password[2048]; /* "": no AUTH */
    char name[65];       /* CLIENT SETNAME; "": none */
    int64_t db;
    int64_t protocol;     /* 2 or 3; 0: 3 where the server has it */
    int64_t ping_ms;      /* silence before a PING; 0: never asked */
    int64_t connect_ms;   /* until a connection is ready for commands */
    size_t bulk_size_max; /* a larger reply poisons the connection */
    mtci_clock clock;
    /* Optional: told when the server is lost and when it is back. */
    void (*log)(void *ctx, mtc_log_level level, const char *text);
    void *log_ctx;
    /* Optional: told each push of the server, and MTCI_REPLY_LOST when a
     * connection that was ready has ended by itself; false: not known, which
     * is counted. By the driver, without locks, in order with the replies.
     * Not called by client_free. It must not call the client. */
    bool (*push)(void *ctx, const mtci_reply *push);
    void *push_ctx;
} mtci_redis_settings;

#endif
