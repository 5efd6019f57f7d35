/*
 * Early refresh: entries that are loaded anew behind a hit, before they end.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "core/life.h"
#include "support/callers.h"
#include "support/chain_rig.h"

static mtct_rig rig;
static mtc_strategy strategy;

static struct {
    mtct_stop door;
    _Atomic int status;
    const char *_Atomic value;
    _Atomic unsigned loads;
    int64_t takes_ms;
    char stale[8]; /* what the loader saw of the old value */
} source;

static int setup(void **state)
{
    (void)state;
    mtct_rig_init(&rig, 1);
    memset(&source, 0, sizeof source);
    mtct_stop_open(&source.door);
    source.value = "old";
    strategy = (mtc_strategy)MTC_STRATEGY_INIT(1000);
    strategy.refresh_percent = 20;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mtct_stop_open(&source.door);
    mtct_rig_fini(&rig);
    return 0;
}

static void step(int64_t ms)
{
    atomic_fetch_add(&rig.clock.now_ms, ms);
}

static void see_stale(mtc_load *load)
{
    mtc_value stale;
    memset(source.stale, 0, sizeof source.stale);
    if (mtc_load_stale(load, &stale) == MTC_OK)
        memcpy(source.stale, stale.data, stale.size);
    mtc_value_free(&stale);
}

static mtc_status load(mtc_load *load, void *ctx)
{
    (void)ctx;
    atomic_fetch_add(&source.loads, 1);
    see_stale(load);
    mtct_stop_here(&source.door);
    step(source.takes_ms);
    if (atomic_load(&source.status) != MTC_OK)
        return (mtc_status)atomic_load(&source.status);
    return mtc_load_set_value(load, mtc_str(atomic_load(&source.value)));
}

static void expect(mtc_status status, const char *text)
{
    mtc_value value;
    assert_int_equal(mtc_cache_get_or_load(rig.cache, mtc_str("k"), &strategy,
                                           load, NULL, &value),
                     status);
    assert_int_equal(value.size, strlen(text));
    if (value.size > 0)
        assert_memory_equal(value.data, text, value.size);
    mtc_value_free(&value);
}

/* The same, and a refresh that it may have begun has ended. */
static void expect_settled(mtc_status status, const char *text)
{
    expect(status, text);
    mtct_quiet_await(rig.cache);
}

static void begin(void)
{
    mtct_rig_open(&rig);
    expect_settled(MTC_OK, "old");
    source.loads = 0;
    source.door.arrived = 0;
    source.value = "new";
}

/* -- in the last part of a ttl --------------------------------------------- */

static void a_hit_in_the_last_part_starts_one_load_behind_it(void **state)
{
    (void)state;
    begin();
    step(700);
    expect_settled(MTC_OK, "old");
    assert_int_equal(source.loads, 0);
    mtct_stop_close(&source.door);
    step(100);
    for (int i = 0; i < 100; i++)
        expect(MTC_OK, "old");
    mtct_stop_await(&source.door, 1);
    assert_int_equal(source.loads, 1);
    assert_string_equal(source.stale, "old");
    mtct_stop_open(&source.door);
    mtct_quiet_await(rig.cache);
    expect_settled(MTC_OK, "new");
    step(700);
    expect_settled(MTC_OK, "new");
    assert_int_equal(source.loads, 1);
    assert_true(mtct_script_holds(rig.below[0], "k", "new"));
}

static void a_call_with_options_refreshes_as_well(void **state)
{
    (void)state;
    begin();
    step(850);
    mtct_caller caller = {.cache = rig.cache,
                          .key = "k",
                          .loader = load,
                          .call = {sizeof(mtc_call), 0, 0, &strategy, NULL}};
    mtct_caller_run(&caller);
    assert_string_equal(caller.text, "old");
    mtct_quiet_await(rig.cache);
    assert_int_equal(source.loads, 1);
}

static void a_plain_get_refreshes_nothing(void **state)
{
    (void)state;
    begin();
    step(850);
    mtct_assert_get(rig.cache, "k", "old");
    mtct_quiet_await(rig.cache);
    assert_int_equal(source.loads, 0);
}

static void what_another_refreshed_below_is_taken(void **state)
{
    (void)state;
    begin();
    step(850);
    mtc_facts facts = {.left_ms = 990, .ttl_ms = 1000};
    mtct_script_put_facts(rig.below[0], "k", "theirs", &facts,
                          atomic_load(&rig.clock.now_ms));
    expect_settled(MTC_OK, "old");
    assert_int_equal(source.loads, 0);
    expect_settled(MTC_OK, "theirs");
}

