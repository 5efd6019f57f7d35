/*
 * labels: quick server
 *
 * Completion queues over a real Redis: one thread that does all the I/O, with
 * ten thousand calls outstanding, and servers that go away.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "support/callers.h"
#include "support/queue_rig.h"
#include "support/redis_cluster.h"
#include "support/redis_rig.h"

#define OUTSTANDING 10000
/* Of the process, for each call: task, flight, operation, command. */
#define CALL_BYTES_MAX 8192u

static test_server server;
static mtc_cache *cache;
static mtc_queue *queue;
static mtc_tier_ops ops;
static const mtc_tier_ops *real_ops;
static pthread_t owner;
static _Atomic bool others_drive;

/* Nobody else's drive does anything: what moves, the owner has moved. */
static void drive_owned(mtc_tier *tier, const mtc_request *awaited,
                        int64_t until_ms)
{
    if (atomic_load(&others_drive) || pthread_equal(pthread_self(), owner))
        real_ops->drive(tier, awaited, until_ms);
}

static void open_cache(const char *url, int64_t deadline_ms)
{
    mtc_tier_config tiers[2] = {MTC_TIER_CONFIG_INIT, MTC_TIER_CONFIG_INIT};
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    assert_int_equal(mtc_tier_open("memory?size=16MiB", NULL, &tiers[0]),
                     MTC_OK);
    assert_int_equal(mtc_tier_open(url, NULL, &tiers[1]), MTC_OK);
    owner = pthread_self();
    real_ops = tiers[1].tier->ops;
    ops = *real_ops;
    ops.drive = drive_owned;
    ops.tend = NULL; /* that of a client takes in what has come */
    tiers[1].tier->ops = &ops;
    atomic_store(&others_drive, false);
    tiers[1].deadline_ms = deadline_ms;
    options.tier_configs = tiers;
    options.tier_count = 2;
    options.log_level = 5;
    assert_int_equal(mtc_cache_open(&options, NULL, &cache), MTC_OK);
    assert_int_equal(mtc_queue_open(cache, &queue), MTC_OK);
}

static void close_cache(void)
{
    assert_int_equal(mtc_queue_close(&queue), MTC_OK);
    mtc_cache_close(&cache);
}

static int start(void **state)
{
    (void)state;
    if (test_server_installed(TEST_REDIS))
        assert_true(test_server_start(&server, TEST_REDIS, NULL));
    return 0;
}

static int stop(void **state)
{
    (void)state;
    test_server_stop(&server);
    return 0;
}

static mtc_slice key_of(int i)
{
    static char key[16];
    snprintf(key, sizeof(key), "key:%d", i);
    return mtc_str(key);
}

static mtct_heard all[OUTSTANDING];

/* As an event loop does it, but that it relies on the descriptor alone; how
 * many callbacks have run. */
static size_t loop_awake(size_t wanted)
{
    struct pollfd fd = {.fd = mtc_queue_descriptor(queue), .events = POLLIN};
    size_t ran = 0;
    while (ran < wanted) {
        if (poll(&fd, 1, 5000) <= 0)
            break;
        ran += mtc_queue_drain(queue);
    }
    return ran;
}

/* As an event loop does it; how many callbacks have run. */
static size_t loop(size_t wanted, int64_t ms_max)
{
    struct pollfd fd = {.fd = mtc_queue_descriptor(queue), .events = POLLIN};
    int64_t until_ms = mtci_boot_ms() + ms_max;
    size_t ran = 0;
    while (ran < wanted && mtci_boot_ms() < until_ms) {
        poll(&fd, 1, (int)mtc_queue_wait_ms(queue));
        ran += mtc_queue_drain(queue);
    }
    return ran;
}

static void begin_sets(int count)
{
    for (int i = 0; i < count; i++) {
        all[i] = (mtct_heard){0};
        assert_int_equal(mtc_cache_set_async(queue, key_of(i), mtc_str("v"),
                                             NULL, mtct_hear, &all[i]),
                         MTC_PENDING);
    }
}

static void begin_gets(int count)
{
    mtc_call call = MTC_CALL_INIT;
    call.flags = MTC_CALL_SKIP_MEMORY | MTC_CALL_NO_PROMOTE;
    for (int i = 0; i < count; i++) {
        all[i] = (mtct_heard){0};
        assert_int_equal(mtc_cache_get_async(queue, key_of(i), &call, mtct_hear,
                                             &all[i]),
                         MTC_PENDING);
    }
}

static void expect_all(int count, mtc_status status, const char *text)
{
    for (int i = 0; i < count; i++)
        mtct_assert_heard(&all[i], status, text);
}

