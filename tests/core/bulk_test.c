/*
 * Bulk loads: many keys, of which nobody has some, in one call of a loader.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/callers.h"
#include "support/chain_rig.h"

#define SOME 100

static mtct_rig rig;
static mtc_strategy strategy;
static char keys[SOME][8];

/* The source: its loader stops at the door and gives keys as their values,
 * but for those that it does not have. */
static struct {
    mtct_stop door;
    _Atomic unsigned calls;
    _Atomic unsigned loads;
    _Atomic unsigned loads_of[SOME];
    _Atomic bool ends_thread, is_late;
    _Atomic int status; /* of what has no value */
    int from, to;       /* of the keys that have one */
    mtc_load *left[SOME];
    _Atomic unsigned left_count;
} source;

static int setup(void **state)
{
    (void)state;
    mtct_rig_init(&rig, 1);
    memset(&source, 0, sizeof source);
    source.to = SOME;
    mtct_stop_open(&source.door);
    strategy = (mtc_strategy)MTC_STRATEGY_INIT(1000);
    for (int i = 0; i < SOME; i++)
        snprintf(keys[i], sizeof keys[i], "k%d", i);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mtct_stop_open(&source.door);
    mtct_rig_fini(&rig);
    return 0;
}

static int index_of(const mtc_load *load)
{
    char text[8] = "";
    mtc_slice key = mtc_load_key(load);
    memcpy(text, (const char *)key.data + 1, key.size - 1);
    return atoi(text);
}

static mtc_status load_some(mtc_bulk *bulk, void *ctx)
{
    (void)ctx;
    size_t count = mtc_bulk_count(bulk);
    atomic_fetch_add(&source.calls, 1);
    atomic_fetch_add(&source.loads, (unsigned)count);
    for (size_t i = 0; i < count; i++)
        atomic_fetch_add(&source.loads_of[index_of(mtc_bulk_load(bulk, i))], 1);
    mtct_stop_here(&source.door);
    if (atomic_exchange(&source.ends_thread, false))
        pthread_exit(NULL);
    for (size_t i = 0; i < count; i++) {
        mtc_load *load = mtc_bulk_load(bulk, i);
        if (atomic_load(&source.is_late))
            source.left[source.left_count++] = load;
        else if (index_of(load) >= source.from && index_of(load) < source.to)
            mtc_load_set_value(load, mtc_load_key(load));
    }
    return atomic_load(&source.is_late)
               ? MTC_PENDING
               : (mtc_status)atomic_load(&source.status);
}

/* -- callers --------------------------------------------------------------- */

/* One bulk call of the keys from .. to. */
typedef struct bulk_caller {
    int from, to;
    mtc_call call;
    mtc_item items[2 * SOME];
    size_t count;
    mtc_status status;
    pthread_t thread;
} bulk_caller;

static void *ask(void *ctx)
{
    bulk_caller *caller = ctx;
    mtc_call call = caller->call;
    for (int i = caller->from; i < caller->to; i++)
        caller->items[caller->count++] = (mtc_item){.key = mtc_str(keys[i])};
    caller->status = MTCT_NOT_YET;
    if (call.struct_size == 0)
        call = (mtc_call){sizeof(mtc_call), 0, 0, &strategy, NULL};
    caller->status =
        mtc_cache_get_or_load_many_with(rig.cache, caller->items, caller->count,
                                        &call, load_some, NULL);
    return NULL;
}

/* Each item has a status, and a hit its key as the value. */
static void expect_from(bulk_caller *caller, size_t from, size_t to,
                        mtc_status status)
{
    for (size_t i = from; i < to; i++) {
        mtc_item *item = &caller->items[i];
        assert_int_equal(item->status, status);
        if (status == MTC_OK) {
            assert_int_equal(item->value.size, item->key.size);
            assert_memory_equal(item->value.data, item->key.data,
                                item->key.size);
        }
        mtc_value_free(&item->value);
    }
}

static void expect_all(bulk_caller *caller, mtc_status status)
{
    expect_from(caller, 0, caller->count, status);
}

static bulk_caller first, second;

static void call(bulk_caller *caller, int from, int to)
{
    *caller = (bulk_caller){.from = from, .to = to};
    ask(caller);
}

static void start(bulk_caller *caller, int from, int to)
{
    *caller = (bulk_caller){.from = from, .to = to};
    caller->thread = mtct_thread_start(ask, caller);
}

