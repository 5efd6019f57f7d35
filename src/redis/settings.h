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
#include "redis/address.h"
#include "redis/reply.h"

/* The most sentinels that are asked, those that others name included. */
#define MTCI_SENTINELS_MAX 8

/* The sentinels of one master. */
typedef struct mtci_sentinel_settings {
    char master[256];    /* its name */
    char user[256];      /* to log in to the sentinels; "": the default user */
    char password[2048]; /* "": no AUTH there */
    size_t count;
    mtci_address addresses[MTCI_SENTINELS_MAX];
} mtci_sentinel_settings;

/* Files are in PEM; "" where none is named. */
typedef struct mtci_tls_settings {
    bool is_on;
    bool is_insecure;   /* whoever answers is believed to be the server */
    char ca[256];       /* whom to believe; "": the system's authorities */
    char cert[256];     /* shown to the server, its chain behind it */
    char key[256];      /* "": in the file of cert */
    char name[256];     /* of the server's certificate; "": the host */
    const char *scheme; /* of URLs that turn it on; NULL: "rediss" */
} mtci_tls_settings;

typedef struct mtci_redis_settings {
    mtci_address address; /* no host with a socket path */
    /* Who knows the address, in its place; NULL: nobody. Borrowed: outlives
     * every client. */
    const mtci_sentinel_settings *sentinels;
    char path[108];      /* Unix socket; "" with a host */
    char user[256];      /* "": the default user */
    char password[2048]; /* "": no AUTH */
    char name[65];       /* CLIENT SETNAME; "": none */
    int64_t db;
    int64_t protocol; /* 2 or 3; 0: 3 where the server has it */
    int64_t ping_ms;  /* silence before a PING; 0: never asked */
    mtci_tls_settings tls;
    int64_t connect_ms;   /* until a connection is ready for commands */
    size_t bulk_size_max; /* a larger bulk is skipped: TOO_LARGE */
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
    /* Optional, beside push, with the same ctx: whether somebody waits for a
     * push. Then there is something to drive for. */
    bool (*is_awaited)(void *ctx);
} mtci_redis_settings;

#endif
