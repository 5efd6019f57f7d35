/*
 * A real Redis cluster for tests: three masters with a replica each, on
 * loopback. Slots can be moved while it serves.
 *
 * One owner, one thread, which must live as long as the servers.
 */
#ifndef TESTS_SUPPORT_REDIS_CLUSTER_H
#define TESTS_SUPPORT_REDIS_CLUSTER_H

#include "redis/client.h"
#include "support/server.h"
#include "support/tls_rig.h"

#define TEST_CLUSTER_MASTERS 3
#define TEST_CLUSTER_NODES   6

typedef struct test_cluster {
    test_server servers[TEST_CLUSTER_NODES]; /* masters first */
    mtci_redis_client *admins[TEST_CLUSTER_NODES];
    char ids[TEST_CLUSTER_NODES][41];
    char url[192]; /* of two of its nodes */
    const char *args[TEST_CLUSTER_NODES][20];
    tls_rig_args tls; /* its words NULL: it speaks no TLS */
    char bus_ports[TEST_CLUSTER_NODES][8];
} test_cluster;

/* Whether every slot is served and every master has its replica; false: it
 * does not come up. */
bool test_cluster_start(test_cluster *cluster);

/* The same through TLS alone, also from node to node, with the certificate
 * "good" of a folder of tls_rig; the URL names its authority. */
bool test_cluster_start_tls(test_cluster *cluster, const char *dir);
void test_cluster_stop(test_cluster *cluster);

/* The master that serves a slot, as master 0 sees it. */
int test_cluster_owner(test_cluster *cluster, unsigned slot);

/* Moves a slot with all its keys from one master to another, as redis-cli
 * does. Whether every step was acknowledged. */
bool test_cluster_move(test_cluster *cluster, unsigned slot, int from, int to);

/* Leaves a slot half-way: ASK for keys that the source does not have. */
bool test_cluster_begin_move(test_cluster *cluster, unsigned slot, int from,
                             int to);

#endif
