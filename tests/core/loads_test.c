/*
 * How many loads run at a time: turns, who waits for one, and who gives up.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <stdio.h>

#include "core/loads.h"
#include "support/callers.h"
#include "support/chain_rig.h"

#define SOME 40

static mtct_rig rig;
static mtct_caller callers[SOME];
static char keys[SOME][8];
static mtc_strategy strategy, behind;

static struct {
    mtct_stop door;
    _Atomic unsigned inside, most;
} source;

static int setup_over(size_t scripts)
{
    mtct_rig_init(&rig, scripts);
    memset(&source, 0, sizeof source);
    strategy = (mtc_strategy)MTC_STRATEGY_INIT(100);
    behind = strategy;
    behind.hard_ms = 60000; /* on loader threads */
    rig.options.loads_max = 1;
    for (size_t i = 0; i < SOME; i++)
        snprintf(keys[i], sizeof keys[i], "k%zu", i);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    return setup_over(0);
}

/* Memory over a tier that the test bends. */
static int setup_two(void **state)
{
    (void)state;
    return setup_over(1);
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
    unsigned inside = atomic_fetch_add(&source.inside, 1) + 1;
    if (inside > atomic_load(&source.most))
        atomic_store(&source.most, inside);
    mtct_stop_here(&source.door);
    atomic_fetch_sub(&source.inside, 1);
    return mtc_load_set_value(load, mtc_load_key(load));
}

static mtct_caller asking(size_t i)
{
    return (mtct_caller){.cache = rig.cache,
                         .key = keys[i],
                         .loader = load,
                         .call = {sizeof(mtc_call), 0, 0, &strategy, NULL}};
}

static void start(size_t i, const mtc_strategy *how)
{
    callers[i] = asking(i);
    callers[i].call.strategy = how;
    mtct_caller_start(&callers[i]);
}

static void step(int64_t ms)
{
    atomic_fetch_add(&rig.clock.now_ms, ms);
}

static void await_waiting(uint64_t count)
{
    for (int i = 0; mtct_rig_stats(&rig).loads_waiting != count; i++) {
        assert_true(i < 100000000);
        sched_yield();
    }
}

/* The first has the only turn, the second waits for it. */
static void start_two(const mtc_strategy *how)
{
    mtct_rig_open(&rig);
    start(0, how);
    mtct_stop_await(&source.door, 1);
    start(1, how);
    await_waiting(1);
    assert_int_equal(mtct_rig_stats(&rig).loads_running, 1);
}

static void expect(size_t i, mtc_status status)
{
    mtct_caller_join(&callers[i]);
    assert_int_equal(callers[i].status, status);
}

static void a_load_waits_for_its_turn(void **state)
{
    (void)state;
    start_two(&strategy);
    mtct_stop_open(&source.door);
    expect(0, MTC_OK);
    expect(1, MTC_OK);
    assert_int_equal(source.most, 1);
    mtct_quiet_await(rig.cache); /* the turns are back */
}

static void no_more_loads_run_than_may(void **state)
{
    (void)state;
    rig.options.loads_max = 3;
    mtct_rig_open(&rig);
    for (size_t i = 0; i < SOME; i++)
        start(i, i % 2 ? &behind : &strategy);
    mtct_stop_await(&source.door, 3);
    await_waiting(SOME - 3);
    mtct_stop_open(&source.door);
    for (size_t i = 0; i < SOME; i++)
        expect(i, MTC_OK);
    assert_int_equal(source.most, 3);
}

static void who_waits_too_long_is_told_busy(void **state)
{
    (void)state;
    start_two(&strategy);
    step(MTCI_LOADS_WAIT_MS);
    expect(1, MTC_E_BUSY);
    await_waiting(0);
    mtct_stop_open(&source.door);
    expect(0, MTC_OK);
}

static void who_waits_too_long_has_the_stale_copy(void **state)
{
    (void)state;
    strategy.stale_ms = 100000;
    mtct_rig_open(&rig);
    assert_int_equal(mtc_cache_set(rig.cache, mtc_str(keys[1]), mtc_str("old"),
                                   &strategy),
                     MTC_OK);
    step(150);
    start(0, &strategy);
    mtct_stop_await(&source.door, 1);
    start(1, &strategy);
    await_waiting(1);
    step(MTCI_LOADS_WAIT_MS);
    expect(1, MTC_STALE);
    assert_string_equal(callers[1].text, "old");
    mtct_stop_open(&source.door);
    expect(0, MTC_OK);
}

