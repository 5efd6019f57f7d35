/*
 * Memory over disk over Redis: where values go, come from and stay.
 * labels: server
 */
#include <stdarg.h>
#include <stddef.h>
#include <sched.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "mtc/stats.h"
#include "support/cache_fixture.h"
#include "support/server.h"

static test_server server;
static char dir[64];
static mtc_cache *cache;

static mtc_cache *open_tiers(const char *format, const char *first,
                             const char *second)
{
    char tiers[256];
    mtc_error error;
    mtc_cache *opened;
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    options.log_level = 5;
    options.tiers = tiers;
    snprintf(tiers, sizeof(tiers), format, first, second);
    if (mtc_cache_open(&options, &error, &opened) != MTC_OK)
        fail_msg("cannot open: %s", error.text);
    return opened;
}

static void open_all(void)
{
    cache = open_tiers("memory disk:%s?deadline=20s %s?deadline=2s", dir,
                       server.url);
}

static void close_all(void)
{
    assert_int_equal(mtc_cache_close(&cache), MTC_OK);
}

static int setup(void **state)
{
    (void)state;
    test_server_require(TEST_REDIS);
    assert_true(test_server_start(&server, TEST_REDIS, NULL));
    strcpy(dir, "/tmp/mtc-three-XXXXXX");
    assert_non_null(mkdtemp(dir));
    open_all();
    return 0;
}

static int teardown(void **state)
{
    char command[96];
    (void)state;
    if (cache)
        mtc_cache_close(&cache);
    test_server_stop(&server);
    snprintf(command, sizeof(command), "rm -r %s", dir);
    return system(command);
}

static mtc_stats stats(void)
{
    mtc_stats all = {.struct_size = sizeof(all)};
    assert_int_equal(mtc_cache_stats(cache, &all), MTC_OK);
    return all;
}

/* What a cache of one of the tiers alone answers. */
static void assert_alone(const char *url, const char *key, const char *value)
{
    mtc_cache *alone = open_tiers("%s%s", url, "?deadline=20s");
    mtct_check_get(alone, key, value, __FILE__, __LINE__);
    assert_int_equal(mtc_cache_close(&alone), MTC_OK);
}

static const char *disk_url(void)
{
    static char url[80];
    snprintf(url, sizeof(url), "disk:%s", dir);
    return url;
}

static mtc_status set(const char *key, const char *value)
{
    return mtc_cache_set(cache, mtc_str(key), mtc_str(value), &MTC_LONG_TERM);
}

static void a_set_reaches_all_three_and_a_remove_too(void **state)
{
    (void)state;
    assert_int_equal(set("k", "v"), MTC_OK);
    assert_int_equal(set("r", "v"), MTC_OK);
    assert_int_equal(mtc_cache_remove(cache, mtc_str("r")), MTC_OK);
    mtct_assert_get(cache, "k", "v");
    mtct_assert_get(cache, "r", NULL);
    close_all();
    assert_alone(disk_url(), "k", "v");
    assert_alone(server.url, "k", "v");
    assert_alone(disk_url(), "r", NULL);
    assert_alone(server.url, "r", NULL);
}

static void a_value_in_redis_alone_is_promoted_into_disk_and_memory(void **s)
{
    (void)s;
    mtc_cache *other = open_tiers("%s%s", server.url, "");
    assert_int_equal(mtc_cache_set(other, mtc_str("k"), mtc_str("v"),
                                   &MTC_LONG_TERM),
                     MTC_OK);
    assert_int_equal(mtc_cache_close(&other), MTC_OK);
    mtct_assert_get(cache, "k", "v");
    mtct_assert_get(cache, "k", "v");
    assert_int_equal(stats().tiers[2].hits, 1);
    assert_int_equal(stats().tiers[0].hits, 1);
    assert_int_equal(stats().tiers[2].promotions, 1);
    close_all();
    assert_alone(disk_url(), "k", "v");
    open_all();
    mtct_assert_get(cache, "k", "v");
    assert_int_equal(stats().tiers[1].hits, 1);
}

