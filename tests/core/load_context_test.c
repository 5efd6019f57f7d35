/*
 * What a loader says of its result, and what values and their copies tell of
 * themselves in the end.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"
#include "core/cache.h"
#include "support/chain_rig.h"

#define SECOND_MS INT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)

static mtct_rig rig;
static mtc_strategy strategy;

/* What the loader says before it returns, and what it returns. */
static struct {
    mtc_status (*say)(mtc_load *load);
    mtc_status status;
} source;

static int setup(void **state)
{
    (void)state;
    mtct_rig_init(&rig, 1);
    source.say = NULL;
    source.status = MTC_OK;
    strategy = (mtc_strategy)MTC_STRATEGY_INIT(60 * MINUTE_MS);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mtct_rig_fini(&rig);
    return 0;
}

static void step(int64_t ms)
{
    atomic_fetch_add(&rig.clock.now_ms, ms);
}

static mtc_value_info info_of(const mtc_value *value)
{
    mtc_value_info info = MTC_VALUE_INFO_INIT;
    value->ops->info(value, atomic_load(&rig.clock.now_ms), &info);
    return info;
}

static mtc_value get(uint32_t flags, mtc_status expected)
{
    mtc_value value;
    mtc_call call = MTC_CALL_INIT;
    call.flags = flags;
    assert_int_equal(mtc_cache_get_with(rig.cache, mtc_str("k"), &call, &value),
                     expected);
    return value;
}

static mtc_status answer(mtc_load *load, void *ctx)
{
    (void)ctx;
    if (source.status == MTC_OK)
        assert_int_equal(mtc_load_set_value(load, mtc_str("v")), MTC_OK);
    if (source.say)
        assert_int_equal(source.say(load), MTC_OK);
    return source.status;
}

static mtc_value load(mtc_status expected)
{
    mtc_value value;
    assert_int_equal(mtc_cache_get_or_load(rig.cache, mtc_str("k"), &strategy,
                                           answer, NULL, &value),
                     expected);
    return value;
}

static void load_and_free(mtc_status expected)
{
    mtc_value value = load(expected);
    mtc_value_free(&value);
}

/* Until the script has taken so many stores. */
static void wait_stored(uint64_t count)
{
    mtct_wait_for(&rig.below[0]->stores, count);
}

/* -- ages --------------------------------------------------------------- */

static void test_a_copy_with_a_shorter_life_is_as_old_as_the_entry(void **state)
{
    (void)state;
    rig.tiers[0].ttl_ms_max = 5 * MINUTE_MS;
    mtct_rig_open(&rig);
    mtc_facts facts = {.left_ms = 60 * MINUTE_MS, .ttl_ms = 60 * MINUTE_MS};
    mtct_script_put_facts(rig.below[0], "k", "v", &facts, rig.clock.now_ms);
    step(MINUTE_MS);
    mtc_value value = get(0, MTC_OK);
    assert_int_equal(info_of(&value).tier, 1);
    mtc_value_free(&value);
    value = get(0, MTC_OK);
    mtc_value_info info = info_of(&value);
    mtc_value_free(&value);
    assert_int_equal(info.tier, 0);
    assert_in_range(info.age_ms, MINUTE_MS - 20, MINUTE_MS + 20);
    assert_in_range(info.left_ms, 5 * MINUTE_MS - 20, 5 * MINUTE_MS);
}

/* -- lives by tier ------------------------------------------------------ */

static mtc_status say_tier_ttls(mtc_load *load)
{
    assert_int_equal(mtc_load_set_tier_ttl(NULL, 0, 1), MTC_E_INVALID);
    assert_int_equal(mtc_load_set_tier_ttl(load, 2, 1), MTC_E_INVALID);
    assert_int_equal(mtc_load_set_tier_ttl(load, 0, 0), MTC_E_INVALID);
    assert_int_equal(mtc_load_set_tier_ttl(load, 0, MTC_TTL_MS_MAX + 1),
                     MTC_E_INVALID);
    return mtc_load_set_tier_ttl(load, 1, 7 * MINUTE_MS);
}