static void a_load_behind_waits_no_longer(void **state)
{
    (void)state;
    start_two(&behind);
    step(MTCI_LOADS_WAIT_MS);
    expect(1, MTC_E_BUSY);
    mtct_stop_open(&source.door);
    expect(0, MTC_OK);
}

static void a_call_s_deadline_ends_its_wait(void **state)
{
    (void)state;
    mtct_rig_open(&rig);
    start(0, &strategy);
    mtct_stop_await(&source.door, 1);
    callers[1] = asking(1);
    callers[1].call.deadline_ms = 30;
    mtct_caller_start(&callers[1]);
    await_waiting(1);
    /* Who follows it loads when it has gone. */
    callers[2] = asking(1);
    mtct_caller_start(&callers[2]);
    mtct_followers_await(rig.cache, 1);
    step(30);
    expect(1, MTC_E_TIMEOUT);
    await_waiting(1);
    mtct_stop_open(&source.door);
    expect(0, MTC_OK);
    expect(2, MTC_OK);
}

static mtc_status load_another(mtc_load *outer, void *ctx)
{
    (void)ctx;
    mtct_caller inner = asking(1);
    mtct_caller_run(&inner);
    return inner.status == MTC_OK ? mtc_load_set_value(outer, mtc_str("both"))
                                  : inner.status;
}

static void a_load_inside_a_load_needs_no_turn(void **state)
{
    (void)state;
    mtct_rig_open(&rig);
    mtct_stop_open(&source.door);
    mtct_caller outer = asking(0);
    outer.loader = load_another;
    mtct_caller_run(&outer);
    assert_int_equal(outer.status, MTC_OK);
    outer.call.strategy = &behind;
    outer.key = "behind";
    mtct_caller_run(&outer);
    assert_int_equal(outer.status, MTC_OK);
}

/* Each asks for keys of its own while the tier below is away. */
static void *ask_for_many(void *ctx)
{
    char key[16];
    mtc_value value;
    size_t who = (size_t)ctx;
    for (int i = 0; i < 250; i++) {
        snprintf(key, sizeof key, "%zu:%d", who, i);
        mtc_strategy how = i % 2 ? behind : strategy;
        if (mtc_cache_get_or_load(rig.cache, mtc_str(key), &how, load, NULL,
                                  &value) == MTC_OK)
            mtc_value_free(&value);
    }
    return NULL;
}

static void a_cold_cache_does_not_put_more_on_the_source(void **state)
{
    (void)state;
    pthread_t threads[SOME];
    rig.options.loads_max = 4;
    mtct_rig_open(&rig);
    mtct_mood_set(&rig.moods[0], MTC_VERB_READ, MTC_E_UNAVAILABLE);
    mtct_stop_open(&source.door);
    for (size_t i = 0; i < SOME; i++)
        threads[i] = mtct_thread_start(ask_for_many, (void *)i);
    for (size_t i = 0; i < SOME; i++)
        pthread_join(threads[i], NULL);
    mtct_quiet_await(rig.cache);
    assert_int_equal(mtct_rig_stats(&rig).loads, 250 * SOME);
    assert_in_range(source.most, 1, 4);
}

/* Opens the door once the waiting call has been told. */
static void *open_after_second(void *ctx)
{
    (void)ctx;
    expect(1, MTC_E_CLOSED);
    mtct_stop_open(&source.door);
    return NULL;
}

static void close_tells_who_waits_for_a_turn(void **state)
{
    (void)state;
    rig.options.grace_ms = 60000;
    start_two(&strategy);
    pthread_t opener = mtct_thread_start(open_after_second, NULL);
    assert_int_equal(mtc_cache_close(&rig.cache), MTC_OK);
    pthread_join(opener, NULL);
    expect(0, MTC_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_load_waits_for_its_turn, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(no_more_loads_run_than_may, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(who_waits_too_long_is_told_busy, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(who_waits_too_long_has_the_stale_copy,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_load_behind_waits_no_longer, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_call_s_deadline_ends_its_wait, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_load_inside_a_load_needs_no_turn,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_cold_cache_does_not_put_more_on_the_source, setup_two, teardown),
        cmocka_unit_test_setup_teardown(close_tells_who_waits_for_a_turn, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
