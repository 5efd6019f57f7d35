/*
 * The clock jumps ahead by days, as when a machine was asleep: nothing old is
 * served, nothing is stored for ever, nobody waits for what is over, and what
 * was owed is still owed.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/callers.h"
#include "support/chain_rig.h"
#include "support/queue_rig.h"

#define HOUR_MS INT64_C(3600000)
#define DAY_MS  (24 * HOUR_MS)
#define SOME    8

static mtct_rig rig;
static mtct_stop at_loader;
static _Atomic unsigned loads;
static mtct_caller callers[SOME];

static int setup(void **state)
{
    (void)state;
    mtct_rig_init(&rig, 1);
    at_loader = (mtct_stop){0};
    loads = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mtct_stop_open(&at_loader);
    mtct_rig_fini(&rig);
    return 0;
}

static void jump(int64_t ms)
{
    atomic_fetch_add(&rig.clock.now_ms, ms);
}

static mtc_status load_when_let(mtc_load *load, void *ctx)
{
    (void)ctx;
    atomic_fetch_add(&loads, 1);
    mtct_stop_here(&at_loader);
    return mtc_load_set_value(load, mtc_str("loaded"));
}

static mtct_caller loading(void)
{
    return (mtct_caller){.cache = rig.cache,
                         .key = "k",
                         .loader = load_when_let,
                         .call = MTC_CALL_INIT};
}

static mtc_status look(const char *key, uint32_t flags)
{
    mtc_value value;
    mtc_call call = MTC_CALL_INIT;
    call.flags = flags;
    mtc_status status =
        mtc_cache_get_with(rig.cache, mtc_str(key), &call, &value);
    mtc_value_free(&value);
    return status;
}

static void what_ended_meanwhile_is_served_by_no_tier(void **state)
{
    mtc_strategy strategy = MTC_STRATEGY_INIT(HOUR_MS);
    (void)state;
    strategy.stale_ms = DAY_MS;
    mtct_rig_open(&rig);
    assert_int_equal(mtc_cache_set(rig.cache, mtc_str("k"), mtc_str("v"),
                                   &strategy),
                     MTC_OK);
    jump(DAY_MS);
    assert_int_equal(look("k", 0), MTC_MISS);
    assert_int_equal(look("k", MTC_CALL_ACCEPT_STALE), MTC_STALE);
    jump(30 * DAY_MS);
    assert_int_equal(look("k", MTC_CALL_ACCEPT_STALE), MTC_MISS);
    assert_int_equal(mtct_rig_get_below(&rig, "k"), MTC_MISS);
}

static void what_has_no_end_or_a_far_one_is_still_there(void **state)
{
    mtc_strategy strategy = MTC_STRATEGY_INIT(MTC_TTL_MS_MAX);
    (void)state;
    mtct_rig_open(&rig);
    assert_int_equal(mtc_cache_set(rig.cache, mtc_str("k"), mtc_str("v"),
                                   &strategy),
                     MTC_OK);
    jump(90 * 365 * DAY_MS);
    mtct_assert_get(rig.cache, "k", "v");
    jump(11 * 365 * DAY_MS);
    assert_int_equal(look("k", 0), MTC_MISS);
}

/* It took longer than a load time can say. */
static void a_load_that_spans_days_is_stored_for_its_whole_life(void **state)
{
    (void)state;
    mtct_rig_open(&rig);
    mtct_caller leader = loading();
    leader.call.strategy = &MTC_MEDIUM_TERM;
    mtct_caller_start(&leader);
    mtct_stop_await(&at_loader, 1);
    jump(100 * DAY_MS);
    mtct_stop_open(&at_loader);
    mtct_caller_join(&leader);
    assert_string_equal(leader.text, "loaded");
    mtct_quiet_await(rig.cache);
    jump(HOUR_MS - 1000);
    mtct_assert_get(rig.cache, "k", "loaded");
    assert_int_equal(mtct_rig_get_below(&rig, "k"), MTC_OK);
    jump(1000);
    assert_int_equal(look("k", 0), MTC_MISS);
    assert_int_equal(mtct_rig_get_below(&rig, "k"), MTC_MISS);
}

/* Read before the jump, promoted after it: what was left is over. */
static void a_copy_read_before_the_jump_is_not_promoted_for_long(void **state)
{
    (void)state;
    mtct_rig_open(&rig);
    mtct_script_put_facts(rig.below[0], "k", "below",
                          &(mtc_facts){.left_ms = HOUR_MS},
                          atomic_load(&rig.clock.now_ms));
    mtct_caller reader = {.cache = rig.cache, .key = "k"};
    mtct_mood_hold(&rig.moods[0], MTC_VERB_READ, true);
    mtct_caller_start(&reader);
    mtct_wait_for(&rig.moods[0].holding, 1);
    jump(2000);
    mtct_mood_hold(&rig.moods[0], MTC_VERB_READ, false);
    mtct_caller_join(&reader);
    assert_string_equal(reader.text, "below");
    mtct_assert_get(rig.cache, "k", "below");
    jump(HOUR_MS - 2000);
    assert_int_equal(look("k", 0), MTC_MISS);
}

