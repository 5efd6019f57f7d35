/*
 * Hand-over: a leader that vanishes, or whose token is dropped, leaves its
 * load to exactly one of those who wait.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>

#include "support/cache_fixture.h"
#include "support/callers.h"

#define SOME 12

static mtct_cache fixture;
static mtct_stop at_loader, at_heir;
static _Atomic uint64_t loads;
static mtct_caller plain[SOME];
static mtct_caller loading[SOME];

static int setup(void **state)
{
    (void)state;
    mtct_cache_init(&fixture);
    at_loader = at_heir = (mtct_stop){0};
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

static mtct_caller caller(mtc_loader loader)
{
    return (mtct_caller){.cache = fixture.cache,
                         .key = "k",
                         .loader = loader,
                         .ctx = "value"};
}

static mtc_status load_value(mtc_load *load, void *ctx)
{
    atomic_fetch_add(&loads, 1);
    return mtc_load_set_value(load, mtc_str(ctx));
}

static mtc_status load_when_let(mtc_load *load, void *ctx)
{
    mtct_stop_here(&at_heir);
    return load_value(load, ctx);
}

static mtc_status load_and_exit(mtc_load *load, void *ctx)
{
    (void)ctx;
    mtc_load_set_value(load, mtc_str("never seen"));
    mtct_stop_here(&at_loader);
    pthread_exit(NULL);
}

static mtc_status load_until_cancelled(mtc_load *load, void *ctx)
{
    (void)ctx;
    mtc_load_set_value(load, mtc_str("never seen"));
    mtct_stop_here(&at_loader);
    /* No sleeping call: the thread sanitizer does not see through those that
     * are left by unwinding. */
    while (atomic_load(&at_loader.is_open)) {
        pthread_testcancel();
        sched_yield();
    }
    return MTC_OK;
}

static mtc_status load_and_drop(mtc_load *load, void *ctx)
{
    (void)ctx;
    mtct_stop_here(&at_loader);
    mtc_load_drop(load);
    return MTC_PENDING;
}

/* Followers of both kinds behind a leader that is in its loader. */
static void follow_a_leader(mtct_caller *leader, mtc_loader loader)
{
    *leader = caller(loader);
    mtct_caller_start(leader);
    mtct_stop_await(&at_loader, 1);
    mtct_callers_start(plain, SOME, caller(NULL));
    mtct_callers_start(loading, SOME, caller(load_value));
    mtct_followers_await(fixture.cache, 2 * SOME);
}

static void one_took_over_and_all_were_served(void)
{
    mtct_callers_join(plain, SOME);
    mtct_callers_join(loading, SOME);
    mtct_assert_all_got(plain, SOME, MTC_OK, "value");
    mtct_assert_all_got(loading, SOME, MTC_OK, "value");
    assert_int_equal(loads, 1);
    mtc_stats after = stats();
    assert_int_equal(after.loads, 2);
    assert_int_equal(after.load_errors, 1);
    assert_int_equal(after.requests, 2 * SOME + 1);
    assert_int_equal(after.errors, 1);
    assert_int_equal(after.in_flight, 0);
    mtct_assert_get(fixture.cache, "k", "value");
}

static void one_follower_takes_over_from_a_leader_that_exits(void **state)
{
    (void)state;
    mtct_caller leader;
    follow_a_leader(&leader, load_and_exit);
    mtct_stop_open(&at_loader);
    mtct_caller_join(&leader);
    assert_int_equal(leader.status, MTCT_NOT_YET);
    one_took_over_and_all_were_served();
}

static void one_follower_takes_over_from_a_cancelled_leader(void **state)
{
    (void)state;
    mtct_caller leader;
    follow_a_leader(&leader, load_until_cancelled);
    mtct_stop_open(&at_loader);
    pthread_cancel(leader.thread);
    mtct_caller_join(&leader);
    assert_int_equal(leader.status, MTCT_NOT_YET);
    one_took_over_and_all_were_served();
}

static void one_follower_takes_over_a_dropped_token(void **state)
{
    (void)state;
    mtct_caller leader;
    follow_a_leader(&leader, load_and_drop);
    mtct_stop_open(&at_loader);
    mtct_caller_join(&leader);
    assert_true(leader.status == MTC_OK || leader.status == MTC_E_CANCELLED);
    mtct_callers_join(plain, SOME);
    mtct_callers_join(loading, SOME);
    mtct_assert_all_got(plain, SOME, MTC_OK, "value");
    mtct_assert_all_got(loading, SOME, MTC_OK, "value");
    assert_int_equal(loads, 1);
}

