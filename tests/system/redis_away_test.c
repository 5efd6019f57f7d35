/*
 * A real Redis that is not there yet, is killed, or stands still: what was
 * removed is never served, and no call waits much longer than its deadline.
 * labels: server
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "support/away_rig.h"
#include "support/cache_fixture.h"

static away_rig rig;

/* What was written before a kill -9 is there after it. */
static const char *const durable[] = {"--appendonly", "yes", "--appendfsync",
                                      "always", NULL};

static mtc_cache *open_tiers(const char *before)
{
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    options.log_level = 5;
    return away_rig_open(&rig, before, "deadline=200ms&connect=200ms",
                         &options);
}

static int setup(void **state)
{
    (void)state;
    away_rig_start(&rig, TEST_REDIS, durable);
    rig.cache = open_tiers("memory ");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    away_rig_stop(&rig);
    return 0;
}

static mtc_status set(const char *key, const char *value)
{
    return away_rig_set(rig.cache, key, value);
}

/* Reads until Redis answers again; nothing may be found before or then. */
static void assert_never_served_again(const char *key)
{
    int64_t until_ms = mtci_boot_ms() + 20000;
    mtc_status status;
    do {
        status = away_rig_get(rig.cache, key);
        assert_int_not_equal(status, MTC_OK);
        assert_true(mtci_boot_ms() < until_ms);
    } while (status != MTC_MISS);
    mtc_cache *other = open_tiers("");
    assert_int_equal(away_rig_get(other, key), MTC_MISS);
    assert_int_equal(away_rig_get(other, "kept"), MTC_OK);
    assert_int_equal(mtc_cache_close(&other), MTC_OK);
}

static void what_was_removed_while_redis_was_dead_stays_away(void **state)
{
    (void)state;
    assert_int_equal(set("kept", "v"), MTC_OK);
    assert_int_equal(set("k", "old"), MTC_OK);
    test_server_kill(&rig.server);
    assert_int_equal(mtc_cache_remove(rig.cache, mtc_str("k")), MTC_PENDING);
    assert_true(test_server_restart(&rig.server));
    assert_never_served_again("k");
}

static void what_was_removed_while_redis_stood_still_stays_away(void **state)
{
    (void)state;
    assert_int_equal(set("kept", "v"), MTC_OK);
    assert_int_equal(set("k", "old"), MTC_OK);
    test_server_pause(&rig.server);
    assert_int_equal(mtc_cache_remove(rig.cache, mtc_str("k")), MTC_PENDING);
    test_server_resume(&rig.server);
    assert_never_served_again("k");
}

static void what_was_replaced_while_redis_was_dead_stays_away(void **state)
{
    (void)state;
    mtc_strategy brief = MTC_STRATEGY_INIT(300);
    assert_int_equal(set("kept", "v"), MTC_OK);
    assert_int_equal(set("k", "old"), MTC_OK);
    test_server_kill(&rig.server);
    assert_int_equal(mtc_cache_set(rig.cache, mtc_str("k"), mtc_str("new"),
                                   &brief),
                     MTC_PARTIAL);
    mtct_assert_get(rig.cache, "k", "new");
    assert_true(test_server_restart(&rig.server));
    away_rig_nap(300); /* until memory has lost it */
    assert_never_served_again("k");
}

static void a_redis_that_is_not_there_stops_nothing_and_is_found_later(void **s)
{
    (void)s;
    mtc_value value;
    assert_int_equal(mtc_cache_close(&rig.cache), MTC_OK);
    test_server_kill(&rig.server);
    rig.cache = open_tiers("memory ");
    assert_int_equal(away_rig_get(rig.cache, "nowhere"), MTC_E_UNAVAILABLE);
    assert_int_equal(set("k", "v"), MTC_PARTIAL);
    mtct_assert_get(rig.cache, "k", "v");
    assert_int_equal(mtc_cache_get_or_load(rig.cache, mtc_str("l"), NULL,
                                           away_rig_load, "loaded", &value),
                     MTC_OK);
    mtc_value_free(&value);
    assert_int_equal(away_rig_health(&rig).state, MTC_HEALTH_DOWN);
    assert_true(test_server_restart(&rig.server));
    away_rig_await_open(&rig);
    assert_int_equal(away_rig_get(rig.cache, "nowhere"), MTC_MISS);
    assert_int_equal(set("k", "v2"), MTC_OK);
}

static void a_cache_closes_while_redis_stands_still(void **state)
{
    (void)state;
    assert_int_equal(set("k", "v"), MTC_OK);
    test_server_pause(&rig.server);
    mtc_cache_remove(rig.cache, mtc_str("k"));
    int64_t begun_ms = mtci_boot_ms();
    mtc_cache_close(&rig.cache);
    assert_null(rig.cache);
    assert_true(mtci_boot_ms() - begun_ms < 4000); /* grace: 2000 */
    test_server_resume(&rig.server);
}

/* -- under load --------------------------------------------------------- */

#define OWNERS      4
#define READERS     4
#define KEYS        8 /* of each owner */
#define RUN_MS      3000
#define CALL_MS_MAX 2000 /* deadlines are 200; the machine may be busy */

/* The source of each key, changed by its owner alone. floor: no read that
 * begins now may see an older version. */
typedef struct truth {
    char key[16];
    _Atomic uint64_t version;
    _Atomic uint64_t floor;
} truth;

static truth truths[OWNERS * KEYS];
static _Atomic bool is_over;
static _Atomic int64_t slowest_ms;
static _Atomic uint64_t wrong, calls;

