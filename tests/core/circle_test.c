/*
 * Loads inside loads: those that are fine, and circles, which are refused.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/cache_fixture.h"
#include "support/callers.h"

static mtct_cache fixture;
static mtct_cache other;

static int setup(void **state)
{
    (void)state;
    mtct_cache_init(&fixture);
    mtct_cache_init(&other);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mtct_cache_fini(&fixture);
    mtct_cache_fini(&other);
    return 0;
}

/* A load that makes another call first, and ends as that one did. */
typedef struct step {
    mtct_caller inner;
    mtct_stop *at_entry; /* optional: stops here before the call */
    bool ignores_it;     /* has a value whatever the call said */
} step;

static mtc_status load_through(mtc_load *load, void *ctx)
{
    step *step = ctx;
    if (step->at_entry)
        mtct_stop_here(step->at_entry);
    mtct_caller_run(&step->inner);
    if (step->inner.status != MTC_OK && !step->ignores_it)
        return step->inner.status;
    return mtc_load_set_value(load, mtc_str("through"));
}

/* Voids its own flight, so that the next call opens another. */
static mtc_status load_what_it_removed(mtc_load *load, void *ctx)
{
    mtc_value value;
    mtc_slice key = mtc_load_key(load);
    assert_int_equal(mtc_cache_remove(fixture.cache, key), MTC_OK);
    *(mtc_status *)ctx =
        mtc_cache_get_or_load(fixture.cache, key, NULL, load_what_it_removed,
                              ctx, &value);
    return mtc_load_set_value(load, mtc_str("value"));
}

static void
a_loader_that_removes_its_key_and_asks_for_it_is_refused(void **state)
{
    (void)state;
    mtc_status inner = MTC_OK;
    mtc_value value;
    assert_int_equal(mtc_cache_get_or_load(fixture.cache, mtc_str("k"), NULL,
                                           load_what_it_removed, &inner,
                                           &value),
                     MTC_OK);
    mtc_value_free(&value);
    assert_int_equal(inner, MTC_E_DEADLOCK);
    mtct_assert_get(fixture.cache, "k", NULL);
}

static mtc_status load_value(mtc_load *load, void *ctx)
{
    (void)ctx;
    return mtc_load_set_value(load, mtc_str("value"));
}

static mtct_caller call(mtct_cache *cache, const char *key, step *through)
{
    return (mtct_caller){
        .cache = cache->cache,
        .key = key,
        .loader = through ? load_through : load_value,
        .ctx = through,
    };
}

static mtct_caller get(mtct_cache *cache, const char *key)
{
    return (mtct_caller){.cache = cache->cache, .key = key};
}

static void a_loader_may_load_other_keys(void **state)
{
    (void)state;
    step last = {.inner = call(&fixture, "c", NULL)};
    step first = {.inner = call(&fixture, "b", &last)};
    mtct_caller caller = call(&fixture, "a", &first);
    mtct_caller_run(&caller);
    assert_string_equal(caller.text, "through");
    mtct_assert_get(fixture.cache, "a", "through");
    mtct_assert_get(fixture.cache, "b", "through");
    mtct_assert_get(fixture.cache, "c", "value");
}

static void a_loader_may_ask_another_cache_for_the_same_key(void **state)
{
    (void)state;
    step step = {.inner = call(&other, "a", NULL)};
    mtct_caller caller = call(&fixture, "a", &step);
    mtct_caller_run(&caller);
    assert_string_equal(caller.text, "through");
}

static mtc_status take_value(mtc_load *load, void *ctx)
{
    mtc_value value;
    mtc_status status = mtc_value_share(ctx, &value);
    if (status == MTC_OK)
        status = mtc_load_take_value(load, &value);
    mtc_value_free(&value);
    return status;
}

/* Whoever holds the value already may be looking at its facts. */
static void a_value_taken_from_another_cache_keeps_its_facts(void **state)
{
    (void)state;
    mtc_value_info info = MTC_VALUE_INFO_INIT;
    mtc_value held;
    mtct_script_put(other.below, "a", "value", MTC_TTL_MS_MAX);
    assert_int_equal(mtc_cache_get(other.cache, mtc_str("a"), &held), MTC_OK);
    mtct_caller caller = call(&fixture, "a", NULL);
    caller.loader = take_value;
    caller.ctx = &held;
    mtct_caller_run(&caller);
    assert_string_equal(caller.text, "value");
    mtct_assert_get(fixture.cache, "a", "value");
    assert_int_equal(mtc_value_info_get(&held, &info), MTC_OK);
    assert_int_equal(info.tier, 1);
    mtc_value_free(&held);
}

static void a_loader_that_loads_its_own_key_is_refused(void **state)
{
    (void)state;
    step step = {.inner = call(&fixture, "a", NULL)};
    mtct_caller caller = call(&fixture, "a", &step);
    mtct_caller_run(&caller);
    assert_int_equal(caller.status, MTC_E_DEADLOCK);
    mtct_assert_get(fixture.cache, "a", NULL);
}

static void a_loader_that_gets_its_own_key_is_refused(void **state)
{
    (void)state;
    step step = {.inner = get(&fixture, "a"), .ignores_it = true};
    mtct_caller caller = call(&fixture, "a", &step);
    mtct_caller_run(&caller);
    assert_int_equal(step.inner.status, MTC_E_DEADLOCK);
    assert_string_equal(caller.text, "through");
}

