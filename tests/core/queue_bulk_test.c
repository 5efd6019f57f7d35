/*
 * Asynchronous bulk loads: many keys, of which nobody has some, in one call of
 * a loader, with a tier below that the test answers, and a clock that it steps.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sched.h>

#include "core/cache.h"
#include "support/callers.h"
#include "support/queue_rig.h"

#define MANY  (MTCI_LOADS_MAX + 4)
#define TURNS MTCI_LOADS_MAX

static mtct_queue_rig rig;
static mtct_heard heard, other, third;
static mtc_item items[MANY], others[MANY];
static char names[MANY][8];

/* What the bulk loader was asked for, and what it does. */
static struct {
    size_t count; /* in the last call */
    bool is_late, ends_thread;
    mtc_status status;     /* what it returns */
    const char *exception; /* a key without a value; NULL: none */
    mtc_load *left[MANY];
    _Atomic unsigned calls; /* that got so far */
} source;

static int setup(void **state)
{
    (void)state;
    mtct_queue_rig_init(&rig);
    heard = other = third = (mtct_heard){0};
    memset(&source, 0, sizeof source);
    for (int i = 0; i < (int)MANY; i++) {
        snprintf(names[i], sizeof names[i], "m%d", i);
        items[i] = others[i] = (mtc_item){.key = mtc_str(names[i])};
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        mtc_value_free(&items[i].value);
        mtc_value_free(&others[i].value);
    }
    mtct_queue_rig_fini(&rig);
    return 0;
}

static bool is_exception(const mtc_load *load)
{
    mtc_slice key = mtc_load_key(load);
    return source.exception && key.size == strlen(source.exception) &&
           memcmp(key.data, source.exception, key.size) == 0;
}

/* Each key is its value. */
static mtc_status load_all(mtc_bulk *bulk, void *ctx)
{
    assert_ptr_equal(ctx, &source);
    source.count = mtc_bulk_count(bulk);
    for (size_t i = 0; i < source.count; i++) {
        mtc_load *load = mtc_bulk_load(bulk, i);
        if (source.is_late)
            source.left[i] = load;
        else if (!is_exception(load))
            mtc_load_set_value(load, mtc_load_key(load));
    }
    atomic_fetch_add(&source.calls, 1);
    if (source.ends_thread)
        pthread_exit(NULL);
    return source.is_late ? MTC_PENDING : source.status;
}

static void ask(mtc_item *which, size_t count, const mtc_call *call,
                mtct_heard *who)
{
    assert_int_equal(mtc_cache_get_or_load_many_async(rig.queue, which, count,
                                                      call, load_all, &source,
                                                      mtct_hear_many, who),
                     MTC_PENDING);
}

static void check_item(const mtc_item *item, mtc_status status)
{
    assert_int_equal(item->status, status);
    if (status != MTC_OK)
        return;
    assert_int_equal(item->value.size, item->key.size);
    assert_memory_equal(item->value.data, item->key.data, item->key.size);
}

static void check_items(const mtc_item *which, size_t count, mtc_status status)
{
    for (size_t i = 0; i < count; i++)
        check_item(&which[i], status);
}

static mtc_stats stats(void)
{
    mtc_stats all = {.struct_size = sizeof(all)};
    assert_int_equal(mtc_cache_stats(rig.cache, &all), MTC_OK);
    return all;
}

static void answer_left(size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        mtc_load_set_value(source.left[i], mtc_load_key(source.left[i]));
        mtc_load_answer(source.left[i], MTC_OK);
    }
}

/* -- which keys are loaded ------------------------------------------------- */

static void only_what_no_tier_has_is_loaded(void **state)
{
    (void)state;
    mtc_cache_set(rig.cache, items[1].key, items[1].key, NULL);
    ask(items, 6, NULL, &heard);
    mtct_drain_all(rig.queue);
    assert_int_equal(rig.mute->counts[MTC_VERB_READ], 5);
    assert_int_equal(source.calls, 0);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    mtct_assert_heard(&heard, MTC_OK, NULL);
    check_items(items, 6, MTC_OK);
    assert_int_equal(source.calls, 1);
    assert_int_equal(source.count, 5);
    mtct_assert_get(rig.cache, "m3", "m3");
    assert_int_equal(stats().loads, 5);
}

