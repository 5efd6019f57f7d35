/*
 * Flights: one look-up and one load of a key, however many callers ask, each
 * with a deadline of its own.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "support/cache_fixture.h"
#include "support/callers.h"

static mtct_cache fixture;
static mtct_stop at_loader; /* loaders stop here */
static mtct_stop at_read;   /* reads of the tier below, where a test says so */
static _Atomic uint64_t loads;
static mtct_caller callers[MTCT_CROWD];

static int setup(void **state)
{
    (void)state;
    mtct_cache_init(&fixture);
    at_loader = (mtct_stop){0};
    at_read = (mtct_stop){0};
    loads = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mtct_cache_fini(&fixture);
    return 0;
}

static mtc_stats stats(void)
{
    mtc_stats all = {.struct_size = sizeof(all)};
    assert_int_equal(mtc_cache_stats(fixture.cache, &all), MTC_OK);
    return all;
}

static mtc_status load_when_let(mtc_load *load, void *ctx)
{
    atomic_fetch_add(&loads, 1);
    mtct_stop_here(&at_loader);
    return mtc_load_set_value(load, mtc_str(ctx));
}

static mtc_status fail_when_let(mtc_load *load, void *ctx)
{
    (void)load;
    (void)ctx;
    atomic_fetch_add(&loads, 1);
    mtct_stop_here(&at_loader);
    return MTC_E_UNAVAILABLE;
}

static mtc_status hold_reads(mtct_script *script, mtc_verb verb,
                             mtc_request *request)
{
    (void)script;
    (void)request;
    if (verb == MTC_VERB_READ)
        mtct_stop_here(&at_read);
    return MTC_OK;
}

static mtct_caller loading(void)
{
    return (mtct_caller){.cache = fixture.cache,
                         .key = "k",
                         .loader = load_when_let,
                         .ctx = "loaded"};
}

static mtct_caller getting(void)
{
    return (mtct_caller){.cache = fixture.cache, .key = "k"};
}

static void a_thousand_callers_of_a_missing_key_make_one_load(void **state)
{
    (void)state;
    mtct_callers_start(callers, MTCT_CROWD, loading());
    mtct_followers_await(fixture.cache, MTCT_CROWD - 1);
    mtct_stop_open(&at_loader);
    mtct_callers_join(callers, MTCT_CROWD);
    mtct_assert_all_got(callers, MTCT_CROWD, MTC_OK, "loaded");
    assert_int_equal(loads, 1);
    assert_int_equal(fixture.below->reads, 1);
    mtc_stats after = stats();
    assert_int_equal(after.requests, MTCT_CROWD);
    assert_int_equal(after.misses, MTCT_CROWD);
    assert_int_equal(after.in_flight, 0);
}

static void all_callers_of_a_key_below_send_one_read(void **state)
{
    (void)state;
    enum { SOME = 100 };
    mtct_script_put(fixture.below, "k", "below", MTC_TTL_MS_MAX);
    fixture.below->hook = hold_reads;
    mtct_callers_start(callers, SOME, loading());
    mtct_followers_await(fixture.cache, SOME - 1);
    mtct_stop_open(&at_read);
    mtct_callers_join(callers, SOME);
    mtct_assert_all_got(callers, SOME, MTC_OK, "below");
    assert_int_equal(loads, 0);
    assert_int_equal(fixture.below->reads, 1);
    assert_int_equal(stats().tiers[1].hits, SOME);
    assert_int_equal(stats().promotions, 1);
}

/* Nobody is held back here: callers meet the flight at every stage. */
static void callers_that_come_at_any_moment_make_one_load(void **state)
{
    (void)state;
    enum { SOME = 8 };
    mtct_stop_open(&at_loader);
    for (unsigned round = 0; round < mtct_rounds(50); round++) {
        atomic_store(&loads, 0);
        mtct_callers_start(callers, SOME, loading());
        mtct_callers_join(callers, SOME);
        mtct_assert_all_got(callers, SOME, MTC_OK, "loaded");
        assert_int_equal(loads, 1);
        assert_int_equal(mtc_cache_remove(fixture.cache, mtc_str("k")), MTC_OK);
    }
}

static void a_get_that_leads_and_misses_leaves_one_loader_to_run(void **state)
{
    (void)state;
    enum { SOME = 40 };
    mtct_caller leader = getting();
    fixture.below->hook = hold_reads;
    mtct_caller_start(&leader);
    mtct_stop_await(&at_read, 1);
    for (size_t i = 0; i < SOME; i++) {
        callers[2 * i] = getting();
        callers[2 * i + 1] = loading();
        mtct_caller_start(&callers[2 * i]);
        mtct_caller_start(&callers[2 * i + 1]);
    }
    mtct_followers_await(fixture.cache, 2 * SOME);
    mtct_stop_open(&at_read);
    mtct_stop_await(&at_loader, 1);
    mtct_caller_join(&leader);
    assert_int_equal(leader.status, MTC_MISS);
    for (size_t i = 0; i < SOME; i++) {
        mtct_caller_join(&callers[2 * i]);
        mtct_assert_all_got(&callers[2 * i], 1, MTC_MISS, "");
    }
    mtct_stop_open(&at_loader);
    for (size_t i = 0; i < SOME; i++) {
        mtct_caller_join(&callers[2 * i + 1]);
        mtct_assert_all_got(&callers[2 * i + 1], 1, MTC_OK, "loaded");
    }
    assert_int_equal(loads, 1);
    assert_int_equal(fixture.below->reads, 1);
}

