/*
 * Allocation sweep of the memory tier: the n-th allocation, or the n-th call
 * of mmap and madvise, of each call fails, alone or with all that follow. No
 * crash, no wrong value, no leak (under asan), and the tier works afterwards.
 *
 * How to read it: a scenario is one call on a tier that holds a few keys; it
 * returns what the call answered, and the sweep knows what it may answer.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "support/callers.h"
#include "support/failing_alloc.h"
#include "support/stamp.h"
#include "support/tier_call.h"

#define KEYS 20
#define SIZE 900

typedef void (*arming)(long n, bool all_that_follow);
typedef bool (*disarming)(void);

static const struct {
    arming arm;
    disarming disarm;
} fuses[] = {{mtct_alloc_arm, mtct_alloc_disarm},
             {mtct_map_arm, mtct_map_disarm}};

static mtc_tier *tier;
static uint32_t stamps[KEYS]; /* 0: the key is not there */
static uint32_t last_stamp;
static uint64_t heard;
static mtc_value held;
static mtc_value second;

static void hear(void *ctx, mtc_slice key, mtc_slice value, mtc_eviction cause)
{
    (void)ctx;
    (void)key;
    (void)cause;
    heard += value.size == SIZE;
}

/* -- the tier ----------------------------------------------------------- */

static mtc_status store(uint32_t key)
{
    char text[24];
    char bytes[SIZE];
    stamps[key] = 0;
    mtct_stamp_write(bytes, SIZE, key, ++last_stamp);
    mtc_status status = mtct_tier_store(tier, mtct_key(key, text),
                                        mtc_bytes(bytes, SIZE), 0, 1000);
    if (status == MTC_OK)
        stamps[key] = last_stamp;
    return status;
}

/* Whatever is there is the last that was stored. */
static void check_all(void)
{
    char text[24];
    mtc_value value;
    for (uint32_t key = 0; key < KEYS; key++) {
        mtc_status status =
            mtct_tier_find(tier, mtct_key(key, text), 0, &value);
        if (status == MTC_OK)
            assert_true(
                mtct_stamp_is(mtc_value_slice(&value), key, stamps[key]));
        mtc_value_free(&value);
    }
}

static void check_usable(void)
{
    char text[24];
    mtc_value value;
    assert_int_equal(store(3), MTC_OK);
    assert_int_equal(mtct_tier_find(tier, mtct_key(3, text), 0, &value),
                     MTC_OK);
    assert_true(mtct_stamp_is(mtc_value_slice(&value), 3, stamps[3]));
    mtc_value_free(&value);
    mtc_tier_usage usage = mtct_tier_usage(tier);
    assert_true(usage.bytes <= usage.bytes_max);
}

static void prepare(const char *url)
{
    char text[24];
    static mtc_tier_host host = {.struct_size = sizeof(host), .evicted = hear};
    tier = mtct_tier_open(url);
    assert_int_equal(tier->ops->attach(tier, &host), MTC_OK);
    for (uint32_t key = 0; key < KEYS; key++)
        assert_int_equal(store(key), MTC_OK);
    (void)mtct_tier_find(tier, mtct_key(KEYS - 1, text), 0, &held);
}

/* -- the calls ---------------------------------------------------------- */

static mtc_status call_store_new(void)
{
    char text[24];
    return mtct_tier_store(tier, mtct_key(1000, text), mtc_str("new"), 0, 1000);
}

static mtc_status call_replace(void)
{
    return store(5);
}

/* Makes the table grow, and makes room where there is little. */
static mtc_status call_store_many(void)
{
    char text[24];
    static char bytes[SIZE];
    mtc_status worst = MTC_OK;
    for (uint32_t i = 0; i < 1500; i++) {
        mtc_status status =
            mtct_tier_store(tier, mtct_key(1000 + i, text),
                            mtc_bytes(bytes, i % 3 ? 20 : SIZE), 0, 1000);
        worst = status == MTC_OK ? worst : status;
    }
    return worst;
}