static void all_hits_need_no_loader(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        mtc_cache_set(rig.cache, items[i].key, items[i].key, NULL);
    ask(items, 3, NULL, &heard);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&heard, MTC_OK, NULL);
    check_items(items, 3, MTC_OK);
    assert_int_equal(source.calls, 0);
    ask(NULL, 0, NULL, &other);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&other, MTC_OK, NULL);
}

static void what_others_load_is_awaited(void **state)
{
    (void)state;
    source.is_late = true;
    ask(items, 4, NULL, &heard);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    assert_int_equal(source.count, 4);
    source.is_late = false;
    /* m2 and m3 are under way; m4 and m5 are not. */
    ask(others + 2, 4, NULL, &other);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    assert_int_equal(source.calls, 2);
    assert_int_equal(source.count, 2);
    assert_int_equal(heard.count + other.count, 0);
    answer_left(0, 4);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&heard, MTC_OK, NULL);
    mtct_assert_heard(&other, MTC_OK, NULL);
    check_items(items, 4, MTC_OK);
    check_items(others + 2, 4, MTC_OK);
    assert_int_equal(stats().loads, 6);
}

static void a_key_that_occurs_twice_is_loaded_once(void **state)
{
    (void)state;
    items[2].key = items[0].key;
    ask(items, 3, NULL, &heard);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    mtct_assert_heard(&heard, MTC_OK, NULL);
    check_items(items, 3, MTC_OK);
    assert_int_equal(source.count, 2);
}

static void keys_without_a_value_are_misses_or_fail(void **state)
{
    (void)state;
    source.exception = "m1";
    ask(items, 3, NULL, &heard);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    mtct_assert_heard(&heard, MTC_PARTIAL, NULL);
    check_item(&items[0], MTC_OK);
    check_item(&items[1], MTC_MISS);
    source.status = MTC_E_DENIED;
    ask(others, 3, NULL, &other);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    mtct_assert_heard(&other, MTC_PARTIAL, NULL);
    check_item(&others[1], MTC_E_DENIED);
    check_item(&others[2], MTC_OK);
}

static void a_bad_key_is_one_key_s_matter(void **state)
{
    (void)state;
    items[1].key = mtc_bytes(NULL, 3);
    ask(items, 3, NULL, &heard);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    mtct_assert_heard(&heard, MTC_PARTIAL, NULL);
    assert_int_equal(items[1].status, MTC_E_INVALID);
    check_item(&items[2], MTC_OK);
    assert_int_equal(mtc_cache_get_or_load_many_async(rig.queue, items, 1, NULL,
                                                      NULL, NULL,
                                                      mtct_hear_many, &other),
                     MTC_E_INVALID);
}

/* More than one window, of 1,024 keys. */
static void a_long_list_goes_in_several_rounds(void **state)
{
    enum { COUNT = 2500 };
    static char keys[COUNT][8];
    mtc_item *all = calloc(COUNT, sizeof *all);
    (void)state;
    for (int i = 0; i < COUNT; i++) {
        snprintf(keys[i], sizeof keys[i], "l%d", i);
        all[i].key = mtc_str(keys[i]);
    }
    rig.mute->kept_verbs = 0;
    ask(all, COUNT, NULL, &heard);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&heard, MTC_OK, NULL);
    check_items(all, COUNT, MTC_OK);
    assert_int_equal(source.calls, 3);
    for (int i = 0; i < COUNT; i++)
        mtc_value_free(&all[i].value);
    free(all);
}

/* -- answers that come later ----------------------------------------------- */

static void each_token_is_answered_by_itself(void **state)
{
    (void)state;
    source.is_late = true;
    ask(items, 3, NULL, &heard);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    answer_left(0, 1);
    mtc_load_answer(source.left[1], MTC_E_DENIED);
    mtct_drain_all(rig.queue);
    assert_int_equal(heard.count, 0);
    /* It does not take over again what it has given away. */
    mtc_load_drop(source.left[2]);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&heard, MTC_PARTIAL, NULL);
    check_item(&items[0], MTC_OK);
    check_item(&items[1], MTC_E_DENIED);
    check_item(&items[2], MTC_E_CANCELLED);
    assert_int_equal(source.calls, 1);
    assert_int_equal(stats().in_flight, 0);
}