static void the_error_of_a_load_goes_to_all_who_waited(void **state)
{
    (void)state;
    enum { SOME = 20 };
    mtct_caller failing = loading();
    failing.loader = fail_when_let;
    mtct_callers_start(callers, SOME, failing);
    mtct_followers_await(fixture.cache, SOME - 1);
    mtct_stop_open(&at_loader);
    mtct_callers_join(callers, SOME);
    mtct_assert_all_got(callers, SOME, MTC_E_UNAVAILABLE, "");
    assert_int_equal(loads, 1);
    assert_int_equal(stats().errors, SOME);
    assert_int_equal(stats().load_errors, 1);
    mtct_caller next = loading();
    mtct_caller_run(&next);
    assert_int_equal(next.status, MTC_OK);
    assert_int_equal(loads, 2);
}

static void a_follower_leaves_at_its_deadline_and_the_load_goes_on(void **state)
{
    (void)state;
    mtct_caller leader = loading();
    mtct_caller hasty = getting();
    mtct_caller hasty_too = loading();
    hasty.call.deadline_ms = hasty_too.call.deadline_ms = 20;
    mtct_caller_start(&leader);
    mtct_stop_await(&at_loader, 1);
    mtct_caller_start(&hasty);
    mtct_caller_start(&hasty_too);
    mtct_followers_await(fixture.cache, 2);
    atomic_fetch_add(&fixture.clock.now_ms, 20);
    mtct_caller_join(&hasty);
    mtct_caller_join(&hasty_too);
    assert_int_equal(hasty.status, MTC_E_TIMEOUT);
    assert_int_equal(hasty_too.status, MTC_E_TIMEOUT);
    mtct_stop_open(&at_loader);
    mtct_caller_join(&leader);
    assert_int_equal(leader.status, MTC_OK);
    assert_int_equal(loads, 1);
    mtct_quiet_await(fixture.cache);
    mtct_assert_get(fixture.cache, "k", "loaded");
    assert_true(mtct_script_holds(fixture.below, "k", "loaded"));
}

static void the_deadline_of_one_caller_is_not_that_of_another(void **state)
{
    (void)state;
    mtct_caller hasty = getting();
    mtct_caller patient = getting();
    hasty.call.deadline_ms = 20;
    mtct_script_put(fixture.below, "k", "below", MTC_TTL_MS_MAX);
    fixture.below->hook = hold_reads;
    mtct_caller_start(&hasty);
    mtct_stop_await(&at_read, 1);
    mtct_caller_start(&patient);
    mtct_followers_await(fixture.cache, 1);
    atomic_fetch_add(&fixture.clock.now_ms, 20);
    mtct_caller_join(&hasty);
    assert_int_equal(hasty.status, MTC_E_TIMEOUT);
    mtct_stop_open(&at_read);
    mtct_caller_join(&patient);
    assert_int_equal(patient.status, MTC_OK);
    assert_string_equal(patient.text, "below");
}

/* Callers with tiny deadlines come and go while loads end. */
static void callers_may_leave_at_any_moment(void **state)
{
    (void)state;
    enum { SOME = 8 };
    mtct_stop_open(&at_loader);
    for (unsigned round = 0; round < mtct_rounds(50); round++) {
        for (size_t i = 0; i < SOME; i++) {
            callers[i] = i % 2 ? loading() : getting();
            callers[i].call.deadline_ms = i < SOME - 2 ? 1 + (int64_t)i : 0;
            mtct_caller_start(&callers[i]);
            if (i % 3 == 0)
                atomic_fetch_add(&fixture.clock.now_ms, 1);
        }
        mtct_callers_join(callers, SOME);
        assert_int_equal(callers[SOME - 1].status, MTC_OK);
        assert_int_equal(mtc_cache_remove(fixture.cache, mtc_str("k")), MTC_OK);
    }
    mtct_quiet_await(fixture.cache);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_thousand_callers_of_a_missing_key_make_one_load),
        TEST(all_callers_of_a_key_below_send_one_read),
        TEST(callers_that_come_at_any_moment_make_one_load),
        TEST(a_get_that_leads_and_misses_leaves_one_loader_to_run),
        TEST(the_error_of_a_load_goes_to_all_who_waited),
        TEST(a_follower_leaves_at_its_deadline_and_the_load_goes_on),
        TEST(the_deadline_of_one_caller_is_not_that_of_another),
        TEST(callers_may_leave_at_any_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
