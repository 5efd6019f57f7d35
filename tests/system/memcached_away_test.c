/*
 * A real memcached that stands still, is killed, or comes and goes: it is
 * guarded as Redis is. One bounded wait, then nothing; what was removed is
 * never served again; health and the log say what is the matter, briefly.
 * labels: server
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "support/away_rig.h"

#define CALLS     10000
#define LINES_MAX 4

static away_rig rig;
static _Atomic unsigned lines;

static void count_line(void *ctx, mtc_log_level level, const char *part,
                       const char *text)
{
    (void)ctx;
    (void)level;
    atomic_fetch_add(&lines, 1);
    print_message("        %s: %s\n", part, text);
}

static int setup(void **state)
{
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    (void)state;
    options.log = count_line;
    atomic_store(&lines, 0);
    away_rig_start(&rig, TEST_MEMCACHED, NULL);
    rig.cache = away_rig_open(&rig, "memory ", "deadline=200ms", &options);
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

/* Past memory, unless that has it. */
static mtc_status get(const char *key)
{
    return away_rig_get(rig.cache, key);
}

/* Past memory in any case. */
static mtc_status get_below(const char *key)
{
    mtc_value value;
    mtc_call call = MTC_CALL_INIT;
    call.flags = MTC_CALL_SKIP_MEMORY;
    mtc_status status =
        mtc_cache_get_with(rig.cache, mtc_str(key), &call, &value);
    mtc_value_free(&value);
    return status;
}

static mtc_tier_health health(void)
{
    return away_rig_health(&rig);
}

static mtc_tier_stats stats(void)
{
    mtc_stats stats = {.struct_size = sizeof(stats)};
    assert_int_equal(mtc_cache_stats(rig.cache, &stats), MTC_OK);
    return stats.tiers[1];
}

static void expect_back(void)
{
    away_rig_await_open(&rig);
    away_rig_await_paid(&rig);
    assert_int_not_equal(health().state, MTC_HEALTH_DOWN);
}

/* The line that it fell comes from the cache's own thread. */
static void expect_few_lines(void)
{
    int64_t until_ms = mtci_boot_ms() + 20000;
    while (atomic_load(&lines) == 0) {
        assert_true(mtci_boot_ms() < until_ms);
        away_rig_nap(1);
    }
    assert_true(atomic_load(&lines) <= LINES_MAX);
}

/* Memory serves, nothing else is asked, and nothing is called a miss. */
static void expect_guarded(mtc_status first)
{
    mtc_tier_stats before = stats();
    assert_int_equal(get("nowhere"), first);
    assert_int_equal(health().state, MTC_HEALTH_DOWN);
    assert_int_equal(health().last_error, first);
    assert_true(strlen(health().last_error_text) > 0);
    for (int i = 0; i < CALLS; i++)
        assert_int_equal(get("nowhere"), MTC_E_UNAVAILABLE);
    assert_int_equal(get("kept"), MTC_OK);
    mtc_tier_stats after = stats();
    assert_true(after.skipped - before.skipped >= CALLS);
    /* What asks meanwhile is the probe. */
    assert_true(after.errors - before.errors < CALLS / 10);
    expect_few_lines();
}

static void a_memcached_that_stands_still_costs_one_wait(void **state)
{
    (void)state;
    assert_int_equal(set("kept", "v"), MTC_OK);
    assert_int_equal(set("k", "old"), MTC_OK);
    test_server_pause(&rig.server);
    expect_guarded(MTC_E_TIMEOUT);
    assert_int_equal(mtc_cache_remove(rig.cache, mtc_str("k")), MTC_PENDING);
    assert_int_equal(set("new", "v"), MTC_PARTIAL);
    assert_int_equal(health().debts, 2);
    test_server_resume(&rig.server);
    expect_back();
    assert_int_equal(get("k"), MTC_MISS);
    assert_int_equal(get_below("k"), MTC_MISS);
    assert_int_equal(get_below("new"), MTC_MISS);
    assert_int_equal(get_below("kept"), MTC_OK);
    assert_int_equal(set("k", "new"), MTC_OK);
    assert_int_equal(get_below("k"), MTC_OK);
}