static size_t heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void ten_thousand_calls_may_be_outstanding(void **state)
{
    (void)state;
    test_server_require(TEST_REDIS);
    open_cache(server.url, 20000);
    begin_sets(OUTSTANDING);
    assert_int_equal(loop_awake(OUTSTANDING), OUTSTANDING);
    expect_all(OUTSTANDING, MTC_OK, "");
    size_t before = heap_bytes();
    begin_gets(OUTSTANDING);
    size_t held = heap_bytes() - before;
    assert_true(held <= (size_t)OUTSTANDING * CALL_BYTES_MAX);
    assert_int_equal(loop_awake(OUTSTANDING), OUTSTANDING);
    expect_all(OUTSTANDING, MTC_OK, "v");
    close_cache();
}

/* Whether the descriptor comes to rest when nothing is to be done. */
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

static void a_server_that_is_killed_fails_the_calls_and_comes_back(void **state)
{
    (void)state;
    test_server_require(TEST_REDIS);
    open_cache(server.url, 2000);
    begin_gets(1);
    assert_int_equal(loop(1, 10000), 1);
    assert_true(comes_to_rest());
    begin_gets(100);
    test_server_kill(&server);
    assert_int_equal(loop(100, 10000), 100);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(all[i].count, 1);
        assert_true(all[i].status < 0);
    }
    assert_true(comes_to_rest());
    assert_true(test_server_restart(&server));
    atomic_store(&others_drive, true); /* the keeper asks if it is back */
    for (int tries = 0; all[0].status != MTC_MISS; tries++) {
        assert_true(tries < 500);
        begin_gets(1);
        assert_int_equal(loop(1, 10000), 1);
        poll(NULL, 0, 10);
    }
    close_cache();
}

static void a_server_that_hangs_up_leaves_the_descriptor_quiet(void **state)
{
    (void)state;
    test_server_require(TEST_REDIS);
    open_cache(server.url, 2000);
    begin_gets(1);
    assert_int_equal(loop(1, 10000), 1);
    char text[64];
    mtci_redis_client *other = redis_rig_client(server.port);
    redis_rig_ask(other, MTCI_REPLY_INTEGER, "CLIENT KILL TYPE normal", text,
                  sizeof(text));
    mtci_client_free(other);
    assert_true(comes_to_rest());
    begin_gets(1);
    assert_int_equal(loop(1, 10000), 1);
    mtct_assert_heard(&all[0], MTC_OK, "v");
    close_cache();
}

/* The keeper leaves tiers alone that a queue has just driven, and no longer. */
static void an_owner_who_stops_draining_is_stood_in_for(void **state)
{
    (void)state;
    test_server_require(TEST_REDIS);
    open_cache(server.url, 60000);
    begin_gets(1);
    assert_int_equal(loop(1, 10000), 1);
    atomic_store(&others_drive, true);
    test_server_pause(&server);
    begin_gets(1);
    mtc_queue_drain(queue);
    test_server_resume(&server);
    mtct_asked_await(cache, 0);
    assert_int_equal(loop(1, 10000), 1);
    assert_true(all[0].status >= 0);
    close_cache();
}

static void a_silent_server_is_given_up_at_the_deadline(void **state)
{
    (void)state;
    test_server_require(TEST_REDIS);
    open_cache(server.url, 100);
    test_server_pause(&server);
    begin_gets(10);
    assert_int_equal(loop(10, 10000), 10);
    test_server_resume(&server);
    for (int i = 0; i < 10; i++)
        assert_true(all[i].status < 0);
    close_cache();
}

static void many_keys_are_one_call(void **state)
{
    static mtc_item items[2000];
    static char keys[2000][16];
    mtct_heard heard = {0};
    (void)state;
    test_server_require(TEST_REDIS);
    open_cache(server.url, 10000);
    for (int i = 0; i < 2000; i++) {
        snprintf(keys[i], sizeof(keys[i]), "many:%d", i);
        items[i] = (mtc_item){.key = mtc_str(keys[i]), .bytes = mtc_str("v")};
    }
    mtc_cache_set_many_async(queue, items, 2000, NULL, mtct_hear_many, &heard);
    assert_int_equal(loop(1, 10000), 1);
    mtct_assert_heard(&heard, MTC_OK, NULL);
    mtc_call call = MTC_CALL_INIT;
    call.flags = MTC_CALL_SKIP_MEMORY | MTC_CALL_NO_PROMOTE;
    heard = (mtct_heard){0};
    mtc_cache_get_many_async(queue, items, 2000, &call, mtct_hear_many, &heard);
    assert_int_equal(loop(1, 10000), 1);
    mtct_assert_heard(&heard, MTC_OK, NULL);
    for (int i = 0; i < 2000; i++) {
        assert_memory_equal(items[i].value.data, "v", 1);
        mtc_value_free(&items[i].value);
    }
    close_cache();
}

/* -- leases ---------------------------------------------------------------- */

static mtct_stop at_source;

