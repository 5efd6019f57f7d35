/*
 * Connections to memcached. See pool.h.
 */
#include "tier/memcached/pool.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"

#define PORT_DEFAULT 11211
#define PORT_MAX     65535

static mtc_status add_server(mtci_memcached_pool *pool, mtc_slice host,
                             int port, mtc_error *error)
{
    if (pool->server_count == MTCI_MEMCACHED_SERVERS_MAX)
        return mtci_fail(error, MTC_E_INVALID, "memcached",
                         "more than %d servers", MTCI_MEMCACHED_SERVERS_MAX);
    mtci_memcached_server *server = &pool->servers[pool->server_count];
    if (host.size == 0 || host.size >= sizeof(server->host))
        return mtci_fail(error, MTC_E_INVALID, "memcached",
                         "the name of a server must have 1 to %zu bytes",
                         sizeof(server->host) - 1);
    memcpy(server->host, host.data, host.size);
    server->host[host.size] = '\0';
    server->port = (in_port_t)port;
    pool->server_count++;
    return MTC_OK;
}

/* "host", "host:port", "[::1]:port"; size bytes of text. */
static mtc_status add_listed(mtci_memcached_pool *pool, const char *text,
                             size_t size, mtc_error *error)
{
    mtc_slice host = mtc_bytes(text, size);
    const char *colon = memrchr(text, ':', size);
    const char *bracket = memchr(text, ']', size);
    long port = PORT_DEFAULT;
    if (colon && (!bracket || colon > bracket)) {
        char *end;
        port = strtol(colon + 1, &end, 10);
        if (end != text + size || end == colon + 1 || port < 1 ||
            port > PORT_MAX)
            return mtci_fail(error, MTC_E_INVALID, "memcached",
                             "servers: bad port in \"%.*s\"", (int)size, text);
        host.size = (size_t)(colon - text);
    }
    if (bracket && host.size >= 2 && text[0] == '[')
        host = mtc_bytes(text + 1, host.size - 2);
    return add_server(pool, host, (int)port, error);
}

static mtc_status add_list(mtci_memcached_pool *pool, const char *list,
                           mtc_error *error)
{
    mtc_status status = MTC_OK;
    while (status == MTC_OK && *list != '\0') {
        size_t size = strcspn(list, ",");
        status = add_listed(pool, list, size, error);
        list += size;
        list += *list == ',';
    }
    return status;
}

static mtc_status add_url(mtci_memcached_pool *pool, const mtci_url *url,
                          mtc_error *error)
{
    if (url->user[0] != '\0' || url->password[0] != '\0')
        return mtci_fail(error, MTC_E_INVALID, "memcached",
                         "memcached takes no user and no password");
    bool has_path = url->path[0] != '\0' && strcmp(url->path, "/") != 0;
    if (has_path && url->host[0] != '\0')
        return mtci_fail(error, MTC_E_INVALID, "memcached",
                         "either a host or the path of a Unix socket");
    if (has_path)
        return add_server(pool, mtc_str(url->path), 0, error);
    const char *host = url->host[0] != '\0' ? url->host : "127.0.0.1";
    int port = url->port != 0 ? url->port : PORT_DEFAULT;
    return add_server(pool, mtc_str(host), port, error);
}

mtc_status mtci_memcached_pool_init(mtci_memcached_pool *pool,
                                    const mtci_url *url, const char *further,
                                    mtc_error *error)
{
    *pool = (mtci_memcached_pool){0};
    mtc_status status = add_url(pool, url, error);
    if (status == MTC_OK)
        status = add_list(pool, further, error);
    if (status != MTC_OK)
        return status;
    if (pthread_mutex_init(&pool->mutex, NULL) != 0)
        return mtci_fail(error, MTC_E_NO_MEMORY, "memcached", "out of memory");
    return MTC_OK;
}