static void heirs_that_vanish_too_are_followed_by_the_next(void **state)
{
    (void)state;
    mtct_caller leader = caller(load_and_exit);
    mtct_caller_start(&leader);
    mtct_stop_await(&at_loader, 1);
    mtct_callers_start(plain, SOME, caller(load_and_exit));
    mtct_followers_await(fixture.cache, SOME);
    mtct_callers_start(loading, SOME, caller(load_value));
    mtct_followers_await(fixture.cache, 2 * SOME);
    mtct_stop_open(&at_loader);
    mtct_caller_join(&leader);
    mtct_callers_join(plain, SOME);
    mtct_callers_join(loading, SOME);
    mtct_assert_all_got(plain, SOME, MTCT_NOT_YET, NULL);
    mtct_assert_all_got(loading, SOME, MTC_OK, "value");
    assert_int_equal(loads, 1);
    assert_int_equal(stats().load_errors, SOME + 1);
}

static void without_an_heir_a_vanished_load_is_cancelled(void **state)
{
    (void)state;
    mtct_caller leader = caller(load_and_exit);
    mtct_caller_start(&leader);
    mtct_stop_await(&at_loader, 1);
    mtct_callers_start(plain, SOME, caller(NULL));
    mtct_followers_await(fixture.cache, SOME);
    mtct_stop_open(&at_loader);
    mtct_caller_join(&leader);
    mtct_callers_join(plain, SOME);
    mtct_assert_all_got(plain, SOME, MTC_E_CANCELLED, "");
    assert_int_equal(stats().in_flight, 0);
    mtct_caller next = caller(load_value);
    mtct_caller_run(&next);
    assert_string_equal(next.text, "value");
}

static void without_an_heir_a_dropped_token_is_cancelled(void **state)
{
    (void)state;
    mtct_caller leader = caller(load_and_drop);
    mtct_stop_open(&at_loader);
    mtct_caller_start(&leader);
    mtct_caller_join(&leader);
    assert_int_equal(leader.status, MTC_E_CANCELLED);
    assert_int_equal(at_loader.arrived, 1);
    assert_int_equal(stats().in_flight, 0);
}

static void an_heir_whose_deadline_has_passed_lets_the_next_go_on(void **state)
{
    (void)state;
    mtct_caller leader = caller(load_and_exit);
    mtct_caller_start(&leader);
    mtct_stop_await(&at_loader, 1);
    mtct_caller hasty = caller(load_value);
    hasty.call.deadline_ms = 1;
    mtct_callers_start(plain, SOME, hasty);
    mtct_followers_await(fixture.cache, SOME);
    mtct_callers_start(loading, SOME, caller(load_when_let));
    mtct_followers_await(fixture.cache, 2 * SOME);
    atomic_fetch_add(&fixture.clock.now_ms, 1);
    mtct_stop_open(&at_loader);
    mtct_caller_join(&leader);
    /* Nobody has the value before they have all looked. */
    mtct_callers_join(plain, SOME);
    mtct_stop_open(&at_heir);
    mtct_callers_join(loading, SOME);
    mtct_assert_all_got(plain, SOME, MTC_E_TIMEOUT, "");
    mtct_assert_all_got(loading, SOME, MTC_OK, "value");
    assert_int_equal(loads, 1);
}

/* Leaders vanish, followers come and go, at any moment. */
static void nobody_is_forgotten_when_leaders_vanish_at_random(void **state)
{
    (void)state;
    mtct_stop_open(&at_loader);
    for (unsigned round = 0; round < mtct_rounds(50); round++) {
        for (size_t i = 0; i < SOME; i++) {
            mtc_loader leaver = round % 2 ? load_and_exit : load_and_drop;
            loading[i] = caller(i % 3 == 0 ? leaver : load_value);
            plain[i] = caller(i % 2 ? load_value : NULL);
            plain[i].call.deadline_ms = i % 4 == 1 ? 1 : 0;
            mtct_caller_start(&loading[i]);
            mtct_caller_start(&plain[i]);
            if (i % 5 == 0)
                atomic_fetch_add(&fixture.clock.now_ms, 1);
        }
        mtct_callers_join(loading, SOME);
        mtct_callers_join(plain, SOME);
        for (size_t i = 0; i < SOME; i++) {
            if (i % 3 != 0)
                assert_int_equal(loading[i].status, MTC_OK);
        }
        assert_int_equal(stats().in_flight, 0);
        assert_int_equal(mtc_cache_remove(fixture.cache, mtc_str("k")), MTC_OK);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(one_follower_takes_over_from_a_leader_that_exits),
        TEST(one_follower_takes_over_from_a_cancelled_leader),
        TEST(one_follower_takes_over_a_dropped_token),
        TEST(heirs_that_vanish_too_are_followed_by_the_next),
        TEST(without_an_heir_a_vanished_load_is_cancelled),
        TEST(without_an_heir_a_dropped_token_is_cancelled),
        TEST(an_heir_whose_deadline_has_passed_lets_the_next_go_on),
        TEST(nobody_is_forgotten_when_leaders_vanish_at_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