static mtc_status call_large(void)
{
    char text[24];
    static char bytes[30000];
    return mtct_tier_store(tier, mtct_key(1000, text),
                           mtc_bytes(bytes, sizeof(bytes)), 0, 1000);
}

static mtc_status call_find(void)
{
    char text[24];
    mtc_value value;
    mtc_status status = mtct_tier_find(tier, mtct_key(7, text), 0, &value);
    if (status == MTC_OK)
        assert_true(mtct_stamp_is(mtc_value_slice(&value), 7, stamps[7]));
    mtc_value_free(&value);
    return status;
}

static void *find_main(void *ctx)
{
    *(mtc_status *)ctx = call_find();
    return NULL;
}

/* In a thread that has no record yet, or takes another's. */
static mtc_status call_find_in_new_thread(void)
{
    mtc_status status = MTC_E_TIMEOUT;
    pthread_t thread = mtct_thread_start(find_main, &status);
    assert_int_equal(pthread_join(thread, NULL), 0);
    return status;
}

static mtc_status call_read(void)
{
    char text[24];
    mtc_request request = mtct_request_for(mtct_key(7, text), 0);
    mtc_status status = mtct_tier_submit(tier, MTC_VERB_READ, &request);
    mtc_value_free(&request.value);
    return status;
}

static mtc_status call_remove(void)
{
    char text[24];
    stamps[7] = 0;
    return mtct_tier_end(tier, MTC_VERB_REMOVE, mtct_key(7, text), 0);
}

static mtc_status call_expire(void)
{
    char text[24];
    stamps[7] = 0;
    return mtct_tier_end(tier, MTC_VERB_EXPIRE, mtct_key(7, text), 0);
}

static mtc_status call_tend(void)
{
    tier->ops->tend(tier, 5000);
    assert_int_equal(mtct_tier_usage(tier).entries, 0);
    return MTC_OK;
}

static mtc_status call_share(void)
{
    return held.ops ? mtc_value_share(&held, &second) : MTC_OK;
}

static mtc_status call_detach(void)
{
    return held.ops ? mtc_value_detach(&held) : MTC_OK;
}

static mtc_status call_resize(void)
{
    return tier->ops->resize(tier, 128 << 10);
}

static mtc_status call_report(void)
{
    (void)store(5);
    tier->ops->report(tier);
    return MTC_OK;
}

/* May fail: what a call can answer beside MTC_OK when memory is short. */
static const struct {
    mtc_status (*call)(void);
    mtc_status may_fail;
} scenarios[] = {
    {call_store_new, MTC_PARTIAL},  {call_replace, MTC_PARTIAL},
    {call_store_many, MTC_PARTIAL}, {call_large, MTC_PARTIAL},
    {call_find, MTC_MISS},          {call_find_in_new_thread, MTC_MISS},
    {call_read, MTC_MISS},          {call_remove, MTC_OK},
    {call_expire, MTC_OK},          {call_tend, MTC_OK},
    {call_share, MTC_E_NO_MEMORY},  {call_detach, MTC_E_NO_MEMORY},
    {call_resize, MTC_E_NO_MEMORY}, {call_report, MTC_OK},
};

/* -- the sweep ---------------------------------------------------------- */

static void finish(void)
{
    if (held.ops)
        assert_true(
            mtct_stamp_read(mtc_value_slice(&held), KEYS - 1, &(uint32_t){0}));
    tier->ops->close(tier);
    mtc_value_free(&held);
    mtc_value_free(&second);
}

/* False: the call had fewer than n. */
static bool sweep_once(const char *url, size_t scenario, size_t fuse, long n,
                       bool goes_on)
{
    prepare(url);
    fuses[fuse].arm(n, goes_on);
    mtc_status status = scenarios[scenario].call();
    bool has_failed = fuses[fuse].disarm();
    if (status != MTC_OK && status != scenarios[scenario].may_fail)
        fail_msg("scenario %zu, %ld: %s", scenario, n, mtc_status_name(status));
    check_all();
    check_usable();
    finish();
    return has_failed;
}

