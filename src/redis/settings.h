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

/* Files are in PEM; "" where none is named. */
typedef struct mtci_tls_settings {
    bool is_on;
    bool is_insecure; /* whoever answers is believed to be the server */
    char ca[256];     /* whom to believe; "": the system's authorities */
    char cert[256];   /* shown to the server, its chain behind it */
    char key[256];    /* "": in the file of cert */
    char name[256];   /* of the server's certificate; "": the host */
} mtci_tls_settings;

typedef struct mtci_redis_settings {
    char host[256]; /* "" with a socket path */
    int port;
    char path[108];      /* Unix socket; "" with a host */
    char user[256];      /* "": the default user */
    char password[2048]; /* "": no AUTH */
    int64_t db;
    mtci_tls_settings tls;
    int64_t connect_ms;   /* until a connection is ready for commands */
    size_t bulk_size_max; /* a larger reply poisons the connection */
    mtci_clock clock;
    /* Optional: told when the server is lost and when it is back. */
    void (*log)(void *ctx, mtc_log_level level, const char *text);
    void *log_ctx;
} mtci_redis_settings;

#endif
