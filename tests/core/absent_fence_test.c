/*
 * Negative entries and values of one key: whichever was said last holds, in
 * memory and below, also where a load or a look-up was under way.
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

static mtct_rig rig;
static mtct_stop at_loader;
static mtc_strategy strategy;

static int setup(void **state)
{
    (void)state;
    mtct_rig_init(&rig, 1);
    mtct_rig_open(&rig);
    at_loader = (mtct_stop){0};
    strategy = (mtc_strategy)MTC_STRATEGY_INIT(60000);
    strategy.absent_ms = 30000;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mtct_stop_open(&at_loader);
    mtct_rig_fini(&rig);
    return 0;
}

static mtc_status find_nothing(mtc_load *load, void *ctx)
{
    (void)load;
    (void)ctx;
    mtct_stop_here(&at_loader);
    return MTC_MISS;
}

static mtc_status find_nothing_of_many(mtc_bulk *bulk, void *ctx)
{
    (void)bulk;
    (void)ctx;
    mtct_stop_here(&at_loader);
    return MTC_MISS;
}

static mtct_caller finding_nothing(void)
{
    mtct_caller caller = {.cache = rig.cache,
                          .key = "k",
                          .loader = find_nothing,
                          .call = MTC_CALL_INIT};
    caller.call.strategy = &strategy;
    return caller;
}

static void set_value(const char *value)
{
    assert_int_equal(mtc_cache_set(rig.cache, mtc_str("k"), mtc_str(value),
                                   &strategy),
                     MTC_OK);
}

/* A plain get answers so, from memory and from below. */
static void assert_status(mtc_status status)
{
    mtc_value value;
    assert_int_equal(mtc_cache_get(rig.cache, mtc_str("k"), &value), status);
    mtc_value_free(&value);
    mtct_quiet_await(rig.cache);
    assert_int_equal(mtct_rig_get_below(&rig, "k"), status);
}

/* -- one after the other --------------------------------------------------- */

static void remember_nothing(void)
{
    mtct_caller caller = finding_nothing();
    mtct_stop_open(&at_loader);
    mtct_caller_run(&caller);
    assert_int_equal(caller.status, MTC_ABSENT);
    mtct_quiet_await(rig.cache);
}

static void a_value_takes_the_place_of_an_absence(void **state)
{
    (void)state;
    remember_nothing();
    assert_status(MTC_ABSENT);
    set_value("v");
    assert_status(MTC_OK);
    mtct_assert_get(rig.cache, "k", "v");
}

static void a_removal_takes_an_absence_away(void **state)
{
    (void)state;
    remember_nothing();
    assert_int_equal(mtc_cache_remove(rig.cache, mtc_str("k")), MTC_OK);
    assert_status(MTC_MISS);
}

static void an_absence_ends_while_the_value_below_is_there(void **state)
{
    (void)state;
    remember_nothing();
    mtct_script_put_facts(rig.below[0], "k", "foreign",
                          &(mtc_facts){.left_ms = 600000},
                          atomic_load(&rig.clock.now_ms));
    atomic_fetch_add(&rig.clock.now_ms, 30000);
    mtct_assert_get(rig.cache, "k", "foreign");
}

/* -- one during the other -------------------------------------------------- */

static void an_absence_that_a_set_overtook_is_not_kept(void **state)
{
    (void)state;
    mtct_caller leader = finding_nothing();
    mtct_caller_start(&leader);
    mtct_stop_await(&at_loader, 1);
    set_value("v");
    mtct_stop_open(&at_loader);
    mtct_caller_join(&leader);
    assert_int_equal(leader.status, MTC_ABSENT);
    assert_status(MTC_OK);
    mtct_assert_get(rig.cache, "k", "v");
}