static void who_has_a_deadline_leaves_and_the_others_wait(void **state)
{
    static mtct_caller patient, hastiest;
    (void)state;
    mtct_rig_open(&rig);
    mtct_caller leader = loading();
    mtct_caller_start(&leader);
    mtct_stop_await(&at_loader, 1);
    mtct_caller hasty = loading();
    hasty.call.deadline_ms = HOUR_MS;
    mtct_callers_start(callers, SOME, hasty);
    patient = loading();
    mtct_caller_start(&patient);
    hastiest = loading();
    hastiest.call.deadline_ms = 1;
    mtct_caller_start(&hastiest);
    mtct_followers_await(rig.cache, SOME + 2);
    jump(DAY_MS);
    /* The others sleep on the real clock; who leaves wakes them. */
    mtct_caller_join(&hastiest);
    assert_int_equal(hastiest.status, MTC_E_TIMEOUT);
    mtct_callers_join(callers, SOME);
    mtct_assert_all_got(callers, SOME, MTC_E_TIMEOUT, "");
    mtct_stop_open(&at_loader);
    mtct_caller_join(&leader);
    mtct_caller_join(&patient);
    assert_string_equal(patient.text, "loaded");
    assert_int_equal(loads, 1);
    assert_int_equal(mtct_rig_stats(&rig).in_flight, 0);
}

static void what_a_tier_owes_is_owed_after_days(void **state)
{
    (void)state;
    mtct_rig_open(&rig);
    mtct_script_put(rig.below[0], "k", "old", MTC_TTL_MS_MAX);
    mtct_mood_set(&rig.moods[0], MTC_VERB_REMOVE, MTC_E_UNAVAILABLE);
    assert_int_equal(mtc_cache_remove(rig.cache, mtc_str("k")), MTC_PENDING);
    jump(100 * DAY_MS);
    assert_true(look("k", 0) < 0);
    assert_true(look("k", MTC_CALL_ACCEPT_STALE) < 0);
    mtct_mood_set(&rig.moods[0], MTC_VERB_REMOVE, MTC_OK);
    mtct_rig_wait_paid(&rig, 1);
    mtct_rig_wait_up(&rig, 1);
    assert_int_equal(look("k", 0), MTC_MISS);
    assert_true(mtct_script_holds(rig.below[0], "k", NULL));
}

static mtc_status load_fails(mtc_load *load, void *ctx)
{
    (void)load;
    (void)ctx;
    atomic_fetch_add(&loads, 1);
    return MTC_E_DENIED;
}

static void a_failure_is_forgotten(void **state)
{
    mtc_strategy strategy = MTC_STRATEGY_INIT(HOUR_MS);
    (void)state;
    strategy.error_ms = HOUR_MS;
    mtct_rig_open(&rig);
    mtct_caller caller = loading();
    caller.call.strategy = &strategy;
    caller.loader = load_fails;
    for (int i = 0; i < 3; i++) {
        mtct_caller_run(&caller);
        assert_int_equal(caller.status, MTC_E_DENIED);
    }
    assert_int_equal(loads, 1);
    jump(DAY_MS);
    mtct_caller_run(&caller);
    assert_int_equal(loads, 2);
}

static void every_timer_of_a_queue_is_due_once(void **state)
{
    static mtct_heard heard[SOME];
    mtc_queue *queue;
    (void)state;
    mtct_rig_open(&rig);
    assert_int_equal(mtc_queue_open(rig.cache, &queue), MTC_OK);
    mtct_caller leader = loading();
    mtct_caller_start(&leader);
    mtct_stop_await(&at_loader, 1);
    for (int i = 0; i < SOME; i++) {
        mtc_call call = MTC_CALL_INIT;
        call.deadline_ms = HOUR_MS * (i + 1);
        heard[i] = (mtct_heard){0};
        assert_int_equal(mtc_cache_get_or_load_async(queue, mtc_str("k"), &call,
                                                     load_when_let, NULL,
                                                     mtct_hear, &heard[i]),
                         MTC_PENDING);
    }
    mtct_drain_all(queue);
    jump(30 * DAY_MS);
    assert_int_equal(mtc_queue_wait_ms(queue), 0);
    mtct_drain_all(queue);
    for (int i = 0; i < SOME; i++)
        mtct_assert_heard(&heard[i], MTC_E_TIMEOUT, "");
    mtct_stop_open(&at_loader);
    mtct_caller_join(&leader);
    mtct_drain_all(queue);
    assert_int_equal(heard[0].count, 1);
    assert_int_equal(mtc_queue_close(&queue), MTC_OK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_ended_meanwhile_is_served_by_no_tier),
        TEST(what_has_no_end_or_a_far_one_is_still_there),
        TEST(a_load_that_spans_days_is_stored_for_its_whole_life),
        TEST(a_copy_read_before_the_jump_is_not_promoted_for_long),
        TEST(who_has_a_deadline_leaves_and_the_others_wait),
        TEST(what_a_tier_owes_is_owed_after_days),
        TEST(a_failure_is_forgotten),
        TEST(every_timer_of_a_queue_is_due_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
