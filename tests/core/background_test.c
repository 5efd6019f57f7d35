/*
 * Loads behind their callers: soft and hard time-outs, stale-while-revalidate.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>

#include "core/cache.h"
#include "support/callers.h"
#include "support/chain_rig.h"

#define SOME 50

static mtct_rig rig;
static mtct_caller callers[SOME];
static mtc_strategy strategy;

/* The source: loaders stop at its door and then say status and value. */
static struct {
    mtct_stop door;
    _Atomic int status;
    const char *_Atomic value;
    _Atomic unsigned loads;
    _Atomic bool ends_thread;
    pthread_t _Atomic thread;
} source;

static int setup(void **state)
{
    (void)state;
    mtct_rig_init(&rig, 1);
    memset(&source, 0, sizeof source);
    strategy = (mtc_strategy)MTC_STRATEGY_INIT(100);
    strategy.stale_ms = 10000;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mtct_stop_open(&source.door);
    mtct_rig_fini(&rig);
    return 0;
}

static mtc_status load(mtc_load *load, void *ctx)
{
    (void)ctx;
    atomic_fetch_add(&source.loads, 1);
    atomic_store(&source.thread, pthread_self());
    mtct_stop_here(&source.door);
    if (atomic_exchange(&source.ends_thread, false))
        pthread_exit(NULL);
    if (atomic_load(&source.status) != MTC_OK)
        return (mtc_status)atomic_load(&source.status);
    return mtc_load_set_value(load, mtc_str(atomic_load(&source.value)));
}

static void step(int64_t ms)
{
    atomic_fetch_add(&rig.clock.now_ms, ms);
}

static mtct_caller asking(void)
{
    return (mtct_caller){.cache = rig.cache,
                         .key = "k",
                         .loader = load,
                         .call = {sizeof(mtc_call), 0, 0, &strategy, NULL}};
}

static void expect(mtc_status status, const char *value)
{
    mtct_caller caller = asking();
    mtct_caller_run(&caller);
    assert_int_equal(caller.status, status);
    assert_string_equal(caller.text, value);
}

/* Puts "old" into every tier, lets its ttl end, and closes the door. */
static void have_stale(void)
{
    mtct_stop_open(&source.door);
    source.value = "old";
    expect(MTC_OK, "old");
    mtct_quiet_await(rig.cache);
    mtct_stop_close(&source.door);
    source.value = "new";
    source.loads = 0;
    source.door.arrived = 0;
    step(150);
}

/* Lets the load end. */
static void let_go(void)
{
    mtct_stop_open(&source.door);
    mtct_quiet_await(rig.cache);
}

static void expect_plain(mtc_status status, const char *value)
{
    mtct_caller caller = asking();
    caller.loader = NULL;
    mtct_caller_run(&caller);
    assert_int_equal(caller.status, status);
    assert_string_equal(caller.text, value);
}

/* -- time-outs ------------------------------------------------------------ */

static void all_have_the_stale_copy_at_the_soft_time_out(void **state)
{
    (void)state;
    strategy.soft_ms = 50;
    mtct_rig_open(&rig);
    have_stale();
    mtct_callers_start(callers, SOME, asking());
    mtct_stop_await(&source.door, 1);
    mtct_followers_await(rig.cache, SOME - 1);
    step(49);
    for (size_t i = 0; i < SOME; i++)
        assert_int_equal(callers[i].status, MTCT_NOT_YET);
    step(1);
    mtct_callers_join(callers, SOME);
    mtct_assert_all_got(callers, SOME, MTC_STALE, "old");
    assert_int_equal(mtct_rig_stats(&rig).in_flight, 1);
    let_go();
    assert_int_equal(source.loads, 1);
    expect_plain(MTC_OK, "new");
}