static void a_memcached_that_was_killed_is_found_again(void **state)
{
    (void)state;
    assert_int_equal(set("kept", "v"), MTC_OK);
    assert_int_equal(set("k", "old"), MTC_OK);
    test_server_kill(&rig.server);
    expect_guarded(MTC_E_UNAVAILABLE);
    assert_int_equal(mtc_cache_remove(rig.cache, mtc_str("k")), MTC_PENDING);
    assert_int_equal(health().debts, 1);
    assert_true(test_server_restart(&rig.server));
    expect_back();
    assert_int_equal(get("k"), MTC_MISS);
    assert_int_equal(set("k", "new"), MTC_OK);
    assert_int_equal(get_below("k"), MTC_OK);
}

static void one_that_comes_and_goes_is_not_told_each_time(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        test_server_kill(&rig.server);
        while (get("nowhere") == MTC_MISS)
            away_rig_nap(1);
        assert_true(test_server_restart(&rig.server));
        expect_back();
    }
    /* Down and back for each of two reasons, at most. */
    expect_few_lines();
}

static void loads_go_on_and_the_cache_closes_while_it_stands_still(void **state)
{
    mtc_value value;
    (void)state;
    test_server_pause(&rig.server);
    for (int i = 0; i < 20; i++) {
        char key[16];
        snprintf(key, sizeof(key), "load%d", i);
        assert_int_equal(mtc_cache_get_or_load(rig.cache, mtc_str(key), NULL,
                                               away_rig_load, "loaded", &value),
                         MTC_OK);
        mtc_value_free(&value);
    }
    int64_t begun_ms = mtci_boot_ms();
    mtc_cache_close(&rig.cache);
    assert_null(rig.cache);
    assert_true(mtci_boot_ms() - begun_ms < 10000); /* grace: 2000 */
    test_server_resume(&rig.server);
}

/* -- under load ----------------------------------------------------------- */

#define WRITERS 4
#define KEYS    8 /* of each writer */

static _Atomic bool is_over;
static _Atomic uint64_t wrong, calls;

/* A key that one thread writes; what its reads may not go below. */
typedef struct truth {
    char key[24];
    uint64_t version, floor;
} truth;

static void change(truth *own, bool sets)
{
    char text[32];
    own->version++;
    snprintf(text, sizeof(text), "%llu", (unsigned long long)own->version);
    mtc_status status = sets ? set(own->key, text)
                             : mtc_cache_remove(rig.cache, mtc_str(own->key));
    if (status >= 0)
        own->floor = own->version;
}

static void check(const truth *own)
{
    mtc_value value;
    char text[32] = "";
    mtc_status status = mtc_cache_get(rig.cache, mtc_str(own->key), &value);
    if (status == MTC_OK && value.size < sizeof(text))
        memcpy(text, value.data, value.size);
    if (status == MTC_OK && strtoull(text, NULL, 10) < own->floor)
        atomic_fetch_add(&wrong, 1);
    mtc_value_free(&value);
    atomic_fetch_add(&calls, 1);
}

static void *write_and_read(void *ctx)
{
    truth own[KEYS] = {{.version = 0}};
    unsigned random = (unsigned)(uintptr_t)ctx;
    for (size_t i = 0; i < KEYS; i++)
        snprintf(own[i].key, sizeof(own[i].key), "k%u-%zu",
                 (unsigned)(uintptr_t)ctx, i);
    while (!atomic_load(&is_over)) {
        random = random * 1664525u + 1013904223u;
        if (random >> 30 == 0)
            change(&own[(random >> 8) % KEYS], random >> 29 & 1);
        check(&own[(random >> 12) % KEYS]);
    }
    return NULL;
}

static void no_fault_of_memcached_makes_a_wrong_value(void **state)
{
    (void)state;
    pthread_t threads[WRITERS];
    atomic_store(&is_over, false);
    for (size_t i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_and_read,
                                        (void *)(i + 1)),
                         0);
    for (int round = 0; round < 2; round++) {
        away_rig_nap(200);
        test_server_pause(&rig.server);
        away_rig_nap(500);
        test_server_resume(&rig.server);
        away_rig_nap(200);
        test_server_kill(&rig.server);
        away_rig_nap(200);
        assert_true(test_server_restart(&rig.server));
    }
    away_rig_nap(200);
    atomic_store(&is_over, true);
    for (size_t i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(wrong, 0);
    assert_true(calls > 1000);
    expect_few_lines();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_memcached_that_stands_still_costs_one_wait),
        TEST(a_memcached_that_was_killed_is_found_again),
        TEST(one_that_comes_and_goes_is_not_told_each_time),
        TEST(loads_go_on_and_the_cache_closes_while_it_stands_still),
        TEST(no_fault_of_memcached_makes_a_wrong_value),
    };
    return cmocka_run_group_tests_name("memcached away", tests, NULL, NULL);
}
