/*
 * A watch: one descriptor that tells whether some connection of many has
 * something to do, for whoever drives them from an event loop.
 *
 * An epoll descriptor, made when it is first asked for. Drivers bring it up to
 * date with the connection of their client whenever they leave it. Any thread.
 */
#ifndef MTCI_REDIS_WATCH_H
#define MTCI_REDIS_WATCH_H

#include "redis/conn.h"

typedef struct mtci_watch {
    _Atomic int fd; /* -1: nobody has asked for it */
} mtci_watch;

/* How a client's connection was given to the watch; the driver's. */
typedef struct mtci_watched {
    uint32_t opened; /* which connection of the client */
    short events;
    bool is_ready; /* it was in use: its socket stays the same */
} mtci_watched;

void mtci_watch_init(mtci_watch *watch);
void mtci_watch_fini(mtci_watch *watch);

/* The descriptor; -1: none is to be had. */
int mtci_watch_descriptor(mtci_watch *watch);

static inline bool mtci_watch_is_on(const mtci_watch *watch)
{
    return watch && atomic_load_explicit(&watch->fd, memory_order_acquire) >= 0;
}

/* The connection of a client stands so. watch: NULL is fine. */
void mtci_watch_conn(mtci_watch *watch, mtci_watched *watched,
                     const mtci_redis_conn *conn, void *client);

/* A socket that may be in the watch is about to be closed. Closing alone does
 * not take it out while a forked child holds a copy of it. watch: NULL is
 * fine. */
void mtci_watch_forget(struct mtci_watch *watch, int fd);

/* Clients whose connections have something to do; not to be touched without
 * knowing that they are still there. */
size_t mtci_watch_signalled(const mtci_watch *watch, void **clients,
                            size_t count_max);

#endif
