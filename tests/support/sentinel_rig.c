/*
 * Starting, watching and stopping a master with its replica and sentinels.
 * See sentinel_rig.h. One thread.
 */
#include "support/sentinel_rig.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "redis/call.h"

#define WAIT_MS 60000
#define LOOK_MS 20
#define ANY     (MTCI_REPLY_ARRAY | MTCI_REPLY_NIL | MTCI_REPLY_BULK)

static void pause_a_moment(int64_t until_ms)
{
    struct timespec pause = {0, LOOK_MS * 1000000L};
    nanosleep(&pause, NULL);
    assert_true(mtci_boot_ms() < until_ms);
}

static mtc_status ask(const test_server *server, const char *words,
                      mtci_reply *reply)
{
    char failure[MTCI_CALL_FAILURE_SIZE];
    mtci_redis_client *client = redis_rig_client(server->port);
    assert_non_null(client);
    if (server->kind == TEST_SENTINEL && server->args[4] != NULL)
        snprintf(mtci_client_settings(client)->password, 64, "%s",
                 server->args[4] + strlen("requirepass "));
    mtc_status status = mtci_redis_call(client, redis_rig_command(ANY, words),
                                        mtci_boot_ms() + 2000, failure, reply);
    mtci_client_free(client);
    return status;
}

/* The number behind a name in a text; -1: not there. */
static long number_in(const mtci_reply *reply, const char *name)
{
    mtc_slice text = mtci_reply_slice(reply);
    const char *found =
        text.size > 0 ? memmem(text.data, text.size, name, strlen(name)) : NULL;
    return found ? strtol(found + strlen(name), NULL, 10) : -1;
}

static long info(const test_server *server, const char *words, const char *name)
{
    mtci_reply reply;
    long number = -1;
    if (ask(server, words, &reply) == MTC_OK)
        number = number_in(&reply, name);
    mtci_reply_fini(&reply);
    return number;
}

/* Whether a sentinel knows the replica and the other sentinels. */
static bool knows_all(const test_server *sentinel)
{
    char status[64];
    snprintf(status, sizeof status, "slaves=1,sentinels=%d",
             SENTINEL_RIG_COUNT);
    mtci_reply reply;
    bool does = false;
    if (ask(sentinel, "INFO sentinel", &reply) == MTC_OK) {
        mtc_slice text = mtci_reply_slice(&reply);
        does = memmem(text.data, text.size, status, strlen(status)) != NULL;
    }
    mtci_reply_fini(&reply);
    return does;
}

static bool names(const test_server *sentinel, int port)
{
    mtci_reply reply;
    char number[16];
    bool does = false;
    snprintf(number, sizeof number, "%d", port);
    if (ask(sentinel, "SENTINEL GET-MASTER-ADDR-BY-NAME mymaster", &reply) ==
            MTC_OK &&
        reply.type == MTCI_REPLY_ARRAY && reply.count == 2) {
        mtc_slice found = mtci_reply_slice(&reply.items[1]);
        does = found.size == strlen(number) &&
               memcmp(found.data, number, found.size) == 0;
    }
    mtci_reply_fini(&reply);
    return does;
}

static void start_sentinels(sentinel_rig *rig, const char *password)
{
    const char **lines = rig->args[1];
    int port = rig->servers[0].port;
    snprintf(rig->lines[1], sizeof rig->lines[1],
             "sentinel monitor mymaster 127.0.0.1 %d 2", port);
    lines[0] = rig->lines[1];
    lines[1] = "sentinel down-after-milliseconds mymaster 1000";
    lines[2] = "sentinel failover-timeout mymaster 5000";
    lines[3] = "sentinel parallel-syncs mymaster 1";
    if (password) {
        snprintf(rig->lines[2], sizeof rig->lines[2], "requirepass %s",
                 password);
        snprintf(rig->lines[3], sizeof rig->lines[3],
                 "sentinel sentinel-pass %s", password);
        lines[4] = rig->lines[2];
        lines[5] = rig->lines[3];
    }
    for (size_t i = 0; i < SENTINEL_RIG_COUNT; i++)
        assert_true(
            test_server_start(&rig->sentinels[i], TEST_SENTINEL, lines));
    int64_t until_ms = mtci_boot_ms() + WAIT_MS;
    for (size_t i = 0; i < SENTINEL_RIG_COUNT; i++)
        while (!knows_all(&rig->sentinels[i]))
            pause_a_moment(until_ms);
}

void sentinel_rig_start(sentinel_rig *rig, const char *password)
{
    static const char *const master[] = {"--repl-diskless-sync", "yes",
                                         "--repl-diskless-sync-delay", "0",
                                         NULL};
    memset(rig, 0, sizeof *rig);
    assert_true(test_server_start(&rig->servers[0], TEST_REDIS, master));
    snprintf(rig->lines[0], sizeof rig->lines[0], "%d", rig->servers[0].port);
    const char **args = rig->args[0];
    for (size_t i = 0; i < 4; i++)
        args[i] = master[i];
    args[4] = "--replicaof";
    args[5] = "127.0.0.1";
    args[6] = rig->lines[0];
    assert_true(test_server_start(&rig->servers[1], TEST_REDIS, args));
    sentinel_rig_await_sync(rig);
    start_sentinels(rig, password);
}

void sentinel_rig_stop(sentinel_rig *rig)
{
    for (size_t i = 0; i < SENTINEL_RIG_COUNT; i++)
        test_server_stop(&rig->sentinels[i]);
    for (size_t i = 0; i < 2; i++)
        test_server_stop(&rig->servers[i]);
}

void sentinel_rig_await_master(const sentinel_rig *rig,
                               const test_server *server)
{
    int64_t until_ms = mtci_boot_ms() + WAIT_MS;
    for (size_t i = 0; i < SENTINEL_RIG_COUNT; i++)
        while (rig->sentinels[i].pid != 0 &&
               !names(&rig->sentinels[i], server->port))
            pause_a_moment(until_ms);
}

void sentinel_rig_await_sync(const sentinel_rig *rig)
{
    int64_t until_ms = mtci_boot_ms() + WAIT_MS;
    for (;;) {
        long sent =
            info(&rig->servers[0], "INFO replication", "master_repl_offset:");
        long taken =
            info(&rig->servers[1], "INFO replication", "slave_repl_offset:");
        long replicas =
            info(&rig->servers[0], "INFO replication", "connected_slaves:");
        if (replicas == 1 && sent == taken)
            return;
        pause_a_moment(until_ms);
    }
}

const char *sentinel_rig_ask(const test_server *server, uint32_t expects,
                             const char *words)
{
    static char text[256];
    mtci_redis_client *client = redis_rig_client(server->port);
    redis_rig_ask(client, expects, words, text, sizeof text);
    mtci_client_free(client);
    return text;
}

long sentinel_rig_sets(const test_server *server)
{
    long sets = info(server, "INFO commandstats", "cmdstat_set:calls=");
    return sets < 0 ? 0 : sets;
}

void sentinel_rig_await_sets(const test_server *server, long count)
{
    int64_t until_ms = mtci_boot_ms() + WAIT_MS;
    while (sentinel_rig_sets(server) < count)
        pause_a_moment(until_ms);
}

void sentinel_rig_refuse_sets(const test_server *server)
{
    assert_string_equal(sentinel_rig_ask(server, MTCI_REPLY_STATUS,
                                         "ACL SETUSER default -set"),
                        "+OK");
}

long sentinel_rig_refused_sets(const test_server *server)
{
    long refused = info(server, "INFO errorstats", "errorstat_NOPERM:count=");
    return refused < 0 ? 0 : refused;
}
