/*
 * Connections to memcached: handles of libmemcached, one per call under way.
 *
 * The pool owns the list of servers and the handles that nobody uses. A
 * handle that saw an error is freed, never used again: so no late reply meets
 * a later request, and no waiting time of the library's keeps a server away
 * that is back. Any thread.
 */
#ifndef MTCI_TIER_MEMCACHED_POOL_H
#define MTCI_TIER_MEMCACHED_POOL_H

#include <pthread.h>

#include <libmemcached/memcached.h>

#include "base/url.h"
#include "mtc/value.h"

#define MTCI_MEMCACHED_SERVERS_MAX 32
#define MTCI_MEMCACHED_IDLE_MAX    16

typedef struct mtci_memcached_server {
    char host[256]; /* or the path of a Unix socket */
    in_port_t port; /* 0: a Unix socket */
} mtci_memcached_server;

typedef struct mtci_memcached_pool {
    mtci_memcached_server servers[MTCI_MEMCACHED_SERVERS_MAX];
    size_t server_count;
    pthread_mutex_t mutex; /* guards idle and idle_count */
    memcached_st *idle[MTCI_MEMCACHED_IDLE_MAX];
    size_t idle_count;
} mtci_memcached_pool;

/* Takes the servers from a URL, and further ones from a list "host:port,…".
 * MTC_OK, MTC_E_INVALID, MTC_E_NO_MEMORY. */
mtc_status mtci_memcached_pool_init(mtci_memcached_pool *pool,
                                    const mtci_url *url, const char *further,
                                    mtc_error *error);
/* No handle may be out. */
void mtci_memcached_pool_fini(mtci_memcached_pool *pool);

/* A handle for one thread; NULL: out of memory. */
memcached_st *mtci_memcached_take(mtci_memcached_pool *pool);

/* Gives a handle back for others to use. */
void mtci_memcached_give(mtci_memcached_pool *pool, memcached_st *handle);

/* Gives back a handle that saw an error: it is freed with its connections,
 * and so are the idle ones, which speak to the same servers. */
void mtci_memcached_discard(mtci_memcached_pool *pool, memcached_st *handle);

/* Bounds connecting and each wait of the following calls. */
void mtci_memcached_bound(memcached_st *handle, int64_t wait_ms);

#endif