static void without_redis_the_tiers_above_answer(void **state)
{
    (void)state;
    mtc_value value;
    assert_int_equal(set("k", "v"), MTC_OK);
    close_all();
    test_server_kill(&server);
    open_all();
    mtct_assert_get(cache, "k", "v");
    assert_int_equal(stats().tiers[1].hits, 1);
    assert_int_equal(mtc_cache_get(cache, mtc_str("nowhere"), &value),
                     MTC_E_UNAVAILABLE);
    assert_int_equal(set("k", "w"), MTC_PARTIAL);
    assert_int_equal(mtc_cache_remove(cache, mtc_str("k")), MTC_PENDING);
    assert_int_equal(mtc_cache_get(cache, mtc_str("k"), &value),
                     MTC_E_UNAVAILABLE);
    assert_int_equal(stats().tiers[2].debts, 1);
}

static void a_promoted_copy_does_not_outlive_the_one_below(void **state)
{
    (void)state;
    mtc_strategy brief = MTC_STRATEGY_INIT(1000);
    mtc_value_info info = MTC_VALUE_INFO_INIT;
    mtc_value value;
    mtc_cache *other = open_tiers("%s%s", server.url, "");
    assert_int_equal(mtc_cache_set(other, mtc_str("k"), mtc_str("v"), &brief),
                     MTC_OK);
    mtct_assert_get(cache, "k", "v");
    if (mtc_cache_get(cache, mtc_str("k"), &value) == MTC_OK) {
        assert_int_equal(mtc_value_info_get(&value, &info), MTC_OK);
        assert_int_equal(info.tier, 0);
        assert_in_range(info.left_ms, 0, 1000);
    }
    mtc_value_free(&value);
    int64_t until_ms = mtci_boot_ms() + 20000;
    while (mtc_cache_get(other, mtc_str("k"), &value) == MTC_OK) {
        mtc_value_free(&value);
        assert_true(mtci_boot_ms() < until_ms);
    }
    mtct_assert_get(cache, "k", NULL);
    assert_int_equal(mtc_cache_close(&other), MTC_OK);
}

static mtc_strategy with_window(void)
{
    mtc_strategy strategy = MTC_STRATEGY_INIT(60000);
    strategy.stale_ms = 60000;
    strategy.absent_ms = 60000;
    return strategy;
}

static mtc_status answer(mtc_load *load, void *ctx)
{
    const mtc_status *status = ctx;
    (void)load;
    return *status;
}

/* What a cache of one of the tiers alone makes of a source that says this. */
static void load_alone(const char *url, const char *key, mtc_status source,
                       mtc_status status)
{
    mtc_value value;
    mtc_strategy strategy = with_window();
    mtc_cache *alone = open_tiers("%s%s", url, "?deadline=20s");
    assert_int_equal(mtc_cache_get_or_load(alone, mtc_str(key), &strategy,
                                           answer, &source, &value),
                     status);
    assert_int_equal(value.size, status == MTC_STALE ? 3 : 0);
    if (status == MTC_STALE)
        assert_memory_equal(value.data, "old", 3);
    mtc_value_free(&value);
    assert_int_equal(mtc_cache_close(&alone), MTC_OK);
}

static void every_tier_keeps_a_stale_copy_to_fall_back_on(void **state)
{
    (void)state;
    mtc_strategy strategy = with_window();
    assert_int_equal(mtc_cache_set(cache, mtc_str("k"), mtc_str("old"),
                                   &strategy),
                     MTC_OK);
    assert_int_equal(mtc_cache_expire(cache, mtc_str("k")), MTC_OK);
    mtct_assert_get(cache, "k", NULL);
    close_all();
    load_alone(disk_url(), "k", MTC_E_UNAVAILABLE, MTC_STALE);
    load_alone(server.url, "k", MTC_E_UNAVAILABLE, MTC_STALE);
    open_all();
    assert_int_equal(mtc_cache_remove(cache, mtc_str("k")), MTC_OK);
    close_all();
    load_alone(disk_url(), "k", MTC_E_UNAVAILABLE, MTC_E_UNAVAILABLE);
    load_alone(server.url, "k", MTC_E_UNAVAILABLE, MTC_E_UNAVAILABLE);
}

