/*
 * One sentinel: a connection that asks it for the master and then listens for
 * the master to move.
 *
 * It asks as soon as it is connected, and again when it is told to; between,
 * it is subscribed to +switch-master. A lost connection is made anew after a
 * growing pause, one that is silent is asked whether it lives. Owns the
 * connection. One thread at a time, the driver; nothing here blocks.
 */
#ifndef MTCI_REDIS_SENTINEL_H
#define MTCI_REDIS_SENTINEL_H

#include "redis/conn.h"

/* After a silence of this long a sentinel is asked whether it lives. */
#define MTCI_SENTINEL_PING_MS 10000
/* Pauses between attempts to connect: random up to a bound that doubles. */
#define MTCI_SENTINEL_PAUSE_MS_MIN 50
#define MTCI_SENTINEL_PAUSE_MS_MAX 5000

typedef struct mtci_sentinel mtci_sentinel;

/* What a sentinel may say; called inside its step. */
typedef struct mtci_sentinel_news {
    /* Where the master is; NULL: it does not know. */
    void (*found)(void *ctx, mtci_sentinel *sentinel,
                  const mtci_address *master);
    /* The master has moved. */
    void (*moved)(void *ctx, const mtci_address *from, const mtci_address *to);
    /* There is another sentinel. */
    void (*named)(void *ctx, const mtci_address *other);
    void *ctx;
} mtci_sentinel_news;

struct mtci_sentinel {
    mtci_redis_settings settings;
    mtci_address peer; /* as a number, once it was connected */
    mtci_redis_conn conn;
    const mtci_sentinel_news *news;
    const char *master; /* the name, borrowed */
    bool is_used;
    bool is_given; /* by the user, not by another sentinel */
    bool is_asked; /* and its answer is due */
    unsigned failures;
    int64_t retry_ms;
};

/* Connects to nothing yet. settings: of the master's client, for the
 * sentinels, the time-out, the clock, and TLS. */
void mtci_sentinel_init(mtci_sentinel *sentinel,
                        const mtci_redis_settings *settings,
                        const mtci_address *address,
                        const mtci_sentinel_news *news);
void mtci_sentinel_fini(mtci_sentinel *sentinel);

/* Asks for the master, now or as soon as it is connected. */
void mtci_sentinel_ask(mtci_sentinel *sentinel, int64_t now_ms);

/* Goes on as far as it can without waiting. random: any number. */
void mtci_sentinel_step(mtci_sentinel *sentinel, int64_t now_ms, short events,
                        uint64_t random);

/* When to step again even if nothing comes, in boot time. */
int64_t mtci_sentinel_due_ms(const mtci_sentinel *sentinel);

#endif