/* Takes its time after reading, so that writes come in between. */
static mtc_status load_truth(mtc_load *load, void *ctx)
{
    const truth *source = ctx;
    char text[48];
    uint64_t version = atomic_load(&source->version);
    snprintf(text, sizeof(text), "%s=%llu", source->key,
             (unsigned long long)version);
    if (version % 4 == 0)
        away_rig_nap(1);
    return mtc_load_set_value(load, mtc_str(text));
}

static void note_time(int64_t begun_ms)
{
    int64_t spent_ms = mtci_boot_ms() - begun_ms;
    int64_t seen_ms = atomic_load(&slowest_ms);
    while (spent_ms > seen_ms &&
           !atomic_compare_exchange_weak(&slowest_ms, &seen_ms, spent_ms))
        ;
    atomic_fetch_add(&calls, 1);
}

/* Whether a value is of this key and not older than floor. */
static bool is_right(const truth *source, const mtc_value *value,
                     uint64_t floor)
{
    char text[48];
    size_t size = strlen(source->key);
    if (value->size >= sizeof(text) || value->size <= size)
        return false;
    memcpy(text, value->data, value->size);
    text[value->size] = '\0';
    return memcmp(text, source->key, size) == 0 && text[size] == '=' &&
           strtoull(text + size + 1, NULL, 10) >= floor;
}

static void read_one(truth *source, bool loads)
{
    mtc_value value;
    int64_t begun_ms = mtci_boot_ms();
    uint64_t floor = atomic_load(&source->floor);
    mtc_status status =
        loads ? mtc_cache_get_or_load(rig.cache, mtc_str(source->key), NULL,
                                      load_truth, source, &value)
              : mtc_cache_get(rig.cache, mtc_str(source->key), &value);
    note_time(begun_ms);
    if (status == MTC_OK && !is_right(source, &value, floor))
        atomic_fetch_add(&wrong, 1);
    if (loads && status != MTC_OK)
        atomic_fetch_add(&wrong, 1);
    mtc_value_free(&value);
}

static void write_one(truth *source, bool sets)
{
    char text[48];
    uint64_t version = atomic_fetch_add(&source->version, 1) + 1;
    snprintf(text, sizeof(text), "%s=%llu", source->key,
             (unsigned long long)version);
    int64_t begun_ms = mtci_boot_ms();
    mtc_status status = sets
                            ? mtc_cache_set(rig.cache, mtc_str(source->key),
                                            mtc_str(text), NULL)
                            : mtc_cache_remove(rig.cache, mtc_str(source->key));
    note_time(begun_ms);
    if (status >= 0)
        atomic_store(&source->floor, version);
}

static void *read_all(void *ctx)
{
    unsigned random = (unsigned)(uintptr_t)ctx;
    while (!atomic_load(&is_over)) {
        random = random * 1664525u + 1013904223u;
        read_one(&truths[(random >> 8) % (OWNERS * KEYS)], random >> 31);
    }
    return NULL;
}

static void *write_own(void *ctx)
{
    truth *own = ctx;
    unsigned random = 1;
    while (!atomic_load(&is_over)) {
        random = random * 1664525u + 1013904223u;
        write_one(&own[(random >> 8) % KEYS], random >> 31);
        read_one(&own[(random >> 8) % KEYS], true);
    }
    return NULL;
}

static void start_threads(pthread_t *threads)
{
    atomic_store(&is_over, false);
    for (size_t i = 0; i < OWNERS * KEYS; i++) {
        snprintf(truths[i].key, sizeof(truths[i].key), "key%zu", i);
        atomic_store(&truths[i].version, 1);
        atomic_store(&truths[i].floor, 0);
    }
    for (size_t i = 0; i < READERS + OWNERS; i++) {
        bool is_owner = i < OWNERS;
        void *ctx = is_owner ? (void *)&truths[i * KEYS] : (void *)i;
        assert_int_equal(pthread_create(&threads[i], NULL,
                                        is_owner ? write_own : read_all, ctx),
                         0);
    }
}

static void no_fault_of_redis_makes_a_wrong_value_or_a_long_wait(void **state)
{
    (void)state;
    pthread_t threads[OWNERS + READERS];
    start_threads(threads);
    for (int round = 0; round < 2; round++) {
        away_rig_nap(RUN_MS / 12);
        test_server_kill(&rig.server);
        away_rig_nap(RUN_MS / 12);
        assert_true(test_server_restart(&rig.server));
        away_rig_nap(RUN_MS / 12);
        test_server_pause(&rig.server);
        away_rig_nap(RUN_MS / 6);
        test_server_resume(&rig.server);
    }
    away_rig_nap(RUN_MS / 12);
    atomic_store(&is_over, true);
    for (size_t i = 0; i < OWNERS + READERS; i++)
        pthread_join(threads[i], NULL);
    print_message("%llu calls, the slowest took %lld ms\n",
                  (unsigned long long)atomic_load(&calls),
                  (long long)atomic_load(&slowest_ms));
    assert_int_equal(wrong, 0);
    assert_true(calls > 1000);
    assert_true(slowest_ms < CALL_MS_MAX);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_was_removed_while_redis_was_dead_stays_away),
        TEST(what_was_removed_while_redis_stood_still_stays_away),
        TEST(what_was_replaced_while_redis_was_dead_stays_away),
        TEST(a_redis_that_is_not_there_stops_nothing_and_is_found_later),
        TEST(a_cache_closes_while_redis_stands_still),
        TEST(no_fault_of_redis_makes_a_wrong_value_or_a_long_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