static void sweep(const char *url, size_t scenario, size_t fuse)
{
    for (int goes_on = 0; goes_on < 2; goes_on++) {
        long n = 1;
        while (sweep_once(url, scenario, fuse, n, goes_on) && n < 400)
            n += n < 40 ? 1 : 7;
    }
}

static void no_failure_makes_a_wrong_value(void **state)
{
    static const char *const urls[] = {"memory?size=64KiB", "memory?size=4MiB",
                                       "memory?size=256KiB&policy=lru"};
    (void)state;
    for (size_t url = 0; url < sizeof(urls) / sizeof(*urls); url++) {
        for (size_t i = 0; i < sizeof(scenarios) / sizeof(*scenarios); i++) {
            sweep(urls[url], i, 0);
            sweep(urls[url], i, 1);
        }
    }
    assert_true(heard > 0);
}

static void a_hit_and_a_remove_allocate_nothing(void **state)
{
    (void)state;
    prepare("memory?size=4MiB");
    tier->ops->close(tier);
    mtc_value_free(&held);
    tier = mtct_tier_open("memory?size=4MiB");
    for (uint32_t key = 0; key < KEYS; key++)
        assert_int_equal(store(key), MTC_OK);
    mtct_alloc_arm(1, true);
    mtct_map_arm(1, true);
    assert_int_equal(call_find(), MTC_OK);
    assert_int_equal(call_read(), MTC_OK);
    assert_int_equal(call_remove(), MTC_OK);
    tier->ops->tend(tier, 5000);
    assert_false(mtct_alloc_disarm());
    assert_false(mtct_map_disarm());
    tier->ops->close(tier);
}

/* -- open and close ----------------------------------------------------- */

static bool open_once(const char *url, size_t fuse, long n, bool goes_on)
{
    mtc_tier_config config = MTC_TIER_CONFIG_INIT;
    mtc_error error = {0};
    fuses[fuse].arm(n, goes_on);
    mtc_status status = mtc_tier_open(url, &error, &config);
    bool has_failed = fuses[fuse].disarm();
    if (status != MTC_OK) {
        assert_int_equal(status, MTC_E_NO_MEMORY);
        assert_true(has_failed);
        assert_true(error.text[0] != '\0');
        return has_failed;
    }
    tier = config.tier;
    check_usable();
    tier->ops->close(tier);
    return has_failed;
}

static void a_tier_that_cannot_open_leaves_nothing(void **state)
{
    static const char *const urls[] = {"memory?size=64KiB", "memory?size=64MiB",
                                       "memory?policy=lru",
                                       "memory?policy=s3fifo",
                                       "memory?policy=tinylfu&entries=1000"};
    (void)state;
    for (size_t i = 0; i < sizeof(urls) / sizeof(*urls); i++) {
        for (int mode = 0; mode < 4; mode++) {
            long n = 1;
            while (open_once(urls[i], (size_t)mode / 2, n, mode % 2))
                n++;
            assert_in_range(n, 2, 1000);
        }
    }
}

static void closing_needs_no_memory(void **state)
{
    (void)state;
    prepare("memory?size=4MiB");
    mtct_alloc_arm(1, true);
    mtct_map_arm(1, true);
    tier->ops->close(tier);
    mtc_value_free(&held);
    assert_false(mtct_alloc_disarm());
    assert_false(mtct_map_disarm());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_failure_makes_a_wrong_value),
        cmocka_unit_test(a_hit_and_a_remove_allocate_nothing),
        cmocka_unit_test(a_tier_that_cannot_open_leaves_nothing),
        cmocka_unit_test(closing_needs_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