static mtc_status load_one_later(mtc_load *load, void *ctx)
{
    *(mtc_load **)ctx = load;
    return MTC_PENDING;
}

static void a_dropped_load_of_another_is_taken_over(void **state)
{
    mtc_load *left;
    (void)state;
    mtc_cache_get_or_load_async(rig.queue, items[1].key, NULL, load_one_later,
                                &left, mtct_hear, &other);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    ask(items, 3, NULL, &heard);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    assert_int_equal(source.count, 2);
    mtc_load_drop(left);
    mtct_drain_all(rig.queue);
    assert_int_equal(source.calls, 2);
    assert_int_equal(source.count, 1);
    mtct_assert_heard(&heard, MTC_OK, NULL);
    check_items(items, 3, MTC_OK);
    mtct_assert_heard(&other, MTC_OK, "m1");
}

static void a_plain_get_hands_its_key_over(void **state)
{
    (void)state;
    mtc_cache_get_async(rig.queue, items[0].key, NULL, mtct_hear, &other);
    ask(items, 2, NULL, &heard);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    mtct_assert_heard(&other, MTC_MISS, "");
    mtct_assert_heard(&heard, MTC_OK, NULL);
    check_items(items, 2, MTC_OK);
}

/* -- turns, deadlines, the end --------------------------------------------- */

static mtc_load *holders[TURNS];

static void take_all_turns(void)
{
    for (size_t i = 0; i < TURNS; i++)
        mtc_cache_get_or_load_async(rig.queue, items[i].key, NULL,
                                    load_one_later, &holders[i], mtct_hear,
                                    &third);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    assert_int_equal(stats().loads_running, TURNS);
}

static void give_turns_back(void)
{
    for (size_t i = 0; i < TURNS; i++)
        mtc_load_answer(holders[i], MTC_E_DENIED);
    mtct_drain_all(rig.queue);
    assert_int_equal(third.count, TURNS);
}

static void a_bulk_waits_for_its_turn(void **state)
{
    (void)state;
    take_all_turns();
    ask(items + TURNS, 4, NULL, &heard);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    assert_int_equal(source.calls, 0);
    assert_int_equal(stats().loads_waiting, 1);
    mtc_load_answer(holders[0], MTC_E_DENIED);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&heard, MTC_OK, NULL);
    assert_int_equal(source.calls, 1);
    holders[0] = NULL;
    for (size_t i = 1; i < TURNS; i++)
        mtc_load_answer(holders[i], MTC_E_DENIED);
    mtct_drain_all(rig.queue);
    assert_int_equal(stats().loads_running, 0);
}

static void who_waits_too_long_for_a_turn_is_told(void **state)
{
    (void)state;
    take_all_turns();
    ask(items + TURNS, 2, NULL, &heard);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    atomic_fetch_add(&rig.now.now_ms, MTCI_LOADS_WAIT_MS);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&heard, MTC_PARTIAL, NULL);
    check_items(items + TURNS, 2, MTC_E_BUSY);
    assert_int_equal(source.calls, 0);
    give_turns_back();
}

static void who_has_no_time_for_a_turn_lets_others_try(void **state)
{
    mtc_call hasty = MTC_CALL_INIT;
    (void)state;
    hasty.deadline_ms = 10;
    take_all_turns();
    ask(items + TURNS, 2, &hasty, &heard);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    ask(others + TURNS, 2, NULL, &other);
    mtct_drain_all(rig.queue);
    atomic_fetch_add(&rig.now.now_ms, 10);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&heard, MTC_PARTIAL, NULL);
    check_items(items + TURNS, 2, MTC_E_TIMEOUT);
    assert_int_equal(other.count, 0);
    give_turns_back();
    mtct_assert_heard(&other, MTC_OK, NULL);
    check_items(others + TURNS, 2, MTC_OK);
    assert_int_equal(source.calls, 1);
}