static void a_load_within_the_soft_time_out_answers_all(void **state)
{
    (void)state;
    strategy.soft_ms = 50;
    mtct_rig_open(&rig);
    have_stale();
    mtct_callers_start(callers, SOME, asking());
    mtct_stop_await(&source.door, 1);
    mtct_followers_await(rig.cache, SOME - 1);
    step(40);
    mtct_stop_open(&source.door);
    mtct_callers_join(callers, SOME);
    mtct_assert_all_got(callers, SOME, MTC_OK, "new");
    assert_int_equal(source.loads, 1);
}

static void without_a_copy_the_hard_time_out_counts(void **state)
{
    (void)state;
    strategy.soft_ms = 10;
    strategy.hard_ms = 80;
    source.value = "new";
    mtct_rig_open(&rig);
    mtct_callers_start(callers, SOME, asking());
    mtct_stop_await(&source.door, 1);
    mtct_followers_await(rig.cache, SOME - 1);
    step(79);
    for (size_t i = 0; i < SOME; i++)
        assert_int_equal(callers[i].status, MTCT_NOT_YET);
    step(1);
    mtct_callers_join(callers, SOME);
    mtct_assert_all_got(callers, SOME, MTC_E_TIMEOUT, "");
    let_go();
    assert_int_equal(source.loads, 1);
    expect_plain(MTC_OK, "new");
    assert_true(mtct_script_holds(rig.below[0], "k", "new"));
}

static void with_a_copy_the_hard_time_out_gives_it(void **state)
{
    (void)state;
    strategy.hard_ms = 80;
    mtct_rig_open(&rig);
    have_stale();
    mtct_caller caller = asking();
    mtct_caller_start(&caller);
    mtct_stop_await(&source.door, 1);
    step(80);
    mtct_caller_join(&caller);
    assert_int_equal(caller.status, MTC_STALE);
    let_go();
}

static void a_tier_that_hangs_does_not_hold_up_a_stale_copy(void **state)
{
    (void)state;
    strategy.soft_ms = 50;
    mtct_rig_open(&rig);
    have_stale();
    mtct_mood_hold(&rig.moods[0], MTC_VERB_READ, true);
    mtct_caller caller = asking();
    mtct_caller_start(&caller);
    mtct_asked_await(rig.cache, 1);
    step(50);
    mtct_caller_join(&caller);
    assert_int_equal(caller.status, MTC_STALE);
    assert_string_equal(caller.text, "old");
    mtct_mood_hold(&rig.moods[0], MTC_VERB_READ, false);
    let_go();
    expect_plain(MTC_OK, "new");
}

static void a_call_s_own_deadline_counts_as_well(void **state)
{
    (void)state;
    strategy.hard_ms = 80;
    mtct_rig_open(&rig);
    mtct_caller caller = asking();
    caller.call.deadline_ms = 20;
    source.value = "new";
    mtct_caller_start(&caller);
    mtct_stop_await(&source.door, 1);
    step(20);
    mtct_caller_join(&caller);
    assert_int_equal(caller.status, MTC_E_TIMEOUT);
    let_go();
    expect_plain(MTC_OK, "new");
}

static void what_was_removed_meanwhile_is_not_stored(void **state)
{
    (void)state;
    strategy.soft_ms = 50;
    mtct_rig_open(&rig);
    have_stale();
    mtct_caller caller = asking();
    mtct_caller_start(&caller);
    mtct_stop_await(&source.door, 1);
    step(50);
    mtct_caller_join(&caller);
    assert_int_equal(mtc_cache_remove(rig.cache, mtc_str("k")), MTC_OK);
    let_go();
    expect_plain(MTC_MISS, "");
    assert_false(mtct_script_holds(rig.below[0], "k", "new"));
}

/* -- stale-while-revalidate ------------------------------------------------ */

static void without_a_wait_the_stale_copy_comes_at_once(void **state)
{
    (void)state;
    strategy.soft_ms = 0;
    mtct_rig_open(&rig);
    have_stale();
    for (int i = 0; i < 100; i++)
        expect(MTC_STALE, "old");
    mtct_stop_await(&source.door, 1);
    let_go();
    assert_int_equal(source.loads, 1);
    expect_plain(MTC_OK, "new");
}

