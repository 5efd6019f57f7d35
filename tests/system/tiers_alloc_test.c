/*
 * Allocation sweep over real tiers: the n-th allocation of a call fails, alone
 * or with all that follow. No wrong value, no leak (under asan), and the tier
 * works afterwards.
 * labels: server
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"
#include "mtc/stats.h"
#include "support/cache_fixture.h"
#include "support/failing_alloc.h"
#include "support/server.h"

#define RECOVERY_MS 30000

static char tiers[160];
static mtc_cache *cache;
static bool goes_on;

static void open_cache(void)
{
    mtc_error error;
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    options.log_level = 5;
    options.tiers = tiers;
    if (mtc_cache_open(&options, &error, &cache) != MTC_OK)
        fail_msg("cannot open: %s", error.text);
}

static mtc_status set(const char *key, const char *value)
{
    return mtc_cache_set(cache, mtc_str(key), mtc_str(value), NULL);
}

/* A tier that fell over the failure is back before long. */
static void set_until_done(const char *key, const char *value)
{
    struct timespec nap = {0, 1000000};
    int64_t until_ms = mtci_boot_ms() + RECOVERY_MS;
    while (set(key, value) != MTC_OK) {
        assert_true(mtci_boot_ms() < until_ms);
        nanosleep(&nap, NULL);
    }
}

/* Reads below memory, where nothing but one of the two may be found. */
static void check_below(const char *key, const char *one, const char *other)
{
    mtc_value value;
    mtc_call call = MTC_CALL_INIT;
    call.flags = MTC_CALL_SKIP_MEMORY;
    mtc_status status = mtc_cache_get_with(cache, mtc_str(key), &call, &value);
    bool is_one = one && status == MTC_OK && value.size == strlen(one) &&
                  memcmp(value.data, one, value.size) == 0;
    bool is_other = other && status == MTC_OK && value.size == strlen(other) &&
                    memcmp(value.data, other, value.size) == 0;
    assert_true(status != MTC_OK || is_one || is_other);
    mtc_value_free(&value);
}

/* -- the calls ---------------------------------------------------------- */

static void sweep_get(long n)
{
    mtc_value value;
    mtc_call call = MTC_CALL_INIT;
    call.flags = MTC_CALL_SKIP_MEMORY;
    mtct_alloc_arm(n, goes_on);
    mtc_status status = mtc_cache_get_with(cache, mtc_str("k"), &call, &value);
    mtct_alloc_disarm();
    assert_true(status == MTC_OK || status < 0);
    if (status == MTC_OK)
        assert_memory_equal(value.data, "old", 3);
    mtc_value_free(&value);
}

static void sweep_set(long n)
{
    mtct_alloc_arm(n, goes_on);
    mtc_status status = set("k", "new");
    mtct_alloc_disarm();
    if (status == MTC_E_NO_MEMORY)
        check_below("k", "old", NULL);
    else if (status == MTC_E_BUSY)
        check_below("k", "old", "new");
    else
        check_below("k", "new", NULL);
}

static void sweep_remove(long n)
{
    mtct_alloc_arm(n, goes_on);
    mtc_status status = mtc_cache_remove(cache, mtc_str("k"));
    mtct_alloc_disarm();
    if (status == MTC_OK || status == MTC_PENDING)
        check_below("k", NULL, NULL);
    else
        check_below("k", "old", NULL);
}

static mtc_status load_text(mtc_load *load, void *ctx)
{
    (void)ctx;
    return mtc_load_set_value(load, mtc_str("loaded"));
}

static void sweep_load(long n)
{
    mtc_value value;
    mtct_alloc_arm(n, goes_on);
    mtc_status status = mtc_cache_get_or_load(cache, mtc_str("missing"), NULL,
                                              load_text, NULL, &value);
    mtct_alloc_disarm();
    assert_true(status == MTC_OK || status < 0);
    if (status == MTC_OK)
        assert_memory_equal(value.data, "loaded", 6);
    mtc_value_free(&value);
    check_below("missing", "loaded", NULL);
}

static void sweep_open(long n)
{
    mtc_error error;
    mtc_cache *second;
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    options.log_level = 5;
    options.tiers = tiers;
    mtct_alloc_arm(n, goes_on);
    mtc_status status = mtc_cache_open(&options, &error, &second);
    mtct_alloc_disarm();
    assert_true(status == MTC_OK || status < 0);
    assert_int_equal(second == NULL, status != MTC_OK);
    if (second)
        mtc_cache_close(&second);
}

/* Runs a call with its first, second, … allocation failing, until there is
 * none left to fail. */
static void sweep(void (*call)(long n))
{
    for (int mode = 0; mode < 2; mode++) {
        bool has_failed = true;
        goes_on = mode == 1;
        for (long n = 1; has_failed; n++) {
            set_until_done("k", "old");
            assert_true(mtc_cache_remove(cache, mtc_str("missing")) >= 0);
            call(n);
            has_failed = mtct_alloc_disarm();
            assert_true(n < 1000);
        }
    }
}

static void sweep_all(void)
{
    void (*const calls[])(long n) = {sweep_get, sweep_set, sweep_remove,
                                     sweep_load, sweep_open};
    open_cache();
    for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
        sweep(calls[i]);
    set_until_done("after", "v");
    check_below("after", "v", NULL);
    mtc_stats stats = {.struct_size = sizeof(stats)};
    assert_int_equal(mtc_cache_stats(cache, &stats), MTC_OK);
    assert_int_equal(stats.in_flight, 0);
    assert_int_equal(mtc_cache_close(&cache), MTC_OK);
}

static void the_disk_tier_survives_every_failed_allocation(void **state)
{
    char dir[] = "/tmp/mtc-alloc-XXXXXX";
    char command[64];
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(tiers, sizeof(tiers), "memory disk:%s?deadline=20s", dir);
    sweep_all();
    snprintf(command, sizeof(command), "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

static void sweep_server(test_server_kind kind, const char *params)
{
    test_server server = {0};
    test_server_require(kind);
    assert_true(test_server_start(&server, kind, NULL));
    snprintf(tiers, sizeof(tiers), "memory %s?deadline=5s%s", server.url,
             params);
    sweep_all();
    test_server_stop(&server);
}

static void the_redis_tier_survives_every_failed_allocation(void **state)
{
    (void)state;
    sweep_server(TEST_REDIS, "");
    sweep_server(TEST_REDIS, "&checksum=on");
}

static void the_memcached_tier_survives_every_failed_allocation(void **state)
{
    (void)state;
    sweep_server(TEST_MEMCACHED, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_disk_tier_survives_every_failed_allocation),
        cmocka_unit_test(the_redis_tier_survives_every_failed_allocation),
        cmocka_unit_test(the_memcached_tier_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
