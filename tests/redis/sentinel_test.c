/*
 * labels: server
 *
 * The client behind real sentinels: discovery, a role that is checked, and
 * masters that die or are replaced while they live.
 */
#include "redis/client.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "redis/call.h"
#include "redis/master.h"
#include "support/sentinel_rig.h"

#define TEXT_SIZE   256
#define RECOVERY_MS 60000
#define ANY         (MTCI_REPLY_STATUS | MTCI_REPLY_BULK | MTCI_REPLY_NIL)

static sentinel_rig the_rig;
static mtci_sentinel_settings the_sentinels;
static int64_t the_ahead_ms; /* of boot time */

static int64_t stepped_ms(void *ctx)
{
    const int64_t *ahead_ms = ctx;
    return mtci_boot_ms() + *ahead_ms;
}

/* A client that knows these sentinels of the rig; -1: a port where there is
 * none. */
static mtci_redis_client *open_client(const sentinel_rig *rig, int first,
                                      int second)
{
    const int ports[] = {first < 0 ? 1 : rig->sentinels[first].port,
                         second < 0 ? 2 : rig->sentinels[second].port, 0};
    mtci_redis_settings settings = redis_rig_sentinels(ports, &the_sentinels);
    settings.clock = (mtci_clock){stepped_ms, &the_ahead_ms, false};
    mtci_redis_client *client = NULL;
    assert_int_equal(mtci_client_new(&settings, &client), MTC_OK);
    return client;
}

static const char *ask(mtci_redis_client *client, const char *words)
{
    static char text[TEXT_SIZE];
    return redis_rig_ask(client, ANY, words, text, sizeof text);
}

static void await(mtci_redis_client *client, const char *words,
                  const char *answer)
{
    int64_t until_ms = mtci_boot_ms() + RECOVERY_MS;
    while (strcmp(ask(client, words), answer) != 0)
        assert_true(mtci_boot_ms() < until_ms);
}

static int start_rig(void **state)
{
    *state = &the_rig;
    if (test_server_installed(TEST_REDIS))
        sentinel_rig_start(&the_rig, NULL);
    return 0;
}

static int stop_rig(void **state)
{
    sentinel_rig_stop(*state);
    return 0;
}

/* -- discovery ------------------------------------------------------------ */

static void the_master_is_found(void **state)
{
    test_server_require(TEST_REDIS);
    const sentinel_rig *rig = *state;
    mtci_redis_client *client = open_client(rig, 0, 1);
    assert_string_equal(ask(client, "SET found v"), "+OK");
    assert_string_equal(sentinel_rig_ask(&rig->servers[0], ANY, "GET found"),
                        "v");
    mtci_client_free(client);
}

static void first_sentinels_that_are_down_are_passed_over(void **state)
{
    test_server_require(TEST_REDIS);
    const sentinel_rig *rig = *state;
    mtci_redis_client *client = open_client(rig, -1, 2);
    assert_string_equal(ask(client, "SET down v"), "+OK");
    mtci_client_free(client);
}

static void another_master_is_not_known(void **state)
{
    test_server_require(TEST_REDIS);
    const sentinel_rig *rig = *state;
    mtci_redis_client *client = open_client(rig, 0, 1);
    snprintf(the_sentinels.master, sizeof the_sentinels.master, "other");
    assert_non_null(strstr(ask(client, "SET other v"), "do not know it"));
    mtci_client_free(client);
}

static void a_sentinel_with_a_password_is_logged_in_to(void **state)
{
    (void)state;
    test_server_require(TEST_REDIS);
    static sentinel_rig rig;
    sentinel_rig_start(&rig, "S3CR3T");
    mtci_redis_client *client = open_client(&rig, 0, 1);
    const char *text = ask(client, "SET secret v");
    assert_non_null(strstr(text, "E_DENIED a sentinel: "));
    assert_null(strstr(text, "S3CR3T"));
    mtci_client_free(client);
    const int ports[] = {rig.sentinels[0].port, 0};
    mtci_redis_settings settings = redis_rig_sentinels(ports, &the_sentinels);
    snprintf(the_sentinels.password, sizeof the_sentinels.password, "S3CR3T");
    assert_int_equal(mtci_client_new(&settings, &client), MTC_OK);
    assert_string_equal(ask(client, "SET secret v"), "+OK");
    mtci_client_free(client);
    sentinel_rig_stop(&rig);
}

