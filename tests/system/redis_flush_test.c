/*
 * labels: quick server
 *
 * A Redis that is emptied (FLUSHALL) while threads set, remove, get and load:
 * values may be gone, and none is wrong or older than the last write. What
 * memory holds outlives it: nobody tells.
 */
#include "mtc/cache.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "support/cache_fixture.h"
#include "support/callers.h"
#include "support/redis_rig.h"
#include "support/stamp.h"
#include "support/tier_call.h"

#define THREADS    4
#define KEYS       8 /* of one thread alone */
#define VALUE_SIZE 64
#define FLUSHES    50
#define OPS_MIN    300u /* of each thread */

static test_server server;
static mtc_cache *cache;
static _Atomic bool is_over;

/* It alone writes its keys; all read them. What is written has rising stamps,
 * odd ones for removals. */
typedef struct worker {
    pthread_t thread;
    uint32_t number;
    uint64_t seed;
    uint32_t stamp;
    _Atomic uint32_t said[KEYS]; /* the source: before the write of the cache */
    _Atomic uint32_t acked[KEYS]; /* and after it has returned */
    _Atomic uint32_t ops;
    const char *wrong;
} worker;

static worker workers[THREADS];

static int setup(void **state)
{
    char tiers[128];
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    (void)state;
    if (!test_server_installed(TEST_REDIS))
        return 0;
    assert_true(test_server_start(&server, TEST_REDIS, NULL));
    snprintf(tiers, sizeof tiers, "memory %s?deadline=20s&connect=20s",
             server.url);
    options.tiers = tiers;
    options.log_level = 5;
    return mtc_cache_open(&options, NULL, &cache) == MTC_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    if (cache)
        mtc_cache_close(&cache);
    test_server_stop(&server);
    return 0;
}

static void flush(mtci_redis_client *client)
{
    char text[64];
    assert_string_equal(redis_rig_ask(client, MTCI_REPLY_STATUS, "FLUSHALL",
                                      text, sizeof text),
                        "+OK");
}

/* -- under load ------------------------------------------------------------ */

static uint32_t number_of(const worker *worker, uint32_t key)
{
    return worker->number * KEYS + key;
}

static void blame(worker *worker, const char *what)
{
    if (!worker->wrong)
        worker->wrong = what;
}

typedef struct key {
    worker *owner;
    uint32_t index;
    char text[24];
    mtc_slice name;
} key;

static bool is_removal(uint32_t stamp)
{
    return stamp % 2 == 1;
}

static mtc_status load(mtc_load *load, void *ctx)
{
    char bytes[VALUE_SIZE];
    const key *key = ctx;
    uint32_t stamp = atomic_load(&key->owner->said[key->index]);
    if (stamp == 0 || is_removal(stamp))
        return MTC_MISS;
    mtct_stamp_write(bytes, sizeof bytes, number_of(key->owner, key->index),
                     stamp);
    return mtc_load_set_value(load, mtc_bytes(bytes, sizeof bytes));
}

static void look(worker *worker, key *key, bool loads)
{
    mtc_value value;
    uint32_t stamp = 0;
    uint32_t acked = atomic_load(&key->owner->acked[key->index]);
    mtc_call call = MTC_CALL_INIT;
    call.flags = mtct_draw(&worker->seed, 2) ? MTC_CALL_SKIP_MEMORY : 0;
    mtc_status status =
        loads ? mtc_cache_get_or_load_with(cache, key->name, &call, load, key,
                                           &value)
              : mtc_cache_get_with(cache, key->name, &call, &value);
    if (status == MTC_OK &&
        !mtct_stamp_read(mtc_value_slice(&value),
                         number_of(key->owner, key->index), &stamp))
        blame(worker, "a value that was never written to the key");
    if (status == MTC_OK && stamp < acked)
        blame(worker, "an older value than the last write");
    if (loads && key->owner == worker && status != MTC_OK && acked != 0 &&
        !is_removal(acked))
        blame(worker, "what the source has was not loaded");
    if (status < 0)
        blame(worker, "an error");
    mtc_value_free(&value);
}

static void change(worker *worker, const key *key, bool removes)
{
    char bytes[VALUE_SIZE];
    mtc_status status;
    worker->stamp += 2;
    uint32_t stamp = worker->stamp + removes;
    atomic_store(&worker->said[key->index], stamp);
    mtct_stamp_write(bytes, sizeof bytes, number_of(worker, key->index), stamp);
    status = removes ? mtc_cache_remove(cache, key->name)
                     : mtc_cache_set(cache, key->name,
                                     mtc_bytes(bytes, sizeof bytes), NULL);
    if (status != MTC_OK)
        blame(worker, "a write failed");
    atomic_store(&worker->acked[key->index], stamp);
}

static void draw_key(worker *worker, bool is_own, key *key)
{
    uint32_t owner =
        is_own ? worker->number : mtct_draw(&worker->seed, THREADS);
    key->owner = &workers[owner];
    key->index = mtct_draw(&worker->seed, KEYS);
    key->name = mtct_key(number_of(key->owner, key->index), key->text);
}

static void *work(void *ctx)
{
    key key;
    worker *worker = ctx;
    while (!atomic_load(&is_over)) {
        uint32_t kind = mtct_draw(&worker->seed, 10);
        draw_key(worker, kind > 6, &key);
        if (kind < 7)
            look(worker, &key, kind < 4);
        else
            change(worker, &key, kind == 9);
        atomic_fetch_add(&worker->ops, 1);
    }
    return NULL;
}

static bool have_worked(void)
{
    for (size_t i = 0; i < THREADS; i++) {
        if (atomic_load(&workers[i].ops) < OPS_MIN)
            return false;
    }
    return true;
}

static void emptying_makes_no_value_wrong_or_older(void **state)
{
    struct timespec pause = {0, 5000000};
    (void)state;
    test_server_require(TEST_REDIS);
    uint64_t seed = mtct_seed("redis_flush");
    mtci_redis_client *client = redis_rig_client(server.port);
    atomic_store(&is_over, false);
    for (uint32_t i = 0; i < THREADS; i++)
        workers[i] = (worker){.number = i, .seed = seed + i};
    for (uint32_t i = 0; i < THREADS; i++)
        workers[i].thread = mtct_thread_start(work, &workers[i]);
    for (int i = 0; i < FLUSHES || !have_worked(); i++) {
        flush(client);
        nanosleep(&pause, NULL);
    }
    atomic_store(&is_over, true);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        if (workers[i].wrong)
            fail_msg("thread %zu: %s", i, workers[i].wrong);
    }
    mtci_client_free(client);
}

/* -- and at rest ----------------------------------------------------------- */

static void memory_outlives_it_until_the_key_is_removed(void **state)
{
    mtc_value value;
    mtc_call below = MTC_CALL_INIT;
    (void)state;
    test_server_require(TEST_REDIS);
    mtci_redis_client *client = redis_rig_client(server.port);
    below.flags = MTC_CALL_SKIP_MEMORY | MTC_CALL_NO_PROMOTE;
    assert_int_equal(mtc_cache_set(cache, mtc_str("k"), mtc_str("v"), NULL),
                     MTC_OK);
    flush(client);
    assert_int_equal(mtc_cache_get_with(cache, mtc_str("k"), &below, &value),
                     MTC_MISS);
    mtct_assert_get(cache, "k", "v");
    assert_int_equal(mtc_cache_remove(cache, mtc_str("k")), MTC_OK);
    mtct_assert_get(cache, "k", NULL);
    mtci_client_free(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(emptying_makes_no_value_wrong_or_older),
        TEST(memory_outlives_it_until_the_key_is_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
