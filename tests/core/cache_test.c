/*
 * The cache's ordinary life: set, get, remove, load, promote, bulk, count.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/cache_fixture.h"

static mtct_cache fixture;

static int setup(void **state)
{
    (void)state;
    mtct_cache_init(&fixture);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (fixture.cache)
        mtct_cache_fini(&fixture);
    return 0;
}

static mtc_status set(const char *key, const char *value)
{
    return mtc_cache_set(fixture.cache, mtc_str(key), mtc_str(value),
                         &MTC_SHORT_TERM);
}

static mtc_stats stats(void)
{
    mtc_stats all = {.struct_size = sizeof(all)};
    assert_int_equal(mtc_cache_stats(fixture.cache, &all), MTC_OK);
    assert_int_equal(all.requests, all.hits + all.misses + all.errors);
    return all;
}

static void a_value_that_was_set_is_in_every_tier(void **state)
{
    (void)state;
    assert_int_equal(set("k", "v"), MTC_OK);
    mtct_assert_get(fixture.cache, "k", "v");
    assert_true(mtct_script_holds(fixture.below, "k", "v"));
    assert_int_equal(stats().tiers[0].hits, 1);
    assert_int_equal(fixture.below->reads, 0);
}

static void a_key_that_is_nowhere_is_a_miss(void **state)
{
    (void)state;
    mtct_assert_get(fixture.cache, "k", NULL);
    assert_int_equal(stats().misses, 1);
    assert_int_equal(stats().requests, 1);
}

static void a_removed_key_is_gone_from_every_tier(void **state)
{
    (void)state;
    assert_int_equal(set("k", "v"), MTC_OK);
    assert_int_equal(mtc_cache_remove(fixture.cache, mtc_str("k")), MTC_OK);
    mtct_assert_get(fixture.cache, "k", NULL);
    assert_true(mtct_script_holds(fixture.below, "k", NULL));
}

static void an_entry_without_a_window_is_gone_when_expired(void **state)
{
    (void)state;
    assert_int_equal(set("k", "v"), MTC_OK);
    assert_int_equal(mtc_cache_expire(fixture.cache, mtc_str("k")), MTC_OK);
    mtct_assert_get(fixture.cache, "k", NULL);
}

static void a_hit_below_is_promoted_with_what_is_left(void **state)
{
    (void)state;
    mtct_script_put(fixture.below, "k", "v", 1000500);
    mtct_assert_get(fixture.cache, "k", "v");
    assert_int_equal(stats().promotions, 1);
    mtct_assert_get(fixture.cache, "k", "v");
    assert_int_equal(fixture.below->reads, 1);
    /* Below, 1000500 ms counted from 0 leave 500 at the clock's 1000000. */
    atomic_fetch_add(&fixture.clock.now_ms, 500);
    mtct_assert_get(fixture.cache, "k", NULL);
    assert_int_equal(stats().tiers[0].hits, 1);
    assert_int_equal(stats().tiers[1].hits, 1);
}

static void a_call_may_skip_memory_and_not_promote(void **state)
{
    (void)state;
    mtc_call call = MTC_CALL_INIT;
    mtc_value value;
    mtct_script_put(fixture.below, "k", "v", 2000000);
    call.flags = MTC_CALL_NO_PROMOTE;
    assert_int_equal(mtc_cache_get_with(fixture.cache, mtc_str("k"), &call,
                                        &value),
                     MTC_OK);
    mtc_value_free(&value);
    assert_int_equal(stats().promotions, 0);
    mtct_assert_get(fixture.cache, "k", "v");
    call.flags = MTC_CALL_SKIP_MEMORY;
    assert_int_equal(mtc_cache_get_with(fixture.cache, mtc_str("k"), &call,
                                        &value),
                     MTC_OK);
    mtc_value_free(&value);
    assert_int_equal(fixture.below->reads, 3);
}