static void test_one_tier_keeps_the_result_for_a_time_of_its_own(void **state)
{
    (void)state;
    rig.tiers[1].ttl_scale = 2;
    strategy.stale_ms = MINUTE_MS;
    source.say = say_tier_ttls;
    mtct_rig_open(&rig);
    load_and_free(MTC_OK);
    wait_stored(1);
    mtc_facts facts = mtct_script_facts(rig.below[0], "k");
    assert_int_equal(facts.ttl_ms, 7 * MINUTE_MS);
    assert_int_equal(facts.left_ms, 8 * MINUTE_MS);
    mtc_value value = get(0, MTC_OK);
    assert_int_equal(info_of(&value).ttl_ms, 60 * MINUTE_MS);
    mtc_value_free(&value);
}

static void test_the_cap_of_a_tier_cuts_its_own_time_too(void **state)
{
    (void)state;
    rig.tiers[1].ttl_ms_max = 3 * MINUTE_MS;
    source.say = say_tier_ttls;
    mtct_rig_open(&rig);
    load_and_free(MTC_OK);
    wait_stored(1);
    mtc_facts facts = mtct_script_facts(rig.below[0], "k");
    assert_int_equal(facts.ttl_ms, 3 * MINUTE_MS);
}

/* -- weights ------------------------------------------------------------ */

static mtc_status say_weight(mtc_load *load)
{
    assert_int_equal(mtc_load_set_weight(load, 0), MTC_E_INVALID);
    assert_int_equal(mtc_load_set_weight(NULL, 1), MTC_E_INVALID);
    return mtc_load_set_weight(load, 101);
}

static uint32_t weigh_ten(void *ctx, mtc_slice key, mtc_slice value)
{
    (void)ctx, (void)key, (void)value;
    return 10;
}

/* Heavier than memory may be: it is not kept there. */
static void test_a_weight_counts_in_place_of_the_weigher(void **state)
{
    (void)state;
    rig.tiers[0].tier->ops->close(rig.tiers[0].tier);
    rig.tiers[0] = (mtc_tier_config)MTC_TIER_CONFIG_INIT;
    assert_int_equal(mtc_tier_open("memory?size=4MiB&weight=100", NULL,
                                   &rig.tiers[0]),
                     MTC_OK);
    rig.options.weigh = weigh_ten;
    mtct_rig_open(&rig);
    load_and_free(MTC_OK);
    mtc_value value = get(0, MTC_OK);
    assert_int_equal(info_of(&value).tier, 0);
    mtc_value_free(&value);
    assert_int_equal(mtc_cache_remove(rig.cache, mtc_str("k")), MTC_OK);
    source.say = say_weight;
    load_and_free(MTC_OK);
    wait_stored(2);
    value = get(MTC_CALL_NO_PROMOTE, MTC_OK);
    assert_int_equal(info_of(&value).tier, 1);
    mtc_value_free(&value);
}

/* -- what is not stored ------------------------------------------------- */

static mtc_status say_no_store(mtc_load *load)
{
    assert_int_equal(mtc_load_set_no_store(NULL), MTC_E_INVALID);
    return mtc_load_set_no_store(load);
}

static void test_what_is_not_to_be_stored_is_answered_only(void **state)
{
    (void)state;
    source.say = say_no_store;
    mtct_rig_open(&rig);
    mtc_value value = load(MTC_OK);
    assert_int_equal(value.size, 1);
    mtc_value_free(&value);
    get(0, MTC_MISS);
    assert_int_equal(atomic_load(&rig.below[0]->stores), 0);
}

static void test_an_absence_is_not_stored_either(void **state)
{
    (void)state;
    source.say = say_no_store;
    source.status = MTC_MISS;
    strategy.absent_ms = MINUTE_MS;
    mtct_rig_open(&rig);
    load_and_free(MTC_ABSENT);
    get(0, MTC_MISS);
    assert_int_equal(atomic_load(&rig.below[0]->stores), 0);
}

static void test_old_copies_stay_where_nothing_is_stored(void **state)
{
    (void)state;
    strategy.ttl_ms = MINUTE_MS;
    strategy.stale_ms = 10 * MINUTE_MS;
    mtct_rig_open(&rig);
    load_and_free(MTC_OK);
    wait_stored(1);
    step(2 * MINUTE_MS);
    source.say = say_no_store;
    load_and_free(MTC_OK);
    mtc_value value = get(MTC_CALL_ACCEPT_STALE, MTC_STALE);
    mtc_value_free(&value);
    value = get(MTC_CALL_ACCEPT_STALE | MTC_CALL_SKIP_MEMORY, MTC_STALE);
    mtc_value_free(&value);
    assert_int_equal(atomic_load(&rig.below[0]->stores), 1);
}

