/*
 * Loads whose answer comes later: from another thread, before or after the
 * loader has returned.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/cache_fixture.h"
#include "support/callers.h"

#define SOME 12

static mtct_cache fixture;
static mtct_caller callers[SOME];

/* What a loader leaves to the thread that answers. */
typedef struct token {
    mtct_stop is_left; /* loaders arrive once it may be answered */
    mtc_load *load;
    mtc_status status;
    bool is_dropped;
    mtct_stop at_return; /* loaders stop here before they return */
    _Atomic uint64_t loads;
} token;

static token left;

static int setup(void **state)
{
    (void)state;
    mtct_cache_init(&fixture);
    left = (token){0};
    mtct_stop_open(&left.is_left);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mtct_cache_fini(&fixture);
    return 0;
}

static mtc_status leave_token(mtc_load *load, void *ctx)
{
    (void)ctx;
    atomic_fetch_add(&left.loads, 1);
    left.load = load;
    mtct_stop_here(&left.is_left);
    mtct_stop_here(&left.at_return);
    return MTC_PENDING;
}

static mtct_caller leaving(void)
{
    return (
        mtct_caller){.cache = fixture.cache, .key = "k", .loader = leave_token};
}

static mtct_caller getting(void)
{
    return (mtct_caller){.cache = fixture.cache, .key = "k"};
}

static void *answer(void *ctx)
{
    (void)ctx;
    if (left.is_dropped) {
        mtc_load_drop(left.load);
        return NULL;
    }
    if (left.status == MTC_OK)
        mtc_load_set_value(left.load, mtc_str("late"));
    mtc_load_answer(left.load, left.status);
    return NULL;
}

static void answer_in_a_thread(void)
{
    assert_int_equal(pthread_join(mtct_thread_start(answer, NULL), NULL), 0);
}

static void a_late_answer_reaches_all_who_wait(void **state)
{
    (void)state;
    mtct_stop_open(&left.at_return);
    mtct_callers_start(callers, SOME, leaving());
    mtct_followers_await(fixture.cache, SOME - 1);
    mtct_stop_await(&left.is_left, 1);
    answer_in_a_thread();
    mtct_callers_join(callers, SOME);
    mtct_assert_all_got(callers, SOME, MTC_OK, "late");
    assert_int_equal(left.loads, 1);
    mtct_assert_get(fixture.cache, "k", "late");
    mtct_quiet_await(fixture.cache);
    assert_true(mtct_script_holds(fixture.below, "k", "late"));
}

static void an_answer_may_come_before_the_loader_returns(void **state)
{
    (void)state;
    mtct_callers_start(callers, SOME, leaving());
    mtct_followers_await(fixture.cache, SOME - 1);
    mtct_stop_await(&left.at_return, 1);
    answer_in_a_thread();
    mtct_assert_get(fixture.cache, "k", "late");
    mtct_stop_open(&left.at_return);
    mtct_callers_join(callers, SOME);
    mtct_assert_all_got(callers, SOME, MTC_OK, "late");
    assert_int_equal(left.loads, 1);
}

static void a_late_error_reaches_all_who_wait(void **state)
{
    (void)state;
    left.status = MTC_E_DENIED;
    mtct_stop_open(&left.at_return);
    mtct_callers_start(callers, SOME, leaving());
    mtct_followers_await(fixture.cache, SOME - 1);
    mtct_stop_await(&left.is_left, 1);
    answer_in_a_thread();
    mtct_callers_join(callers, SOME);
    mtct_assert_all_got(callers, SOME, MTC_E_DENIED, "");
    mtct_assert_get(fixture.cache, "k", NULL);
}

static void a_wrong_answer_leaves_the_load_open(void **state)
{
    (void)state;
    mtct_caller leader = leaving();
    mtct_stop_open(&left.at_return);
    mtct_caller_start(&leader);
    mtct_stop_await(&left.is_left, 1);
    assert_int_equal(mtc_load_answer(NULL, MTC_OK), MTC_E_INVALID);
    assert_int_equal(mtc_load_answer(left.load, MTC_PENDING), MTC_E_INVALID);
    mtc_load_drop(NULL);
    answer_in_a_thread();
    mtct_caller_join(&leader);
    assert_string_equal(leader.text, "late");
}

static void the_caller_leaves_at_its_deadline_and_the_answer_is_kept(void **s)
{
    (void)s;
    mtct_caller leader = leaving();
    leader.call.deadline_ms = 20;
    mtct_stop_open(&left.at_return);
    mtct_caller_start(&leader);
    mtct_stop_await(&left.at_return, 1);
    atomic_fetch_add(&fixture.clock.now_ms, 20);
    mtct_caller_join(&leader);
    assert_int_equal(leader.status, MTC_E_TIMEOUT);
    callers[0] = getting();
    mtct_caller_start(&callers[0]);
    mtct_followers_await(fixture.cache, 1);
    answer_in_a_thread();
    mtct_caller_join(&callers[0]);
    mtct_assert_all_got(callers, 1, MTC_OK, "late");
    mtct_assert_get(fixture.cache, "k", "late");
    assert_int_equal(left.loads, 1);
}