static void an_absence_that_a_removal_overtook_is_not_kept(void **state)
{
    (void)state;
    mtct_caller leader = finding_nothing();
    mtct_caller_start(&leader);
    mtct_stop_await(&at_loader, 1);
    assert_int_equal(mtc_cache_remove(rig.cache, mtc_str("k")), MTC_OK);
    mtct_stop_open(&at_loader);
    mtct_caller_join(&leader);
    assert_status(MTC_MISS);
}

static void *get_many(void *ctx)
{
    mtc_item *items = ctx;
    mtc_cache_get_or_load_many(rig.cache, items, 2, &strategy,
                               find_nothing_of_many, NULL);
    return NULL;
}

static void nor_is_that_of_a_bulk(void **state)
{
    mtc_item items[2] = {{.key = mtc_str("k")}, {.key = mtc_str("other")}};
    (void)state;
    pthread_t thread = mtct_thread_start(get_many, items);
    mtct_stop_await(&at_loader, 1);
    set_value("v");
    mtct_stop_open(&at_loader);
    pthread_join(thread, NULL);
    assert_int_equal(items[0].status, MTC_ABSENT);
    assert_int_equal(items[1].status, MTC_ABSENT);
    assert_status(MTC_OK);
    mtct_assert_get(rig.cache, "k", "v");
}

static mtc_load *left;

static mtc_status answer_later(mtc_load *load, void *ctx)
{
    (void)ctx;
    left = load;
    return MTC_PENDING;
}

static void nor_is_a_late_answer_of_an_asynchronous_call(void **state)
{
    mtct_heard heard = {0};
    mtc_queue *queue;
    mtc_call call = MTC_CALL_INIT;
    (void)state;
    call.strategy = &strategy;
    left = NULL;
    assert_int_equal(mtc_queue_open(rig.cache, &queue), MTC_OK);
    mtc_cache_get_or_load_async(queue, mtc_str("k"), &call, answer_later, NULL,
                                mtct_hear, &heard);
    while (!left) {
        mtc_queue_wait(queue, 50);
        mtc_queue_drain(queue);
    }
    set_value("v");
    assert_int_equal(mtc_load_answer(left, MTC_MISS), MTC_OK);
    mtct_drain_until(queue, &heard);
    mtct_assert_heard(&heard, MTC_ABSENT, "");
    assert_status(MTC_OK);
    mtct_assert_get(rig.cache, "k", "v");
    assert_int_equal(mtc_queue_close(&queue), MTC_OK);
}

static void *set_main(void *ctx)
{
    (void)ctx;
    set_value("v");
    return NULL;
}

/* The absence was read below before the set came there. */
static void a_promoted_absence_does_not_cover_a_newer_value(void **state)
{
    static mtct_caller reader;
    (void)state;
    remember_nothing();
    reader = (mtct_caller){.cache = rig.cache, .key = "k"};
    reader.call = (mtc_call)MTC_CALL_INIT;
    reader.call.flags = MTC_CALL_SKIP_MEMORY;
    mtct_mood_hold(&rig.moods[0], MTC_VERB_READ, true);
    mtct_caller_start(&reader);
    mtct_wait_for(&rig.moods[0].holding, 1);
    pthread_t thread = mtct_thread_start(set_main, NULL);
    mtct_asked_await(rig.cache, 2);
    mtct_assert_get(rig.cache, "k", "v");
    mtct_mood_hold(&rig.moods[0], MTC_VERB_READ, false);
    pthread_join(thread, NULL);
    mtct_caller_join(&reader);
    assert_status(MTC_OK);
    mtct_assert_get(rig.cache, "k", "v");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_value_takes_the_place_of_an_absence),
        TEST(a_removal_takes_an_absence_away),
        TEST(an_absence_ends_while_the_value_below_is_there),
        TEST(an_absence_that_a_set_overtook_is_not_kept),
        TEST(an_absence_that_a_removal_overtook_is_not_kept),
        TEST(nor_is_that_of_a_bulk),
        TEST(nor_is_a_late_answer_of_an_asynchronous_call),
        TEST(a_promoted_absence_does_not_cover_a_newer_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