/* -- etags -------------------------------------------------------------- */

static char etag[MTC_ETAG_SIZE_MAX + 1];

static mtc_status say_etag(mtc_load *load)
{
    return mtc_load_set_etag(load, mtc_str(etag));
}

static void expect_etag(mtc_value value, int tier, const char *expected)
{
    mtc_value_info info = info_of(&value);
    assert_int_equal(info.tier, tier);
    assert_int_equal(info.etag.size, strlen(expected));
    assert_memory_equal(info.etag.data, expected, info.etag.size);
    assert_int_equal(value.size, 1);
    assert_memory_equal(value.data, "v", 1);
    mtc_value_free(&value);
}

/* In the loaded value, a hit of memory, one of below and its copy above. */
static void expect_etag_everywhere(const char *expected, uint64_t stores)
{
    expect_etag(load(MTC_OK), -1, expected);
    wait_stored(stores);
    expect_etag(get(0, MTC_OK), 0, expected);
    expect_etag(get(MTC_CALL_SKIP_MEMORY, MTC_OK), 1, expected);
    expect_etag(get(0, MTC_OK), 0, expected);
}

static void test_an_etag_is_told_wherever_the_value_is_found(void **state)
{
    (void)state;
    source.say = say_etag;
    strcpy(etag, "\"one\"");
    mtct_rig_open(&rig);
    expect_etag_everywhere("\"one\"", 1);
}

static void test_the_longest_etag_is_kept_and_a_longer_one_refused(void **state)
{
    (void)state;
    source.say = say_etag;
    memset(etag, 'e', MTC_ETAG_SIZE_MAX);
    etag[MTC_ETAG_SIZE_MAX] = 0;
    mtct_rig_open(&rig);
    expect_etag_everywhere(etag, 1);
}

static mtc_status say_bad_etags(mtc_load *load)
{
    char long_one[MTC_ETAG_SIZE_MAX + 1] = {0};
    mtc_slice bad = mtc_bytes(long_one, sizeof(long_one));
    assert_int_equal(mtc_load_set_etag(load, mtc_str("first")), MTC_OK);
    assert_int_equal(mtc_load_set_etag(load, mtc_str("e")), MTC_OK);
    assert_int_equal(mtc_load_set_etag(load, bad), MTC_E_INVALID);
    assert_int_equal(mtc_load_set_etag(load, mtc_bytes(NULL, 1)),
                     MTC_E_INVALID);
    assert_int_equal(mtc_load_set_etag(NULL, mtc_str("e")), MTC_E_INVALID);
    return MTC_OK;
}

static void test_a_refused_etag_leaves_the_one_before(void **state)
{
    (void)state;
    source.say = say_bad_etags;
    mtct_rig_open(&rig);
    expect_etag_everywhere("e", 1);
}

/* -- what lives on ------------------------------------------------------ */

static mtc_status say_unchanged(mtc_load *load)
{
    mtc_value stale;
    assert_int_equal(mtc_load_stale(load, &stale), MTC_OK);
    mtc_value_info info = info_of(&stale);
    assert_true(info.is_stale);
    assert_int_equal(info.etag.size, 3);
    assert_memory_equal(info.etag.data, "old", 3);
    mtc_value_free(&stale);
    return mtc_load_set_unchanged(load);
}

static mtc_status say_unchanged_with_another_etag(mtc_load *load)
{
    assert_int_equal(mtc_load_set_etag(load, mtc_str("new")), MTC_OK);
    return say_unchanged(load);
}

static mtc_status say_unchanged_and_then_a_value(mtc_load *load)
{
    mtc_status status = say_unchanged(load);
    return status == MTC_OK ? mtc_load_set_value(load, mtc_str("v")) : status;
}