static mtc_status load_at_the_door(mtc_load *load, void *ctx)
{
    (void)ctx;
    mtct_stop_here(&at_source);
    return mtc_load_set_value(load, mtc_str("theirs"));
}

static mtc_status load_ours(mtc_bulk *bulk, void *ctx)
{
    _Atomic size_t *count = ctx;
    atomic_fetch_add(count, mtc_bulk_count(bulk));
    for (size_t i = 0; i < mtc_bulk_count(bulk); i++)
        mtc_load_set_value(mtc_bulk_load(bulk, i), mtc_str("ours"));
    return MTC_OK;
}

/* Another process, and what its caller loads meanwhile. */
typedef struct holder {
    mtc_cache *cache;
    mtct_caller caller;
} holder;

/* A lease that no test waits for the end of. */
static mtc_call leased_call(void)
{
    static mtc_strategy leased = MTC_STRATEGY_INIT(60000);
    mtc_call call = MTC_CALL_INIT;
    leased.lease_ms = 60000;
    call.strategy = &leased;
    return call;
}

static void open_other(mtc_cache **other)
{
    char tiers[128];
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    snprintf(tiers, sizeof tiers, "memory?size=1MiB %s?deadline=10s",
             server.url);
    options.tiers = tiers;
    options.log_level = 5;
    assert_int_equal(mtc_cache_open(&options, NULL, other), MTC_OK);
}

static void begin_load_elsewhere(holder *other)
{
    at_source = (mtct_stop){0};
    open_other(&other->cache);
    other->caller = (mtct_caller){.cache = other->cache,
                                  .key = "lease:b",
                                  .call = leased_call(),
                                  .loader = load_at_the_door};
    mtc_cache_remove(other->cache, mtc_str("lease:b"));
    mtct_caller_start(&other->caller);
    mtct_stop_await(&at_source, 1);
    open_cache(server.url, 10000);
    atomic_store(&others_drive, true);
}

static void end_load_elsewhere(holder *other)
{
    mtct_stop_open(&at_source);
    mtct_caller_join(&other->caller);
}

static mtc_item items[3];

static void name_items(const char *a, const char *b, const char *c)
{
    items[0] = (mtc_item){.key = mtc_str(a)};
    items[1] = (mtc_item){.key = mtc_str(b)};
    items[2] = (mtc_item){.key = mtc_str(c)};
}

static void assert_item(mtc_item *item, const char *text)
{
    assert_int_equal(item->status, MTC_OK);
    assert_int_equal(item->value.size, strlen(text));
    assert_memory_equal(item->value.data, text, strlen(text));
    mtc_value_free(&item->value);
}

/* What this process has a lease for is loaded at once, the other's is awaited.
 */
static void of_many_keys_others_load_some(void **state)
{
    mtct_heard heard = {0};
    mtc_call call = leased_call();
    _Atomic size_t count = 0;
    holder other;
    (void)state;
    test_server_require(TEST_REDIS);
    begin_load_elsewhere(&other);
    name_items("lease:a", "lease:b", "lease:c");
    mtc_cache_get_or_load_many_async(queue, items, 3, &call, load_ours, &count,
                                     mtct_hear_many, &heard);
    for (int i = 0; i < 10000 && count < 2; i++) {
        mtc_queue_drain(queue);
        mtc_queue_wait(queue, 1);
    }
    assert_int_equal(heard.count, 0);
    end_load_elsewhere(&other);
    mtct_drain_until(queue, &heard);
    mtct_assert_heard(&heard, MTC_OK, NULL);
    assert_item(&items[0], "ours");
    assert_item(&items[1], "theirs");
    assert_item(&items[2], "ours");
    assert_int_equal(count, 2);
    mtc_cache_close(&other.cache);
    close_cache();
}

/* Nobody who does not want a lease is held up by another's, least of all the
 * owner of a queue. */
static void without_a_lease_nobody_waits_for_others(void **state)
{
    mtct_heard heard = {0};
    _Atomic size_t count = 0;
    holder other;
    (void)state;
    test_server_require(TEST_REDIS);
    begin_load_elsewhere(&other);
    name_items("lease:d", "lease:b", "lease:e");
    mtc_cache_get_or_load_many_async(queue, items, 3, NULL, load_ours, &count,
                                     mtct_hear_many, &heard);
    mtct_drain_until(queue, &heard);
    mtct_assert_heard(&heard, MTC_OK, NULL);
    for (int i = 0; i < 3; i++)
        assert_item(&items[i], "ours");
    assert_int_equal(count, 3);
    mtc_cache_remove(cache, mtc_str("lease:b"));
    end_load_elsewhere(&other);
    mtc_cache_close(&other.cache);
    close_cache();
    begin_load_elsewhere(&other);
    name_items("lease:f", "lease:b", "lease:g");
    assert_int_equal(mtc_cache_get_or_load_many(cache, items, 3, NULL,
                                                load_ours, &count),
                     MTC_OK);
    for (int i = 0; i < 3; i++)
        assert_item(&items[i], "ours");
    end_load_elsewhere(&other);
    mtc_cache_close(&other.cache);
    close_cache();
}

