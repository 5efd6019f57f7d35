/*
 * Loads of asynchronous calls: their turns among all loads of the cache, and
 * time-outs of the strategy.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/loads.h"
#include "support/callers.h"
#include "support/chain_rig.h"
#include "support/queue_rig.h"

static mtct_rig rig;
static mtc_queue *queue;
static mtct_heard heard, other, third;
static mtc_load *left;
static _Atomic unsigned loads;
static mtct_stop stop;

/* Memory alone, and one load at a time. */
static int setup(void **state)
{
    (void)state;
    mtct_rig_init(&rig, 0);
    rig.options.loads_max = 1;
    mtct_rig_open(&rig);
    assert_int_equal(mtc_queue_open(rig.cache, &queue), MTC_OK);
    heard = other = third = (mtct_heard){0};
    loads = 0;
    stop = (mtct_stop){0};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(mtc_queue_close(&queue), MTC_OK);
    mtct_rig_fini(&rig);
    return 0;
}

static mtc_status load_later(mtc_load *load, void *ctx)
{
    (void)ctx;
    loads++;
    left = load;
    return MTC_PENDING;
}

static mtc_status load_now(mtc_load *load, void *ctx)
{
    (void)ctx;
    loads++;
    return mtc_load_set_value(load, mtc_str("loaded"));
}

static void begin(const char *key, const mtc_call *call, mtc_loader loader,
                  mtct_heard *who)
{
    assert_int_equal(mtc_cache_get_or_load_async(queue, mtc_str(key), call,
                                                 loader, NULL, mtct_hear, who),
                     MTC_PENDING);
    mtct_drain_all(queue);
}

static void answer(void)
{
    mtc_load_set_value(left, mtc_str("late"));
    mtc_load_answer(left, MTC_OK);
    mtct_drain_all(queue);
}

static void step_clock(int64_t ms)
{
    atomic_fetch_add(&rig.clock.now_ms, ms);
    mtct_drain_all(queue);
}

static void a_load_waits_for_its_turn(void **state)
{
    (void)state;
    begin("a", NULL, load_later, &heard);
    begin("b", NULL, load_now, &other);
    assert_int_equal(loads, 1);
    assert_int_equal(other.count, 0);
    answer();
    mtct_assert_heard(&heard, MTC_OK, "late");
    mtct_assert_heard(&other, MTC_OK, "loaded");
}

static void a_load_of_a_load_needs_no_turn(void **state)
{
    mtc_call call = MTC_CALL_INIT;
    (void)state;
    begin("a", NULL, load_later, &heard);
    call.parent = left;
    begin("b", &call, load_now, &other);
    mtct_assert_heard(&other, MTC_OK, "loaded");
    answer();
    mtct_assert_heard(&heard, MTC_OK, "late");
}

/* Behind its caller it would wait for the turn that the outer one has. */
static void nor_does_one_that_would_run_behind_its_caller(void **state)
{
    mtc_call call = MTC_CALL_INIT;
    mtc_strategy strategy = MTC_STRATEGY_INIT(1000);
    (void)state;
    strategy.hard_ms = 60000;
    begin("a", NULL, load_later, &heard);
    call.parent = left;
    call.strategy = &strategy;
    begin("b", &call, load_now, &other);
    mtct_assert_heard(&other, MTC_OK, "loaded");
    answer();
    mtct_assert_heard(&heard, MTC_OK, "late");
}

static void a_call_that_waits_for_a_turn_has_its_deadline(void **state)
{
    mtc_call call = MTC_CALL_INIT;
    (void)state;
    call.deadline_ms = 100;
    begin("a", NULL, load_later, &heard);
    begin("b", &call, load_now, &other);
    step_clock(100);
    mtct_assert_heard(&other, MTC_E_TIMEOUT, "");
    assert_int_equal(heard.count, 0);
    answer();
    begin("c", NULL, load_now, &third);
    mtct_assert_heard(&third, MTC_OK, "loaded");
}