static void entries_end_with_their_ttl(void **state)
{
    (void)state;
    mtc_strategy strategy = MTC_STRATEGY_INIT(1500);
    assert_int_equal(mtc_cache_set(fixture.cache, mtc_str("k"), mtc_str("v"),
                                   &strategy),
                     MTC_OK);
    atomic_fetch_add(&fixture.clock.now_ms, 1498);
    mtct_assert_get(fixture.cache, "k", "v");
    atomic_fetch_add(&fixture.clock.now_ms, 2);
    mtct_assert_get(fixture.cache, "k", NULL);
}

static void a_ttl_out_of_range_is_refused(void **state)
{
    (void)state;
    const int64_t wrong[] = {0, -1, INT64_MIN, MTC_TTL_MS_MAX + 1, INT64_MAX};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        mtc_strategy strategy = MTC_STRATEGY_INIT(wrong[i]);
        assert_int_equal(mtc_cache_set(fixture.cache, mtc_str("k"),
                                       mtc_str("v"), &strategy),
                         MTC_E_INVALID);
    }
    mtct_assert_get(fixture.cache, "k", NULL);
}

static void wrong_arguments_are_refused(void **state)
{
    (void)state;
    mtc_cache *cache = fixture.cache;
    mtc_value value;
    mtc_call call = MTC_CALL_INIT;
    static char big[MTC_KEY_SIZE_MAX + 1];
    assert_int_equal(mtc_cache_get(NULL, mtc_str("k"), &value), MTC_E_INVALID);
    assert_int_equal(mtc_cache_get(cache, mtc_str("k"), NULL), MTC_E_INVALID);
    assert_int_equal(mtc_cache_get(cache, mtc_bytes(NULL, 3), &value),
                     MTC_E_INVALID);
    assert_int_equal(mtc_cache_get(cache, mtc_bytes(big, sizeof(big)), &value),
                     MTC_E_TOO_LARGE);
    assert_int_equal(mtc_cache_set(cache, mtc_str("k"), mtc_bytes(NULL, 1),
                                   NULL),
                     MTC_E_INVALID);
    assert_int_equal(mtc_cache_get_or_load(cache, mtc_str("k"), NULL, NULL,
                                           NULL, &value),
                     MTC_E_INVALID);
    call.flags = 1u << 30;
    assert_int_equal(mtc_cache_get_with(cache, mtc_str("k"), &call, &value),
                     MTC_E_INVALID);
    call = (mtc_call)MTC_CALL_INIT;
    call.deadline_ms = -1;
    assert_int_equal(mtc_cache_get_with(cache, mtc_str("k"), &call, &value),
                     MTC_E_INVALID);
    call.struct_size = 4;
    assert_int_equal(mtc_cache_get_with(cache, mtc_str("k"), &call, &value),
                     MTC_E_INVALID);
}

static void
a_struct_of_a_newer_header_is_taken_if_its_tail_is_zero(void **state)
{
    (void)state;
    struct {
        mtc_strategy known;
        int64_t later;
    } newer = {MTC_STRATEGY_INIT(1000), 0};
    newer.known.struct_size = sizeof(newer);
    assert_int_equal(mtc_cache_set(fixture.cache, mtc_str("k"), mtc_str("v"),
                                   &newer.known),
                     MTC_OK);
    newer.later = 1;
    assert_int_equal(mtc_cache_set(fixture.cache, mtc_str("k"), mtc_str("v"),
                                   &newer.known),
                     MTC_E_INVALID);
}

static void empty_values_and_empty_keys_are_values_and_keys(void **state)
{
    (void)state;
    assert_int_equal(set("", "v"), MTC_OK);
    assert_int_equal(set("empty", ""), MTC_OK);
    mtct_assert_get(fixture.cache, "", "v");
    mtct_assert_get(fixture.cache, "empty", "");
}

static mtc_status load_hello(mtc_load *load, void *ctx)
{
    _Atomic uint64_t *loads = ctx;
    atomic_fetch_add(loads, 1);
    return mtc_load_set_value(load, mtc_str("hello"));
}