/* A loader that gives up is not asked again by the same call. */
static void a_dropped_token_without_an_heir_is_cancelled(void **state)
{
    (void)state;
    mtct_caller leader = leaving();
    left.is_dropped = true;
    mtct_stop_open(&left.at_return);
    mtct_caller_start(&leader);
    mtct_stop_await(&left.at_return, 1);
    callers[0] = getting();
    mtct_caller_start(&callers[0]);
    mtct_followers_await(fixture.cache, 1);
    answer_in_a_thread();
    mtct_caller_join(&callers[0]);
    mtct_caller_join(&leader);
    mtct_assert_all_got(callers, 1, MTC_E_CANCELLED, "");
    mtct_assert_all_got(&leader, 1, MTC_E_CANCELLED, "");
    assert_int_equal(left.loads, 1);
}

static mtc_status load_value(mtc_load *load, void *ctx)
{
    mtct_stop_here(ctx);
    return mtc_load_set_value(load, mtc_str("value"));
}

/* The heir loads while the first loader has not even returned: what the
 * thread leads must not get mixed up. */
static void a_token_may_be_dropped_before_the_loader_returns(void **state)
{
    (void)state;
    mtct_stop at_heir = {0};
    mtct_caller leader = leaving();
    mtct_caller heir = leaving();
    heir.loader = load_value;
    heir.ctx = &at_heir;
    left.is_dropped = true;
    mtct_caller_start(&leader);
    mtct_stop_await(&left.at_return, 1);
    mtct_caller_start(&heir);
    mtct_followers_await(fixture.cache, 1);
    answer_in_a_thread();
    mtct_stop_await(&at_heir, 1);
    mtct_stop_open(&left.at_return);
    /* The first one now waits for the heir. */
    callers[0] = getting();
    mtct_caller_start(&callers[0]);
    mtct_followers_await(fixture.cache, 2);
    mtct_stop_open(&at_heir);
    mtct_caller_join(&leader);
    mtct_caller_join(&heir);
    mtct_caller_join(&callers[0]);
    assert_string_equal(leader.text, "value");
    assert_string_equal(heir.text, "value");
    assert_string_equal(callers[0].text, "value");
}

/* The same inside another load, whose place in the thread must be kept. */
static mtc_status load_inner(mtc_load *load, void *ctx)
{
    mtct_caller *inner = ctx;
    mtct_caller again = {.cache = fixture.cache, .key = "outer"};
    mtct_caller_run(inner);
    mtct_caller_run(&again);
    if (again.status != MTC_E_DEADLOCK)
        return MTC_E_CORRUPT;
    return mtc_load_set_value(load, mtc_str(inner->text));
}

static void a_dropped_inner_load_leaves_the_outer_one_in_place(void **state)
{
    (void)state;
    mtct_stop at_heir = {0};
    mtct_caller inner = leaving();
    mtct_caller heir = inner;
    mtct_caller outer = inner;
    heir.loader = load_value;
    heir.ctx = &at_heir;
    outer.key = "outer";
    outer.loader = load_inner;
    outer.ctx = &inner;
    left.is_dropped = true;
    mtct_caller_start(&outer);
    mtct_stop_await(&left.at_return, 1);
    mtct_caller_start(&heir);
    mtct_followers_await(fixture.cache, 1);
    answer_in_a_thread();
    mtct_stop_await(&at_heir, 1);
    mtct_stop_open(&left.at_return);
    mtct_stop_open(&at_heir);
    mtct_caller_join(&outer);
    mtct_caller_join(&heir);
    assert_int_equal(outer.status, MTC_OK);
    assert_string_equal(outer.text, "value");
}

static mtc_status answer_at_once(mtc_load *load, void *ctx)
{
    (void)ctx;
    mtc_load_set_value(load, mtc_str("at once"));
    mtc_load_answer(load, MTC_OK);
    return MTC_PENDING;
}

static void a_loader_may_answer_in_its_own_thread(void **state)
{
    (void)state;
    mtct_caller caller = leaving();
    caller.loader = answer_at_once;
    mtct_caller_run(&caller);
    assert_int_equal(caller.status, MTC_OK);
    assert_string_equal(caller.text, "at once");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_late_answer_reaches_all_who_wait),
        TEST(an_answer_may_come_before_the_loader_returns),
        TEST(a_late_error_reaches_all_who_wait),
        TEST(a_wrong_answer_leaves_the_load_open),
        TEST(the_caller_leaves_at_its_deadline_and_the_answer_is_kept),
        TEST(a_dropped_token_without_an_heir_is_cancelled),
        TEST(a_token_may_be_dropped_before_the_loader_returns),
        TEST(a_dropped_inner_load_leaves_the_outer_one_in_place),
        TEST(a_loader_may_answer_in_its_own_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