static void a_cancelled_call_waits_for_nothing(void **state)
{
    (void)state;
    take_all_turns();
    ask(items + TURNS, 2, NULL, &heard);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    mtc_queue_cancel(rig.queue, &heard);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&heard, MTC_E_CANCELLED, NULL);
    check_items(items + TURNS, 2, MTC_E_CANCELLED);
    assert_int_equal(stats().loads_waiting, 0);
    give_turns_back();
    /* Likewise while the tier is asked, and while the source works. */
    ask(items, 2, NULL, &other);
    mtct_drain_all(rig.queue);
    mtc_queue_cancel(rig.queue, &other);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&other, MTC_E_CANCELLED, NULL);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    third = (mtct_heard){0};
    source.is_late = true;
    ask(items, 2, NULL, &third);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    mtc_queue_cancel(rig.queue, &third);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&third, MTC_E_CANCELLED, NULL);
    answer_left(0, 2);
    mtct_assert_get(rig.cache, "m0", "m0");
}

static void a_loader_that_ends_its_thread_ends_the_call(void **state)
{
    void *result;
    (void)state;
    source.ends_thread = true;
    ask(items, 3, NULL, &heard);
    mtct_drain_all(rig.queue);
    ask(others, 1, NULL, &other);
    mtct_mute_answer(rig.mute, MTC_MISS);
    pthread_t thread = mtct_thread_start(mtct_drain_to_the_end, rig.queue);
    pthread_join(thread, &result);
    assert_null(result);
    source.ends_thread = false;
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&heard, MTC_E_CANCELLED, NULL);
    check_items(items + 1, 2, MTC_E_CANCELLED);
    /* Who waited has taken over. */
    mtct_assert_heard(&other, MTC_OK, NULL);
    assert_int_equal(source.calls, 2);
    assert_int_equal(stats().in_flight, 0);
    assert_int_equal(stats().loads_running, 0);
}

/* -- strategies ------------------------------------------------------------ */

static void due_keys_are_loaded_anew_in_one_call(void **state)
{
    mtc_strategy early = MTC_STRATEGY_INIT(1000);
    mtc_call call = MTC_CALL_INIT;
    (void)state;
    early.refresh_percent = 50;
    call.strategy = &early;
    rig.mute->kept_verbs = 0;
    for (int i = 0; i < 4; i++)
        mtc_cache_set(rig.cache, items[i].key, items[i].key, &early);
    atomic_fetch_add(&rig.now.now_ms, 600);
    ask(items, 4, &call, &heard);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&heard, MTC_OK, NULL);
    mtct_quiet_await(rig.cache);
    assert_int_equal(source.calls, 1);
    assert_int_equal(source.count, 4);
}

/* A loader thread has it: the queue's owner is not held up. */
static void who_cannot_wait_has_the_load_behind_it(void **state)
{
    mtc_strategy bounded = MTC_STRATEGY_INIT(1000);
    mtc_call call = MTC_CALL_INIT;
    (void)state;
    bounded.hard_ms = 50;
    call.strategy = &bounded;
    source.is_late = true;
    ask(items, 3, &call, &heard);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    while (source.calls == 0)
        sched_yield();
    mtct_drain_all(rig.queue);
    assert_int_equal(heard.count, 0);
    atomic_fetch_add(&rig.now.now_ms, 50);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&heard, MTC_PARTIAL, NULL);
    check_items(items, 3, MTC_E_TIMEOUT);
    /* The load goes on, and is stored. */
    answer_left(0, 3);
    mtct_quiet_await(rig.cache);
    mtct_assert_get(rig.cache, "m2", "m2");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(only_what_no_tier_has_is_loaded),
        TEST(all_hits_need_no_loader),
        TEST(what_others_load_is_awaited),
        TEST(a_key_that_occurs_twice_is_loaded_once),
        TEST(keys_without_a_value_are_misses_or_fail),
        TEST(a_bad_key_is_one_key_s_matter),
        TEST(a_long_list_goes_in_several_rounds),
        TEST(each_token_is_answered_by_itself),
        TEST(a_dropped_load_of_another_is_taken_over),
        TEST(a_plain_get_hands_its_key_over),
        TEST(a_bulk_waits_for_its_turn),
        TEST(who_waits_too_long_for_a_turn_is_told),
        TEST(who_has_no_time_for_a_turn_lets_others_try),
        TEST(a_cancelled_call_waits_for_nothing),
        TEST(a_loader_that_ends_its_thread_ends_the_call),
        TEST(due_keys_are_loaded_anew_in_one_call),
        TEST(who_cannot_wait_has_the_load_behind_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