static void a_missing_value_is_loaded_once_and_stored(void **state)
{
    (void)state;
    _Atomic uint64_t loads = 0;
    mtc_value value;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(mtc_cache_get_or_load(fixture.cache, mtc_str("k"),
                                               &MTC_SHORT_TERM, load_hello,
                                               &loads, &value),
                         MTC_OK);
        assert_int_equal(value.size, 5);
        assert_memory_equal(value.data, "hello", 5);
        mtc_value_free(&value);
    }
    assert_int_equal(loads, 1);
    mtct_wait_for(&fixture.below->stores, 1);
    assert_int_equal(stats().loads, 1);
    assert_int_equal(stats().misses, 1);
    assert_int_equal(stats().hits, 2);
}

static mtc_status load_status(mtc_load *load, void *ctx)
{
    (void)load;
    return *(mtc_status *)ctx;
}

static void a_failed_load_is_not_cached(void **state)
{
    (void)state;
    const mtc_status said[] = {MTC_E_UNAVAILABLE, MTC_OK, MTC_MISS};
    const mtc_status heard[] = {MTC_E_UNAVAILABLE, MTC_E_LOAD_FAILED, MTC_MISS};
    _Atomic uint64_t loads = 0;
    mtc_value value;
    for (int i = 0; i < 3; i++) {
        mtc_status status = said[i];
        assert_int_equal(mtc_cache_get_or_load(fixture.cache, mtc_str("k"),
                                               NULL, load_status, &status,
                                               &value),
                         heard[i]);
        assert_null(value.data);
    }
    assert_int_equal(stats().load_errors, 2);
    assert_int_equal(stats().errors, 2);
    assert_int_equal(mtc_cache_get_or_load(fixture.cache, mtc_str("k"), NULL,
                                           load_hello, &loads, &value),
                     MTC_OK);
    mtc_value_free(&value);
}

static mtc_status load_short_lived(mtc_load *load, void *ctx)
{
    (void)ctx;
    assert_int_equal(mtc_load_key(load).size, 1);
    assert_int_equal(mtc_load_set_ttl(load, 0), MTC_E_INVALID);
    assert_int_equal(mtc_load_set_ttl(load, 50), MTC_OK);
    return mtc_load_set_value(load, mtc_str("brief"));
}

static void a_loader_sets_the_life_of_its_result(void **state)
{
    (void)state;
    mtc_value value;
    assert_int_equal(mtc_cache_get_or_load(fixture.cache, mtc_str("k"),
                                           &MTC_LONG_TERM, load_short_lived,
                                           NULL, &value),
                     MTC_OK);
    mtc_value_free(&value);
    mtct_assert_get(fixture.cache, "k", "brief");
    atomic_fetch_add(&fixture.clock.now_ms, 50);
    mtct_assert_get(fixture.cache, "k", NULL);
}

static mtc_status fail_reads(mtct_script *script, mtc_verb verb,
                             mtc_request *request)
{
    (void)script;
    (void)request;
    return verb == MTC_VERB_READ ? MTC_E_CORRUPT : MTC_OK;
}

static void an_error_of_a_tier_is_never_a_miss(void **state)
{
    (void)state;
    _Atomic uint64_t loads = 0;
    mtc_value value;
    fixture.below->hook = fail_reads;
    assert_int_equal(mtc_cache_get(fixture.cache, mtc_str("k"), &value),
                     MTC_E_CORRUPT);
    assert_int_equal(mtc_cache_get_or_load(fixture.cache, mtc_str("k"), NULL,
                                           load_hello, &loads, &value),
                     MTC_OK);
    mtc_value_free(&value);
    assert_int_equal(stats().tiers[1].errors, 2);
    assert_int_equal(stats().errors, 1);
}

