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
    static const char PASSWORD[] = "requirepass ";
    mtci_redis_client *client = redis_rig_client_to(server);
    assert_non_null(client);
    for (size_t i = 0; server->args[i] != NULL; i++)
        if (strncmp(server->args[i], PASSWORD, strlen(PASSWORD)) == 0)
            snprintf(mtci_client_settings(client)->password, 64, "%s",
                     server->args[i] + strlen(PASSWORD));
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

/* Adds what of more there is behind the first count arguments. */
static void append(const char **args, size_t count, const char *const *more)
{
    for (size_t i = 0; more[i] != NULL; i++)
        args[count++] = more[i];
    args[count] = NULL;
}

static void write_sentinel_lines(sentinel_rig *rig, const char *password)
{
    const char **lines = rig->args[1];
    snprintf(rig->lines[1], sizeof rig->lines[1],
             "sentinel monitor mymaster 127.0.0.1 %d 2", rig->servers[0].port);
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
    size_t count = password ? 6 : 4;
    memcpy(rig->args[2], lines, sizeof rig->args[2]);
    append(lines, count, rig->tls[0].lines);
    append(rig->args[2], count, rig->tls[1].lines);
}

static void start_sentinels(sentinel_rig *rig, const char *password)
{
    test_server_kind kind =
        rig->tls[0].lines[0] ? TEST_SENTINEL_TLS : TEST_SENTINEL;
    write_sentinel_lines(rig, password);
    for (size_t i = 0; i < SENTINEL_RIG_COUNT; i++)
        assert_true(
            test_server_start(&rig->sentinels[i], kind,
                              rig->args[i + 1 < SENTINEL_RIG_COUNT ? 1 : 2]));
    int64_t until_ms = mtci_boot_ms() + WAIT_MS;
    for (size_t i = 0; i < SENTINEL_RIG_COUNT; i++)
        while (!knows_all(&rig->sentinels[i]))
            pause_a_moment(until_ms);
}

static void start(sentinel_rig *rig, const char *password)
{
    static const char *const MASTER[] = {"--repl-diskless-sync", "yes",
                                         "--repl-diskless-sync-delay", "0",
                                         NULL};
    static const char *const REPLICA[] = {"--replicaof", "127.0.0.1", NULL};
    test_server_kind kind = rig->tls[0].words[0] ? TEST_REDIS_TLS : TEST_REDIS;
    const char **args = rig->args[0];
    append(args, 0, MASTER);
    append(args, 4, rig->tls[0].words);
    assert_true(test_server_start(&rig->servers[0], kind, args));
    snprintf(rig->lines[0], sizeof rig->lines[0], "%d", rig->servers[0].port);
    append(args, 0, REPLICA);
    args[2] = rig->lines[0];
    append(args, 3, MASTER);
    append(args, 7, rig->tls[0].words);
    assert_true(test_server_start(&rig->servers[1], kind, args));
    sentinel_rig_await_sync(rig);
    start_sentinels(rig, password);
}

void sentinel_rig_start(sentinel_rig *rig, const char *password)
{
    memset(rig, 0, sizeof *rig);
    start(rig, password);
}

void sentinel_rig_start_tls(sentinel_rig *rig, const char *dir)
{
    memset(rig, 0, sizeof *rig);
    tls_rig_args_init(&rig->tls[0], dir, "good");
    tls_rig_args_init(&rig->tls[1], dir, "elsewhere");
    start(rig, NULL);
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
    mtci_redis_client *client = redis_rig_client_to(server);
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
