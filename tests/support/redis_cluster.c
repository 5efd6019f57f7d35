/*
 * A real Redis cluster for tests. See redis_cluster.h. One thread.
 */
#include "support/redis_cluster.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "redis/call.h"
#include "support/redis_rig.h"

#define ANY                                                                    \
    (MTCI_REPLY_NIL | MTCI_REPLY_STATUS | MTCI_REPLY_INTEGER |                 \
     MTCI_REPLY_BULK | MTCI_REPLY_ARRAY)
#define START_TRIES    5
#define FORM_MS_MAX    30000
#define POLL_MS        20
#define SETTLE_POLL_MS 2
#define MOVE_MS        10000
#define KEYS_PER_STEP  100
#define TEXT_SIZE      4096
#define ID_SIZE        40 /* hexadecimal digits */

static void sleep_ms(int ms)
{
    struct timespec pause = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&pause, NULL);
}

/* Asks a node; the reply as text. */
static const char *ask(test_cluster *cluster, int node, char text[TEXT_SIZE],
                       const char *format, ...)
{
    char words[TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    return redis_rig_ask(cluster->admins[node], ANY, words, text, TEXT_SIZE);
}

static bool tell(test_cluster *cluster, int node, const char *words)
{
    char text[TEXT_SIZE];
    if (strcmp(ask(cluster, node, text, "%s", words), "+OK") == 0)
        return true;
    fprintf(stderr, "node %d: %s: %s\n", node, words, text);
    return false;
}

/* A node that has just been started may take its time for the first answer. */
static bool learn_id(test_cluster *cluster, int node)
{
    char text[TEXT_SIZE];
    for (int waited = 0; waited < FORM_MS_MAX; waited += POLL_MS) {
        ask(cluster, node, text, "CLUSTER MYID");
        if (strspn(text, "0123456789abcdef") == ID_SIZE) {
            memcpy(cluster->ids[node], text, ID_SIZE + 1);
            return true;
        }
        sleep_ms(POLL_MS);
    }
    fprintf(stderr, "node %d does not say who it is: %s\n", node, text);
    return false;
}

static bool start_node(test_cluster *cluster, int i)
{
    const char *args[] = {"--cluster-enabled",      "yes",
                          "--cluster-config-file",  "nodes.conf",
                          "--cluster-node-timeout", "2000",
                          "--cluster-port",         cluster->bus_ports[i],
                          "--repl-diskless-sync",   "no"};
    size_t count = sizeof args / sizeof *args;
    bool is_tls = cluster->tls.words[0] != NULL;
    memcpy(cluster->args[i], args, sizeof args);
    memcpy(cluster->args[i] + count, cluster->tls.words,
           sizeof cluster->tls.words);
    for (int tries = 0; tries < START_TRIES; tries++) {
        snprintf(cluster->bus_ports[i], sizeof cluster->bus_ports[i], "%d",
                 test_server_free_port());
        if (test_server_start(&cluster->servers[i],
                              is_tls ? TEST_REDIS_TLS : TEST_REDIS,
                              cluster->args[i]))
            break;
    }
    if (cluster->servers[i].pid == 0)
        return false;
    cluster->admins[i] = redis_rig_client_to(&cluster->servers[i]);
    return learn_id(cluster, i);
}

/* Polls until a node's answer has a text in it. */
static bool await_text(test_cluster *cluster, int node, const char *words,
                       const char *wanted)
{
    char text[TEXT_SIZE];
    for (int waited = 0; waited < FORM_MS_MAX; waited += POLL_MS) {
        if (strstr(ask(cluster, node, text, "%s", words), wanted))
            return true;
        sleep_ms(POLL_MS);
    }
    fprintf(stderr, "node %d: %s has no \"%s\":\n%s\n", node, words, wanted,
            text);
    return false;
}

static bool give_slots(test_cluster *cluster, int master)
{
    char words[128];
    snprintf(words, sizeof words, "CLUSTER SET-CONFIG-EPOCH %d", master + 1);
    if (!tell(cluster, master, words))
        return false;
    snprintf(words, sizeof words, "CLUSTER ADDSLOTSRANGE %d %d",
             16384 * master / TEST_CLUSTER_MASTERS,
             16384 * (master + 1) / TEST_CLUSTER_MASTERS - 1);
    return tell(cluster, master, words);
}

static bool introduce(test_cluster *cluster)
{
    char words[128];
    for (int i = 1; i < TEST_CLUSTER_NODES; i++) {
        snprintf(words, sizeof words, "CLUSTER MEET 127.0.0.1 %d %s",
                 cluster->servers[i].port, cluster->bus_ports[i]);
        if (!tell(cluster, 0, words))
            return false;
    }
    for (int i = 0; i < TEST_CLUSTER_NODES; i++)
        if (!await_text(cluster, i, "CLUSTER INFO", "cluster_known_nodes:6"))
            return false;
    return true;
}

static bool replicate(test_cluster *cluster)
{
    char words[128];
    for (int i = TEST_CLUSTER_MASTERS; i < TEST_CLUSTER_NODES; i++) {
        int master = i - TEST_CLUSTER_MASTERS;
        for (int j = 0; j < TEST_CLUSTER_MASTERS; j++)
            if (!await_text(cluster, i, "CLUSTER NODES", cluster->ids[j]))
                return false;
        snprintf(words, sizeof words, "CLUSTER REPLICATE %s",
                 cluster->ids[master]);
        if (!tell(cluster, i, words))
            return false;
    }
    for (int i = TEST_CLUSTER_MASTERS; i < TEST_CLUSTER_NODES; i++)
        if (!await_text(cluster, i, "INFO replication",
                        "master_link_status:up"))
            return false;
    return true;
}

static bool form(test_cluster *cluster)
{
    for (int i = 0; i < TEST_CLUSTER_MASTERS; i++)
        if (!give_slots(cluster, i))
            return false;
    if (!introduce(cluster) || !replicate(cluster))
        return false;
    for (int i = 0; i < TEST_CLUSTER_NODES; i++)
        if (!await_text(cluster, i, "CLUSTER INFO", "cluster_state:ok") ||
            !await_text(cluster, i, "CLUSTER INFO", "cluster_slots_ok:16384") ||
            !await_text(cluster, i, "CLUSTER INFO", "cluster_size:3"))
            return false;
    return true;
}

static bool start(test_cluster *cluster)
{
    bool is_up = true;
    for (int i = 0; is_up && i < TEST_CLUSTER_NODES; i++)
        is_up = start_node(cluster, i);
    if (is_up && form(cluster))
        return true;
    test_cluster_stop(cluster);
    return false;
}

bool test_cluster_start(test_cluster *cluster)
{
    memset(cluster, 0, sizeof *cluster);
    if (!start(cluster))
        return false;
    snprintf(cluster->url, sizeof cluster->url,
             "redis+cluster://127.0.0.1:%d,127.0.0.1:%d",
             cluster->servers[0].port, cluster->servers[4].port);
    return true;
}

bool test_cluster_start_tls(test_cluster *cluster, const char *dir)
{
    memset(cluster, 0, sizeof *cluster);
    tls_rig_args_init(&cluster->tls, dir, "good");
    if (!start(cluster))
        return false;
    snprintf(cluster->url, sizeof cluster->url,
             "rediss+cluster://127.0.0.1:%d,127.0.0.1:%d?ca=%.64s/ca.crt",
             cluster->servers[0].port, cluster->servers[4].port, dir);
    return true;
}

void test_cluster_stop(test_cluster *cluster)
{
    for (int i = 0; i < TEST_CLUSTER_NODES; i++) {
        mtci_client_free(cluster->admins[i]);
        cluster->admins[i] = NULL;
        test_server_stop(&cluster->servers[i]);
    }
}

/* -- slots ---------------------------------------------------------------- */

static mtc_status request(test_cluster *cluster, int node, const char *words,
                          mtci_reply *reply)
{
    char failure[MTCI_CALL_FAILURE_SIZE];
    mtc_status status =
        mtci_redis_call(cluster->admins[node], redis_rig_command(ANY, words),
                        mtci_boot_ms() + MOVE_MS, failure, reply);
    if (status != MTC_OK)
        fprintf(stderr, "node %d: %s: %s\n", node, words, failure);
    return status;
}

/* The master that serves a slot, as a node sees it. */
static int owner_as_seen(test_cluster *cluster, int node, unsigned slot)
{
    mtci_reply reply;
    int owner = -1;
    if (request(cluster, node, "CLUSTER SLOTS", &reply) != MTC_OK)
        return -1;
    for (size_t i = 0; i < reply.count; i++) {
        const mtci_reply *range = reply.items[i].items;
        if (range[0].integer > slot || range[1].integer < slot)
            continue;
        for (int n = 0; n < TEST_CLUSTER_NODES; n++)
            if (range[2].items[1].integer == cluster->servers[n].port)
                owner = n;
    }
    mtci_reply_fini(&reply);
    return owner;
}

int test_cluster_owner(test_cluster *cluster, unsigned slot)
{
    return owner_as_seen(cluster, 0, slot);
}

static int epoch_of(test_cluster *cluster, int node)
{
    char text[TEXT_SIZE];
    const char *epoch =
        strstr(ask(cluster, node, text, "CLUSTER INFO"), "current_epoch:");
    return epoch ? atoi(epoch + strlen("current_epoch:")) : -1;
}

/* Whether all masters have heard of the move. One that has not could take a
 * slot back with a message that was on its way. */
static bool has_settled(test_cluster *cluster, unsigned slot, int owner)
{
    int epoch = epoch_of(cluster, 0);
    for (int i = 0; i < TEST_CLUSTER_MASTERS; i++)
        if (epoch_of(cluster, i) != epoch ||
            owner_as_seen(cluster, i, slot) != owner)
            return false;
    return true;
}

static bool await_settled(test_cluster *cluster, unsigned slot, int owner)
{
    for (int waited = 0; waited < FORM_MS_MAX; waited += SETTLE_POLL_MS) {
        if (has_settled(cluster, slot, owner))
            return true;
        sleep_ms(SETTLE_POLL_MS);
    }
    fprintf(stderr, "slot %u: the masters do not agree\n", slot);
    return false;
}

/* Some keys of the slot; how many, -1 on failure. */
static int migrate_some(test_cluster *cluster, unsigned slot, int from, int to)
{
    char words[TEXT_SIZE];
    mtci_reply reply;
    snprintf(words, sizeof words, "CLUSTER GETKEYSINSLOT %u %d", slot,
             KEYS_PER_STEP);
    if (request(cluster, from, words, &reply) != MTC_OK)
        return -1;
    int count = (int)reply.count;
    int size =
        snprintf(words, sizeof words, "MIGRATE 127.0.0.1 %d  0 5000 KEYS",
                 cluster->servers[to].port);
    for (int i = 0; i < count; i++) {
        mtc_slice key = mtci_reply_slice(&reply.items[i]);
        size += snprintf(words + size, sizeof words - (size_t)size, " %.*s",
                         (int)key.size, (const char *)key.data);
    }
    mtci_reply_fini(&reply);
    if (count == 0)
        return 0;
    if (request(cluster, from, words, &reply) != MTC_OK)
        return -1;
    mtci_reply_fini(&reply);
    return count;
}

bool test_cluster_begin_move(test_cluster *cluster, unsigned slot, int from,
                             int to)
{
    char words[128];
    snprintf(words, sizeof words, "CLUSTER SETSLOT %u IMPORTING %s", slot,
             cluster->ids[from]);
    if (!tell(cluster, to, words))
        return false;
    snprintf(words, sizeof words, "CLUSTER SETSLOT %u MIGRATING %s", slot,
             cluster->ids[to]);
    return tell(cluster, from, words);
}

bool test_cluster_move(test_cluster *cluster, unsigned slot, int from, int to)
{
    char words[128];
    int count;
    if (!test_cluster_begin_move(cluster, slot, from, to))
        return false;
    do {
        count = migrate_some(cluster, slot, from, to);
    } while (count > 0);
    snprintf(words, sizeof words, "CLUSTER SETSLOT %u NODE %s", slot,
             cluster->ids[to]);
    if (count < 0 || !tell(cluster, to, words) || !tell(cluster, from, words))
        return false;
    for (int i = 0; i < TEST_CLUSTER_MASTERS; i++)
        if (i != from && i != to && !tell(cluster, i, words))
            return false;
    return await_settled(cluster, slot, to);
}