static void bulk_calls_do_each_key_as_the_single_call_does(void **state)
{
    (void)state;
    enum { COUNT = 40 };
    static char keys[COUNT][8];
    mtc_item items[COUNT];
    memset(items, 0, sizeof(items));
    for (size_t i = 0; i < COUNT; i++) {
        keys[i][0] = (char)('A' + i);
        items[i].key = mtc_str(keys[i]);
        items[i].bytes = items[i].key;
    }
    assert_int_equal(mtc_cache_set_many(fixture.cache, items, COUNT - 10,
                                        &MTC_SHORT_TERM),
                     MTC_OK);
    for (size_t i = COUNT - 10; i < COUNT - 5; i++)
        mtct_script_put(fixture.below, keys[i], keys[i], 2000000);
    items[COUNT - 1].key = items[COUNT - 2].key; /* missing, twice */
    assert_int_equal(mtc_cache_get_many(fixture.cache, items, COUNT),
                     MTC_PARTIAL);
    for (size_t i = 0; i < COUNT; i++) {
        bool is_there = i < COUNT - 5;
        assert_int_equal(items[i].status, is_there ? MTC_OK : MTC_MISS);
        assert_int_equal(items[i].value.size, is_there ? 1 : 0);
        mtc_value_free(&items[i].value);
    }
    assert_int_equal(stats().requests, COUNT);
    assert_int_equal(stats().in_flight, 0);
    assert_int_equal(mtc_cache_remove_many(fixture.cache, items, COUNT),
                     MTC_OK);
    assert_int_equal(mtc_cache_get_many(fixture.cache, items, COUNT),
                     MTC_PARTIAL);
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(items[i].status, MTC_MISS);
}

static void a_value_stays_readable_after_the_cache_is_closed(void **state)
{
    (void)state;
    mtc_value held, found;
    assert_int_equal(set("k", "held"), MTC_OK);
    assert_int_equal(mtc_cache_get(fixture.cache, mtc_str("k"), &held), MTC_OK);
    mtct_script_put(fixture.below, "j", "below", 2000000);
    assert_int_equal(mtc_cache_get(fixture.cache, mtc_str("j"), &found),
                     MTC_OK);
    mtct_cache_fini(&fixture);
    assert_memory_equal(held.data, "held", 4);
    assert_memory_equal(found.data, "below", 5);
    mtc_value_free(&held);
    mtc_value_free(&found);
    assert_int_equal(mtc_cache_close(&fixture.cache), MTC_E_INVALID);
}

static void facts_about_a_value_tell_its_tier_and_life(void **state)
{
    (void)state;
    mtc_value_info info = MTC_VALUE_INFO_INIT;
    mtc_value value;
    mtct_script_put(fixture.below, "k", "v", MTC_TTL_MS_MAX);
    assert_int_equal(mtc_cache_get(fixture.cache, mtc_str("k"), &value),
                     MTC_OK);
    assert_int_equal(mtc_value_info_get(&value, &info), MTC_OK);
    assert_int_equal(info.tier, 1);
    assert_false(info.is_stale);
    mtc_value_free(&value);
    assert_int_equal(mtc_cache_get(fixture.cache, mtc_str("k"), &value),
                     MTC_OK);
    assert_int_equal(mtc_value_info_get(&value, &info), MTC_OK);
    assert_int_equal(info.tier, 0);
    mtc_value_free(&value);
    assert_int_equal(mtc_value_info_get(&value, &info), MTC_E_INVALID);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_value_that_was_set_is_in_every_tier),
        TEST(a_key_that_is_nowhere_is_a_miss),
        TEST(a_removed_key_is_gone_from_every_tier),
        TEST(an_entry_without_a_window_is_gone_when_expired),
        TEST(a_hit_below_is_promoted_with_what_is_left),
        TEST(a_call_may_skip_memory_and_not_promote),
        TEST(entries_end_with_their_ttl),
        TEST(a_ttl_out_of_range_is_refused),
        TEST(wrong_arguments_are_refused),
        TEST(a_struct_of_a_newer_header_is_taken_if_its_tail_is_zero),
        TEST(empty_values_and_empty_keys_are_values_and_keys),
        TEST(a_missing_value_is_loaded_once_and_stored),
        TEST(a_failed_load_is_not_cached),
        TEST(a_loader_sets_the_life_of_its_result),
        TEST(an_error_of_a_tier_is_never_a_miss),
        TEST(bulk_calls_do_each_key_as_the_single_call_does),
        TEST(a_value_stays_readable_after_the_cache_is_closed),
        TEST(facts_about_a_value_tell_its_tier_and_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