static mtc_status leave_token(mtc_load *load, void *ctx)
{
    atomic_store((_Atomic(mtc_load *) *)ctx, load);
    return MTC_PENDING;
}

/* A flight whose lease is this process's, and whose load is dropped when a call
 * without a lease follows it; the server does not answer then. */
static void leave_a_lease_to(void (*follow)(void *ctx), void *ctx)
{
    mtct_heard first = {0};
    mtc_call call = leased_call();
    _Atomic(mtc_load *) token = NULL;
    open_cache(server.url, 10000);
    atomic_store(&others_drive, true);
    mtc_cache_get_or_load_async(queue, mtc_str("heir"), &call, leave_token,
                                &token, mtct_hear, &first);
    while (!atomic_load(&token)) {
        mtc_queue_drain(queue);
        mtc_queue_wait(queue, 1);
    }
    follow(ctx);
    mtc_queue_cancel(queue, &first);
    mtct_drain_all(queue);
    assert_int_equal(first.status, MTC_E_CANCELLED);
    test_server_pause(&server);
    mtc_load_drop(token);
    mtct_drain_all(queue);
}

typedef struct heir {
    _Atomic size_t count; /* of its loads */
    mtct_heard heard;
} heir;

static mtc_status load_one_of_ours(mtc_load *load, void *ctx)
{
    heir *self = ctx;
    atomic_fetch_add(&self->count, 1);
    return mtc_load_set_value(load, mtc_str("ours"));
}

static void follow_with_one(void *ctx)
{
    heir *self = ctx;
    mtc_cache_get_or_load_async(queue, mtc_str("heir"), NULL, load_one_of_ours,
                                self, mtct_hear, &self->heard);
}

static void follow_with_many(void *ctx)
{
    heir *self = ctx;
    name_items("heir", "none", "none");
    mtc_cache_get_or_load_many_async(queue, items, 1, NULL, load_ours,
                                     &self->count, mtct_hear_many,
                                     &self->heard);
}

/* What it stores goes to the tier of the lease first, which may take as long as
 * that: a thread of the cache waits for it. */
static void an_heir_of_a_lease_does_not_hold_up_the_drain(void **state)
{
    static void (*const FOLLOW[])(void *ctx) = {follow_with_one,
                                                follow_with_many};
    (void)state;
    test_server_require(TEST_REDIS);
    for (int i = 0; i < 2; i++) {
        heir self = {0};
        leave_a_lease_to(FOLLOW[i], &self);
        assert_int_equal(self.count, 1);
        assert_int_equal(self.heard.count, 0);
        test_server_resume(&server);
        mtct_drain_until(queue, &self.heard);
        assert_int_equal(self.heard.status, MTC_OK);
        mtc_cache_remove(cache, mtc_str("heir"));
        close_cache();
    }
    assert_item(&items[0], "ours");
}

static void a_cluster_is_driven_by_one_descriptor(void **state)
{
    static test_cluster cluster;
    (void)state;
    test_server_require(TEST_REDIS);
    assert_true(test_cluster_start(&cluster));
    open_cache(cluster.url, 10000);
    begin_sets(1000);
    assert_int_equal(loop(1000, 20000), 1000);
    expect_all(1000, MTC_OK, "");
    begin_gets(1000);
    assert_int_equal(loop_awake(1000), 1000);
    expect_all(1000, MTC_OK, "v");
    assert_true(comes_to_rest());
    test_server_kill(&cluster.servers[0]);
    assert_true(comes_to_rest());
    begin_gets(1000);
    assert_int_equal(loop(1000, 20000), 1000);
    unsigned served = 0;
    for (int i = 0; i < 1000; i++)
        served += all[i].status == MTC_OK;
    assert_in_range(served, 500, 1000);
    assert_true(comes_to_rest());
    close_cache();
    test_cluster_stop(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_thousand_calls_may_be_outstanding),
        cmocka_unit_test(many_keys_are_one_call),
        cmocka_unit_test(of_many_keys_others_load_some),
        cmocka_unit_test(without_a_lease_nobody_waits_for_others),
        cmocka_unit_test(an_heir_of_a_lease_does_not_hold_up_the_drain),
        cmocka_unit_test(a_silent_server_is_given_up_at_the_deadline),
        cmocka_unit_test(an_owner_who_stops_draining_is_stood_in_for),
        cmocka_unit_test(a_server_that_hangs_up_leaves_the_descriptor_quiet),
        cmocka_unit_test(
            a_server_that_is_killed_fails_the_calls_and_comes_back),
        cmocka_unit_test(a_cluster_is_driven_by_one_descriptor),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