static void what_another_wrote_below_is_taken_without_a_load(void **state)
{
    (void)state;
    strategy.soft_ms = 0;
    mtct_rig_open(&rig);
    have_stale();
    mtc_facts facts = {.left_ms = 5000};
    mtct_script_put_facts(rig.below[0], "k", "theirs", &facts,
                          atomic_load(&rig.clock.now_ms));
    expect(MTC_STALE, "old");
    mtct_quiet_await(rig.cache);
    assert_int_equal(source.loads, 0);
    expect(MTC_OK, "theirs");
}

static void a_refresh_that_fails_is_not_tried_again_at_once(void **state)
{
    (void)state;
    strategy.soft_ms = 0;
    mtct_rig_open(&rig);
    have_stale();
    mtct_stop_open(&source.door);
    source.status = MTC_E_UNAVAILABLE;
    for (int i = 0; i < 100; i++) {
        expect(MTC_STALE, "old");
        mtct_quiet_await(rig.cache);
    }
    assert_int_equal(source.loads, 1);
    step(1000);
    source.status = MTC_OK;
    expect(MTC_STALE, "old");
    mtct_quiet_await(rig.cache);
    expect(MTC_OK, "new");
}

/* -- threads -------------------------------------------------------------- */

static void loads_run_on_a_thread_of_the_cache(void **state)
{
    (void)state;
    strategy.hard_ms = 1000;
    source.value = "new";
    mtct_stop_open(&source.door);
    mtct_rig_open(&rig);
    expect(MTC_OK, "new");
    assert_false(pthread_equal(source.thread, pthread_self()));
}

static void a_loader_that_ends_its_thread_hands_over(void **state)
{
    (void)state;
    strategy.hard_ms = 1000;
    source.value = "new";
    source.ends_thread = true;
    mtct_rig_open(&rig);
    mtct_callers_start(callers, SOME, asking());
    mtct_stop_await(&source.door, 1);
    mtct_followers_await(rig.cache, SOME - 1);
    mtct_stop_open(&source.door);
    mtct_callers_join(callers, SOME);
    mtct_assert_all_got(callers, SOME, MTC_OK, "new");
    assert_int_equal(source.loads, 2);
    mtct_quiet_await(rig.cache); /* the turns are back */
}

/* Lets the load end once close has begun; the load holds the cache. */
static void *open_once_closed(void *ctx)
{
    while (mtci_cache_gate(ctx) == MTC_OK)
        sched_yield();
    mtct_stop_open(&source.door);
    return NULL;
}

static void close_waits_for_a_load_behind(void **state)
{
    (void)state;
    strategy.soft_ms = 0;
    rig.options.grace_ms = 60000;
    mtct_rig_open(&rig);
    have_stale();
    expect(MTC_STALE, "old");
    mtct_stop_await(&source.door, 1);
    pthread_t opener = mtct_thread_start(open_once_closed, rig.cache);
    assert_int_equal(mtc_cache_close(&rig.cache), MTC_OK);
    assert_int_equal(source.door.is_open, 1);
    pthread_join(opener, NULL);
    assert_int_equal(source.loads, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            all_have_the_stale_copy_at_the_soft_time_out, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_load_within_the_soft_time_out_answers_all, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_copy_the_hard_time_out_counts,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(with_a_copy_the_hard_time_out_gives_it,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_tier_that_hangs_does_not_hold_up_a_stale_copy, setup, teardown),
        cmocka_unit_test_setup_teardown(a_call_s_own_deadline_counts_as_well,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            what_was_removed_meanwhile_is_not_stored, setup, teardown),
        cmocka_unit_test_setup_teardown(
            without_a_wait_the_stale_copy_comes_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(
            what_another_wrote_below_is_taken_without_a_load, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_refresh_that_fails_is_not_tried_again_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(loads_run_on_a_thread_of_the_cache,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_loader_that_ends_its_thread_hands_over, setup, teardown),
        cmocka_unit_test_setup_teardown(close_waits_for_a_load_behind, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