static void join(bulk_caller *caller)
{
    pthread_join(caller->thread, NULL);
}

static void step(int64_t ms)
{
    atomic_fetch_add(&rig.clock.now_ms, ms);
}

/* -- what is loaded -------------------------------------------------------- */

static void only_what_no_tier_has_is_loaded(void **state)
{
    (void)state;
    mtct_rig_open(&rig);
    for (int i = 0; i < 60; i++)
        assert_int_equal(mtc_cache_set(rig.cache, mtc_str(keys[i]),
                                       mtc_str(keys[i]), &strategy),
                         MTC_OK);
    mtc_facts facts = {.left_ms = MTC_NO_END};
    for (int i = 60; i < 90; i++)
        mtct_script_put_facts(rig.below[0], keys[i], keys[i], &facts, 0);
    uint64_t reads = atomic_load(&rig.below[0]->reads);
    call(&first, 0, SOME);
    assert_int_equal(first.status, MTC_OK);
    expect_all(&first, MTC_OK);
    assert_int_equal(atomic_load(&rig.below[0]->reads) - reads, 40);
    assert_int_equal(source.calls, 1);
    assert_int_equal(source.loads, 10);
    mtct_quiet_await(rig.cache);
    mtct_assert_get(rig.cache, "k95", "k95");
    mtc_stats stats = mtct_rig_stats(&rig);
    assert_int_equal(stats.hits, 90 + 1);
    assert_int_equal(stats.misses, 10);
    assert_int_equal(stats.loads, 10);
}

static void calls_that_overlap_load_each_key_once(void **state)
{
    (void)state;
    mtct_rig_open(&rig);
    mtct_stop_close(&source.door);
    start(&first, 0, 60);
    mtct_stop_await(&source.door, 1);
    start(&second, 40, SOME);
    mtct_stop_await(&source.door, 2);
    mtct_stop_open(&source.door);
    join(&first);
    join(&second);
    expect_all(&first, MTC_OK);
    expect_all(&second, MTC_OK);
    assert_int_equal(source.calls, 2);
    for (int i = 0; i < SOME; i++)
        assert_int_equal(source.loads_of[i], 1);
}

static void a_key_that_occurs_twice_is_loaded_once(void **state)
{
    (void)state;
    mtct_rig_open(&rig);
    first = (bulk_caller){.from = 0, .to = 10};
    for (int i = 0; i < 10; i++)
        first.items[first.count++] = (mtc_item){.key = mtc_str(keys[i])};
    ask(&first);
    assert_int_equal(first.count, 20);
    expect_all(&first, MTC_OK);
    assert_int_equal(source.loads, 10);
}

static void what_a_single_call_loads_is_waited_for(void **state)
{
    (void)state;
    mtct_rig_open(&rig);
    mtct_stop_close(&source.door);
    start(&first, 3, 4);
    mtct_stop_await(&source.door, 1);
    mtct_caller plain = {.cache = rig.cache, .key = "k3"};
    mtct_caller_start(&plain);
    mtct_followers_await(rig.cache, 1);
    start(&second, 0, 10);
    mtct_stop_await(&source.door, 2);
    mtct_stop_open(&source.door);
    join(&first);
    join(&second);
    mtct_caller_join(&plain);
    assert_string_equal(plain.text, "k3");
    expect_all(&first, MTC_OK);
    expect_all(&second, MTC_OK);
    assert_int_equal(source.loads_of[3], 1);
    assert_int_equal(source.loads, 10);
}

/* -- what the source says -------------------------------------------------- */

static void keys_without_a_value_are_misses(void **state)
{
    (void)state;
    mtct_rig_open(&rig);
    source.to = 50;
    call(&first, 0, SOME);
    assert_int_equal(first.status, MTC_PARTIAL);
    expect_from(&first, 0, 50, MTC_OK);
    expect_from(&first, 50, SOME, MTC_MISS);
}

static void absence_is_remembered(void **state)
{
    (void)state;
    mtct_rig_open(&rig);
    strategy.absent_ms = 500;
    source.to = 10;
    call(&first, 0, 20);
    expect_from(&first, 0, 10, MTC_OK);
    expect_from(&first, 10, 20, MTC_ABSENT);
    call(&first, 0, 20);
    expect_from(&first, 10, 20, MTC_ABSENT);
    expect_from(&first, 0, 10, MTC_OK);
    assert_int_equal(source.calls, 1);
}