static void every_tier_remembers_that_there_is_nothing(void **state)
{
    mtc_value value;
    mtc_status nothing = MTC_MISS;
    mtc_strategy strategy = with_window();
    (void)state;
    assert_int_equal(mtc_cache_get_or_load(cache, mtc_str("no"), &strategy,
                                           answer, &nothing, &value),
                     MTC_ABSENT);
    assert_int_equal(mtc_cache_get(cache, mtc_str("no"), &value), MTC_ABSENT);
    close_all();
    load_alone(disk_url(), "no", MTC_E_UNAVAILABLE, MTC_ABSENT);
    load_alone(server.url, "no", MTC_E_UNAVAILABLE, MTC_ABSENT);
}

/* A value that took a while to load, with an etag if the key is "tagged". */
static mtc_status load_slowly(mtc_load *load, void *ctx)
{
    (void)ctx;
    int64_t until_ms = mtci_boot_ms() + 5;
    while (mtci_boot_ms() < until_ms)
        sched_yield();
    if (mtc_load_key(load).size == strlen("tagged"))
        assert_int_equal(mtc_load_set_etag(load, mtc_str("\"1\"")), MTC_OK);
    return mtc_load_set_value(load, mtc_str("v"));
}

static void assert_facts(mtc_cache *from, const char *key, size_t etag_size)
{
    mtc_value value;
    mtc_value_info info = MTC_VALUE_INFO_INIT;
    assert_int_equal(mtc_cache_get(from, mtc_str(key), &value), MTC_OK);
    assert_int_equal(mtc_value_info_get(&value, &info), MTC_OK);
    assert_in_range(info.load_ms, 5, 60000);
    assert_int_equal(info.ttl_ms, 60000);
    assert_int_equal(info.etag.size, etag_size);
    if (etag_size > 0)
        assert_memory_equal(info.etag.data, "\"1\"", etag_size);
    mtc_value_free(&value);
}

static void assert_facts_alone(const char *url)
{
    mtc_cache *alone = open_tiers("%s%s", url, "?deadline=20s");
    assert_facts(alone, "plain", 0);
    assert_facts(alone, "tagged", 3);
    assert_int_equal(mtc_cache_close(&alone), MTC_OK);
}

static void every_tier_keeps_the_etag_and_the_load_time(void **state)
{
    mtc_value value;
    mtc_strategy strategy = MTC_STRATEGY_INIT(60000);
    const char *keys[] = {"plain", "tagged"};
    (void)state;
    strategy.refresh_beta = 0.001;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(mtc_cache_get_or_load(cache, mtc_str(keys[i]),
                                               &strategy, load_slowly, NULL,
                                               &value),
                         MTC_OK);
        mtc_value_free(&value);
        assert_facts(cache, keys[i], i == 0 ? 0 : 3);
    }
    close_all();
    assert_facts_alone(disk_url());
    assert_facts_alone(server.url);
    open_all();
    assert_facts(cache, "tagged", 3);
    assert_facts(cache, "tagged", 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_set_reaches_all_three_and_a_remove_too),
        TEST(a_value_in_redis_alone_is_promoted_into_disk_and_memory),
        TEST(without_redis_the_tiers_above_answer),
        TEST(a_promoted_copy_does_not_outlive_the_one_below),
        TEST(every_tier_keeps_a_stale_copy_to_fall_back_on),
        TEST(every_tier_remembers_that_there_is_nothing),
        TEST(every_tier_keeps_the_etag_and_the_load_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