static void load_and_go_stale(void)
{
    strategy.ttl_ms = MINUTE_MS;
    strategy.stale_ms = 100 * MINUTE_MS;
    source.say = say_etag;
    strcpy(etag, "old");
    mtct_rig_open(&rig);
    load_and_free(MTC_OK);
    wait_stored(1);
    step(2 * MINUTE_MS);
}

static void test_an_unchanged_value_keeps_its_etag_and_is_fresh(void **state)
{
    (void)state;
    load_and_go_stale();
    mtc_value before = get(MTC_CALL_ACCEPT_STALE, MTC_STALE);
    source.say = say_unchanged;
    mtc_value value = load(MTC_OK);
    mtc_value after = get(0, MTC_OK);
    assert_ptr_equal(after.data, before.data); /* no byte was copied */
    mtc_value_free(&before);
    mtc_value_free(&after);
    mtc_value_info info = info_of(&value);
    assert_false(info.is_stale);
    assert_int_equal(info.age_ms, 0);
    assert_int_equal(info.left_ms, strategy.ttl_ms + strategy.stale_ms);
    expect_etag(value, -1, "old");
    wait_stored(2);
    expect_etag(get(0, MTC_OK), 0, "old");
    expect_etag(get(MTC_CALL_SKIP_MEMORY, MTC_OK), 1, "old");
}

static void test_a_stale_copy_from_below_lives_on_in_the_same_way(void **state)
{
    (void)state;
    load_and_go_stale();
    mtc_request request = {.key = mtc_str("k"),
                           .hash = mtci_hash(mtc_str("k"), rig.cache->seed)};
    mtci_lane_write_now(&rig.cache->lanes[0], MTC_VERB_REMOVE, &request);
    source.say = say_unchanged;
    expect_etag(load(MTC_OK), -1, "old");
    wait_stored(2);
    expect_etag(get(0, MTC_OK), 0, "old");
}

static void test_an_unchanged_value_takes_another_etag(void **state)
{
    (void)state;
    load_and_go_stale();
    source.say = say_unchanged_with_another_etag;
    expect_etag_everywhere("new", 2);
}

static void
test_the_etag_of_a_stale_copy_is_not_that_of_a_new_value(void **state)
{
    (void)state;
    load_and_go_stale();
    source.say = say_unchanged_and_then_a_value;
    expect_etag_everywhere("", 2);
}

/* A value that the user still holds, and that knows other facts. */
static mtc_value held;

static mtc_status take_held(mtc_load *load)
{
    mtc_value second;
    mtc_status status = mtc_value_share(&held, &second);
    if (status == MTC_OK)
        status = mtc_load_take_value(load, &second);
    return status == MTC_OK ? mtc_load_set_etag(load, mtc_str("taken"))
                            : status;
}

static void test_a_value_that_others_hold_gets_facts_of_its_own(void **state)
{
    (void)state;
    assert_int_equal(mtc_value_copy(mtc_str("v"), &held), MTC_OK);
    source.say = take_held;
    mtct_rig_open(&rig);
    expect_etag_everywhere("taken", 1);
    assert_int_equal(info_of(&held).etag.size, 0);
    mtc_value_free(&held);
}

#define TEST(function)                                                         \
    cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_copy_with_a_shorter_life_is_as_old_as_the_entry),
        TEST(test_one_tier_keeps_the_result_for_a_time_of_its_own),
        TEST(test_the_cap_of_a_tier_cuts_its_own_time_too),
        TEST(test_a_weight_counts_in_place_of_the_weigher),
        TEST(test_what_is_not_to_be_stored_is_answered_only),
        TEST(test_an_absence_is_not_stored_either),
        TEST(test_old_copies_stay_where_nothing_is_stored),
        TEST(test_an_etag_is_told_wherever_the_value_is_found),
        TEST(test_the_longest_etag_is_kept_and_a_longer_one_refused),
        TEST(test_a_refused_etag_leaves_the_one_before),
        TEST(test_an_unchanged_value_keeps_its_etag_and_is_fresh),
        TEST(test_a_stale_copy_from_below_lives_on_in_the_same_way),
        TEST(test_an_unchanged_value_takes_another_etag),
        TEST(test_the_etag_of_a_stale_copy_is_not_that_of_a_new_value),
        TEST(test_a_value_that_others_hold_gets_facts_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