static void a_source_that_fails_half_way_has_given_the_first_half(void **state)
{
    (void)state;
    mtct_rig_open(&rig);
    source.to = 10;
    source.status = MTC_E_UNAVAILABLE;
    call(&first, 0, 20);
    expect_from(&first, 0, 10, MTC_OK);
    expect_from(&first, 10, 20, MTC_E_UNAVAILABLE);
}

static mtc_status fail_one(mtc_bulk *bulk, void *ctx)
{
    (void)ctx;
    mtc_load *load = mtc_bulk_find(bulk, mtc_str("k1"));
    assert_int_equal(mtc_load_set_failed(load, MTC_E_DENIED), MTC_OK);
    assert_int_equal(mtc_load_set_failed(load, MTC_MISS), MTC_E_INVALID);
    assert_null(mtc_bulk_find(bulk, mtc_str("nobody asked")));
    assert_null(mtc_bulk_load(bulk, mtc_bulk_count(bulk)));
    return mtc_load_set_value(mtc_bulk_find(bulk, mtc_str("k0")),
                              mtc_str("k0"));
}

static void one_key_may_fail_by_itself(void **state)
{
    (void)state;
    mtct_rig_open(&rig);
    mtc_item items[3] = {{.key = mtc_str("k0")},
                         {.key = mtc_str("k1")},
                         {.key = mtc_str("k2")}};
    assert_int_equal(mtc_cache_get_or_load_many(rig.cache, items, 3, &strategy,
                                                fail_one, NULL),
                     MTC_PARTIAL);
    assert_int_equal(items[0].status, MTC_OK);
    assert_int_equal(items[1].status, MTC_E_DENIED);
    assert_int_equal(items[2].status, MTC_MISS);
    mtc_value_free(&items[0].value);
}

static void a_failed_load_falls_back_on_stale_copies(void **state)
{
    (void)state;
    mtct_rig_open(&rig);
    strategy.stale_ms = 10000;
    call(&first, 0, 10);
    expect_all(&first, MTC_OK);
    mtct_quiet_await(rig.cache);
    step(1500);
    source.to = 0;
    source.status = MTC_E_UNAVAILABLE;
    call(&first, 0, 20);
    expect_from(&first, 0, 10, MTC_STALE);
    expect_from(&first, 10, 20, MTC_E_UNAVAILABLE);
}

static void without_a_loader_the_call_is_refused(void **state)
{
    (void)state;
    mtct_rig_open(&rig);
    mtc_item item = {.key = mtc_str("k0")};
    assert_int_equal(mtc_cache_get_or_load_many(rig.cache, &item, 1, &strategy,
                                                NULL, NULL),
                     MTC_E_INVALID);
    assert_int_equal(mtc_cache_get_or_load_many(NULL, &item, 1, &strategy,
                                                load_some, NULL),
                     MTC_E_INVALID);
}

/* -- who loads ------------------------------------------------------------- */

static void *answer_all(void *ctx)
{
    (void)ctx;
    for (unsigned i = 0; i < source.left_count; i++) {
        mtc_load *load = source.left[i];
        if (i % 2 == 0) {
            mtc_load_set_value(load, mtc_load_key(load));
            mtc_load_answer(load, MTC_OK);
        } else {
            mtc_load_drop(load);
        }
    }
    return NULL;
}

static void loads_may_be_answered_later_each_by_itself(void **state)
{
    (void)state;
    rig.options.loads_max = 1;
    mtct_rig_open(&rig);
    source.is_late = true;
    start(&first, 0, 10);
    mtct_stop_await(&source.door, 1);
    while (source.left_count < 10)
        sched_yield();
    source.is_late = false;
    pthread_t answerer = mtct_thread_start(answer_all, NULL);
    /* Those that were dropped are loaded by the call itself. */
    join(&first);
    pthread_join(answerer, NULL);
    expect_all(&first, MTC_OK);
    mtct_quiet_await(rig.cache);
    assert_int_equal(source.loads, 15);
}

static void a_loader_that_ends_its_thread_hands_over(void **state)
{
    (void)state;
    mtct_rig_open(&rig);
    mtct_stop_close(&source.door);
    source.ends_thread = true;
    start(&first, 0, 20);
    mtct_stop_await(&source.door, 1);
    start(&second, 0, 20);
    mtct_followers_await(rig.cache, 1);
    mtct_stop_open(&source.door);
    join(&first);
    join(&second);
    assert_int_equal(first.status, MTCT_NOT_YET);
    expect_all(&second, MTC_OK);
    mtct_quiet_await(rig.cache);
    assert_int_equal(source.loads, 40);
}

