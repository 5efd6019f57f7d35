/*
 * Stale copies, failed loads and sources that have nothing: what callers get
 * when the value is not there.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <stdio.h>

#include "support/cache_fixture.h"

static mtct_cache fixture;

/* What the source says, and how often it was asked. */
static struct {
    mtc_status status;
    const char *value;
    unsigned loads;
    mtc_status (*extra)(mtc_load *load);
} source;

static mtc_strategy strategy;

static int setup(void **state)
{
    (void)state;
    mtct_cache_init(&fixture);
    memset(&source, 0, sizeof source);
    strategy = (mtc_strategy)MTC_STRATEGY_INIT(100);
    strategy.stale_ms = 10000;
    strategy.throttle_ms = 1000;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mtct_cache_fini(&fixture);
    return 0;
}

static mtc_status load(mtc_load *load, void *ctx)
{
    (void)ctx;
    source.loads++;
    if (source.extra)
        return source.extra(load);
    if (source.status != MTC_OK)
        return source.status;
    return mtc_load_set_value(load, mtc_str(source.value));
}

static void at(int64_t ms)
{
    atomic_store(&fixture.clock.now_ms, ms);
}

static int64_t now(void)
{
    return atomic_load(&fixture.clock.now_ms);
}

/* Asks with the loader; value NULL: none is expected. */
static void expect(mtc_status status, const char *value)
{
    mtc_value found;
    assert_int_equal(mtc_cache_get_or_load(fixture.cache, mtc_str("k"),
                                           &strategy, load, NULL, &found),
                     status);
    assert_int_equal(found.size, value ? strlen(value) : 0);
    if (value)
        assert_memory_equal(found.data, value, found.size);
    mtc_value_free(&found);
}

static void source_has(const char *value)
{
    source.status = MTC_OK;
    source.value = value;
}

static void source_fails(void)
{
    source.status = MTC_E_UNAVAILABLE;
}

static void expect_plain(mtc_status status)
{
    mtc_value found;
    assert_int_equal(mtc_cache_get(fixture.cache, mtc_str("k"), &found),
                     status);
    mtc_value_free(&found);
}

/* -- fail-safe ------------------------------------------------------------ */

static void a_failed_load_falls_back_on_the_stale_copy(void **state)
{
    (void)state;
    int64_t begun = now();
    source_has("old");
    expect(MTC_OK, "old");
    source_fails();
    source.loads = 0;
    at(begun + 150);
    expect(MTC_STALE, "old");
    assert_int_equal(source.loads, 1);
    for (int i = 0; i < 100; i++) {
        at(begun + 150 + i * 9);
        expect(MTC_STALE, "old");
    }
    assert_int_equal(source.loads, 1);
    at(begun + 1200);
    expect(MTC_STALE, "old");
    assert_int_equal(source.loads, 2);
    at(begun + 10200);
    expect(MTC_E_UNAVAILABLE, NULL);
    assert_int_equal(source.loads, 3);
}

static void a_source_that_is_back_ends_it(void **state)
{
    (void)state;
    int64_t begun = now();
    source_has("old");
    expect(MTC_OK, "old");
    source_fails();
    at(begun + 150);
    expect(MTC_STALE, "old");
    source_has("new");
    at(begun + 1000);
    expect(MTC_STALE, "old"); /* throttled */
    at(begun + 1200);
    expect(MTC_OK, "new");
    at(begun + 1290);
    expect(MTC_OK, "new");
    assert_int_equal(source.loads, 3);
}

static void a_plain_get_does_not_see_it(void **state)
{
    (void)state;
    mtc_value found;
    mtc_call call = MTC_CALL_INIT;
    int64_t begun = now();
    source_has("old");
    expect(MTC_OK, "old");
    at(begun + 150);
    expect_plain(MTC_MISS);
    call.flags = MTC_CALL_ACCEPT_STALE;
    assert_int_equal(mtc_cache_get_with(fixture.cache, mtc_str("k"), &call,
                                        &found),
                     MTC_STALE);
    mtc_value_free(&found);
    at(begun + 10101);
    assert_int_equal(mtc_cache_get_with(fixture.cache, mtc_str("k"), &call,
                                        &found),
                     MTC_MISS);
}

