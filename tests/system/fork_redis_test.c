/*
 * labels: quick server
 *
 * Forked children of a program whose cache has a connection to a Redis and a
 * completion queue: nothing that a child does, or holds for as long as it
 * lives, is noticed by its parent or by the server.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/callers.h"
#include "support/proxy.h"
#include "support/queue_rig.h"
#include "support/redis_rig.h"

static test_server server;
static test_proxy *proxy;
static mtc_cache *cache;
static mtc_queue *queue;
static mtct_heard heard;
static mtc_load *left;

static int setup(void **state)
{
    (void)state;
    if (!test_server_installed(TEST_REDIS))
        return 0;
    assert_true(test_server_start(&server, TEST_REDIS, NULL));
    proxy = test_proxy_start(server.port, NULL);
    assert_non_null(proxy);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (queue)
        assert_int_equal(mtc_queue_close(&queue), MTC_OK);
    if (cache)
        assert_int_equal(mtc_cache_close(&cache), MTC_OK);
    if (proxy)
        test_proxy_stop(proxy);
    proxy = NULL;
    test_server_stop(&server);
    return 0;
}

/* Opens a cache of these tiers and a queue, with the connection up. */
static void open_cache(int port)
{
    char tiers[64];
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    test_server_require(TEST_REDIS);
    snprintf(tiers, sizeof tiers, "memory redis://127.0.0.1:%d", port);
    options.tiers = tiers;
    options.log_level = 5;
    assert_int_equal(mtc_cache_open(&options, NULL, &cache), MTC_OK);
    assert_int_equal(mtc_queue_open(cache, &queue), MTC_OK);
    assert_int_equal(mtc_cache_set(cache, mtc_str("k"), mtc_str("v"), NULL),
                     MTC_OK);
}

static mtc_status load_later(mtc_load *load, void *ctx)
{
    (void)ctx;
    left = load;
    return MTC_PENDING;
}

/* A load that is answered later, by a call of the queue. */
static void leave_a_load(void)
{
    left = NULL;
    heard = (mtct_heard){0};
    assert_int_equal(mtc_cache_get_or_load_async(queue, mtc_str("later"), NULL,
                                                 load_later, NULL, mtct_hear,
                                                 &heard),
                     MTC_PENDING);
    while (!left) {
        mtc_queue_wait(queue, 50);
        mtc_queue_drain(queue);
    }
}

/* -- what a child does ----------------------------------------------------- */

/* The exit status is the number of what was wrong. */
static int use_the_load(void)
{
    if (mtc_load_set_value(left, mtc_str("child")) != MTC_OK)
        return 1;
    if (mtc_load_answer(left, MTC_OK) != MTC_E_FORKED)
        return 2;
    mtc_load_drop(left);
    return 0;
}

static int use_the_queue(void)
{
    mtc_slice key = mtc_str("k");
    mtc_item item = {.key = key};
    mtc_queue *another;
    if (mtc_cache_get_async(queue, key, NULL, mtct_hear, &heard) !=
            MTC_E_FORKED ||
        mtc_cache_set_async(queue, key, key, NULL, mtct_hear, &heard) !=
            MTC_E_FORKED ||
        mtc_cache_remove_async(queue, key, NULL, mtct_hear, &heard) !=
            MTC_E_FORKED ||
        mtc_cache_get_many_async(queue, &item, 1, NULL, mtct_hear_many,
                                 &heard) != MTC_E_FORKED)
        return 3;
    if (mtc_queue_drain(queue) != 0 || mtc_queue_wait_ms(queue) != -1 ||
        mtc_queue_wait(queue, 0) != MTC_E_FORKED ||
        mtc_queue_cancel(queue, &heard) != 0)
        return 4;
    if (mtc_queue_open(cache, &another) != MTC_E_FORKED)
        return 5;
    if (mtc_queue_close(&queue) != MTC_OK || queue || heard.count != 0)
        return 6;
    return 0;
}

static int child_main(void)
{
    mtc_value value;
    int wrong = use_the_load();
    if (wrong == 0)
        wrong = use_the_queue();
    if (wrong == 0 &&
        mtc_cache_get(cache, mtc_str("k"), &value) != MTC_E_FORKED)
        wrong = 7;
    if (wrong == 0 && mtc_cache_close(&cache) != MTC_OK)
        wrong = 8;
    return wrong;
}

static void a_child_sends_nothing_over_the_parents_connection(void **state)
{
    int status;
    (void)state;
    open_cache(test_proxy_port(proxy));
    leave_a_load();
    size_t sent = test_proxy_to_server(proxy);
    pid_t child = fork();
    if (child == 0)
        _exit(child_main());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(test_proxy_to_server(proxy), sent);
    mtc_load_set_value(left, mtc_str("parent"));
    assert_int_equal(mtc_load_answer(left, MTC_OK), MTC_OK);
    mtct_drain_until(queue, &heard);
    mtct_assert_heard(&heard, MTC_OK, "parent");
    assert_int_equal(mtc_cache_remove(cache, mtc_str("k")), MTC_OK);
    mtct_assert_get(cache, "k", NULL);
}

/* -- what a child holds ---------------------------------------------------- */

static bool comes_to_rest(void)
{
    struct pollfd fd = {.fd = mtc_queue_descriptor(queue), .events = POLLIN};
    for (int i = 0; i < 1000; i++) {
        if (poll(&fd, 1, 20) == 0)
            return true;
        mtc_queue_drain(queue);
    }
    return false;
}

/* The child's copy of the socket keeps it alive in the kernel: it must not be
 * reported to a parent that has closed its own. */
static void a_child_that_lives_on_leaves_the_descriptor_quiet(void **state)
{
    char text[64];
    (void)state;
    open_cache(server.port);
    heard = (mtct_heard){0};
    mtc_cache_get_async(queue, mtc_str("x"), NULL, mtct_hear, &heard);
    mtct_drain_until(queue, &heard);
    assert_true(comes_to_rest());
    pid_t child = fork();
    if (child == 0) {
        for (;;)
            pause();
    }
    mtci_redis_client *other = redis_rig_client(server.port);
    redis_rig_ask(other, MTCI_REPLY_INTEGER, "CLIENT KILL TYPE normal", text,
                  sizeof text);
    mtci_client_free(other);
    bool is_quiet = comes_to_rest();
    heard = (mtct_heard){0};
    mtc_cache_get_async(queue, mtc_str("y"), NULL, mtct_hear, &heard);
    mtct_drain_until(queue, &heard);
    is_quiet &= comes_to_rest();
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_true(is_quiet);
    mtct_assert_heard(&heard, MTC_MISS, "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_child_sends_nothing_over_the_parents_connection),
        TEST(a_child_that_lives_on_leaves_the_descriptor_quiet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