static void what_is_due_below_as_well_is_loaded(void **state)
{
    (void)state;
    begin();
    step(850);
    mtc_facts facts = {.left_ms = 190, .ttl_ms = 1000};
    mtct_script_put_facts(rig.below[0], "k", "theirs", &facts,
                          atomic_load(&rig.clock.now_ms));
    expect_settled(MTC_OK, "old");
    assert_int_equal(source.loads, 1);
    expect_settled(MTC_OK, "new");
}

static void a_refresh_that_fails_leaves_the_entry_as_it_is(void **state)
{
    (void)state;
    strategy.throttle_ms = 50;
    begin();
    source.status = MTC_E_UNAVAILABLE;
    step(850);
    for (int i = 0; i < 20; i++)
        expect_settled(MTC_OK, "old");
    assert_int_equal(source.loads, 1);
    step(50);
    expect_settled(MTC_OK, "old");
    assert_int_equal(source.loads, 2);
    step(100);
    expect_settled(MTC_E_UNAVAILABLE, "");
    assert_int_equal(source.loads, 3);
}

static void an_entry_removed_meanwhile_stays_away(void **state)
{
    (void)state;
    begin();
    step(850);
    mtct_stop_close(&source.door);
    expect(MTC_OK, "old");
    mtct_stop_await(&source.door, 1);
    assert_int_equal(mtc_cache_remove(rig.cache, mtc_str("k")), MTC_OK);
    mtct_stop_open(&source.door);
    mtct_quiet_await(rig.cache);
    mtct_assert_get(rig.cache, "k", NULL);
}

/* -- by chance ------------------------------------------------------------ */

static void the_load_time_is_kept_with_the_entry(void **state)
{
    (void)state;
    strategy.refresh_percent = 0;
    strategy.refresh_beta = 1;
    source.takes_ms = 30;
    begin();
    mtc_value value;
    mtc_value_info info = MTC_VALUE_INFO_INIT;
    assert_int_equal(mtc_cache_get(rig.cache, mtc_str("k"), &value), MTC_OK);
    assert_int_equal(mtc_value_info_get(&value, &info), MTC_OK);
    assert_int_equal(info.load_ms, 30);
    mtc_value_free(&value);
    assert_int_equal(mtct_script_facts(rig.below[0], "k").load_ms, 30);
}

static void a_load_time_that_nobody_asks_for_is_not_kept(void **state)
{
    (void)state;
    source.takes_ms = 30;
    begin();
    assert_int_equal(mtct_script_facts(rig.below[0], "k").load_ms, 0);
}

/* Of calls that find the entry so long before its end, the share that is to
 * refresh it. */
static double share_due(int64_t left_ms)
{
    mtc_facts facts = {.left_ms = left_ms, .ttl_ms = 1000, .load_ms = 100};
    unsigned due = 0;
    for (int i = 0; i < 100000; i++)
        due += mtci_life_is_due(&strategy, &facts, 1000);
    return due / 100000.0;
}

static void the_chance_grows_towards_the_end(void **state)
{
    (void)state;
    strategy.refresh_percent = 0;
    strategy.refresh_beta = 2;
    /* exp(-left / (load time * beta)) */
    assert_true(fabs(share_due(200) - exp(-1)) < 0.01);
    assert_true(fabs(share_due(20) - exp(-0.1)) < 0.01);
    assert_true(fabs(share_due(800) - exp(-4)) < 0.01);
    mtct_rig_open(&rig);
}

static void a_hit_that_chance_picks_is_refreshed(void **state)
{
    (void)state;
    strategy.refresh_percent = 0;
    strategy.refresh_beta = 1000;
    source.takes_ms = 1;
    begin();
    step(500); /* at a chance of 0.6 each */
    for (int i = 0; i < 100 && source.loads == 0; i++)
        expect_settled(MTC_OK, "old");
    assert_int_equal(source.loads, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_hit_in_the_last_part_starts_one_load_behind_it, setup, teardown),
        cmocka_unit_test_setup_teardown(a_call_with_options_refreshes_as_well,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_plain_get_refreshes_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_another_refreshed_below_is_taken,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_due_below_as_well_is_loaded,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_refresh_that_fails_leaves_the_entry_as_it_is, setup, teardown),
        cmocka_unit_test_setup_teardown(an_entry_removed_meanwhile_stays_away,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(the_load_time_is_kept_with_the_entry,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_load_time_that_nobody_asks_for_is_not_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(the_chance_grows_towards_the_end, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_hit_that_chance_picks_is_refreshed,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