static void remove_leaves_nothing_to_fall_back_on(void **state)
{
    (void)state;
    int64_t begun = now();
    source_has("old");
    expect(MTC_OK, "old");
    assert_int_equal(mtc_cache_remove(fixture.cache, mtc_str("k")), MTC_OK);
    source_fails();
    at(begun + 50);
    expect(MTC_E_UNAVAILABLE, NULL);
}

static void expire_leaves_the_copy_to_fall_back_on(void **state)
{
    (void)state;
    source_has("old");
    expect(MTC_OK, "old");
    assert_int_equal(mtc_cache_expire(fixture.cache, mtc_str("k")), MTC_OK);
    expect_plain(MTC_MISS);
    source_fails();
    expect(MTC_STALE, "old");
    source_has("new");
    assert_int_equal(mtc_cache_expire(fixture.cache, mtc_str("k")), MTC_OK);
    expect(MTC_OK, "new"); /* whoever says so need not wait */
}

static void a_set_ends_the_pause(void **state)
{
    (void)state;
    int64_t begun = now();
    source_has("old");
    expect(MTC_OK, "old");
    source_fails();
    at(begun + 150);
    expect(MTC_STALE, "old");
    assert_int_equal(mtc_cache_set(fixture.cache, mtc_str("k"), mtc_str("set"),
                                   &strategy),
                     MTC_OK);
    expect(MTC_OK, "set");
}

static void the_younger_of_two_stale_copies_is_taken(void **state)
{
    (void)state;
    int64_t begun = now();
    source_has("memory");
    expect(MTC_OK, "memory");
    while (!mtct_script_holds(fixture.below, "k", "memory"))
        sched_yield(); /* the store below goes on without the caller */
    at(begun + 5000);
    mtc_facts facts = {.ttl_ms = 100,
                       .window_ms = 10000,
                       .left_ms = 10000 - 1000};
    mtct_script_put_facts(fixture.below, "k", "below", &facts, now());
    source_fails();
    expect(MTC_STALE, "below");
    uint64_t reads = atomic_load(&fixture.below->reads);
    expect(MTC_STALE, "below"); /* from memory now */
    assert_int_equal(atomic_load(&fixture.below->reads), reads);
}

/* -- errors --------------------------------------------------------------- */

static void without_a_copy_the_next_caller_loads_again(void **state)
{
    (void)state;
    source_fails();
    expect(MTC_E_UNAVAILABLE, NULL);
    expect(MTC_E_UNAVAILABLE, NULL);
    assert_int_equal(source.loads, 2);
}

static void an_error_may_be_remembered(void **state)
{
    (void)state;
    int64_t begun = now();
    strategy.error_ms = 500;
    source_fails();
    expect(MTC_E_UNAVAILABLE, NULL);
    source_has("v");
    at(begun + 499);
    expect(MTC_E_UNAVAILABLE, NULL);
    assert_int_equal(source.loads, 1);
    at(begun + 500);
    expect(MTC_OK, "v");
}

/* -- a source that has nothing -------------------------------------------- */

static void absence_is_remembered_for_as_long_as_it_says(void **state)
{
    (void)state;
    int64_t begun = now();
    strategy.absent_ms = 300;
    source.status = MTC_MISS;
    expect(MTC_ABSENT, NULL);
    expect(MTC_ABSENT, NULL);
    expect_plain(MTC_ABSENT);
    assert_int_equal(source.loads, 1);
    source_has("v");
    at(begun + 301);
    expect(MTC_OK, "v");
    expect_plain(MTC_OK);
}

static void absence_is_not_remembered_unasked(void **state)
{
    (void)state;
    source.status = MTC_MISS;
    expect(MTC_MISS, NULL);
    expect(MTC_MISS, NULL);
    assert_int_equal(source.loads, 2);
}

static void absence_takes_the_stale_copys_place(void **state)
{
    (void)state;
    int64_t begun = now();
    strategy.absent_ms = 300;
    source_has("old");
    expect(MTC_OK, "old");
    at(begun + 150);
    source.status = MTC_MISS;
    expect(MTC_ABSENT, NULL);
    at(begun + 600);
    source_fails();
    expect(MTC_E_UNAVAILABLE, NULL);
}