static mtc_status load_with_bulk(mtc_load *load, void *ctx)
{
    mtc_item *items = ctx;
    if (mtc_cache_get_many(fixture.cache, items, 2) != MTC_PARTIAL)
        return MTC_E_CORRUPT;
    return mtc_load_set_value(load, mtc_str("value"));
}

static void a_bulk_get_of_the_own_key_is_refused_for_that_key(void **state)
{
    (void)state;
    mtc_item items[2] = {{.key = mtc_str("b")}, {.key = mtc_str("a")}};
    mtct_caller caller = call(&fixture, "a", NULL);
    caller.loader = load_with_bulk;
    caller.ctx = items;
    mtct_caller_run(&caller);
    assert_string_equal(caller.text, "value");
    assert_int_equal(items[0].status, MTC_MISS);
    assert_int_equal(items[1].status, MTC_E_DEADLOCK);
}

static void a_circle_through_another_key_is_refused(void **state)
{
    (void)state;
    step last = {.inner = call(&fixture, "a", NULL)};
    step first = {.inner = call(&fixture, "b", &last)};
    mtct_caller caller = call(&fixture, "a", &first);
    mtct_caller_run(&caller);
    assert_int_equal(last.inner.status, MTC_E_DEADLOCK);
    assert_int_equal(caller.status, MTC_E_DEADLOCK);
}

static void a_circle_through_another_cache_is_refused(void **state)
{
    (void)state;
    step last = {.inner = call(&fixture, "a", NULL)};
    step first = {.inner = call(&other, "b", &last)};
    mtct_caller caller = call(&fixture, "a", &first);
    mtct_caller_run(&caller);
    assert_int_equal(last.inner.status, MTC_E_DEADLOCK);
    assert_int_equal(caller.status, MTC_E_DEADLOCK);
}

/* Two threads load a key each, and each loader asks for the other's. */
static void cross(mtct_cache *one_cache, mtct_cache *two_cache)
{
    mtct_stop both = {0};
    step one_step = {get(two_cache, "b"), &both, true};
    step two_step = {get(one_cache, "a"), &both, true};
    mtct_caller one = call(one_cache, "a", &one_step);
    mtct_caller two = call(two_cache, "b", &two_step);
    mtct_caller_start(&one);
    mtct_caller_start(&two);
    mtct_stop_await(&both, 2);
    mtct_stop_open(&both);
    mtct_caller_join(&one);
    mtct_caller_join(&two);
    assert_string_equal(one.text, "through");
    assert_string_equal(two.text, "through");
    bool first = one_step.inner.status == MTC_E_DEADLOCK;
    bool second = two_step.inner.status == MTC_E_DEADLOCK;
    assert_true(first != second);
    assert_int_equal(first ? two_step.inner.status : one_step.inner.status,
                     MTC_OK);
}

static void of_two_loaders_that_want_each_others_keys_one_is_refused(void **s)
{
    (void)s;
    for (unsigned round = 0; round < mtct_rounds(50); round++) {
        cross(&fixture, &fixture);
        mtc_cache_remove(fixture.cache, mtc_str("a"));
        mtc_cache_remove(fixture.cache, mtc_str("b"));
    }
}

static void of_two_loaders_over_two_caches_one_is_refused(void **state)
{
    (void)state;
    for (unsigned round = 0; round < mtct_rounds(50); round++) {
        cross(&fixture, &other);
        mtc_cache_remove(fixture.cache, mtc_str("a"));
        mtc_cache_remove(other.cache, mtc_str("b"));
    }
}

/* a waits for b, b for c, and c's loader asks for a. */
static void a_circle_of_three_threads_is_refused_at_its_end(void **state)
{
    (void)state;
    mtct_stop all = {0};
    step steps[3] = {{get(&fixture, "b"), &all, true},
                     {get(&fixture, "c"), &all, true},
                     {get(&fixture, "a"), &all, true}};
    mtct_caller callers[3] = {call(&fixture, "a", &steps[0]),
                              call(&fixture, "b", &steps[1]),
                              call(&fixture, "c", &steps[2])};
    size_t refused = 0;
    for (size_t i = 0; i < 3; i++)
        mtct_caller_start(&callers[i]);
    mtct_stop_await(&all, 3);
    mtct_stop_open(&all);
    mtct_callers_join(callers, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(callers[i].text, "through");
        refused += steps[i].inner.status == MTC_E_DEADLOCK;
    }
    assert_int_equal(refused, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_loader_that_removes_its_key_and_asks_for_it_is_refused),
        TEST(a_loader_may_load_other_keys),
        TEST(a_loader_may_ask_another_cache_for_the_same_key),
        TEST(a_value_taken_from_another_cache_keeps_its_facts),
        TEST(a_loader_that_loads_its_own_key_is_refused),
        TEST(a_loader_that_gets_its_own_key_is_refused),
        TEST(a_bulk_get_of_the_own_key_is_refused_for_that_key),
        TEST(a_circle_through_another_key_is_refused),
        TEST(a_circle_through_another_cache_is_refused),
        TEST(of_two_loaders_that_want_each_others_keys_one_is_refused),
        TEST(of_two_loaders_over_two_caches_one_is_refused),
        TEST(a_circle_of_three_threads_is_refused_at_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