void mtci_memcached_pool_fini(mtci_memcached_pool *pool)
{
    for (size_t i = 0; i < pool->idle_count; i++)
        memcached_free(pool->idle[i]);
    pthread_mutex_destroy(&pool->mutex);
    *pool = (mtci_memcached_pool){0};
}

/* The text protocol answers for another key after a key with a space; and a
 * server that is away must not hand its keys to its neighbour, which would
 * serve them after it is back. */
static memcached_return_t set_up(memcached_st *handle)
{
    static const struct {
        memcached_behavior_t behavior;
        uint64_t value;
    } wanted[] = {
        {MEMCACHED_BEHAVIOR_BINARY_PROTOCOL, 1},
        {MEMCACHED_BEHAVIOR_TCP_NODELAY, 1},
        {MEMCACHED_BEHAVIOR_TCP_KEEPALIVE, 1},
        {MEMCACHED_BEHAVIOR_DISTRIBUTION, MEMCACHED_DISTRIBUTION_CONSISTENT},
        {MEMCACHED_BEHAVIOR_AUTO_EJECT_HOSTS, 0},
    };
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        memcached_return_t rc =
            memcached_behavior_set(handle, wanted[i].behavior, wanted[i].value);
        if (rc != MEMCACHED_SUCCESS)
            return rc;
    }
    return MEMCACHED_SUCCESS;
}

static memcached_return_t add_to(memcached_st *handle,
                                 const mtci_memcached_server *server)
{
    if (server->port == 0)
        return memcached_server_add_unix_socket(handle, server->host);
    return memcached_server_add(handle, server->host, server->port);
}

static memcached_st *handle_new(const mtci_memcached_pool *pool)
{
    memcached_st *handle = memcached_create(NULL);
    if (!handle)
        return NULL;
    memcached_return_t rc = set_up(handle);
    for (size_t i = 0; i < pool->server_count && rc == MEMCACHED_SUCCESS; i++)
        rc = add_to(handle, &pool->servers[i]);
    if (rc == MEMCACHED_SUCCESS)
        return handle;
    memcached_free(handle);
    return NULL;
}

memcached_st *mtci_memcached_take(mtci_memcached_pool *pool)
{
    memcached_st *handle = NULL;
    pthread_mutex_lock(&pool->mutex);
    if (pool->idle_count > 0)
        handle = pool->idle[--pool->idle_count];
    pthread_mutex_unlock(&pool->mutex);
    return handle ? handle : handle_new(pool);
}

void mtci_memcached_give(mtci_memcached_pool *pool, memcached_st *handle)
{
    pthread_mutex_lock(&pool->mutex);
    if (pool->idle_count < MTCI_MEMCACHED_IDLE_MAX) {
        pool->idle[pool->idle_count++] = handle;
        handle = NULL;
    }
    pthread_mutex_unlock(&pool->mutex);
    if (handle)
        memcached_free(handle);
}

void mtci_memcached_discard(mtci_memcached_pool *pool, memcached_st *handle)
{
    memcached_st *idle[MTCI_MEMCACHED_IDLE_MAX];
    pthread_mutex_lock(&pool->mutex);
    size_t count = pool->idle_count;
    memcpy(idle, pool->idle, count * sizeof(idle[0]));
    pool->idle_count = 0;
    pthread_mutex_unlock(&pool->mutex);
    for (size_t i = 0; i < count; i++)
        memcached_free(idle[i]);
    /* It says good-bye, and the server may not listen. */
    mtci_memcached_bound(handle, 1);
    memcached_free(handle);
}

void mtci_memcached_bound(memcached_st *handle, int64_t wait_ms)
{
    uint64_t bound = wait_ms < 1 ? 1 : (uint64_t)wait_ms;
    if (bound > INT32_MAX)
        bound = INT32_MAX;
    memcached_behavior_set(handle, MEMCACHED_BEHAVIOR_CONNECT_TIMEOUT, bound);
    memcached_behavior_set(handle, MEMCACHED_BEHAVIOR_POLL_TIMEOUT, bound);
}