static mtc_status ask_again(mtc_bulk *bulk, void *ctx)
{
    mtc_value value;
    (void)ctx;
    mtc_load *load = mtc_bulk_load(bulk, 0);
    return mtc_cache_get(rig.cache, mtc_load_key(load), &value);
}

static void a_bulk_that_asks_for_its_own_key_is_told(void **state)
{
    (void)state;
    mtct_rig_open(&rig);
    mtc_item items[2] = {{.key = mtc_str("k0")}, {.key = mtc_str("k1")}};
    mtc_cache_get_or_load_many(rig.cache, items, 2, &strategy, ask_again, NULL);
    assert_int_equal(items[0].status, MTC_E_DEADLOCK);
    assert_int_equal(items[1].status, MTC_E_DEADLOCK);
}

static void a_bulk_takes_one_turn(void **state)
{
    (void)state;
    rig.options.loads_max = 2;
    mtct_rig_open(&rig);
    mtct_stop_close(&source.door);
    start(&first, 0, 50);
    start(&second, 50, SOME);
    mtct_stop_await(&source.door, 2);
    assert_int_equal(mtct_rig_stats(&rig).loads_running, 2);
    mtct_stop_open(&source.door);
    join(&first);
    join(&second);
    expect_all(&first, MTC_OK);
    expect_all(&second, MTC_OK);
    mtct_quiet_await(rig.cache);
}

/* -- behind the call ------------------------------------------------------- */

static void callers_leave_at_the_hard_time_out(void **state)
{
    (void)state;
    strategy.hard_ms = 50;
    mtct_rig_open(&rig);
    mtct_stop_close(&source.door);
    start(&first, 0, 10);
    mtct_stop_await(&source.door, 1);
    step(50);
    join(&first);
    expect_all(&first, MTC_E_TIMEOUT);
    mtct_stop_open(&source.door);
    mtct_quiet_await(rig.cache);
    call(&first, 0, 10);
    expect_all(&first, MTC_OK);
    assert_int_equal(source.calls, 1);
}

static void due_keys_are_loaded_anew_in_one_call(void **state)
{
    (void)state;
    strategy.refresh_percent = 20;
    mtct_rig_open(&rig);
    call(&first, 0, 50);
    expect_all(&first, MTC_OK);
    mtct_quiet_await(rig.cache);
    step(850);
    call(&first, 0, 50);
    expect_all(&first, MTC_OK);
    mtct_quiet_await(rig.cache);
    assert_int_equal(source.calls, 2);
    assert_int_equal(source.loads, 100);
    step(700);
    call(&first, 0, 50);
    expect_all(&first, MTC_OK);
    mtct_quiet_await(rig.cache);
    assert_int_equal(source.calls, 2);
}

static void stale_keys_are_returned_at_once_and_loaded_in_one_call(void **state)
{
    (void)state;
    strategy.stale_ms = 10000;
    strategy.soft_ms = 0;
    mtct_rig_open(&rig);
    call(&first, 0, 50);
    expect_all(&first, MTC_OK);
    mtct_quiet_await(rig.cache);
    step(1500);
    call(&first, 0, 50);
    expect_all(&first, MTC_STALE);
    mtct_quiet_await(rig.cache);
    call(&first, 0, 50);
    expect_all(&first, MTC_OK);
    assert_int_equal(source.calls, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(only_what_no_tier_has_is_loaded),
        TEST(calls_that_overlap_load_each_key_once),
        TEST(a_key_that_occurs_twice_is_loaded_once),
        TEST(what_a_single_call_loads_is_waited_for),
        TEST(keys_without_a_value_are_misses),
        TEST(absence_is_remembered),
        TEST(a_source_that_fails_half_way_has_given_the_first_half),
        TEST(one_key_may_fail_by_itself),
        TEST(a_failed_load_falls_back_on_stale_copies),
        TEST(without_a_loader_the_call_is_refused),
        TEST(loads_may_be_answered_later_each_by_itself),
        TEST(a_loader_that_ends_its_thread_hands_over),
        TEST(a_bulk_that_asks_for_its_own_key_is_told),
        TEST(a_bulk_takes_one_turn),
        TEST(callers_leave_at_the_hard_time_out),
        TEST(due_keys_are_loaded_anew_in_one_call),
        TEST(stale_keys_are_returned_at_once_and_loaded_in_one_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