static mtc_status absent_for_long(mtc_load *load)
{
    assert_int_equal(mtc_load_set_absent_ttl(load, -1), MTC_E_INVALID);
    assert_int_equal(mtc_load_set_absent_ttl(load, 5000), MTC_OK);
    return MTC_MISS;
}

static void a_loader_says_how_long_absence_holds(void **state)
{
    (void)state;
    int64_t begun = now();
    source.extra = absent_for_long;
    expect(MTC_ABSENT, NULL);
    at(begun + 4999);
    expect(MTC_ABSENT, NULL);
    assert_int_equal(source.loads, 1);
}

/* -- what a loader knows -------------------------------------------------- */

static mtc_status say_unchanged(mtc_load *load)
{
    mtc_value stale;
    mtc_status status = mtc_load_stale(load, &stale);
    if (status == MTC_MISS)
        return mtc_load_set_value(load, mtc_str("first"));
    assert_int_equal(status, MTC_OK);
    assert_int_equal(stale.size, 5);
    mtc_value_free(&stale);
    return mtc_load_set_unchanged(load);
}

static void what_is_unchanged_lives_on(void **state)
{
    (void)state;
    int64_t begun = now();
    source.extra = say_unchanged;
    expect(MTC_OK, "first");
    at(begun + 150);
    expect(MTC_OK, "first");
    at(begun + 240);
    expect(MTC_OK, "first");
    assert_int_equal(source.loads, 2);
}

/* -- jitter and ranges ---------------------------------------------------- */

static void jitter_shortens_and_spreads(void **state)
{
    (void)state;
    unsigned alive[3] = {0};
    int64_t begun = now();
    strategy = (mtc_strategy)MTC_STRATEGY_INIT(1000);
    strategy.jitter_percent = 50;
    for (int i = 0; i < 60; i++) {
        char key[8];
        snprintf(key, sizeof key, "j%d", i);
        mtc_cache_set(fixture.cache, mtc_str(key), mtc_str("v"), &strategy);
    }
    for (int step = 0; step < 3; step++) {
        at(begun + 400 + step * 350);
        for (int i = 0; i < 60; i++) {
            char key[8];
            mtc_value found;
            snprintf(key, sizeof key, "j%d", i);
            alive[step] +=
                mtc_cache_get(fixture.cache, mtc_str(key), &found) == MTC_OK;
            mtc_value_free(&found);
        }
    }
    assert_int_equal(alive[0], 60);
    assert_in_range(alive[1], 8, 52);
    assert_int_equal(alive[2], 0);
}

static void wrong_strategies_are_refused(void **state)
{
    (void)state;
    mtc_strategy wrong[5];
    for (int i = 0; i < 5; i++)
        wrong[i] = strategy;
    wrong[0].jitter_percent = 101;
    wrong[1].stale_ms = -1;
    wrong[2].throttle_ms = MTC_TTL_MS_MAX + 1;
    wrong[3].absent_ms = -1;
    wrong[4].error_ms = INT64_MIN;
    for (int i = 0; i < 5; i++)
        assert_int_equal(mtc_cache_set(fixture.cache, mtc_str("k"),
                                       mtc_str("v"), &wrong[i]),
                         MTC_E_INVALID);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_failed_load_falls_back_on_the_stale_copy),
        TEST(a_source_that_is_back_ends_it),
        TEST(a_plain_get_does_not_see_it),
        TEST(remove_leaves_nothing_to_fall_back_on),
        TEST(expire_leaves_the_copy_to_fall_back_on),
        TEST(a_set_ends_the_pause),
        TEST(the_younger_of_two_stale_copies_is_taken),
        TEST(without_a_copy_the_next_caller_loads_again),
        TEST(an_error_may_be_remembered),
        TEST(absence_is_remembered_for_as_long_as_it_says),
        TEST(absence_is_not_remembered_unasked),
        TEST(absence_takes_the_stale_copys_place),
        TEST(a_loader_says_how_long_absence_holds),
        TEST(what_is_unchanged_lives_on),
        TEST(jitter_shortens_and_spreads),
        TEST(wrong_strategies_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