/* -- a server that is demoted --------------------------------------------- */

/* No sentinel sees this: the server itself says it. */
static void a_demoted_server_is_left_and_taken_again(void **state)
{
    test_server_require(TEST_REDIS);
    (void)state;
    test_server server;
    assert_true(test_server_start(&server, TEST_REDIS, NULL));
    mtci_redis_client *client = redis_rig_client(server.port);
    assert_string_equal(ask(client, "SET a v"), "+OK");
    assert_string_equal(sentinel_rig_ask(&server, ANY, "REPLICAOF 127.0.0.1 1"),
                        "+OK");
    assert_non_null(strstr(ask(client, "SET a w"), "READONLY"));
    assert_string_equal(ask(client, "GET a"), "v");
    assert_string_equal(sentinel_rig_ask(&server, ANY, "REPLICAOF NO ONE"),
                        "+OK");
    await(client, "SET a x", "+OK");
    mtci_client_free(client);
    test_server_stop(&server);
}

/* -- a master that is replaced -------------------------------------------- */

/* The old master lives on and takes writes until the sentinels demote it, up
 * to ten seconds later. */
static void the_old_master_gets_no_write_after_the_switch(void **state)
{
    test_server_require(TEST_REDIS);
    const sentinel_rig *rig = *state;
    mtci_redis_client *client = open_client(rig, 0, 1);
    assert_string_equal(ask(client, "SET a before"), "+OK");
    sentinel_rig_await_sync(rig);
    assert_string_equal(sentinel_rig_ask(&rig->sentinels[0], ANY,
                                         "SENTINEL FAILOVER mymaster"),
                        "+OK");
    sentinel_rig_await_master(rig, &rig->servers[1]);
    the_ahead_ms += MTCI_MASTER_LOOK_MS;
    sentinel_rig_refuse_sets(&rig->servers[0]);
    long before = sentinel_rig_sets(&rig->servers[1]);
    for (int i = 0; i < 100; i++)
        assert_string_equal(ask(client, "SET a after"), "+OK");
    assert_int_equal(sentinel_rig_refused_sets(&rig->servers[0]), 0);
    assert_int_equal(sentinel_rig_sets(&rig->servers[1]) - before, 100);
    mtci_client_free(client);
}

static void a_master_that_dies_is_replaced(void **state)
{
    test_server_require(TEST_REDIS);
    (void)state;
    static sentinel_rig rig;
    sentinel_rig_start(&rig, NULL);
    mtci_redis_client *client = open_client(&rig, 0, 1);
    assert_string_equal(ask(client, "SET a before"), "+OK");
    sentinel_rig_await_sync(&rig);
    test_server_kill(&rig.servers[0]);
    await(client, "SET b after", "+OK");
    assert_string_equal(ask(client, "GET a"), "before");
    assert_string_equal(sentinel_rig_ask(&rig.servers[1], ANY, "GET b"),
                        "after");
    mtci_client_free(client);
    sentinel_rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_master_is_found),
        cmocka_unit_test(first_sentinels_that_are_down_are_passed_over),
        cmocka_unit_test(another_master_is_not_known),
        cmocka_unit_test(a_sentinel_with_a_password_is_logged_in_to),
        cmocka_unit_test(a_demoted_server_is_left_and_taken_again),
        cmocka_unit_test(the_old_master_gets_no_write_after_the_switch),
        cmocka_unit_test(a_master_that_dies_is_replaced),
    };
    return cmocka_run_group_tests(tests, start_rig, stop_rig);
}
