/*
 * A master, a replica and three sentinels for tests, all real, on loopback.
 *
 * The master is called "mymaster" and is down after a second of silence.
 * Asserts in the test's thread, which must live as long as the servers.
 */
#ifndef TESTS_SUPPORT_SENTINEL_RIG_H
#define TESTS_SUPPORT_SENTINEL_RIG_H

#include "support/redis_rig.h"
#include "support/server.h"
#include "support/tls_rig.h"

#define SENTINEL_RIG_COUNT 3

typedef struct sentinel_rig {
    test_server servers[2]; /* the master of the beginning first */
    test_server sentinels[SENTINEL_RIG_COUNT];
    char lines[4][96];       /* of what the servers are told */
    const char *args[3][16]; /* of servers, of sentinels, of the last one */
    tls_rig_args tls[2];     /* good, elsewhere */
} sentinel_rig;

/* Returns once the replica follows and the sentinels know each other.
 * password: of the sentinels; NULL: none. */
void sentinel_rig_start(sentinel_rig *rig, const char *password);

/* The same through TLS alone, without a password. Certificates are of a folder
 * of tls_rig: all show "good", but the last sentinel "elsewhere". */
void sentinel_rig_start_tls(sentinel_rig *rig, const char *dir);
void sentinel_rig_stop(sentinel_rig *rig);

/* Waits until every sentinel says that this server is the master. */
void sentinel_rig_await_master(const sentinel_rig *rig,
                               const test_server *server);

/* Waits until the replica has everything that the master has. */
void sentinel_rig_await_sync(const sentinel_rig *rig);

/* Asks a server; the reply as redis_rig_ask shows it, static. */
const char *sentinel_rig_ask(const test_server *server, uint32_t expects,
                             const char *words);

/* How many SETs a server has carried out, for clients and for its master. */
long sentinel_rig_sets(const test_server *server);

/* Waits until that many were carried out. */
void sentinel_rig_await_sets(const test_server *server, long count);

/* From here on a server refuses the SETs of clients, though not what its
 * master sends; how many it has refused. */
void sentinel_rig_refuse_sets(const test_server *server);
long sentinel_rig_refused_sets(const test_server *server);

#endif