static void a_call_that_waits_for_a_turn_may_be_cancelled(void **state)
{
    (void)state;
    begin("a", NULL, load_later, &heard);
    begin("b", NULL, load_now, &other);
    begin("b", NULL, load_now, &third);
    mtc_queue_cancel(queue, &other);
    mtct_drain_all(queue);
    mtct_assert_heard(&other, MTC_E_CANCELLED, "");
    assert_int_equal(third.count, 0);
    answer();
    mtct_assert_heard(&third, MTC_OK, "loaded");
    assert_int_equal(loads, 2);
}

static void a_turn_that_was_granted_to_a_cancelled_call_is_given_back(void **s)
{
    (void)s;
    begin("a", NULL, load_later, &heard);
    begin("b", NULL, load_now, &other);
    mtc_load_answer(left, MTC_E_DENIED);
    mtc_queue_cancel(queue, &other);
    mtct_drain_all(queue);
    mtct_assert_heard(&other, MTC_E_CANCELLED, "");
    begin("c", NULL, load_now, &third);
    mtct_assert_heard(&third, MTC_OK, "loaded");
}

static void nobody_waits_for_a_turn_for_ever(void **state)
{
    (void)state;
    begin("a", NULL, load_later, &heard);
    begin("b", NULL, load_now, &other);
    step_clock(MTCI_LOADS_WAIT_MS);
    mtct_drain_until(queue, &other);
    mtct_assert_heard(&other, MTC_E_BUSY, "");
    answer();
}

static void closing_the_cache_ends_the_wait_for_a_turn(void **state)
{
    (void)state;
    begin("a", NULL, load_later, &heard);
    begin("b", NULL, load_now, &other);
    mtc_load_drop(left);
    assert_int_equal(mtc_cache_close(&rig.cache), MTC_OK);
    mtct_drain_all(queue);
    assert_int_equal(heard.count, 1);
    mtct_assert_heard(&other, MTC_E_CLOSED, "");
}

/* -- time-outs of the strategy -------------------------------------------- */

static mtc_status load_stopping(mtc_load *load, void *ctx)
{
    (void)ctx;
    mtct_stop_here(&stop);
    return mtc_load_set_value(load, mtc_str("new"));
}

static void a_stale_copy_is_told_at_the_soft_time_out(void **state)
{
    mtc_strategy strategy = MTC_STRATEGY_INIT(100);
    mtc_call call = MTC_CALL_INIT;
    (void)state;
    strategy.stale_ms = 10000;
    strategy.soft_ms = 50;
    call.strategy = &strategy;
    mtc_cache_set(rig.cache, mtc_str("k"), mtc_str("old"), &strategy);
    step_clock(150);
    begin("k", &call, load_stopping, &heard);
    mtct_stop_await(&stop, 1);
    mtct_drain_all(queue);
    assert_int_equal(heard.count, 0);
    assert_in_range(mtc_queue_wait_ms(queue), 1, 50);
    step_clock(50);
    mtct_assert_heard(&heard, MTC_STALE, "old");
    mtct_stop_open(&stop);
    mtct_quiet_await(rig.cache);
    mtct_assert_get(rig.cache, "k", "new");
}

static void a_call_ends_at_the_hard_time_out(void **state)
{
    mtc_strategy strategy = MTC_STRATEGY_INIT(100);
    mtc_call call = MTC_CALL_INIT;
    (void)state;
    strategy.hard_ms = 50;
    call.strategy = &strategy;
    begin("k", &call, load_stopping, &heard);
    mtct_stop_await(&stop, 1);
    step_clock(50);
    mtct_assert_heard(&heard, MTC_E_TIMEOUT, "");
    mtct_stop_open(&stop);
    mtct_quiet_await(rig.cache);
    mtct_assert_get(rig.cache, "k", "new");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_load_waits_for_its_turn),
        TEST(a_load_of_a_load_needs_no_turn),
        TEST(nor_does_one_that_would_run_behind_its_caller),
        TEST(a_call_that_waits_for_a_turn_has_its_deadline),
        TEST(a_call_that_waits_for_a_turn_may_be_cancelled),
        TEST(a_turn_that_was_granted_to_a_cancelled_call_is_given_back),
        TEST(nobody_waits_for_a_turn_for_ever),
        TEST(closing_the_cache_ends_the_wait_for_a_turn),
        TEST(a_stale_copy_is_told_at_the_soft_time_out),
        TEST(a_call_ends_at_the_hard_time_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
