/*
 * Completion queues: what calls that do not block come to, with a tier below
 * that the test answers, and a clock that it steps.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <poll.h>

#include "core/cache.h"
#include "support/callers.h"
#include "support/queue_rig.h"

#define MANY 40

static mtct_queue_rig rig;
static mtct_heard heard, other, third;
static mtc_load *left; /* by a loader that answers later */
static unsigned loads;

static int setup(void **state)
{
    (void)state;
    mtct_queue_rig_init(&rig);
    heard = other = third = (mtct_heard){0};
    left = NULL;
    loads = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mtct_queue_rig_fini(&rig);
    return 0;
}

static mtc_slice the_key(void)
{
    return mtc_str("k");
}

static mtc_status get(mtct_heard *who)
{
    return mtc_cache_get_async(rig.queue, the_key(), NULL, mtct_hear, who);
}

static mtc_status load_now(mtc_load *load, void *ctx)
{
    loads++;
    return mtc_load_set_value(load, mtc_str(ctx ? ctx : "loaded"));
}

static mtc_status load_later(mtc_load *load, void *ctx)
{
    (void)ctx;
    loads++;
    left = load;
    return MTC_PENDING;
}

static mtc_status load_with(mtc_loader loader, const mtc_call *call,
                            mtct_heard *who)
{
    return mtc_cache_get_or_load_async(rig.queue, the_key(), call, loader, NULL,
                                       mtct_hear, who);
}

static void step_clock(int64_t ms)
{
    atomic_fetch_add(&rig.now.now_ms, ms);
}

static uint64_t flights(void)
{
    mtc_stats stats = {.struct_size = sizeof(stats)};
    assert_int_equal(mtc_cache_stats(rig.cache, &stats), MTC_OK);
    return stats.in_flight;
}

/* -- getting --------------------------------------------------------------- */

static void a_get_ends_when_the_tier_below_has_answered(void **state)
{
    (void)state;
    assert_int_equal(get(&heard), MTC_PENDING);
    mtct_drain_all(rig.queue);
    assert_int_equal(heard.count, 0);
    assert_int_equal(rig.mute->counts[MTC_VERB_READ], 1);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    mtct_assert_heard(&heard, MTC_MISS, "");
    assert_int_equal(flights(), 0);
}

static void an_error_of_a_tier_is_no_miss(void **state)
{
    (void)state;
    get(&heard);
    mtct_queue_rig_answer(&rig, MTC_E_CORRUPT);
    mtct_assert_heard(&heard, MTC_E_CORRUPT, "");
}

static void a_hit_in_memory_is_told_by_the_next_drain(void **state)
{
    (void)state;
    mtc_cache_set(rig.cache, the_key(), mtc_str("v"), NULL);
    assert_int_equal(get(&heard), MTC_PENDING);
    assert_int_equal(heard.count, 0);
    assert_int_equal(mtc_queue_wait_ms(rig.queue), 0);
    assert_int_equal(mtc_queue_drain(rig.queue), 1);
    mtct_assert_heard(&heard, MTC_OK, "v");
}

static void a_hit_in_memory_may_be_told_at_once(void **state)
{
    mtc_call call = MTC_CALL_INIT;
    (void)state;
    call.flags = MTC_CALL_AT_ONCE;
    mtc_cache_set(rig.cache, the_key(), mtc_str("v"), NULL);
    assert_int_equal(mtc_cache_get_async(rig.queue, the_key(), &call, mtct_hear,
                                         &heard),
                     MTC_OK);
    mtct_assert_heard(&heard, MTC_OK, "v");
    call.flags |= MTC_CALL_ACCEPT_STALE;
    assert_int_equal(load_with(load_now, &call, &other), MTC_OK);
    mtct_assert_heard(&other, MTC_OK, "v");
    assert_int_equal(mtc_cache_get_async(rig.queue, mtc_str("x"), &call,
                                         mtct_hear, &third),
                     MTC_PENDING);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    mtct_assert_heard(&third, MTC_MISS, "");
    mtc_stats stats = {.struct_size = sizeof(stats)};
    mtc_cache_stats(rig.cache, &stats);
    assert_int_equal(stats.hits, 2);
    assert_int_equal(stats.misses, 1);
}

static void keep_value(void *ctx, mtc_status status, mtc_value *value)
{
    (void)status;
    *(mtc_value *)ctx = *value;
    *value = (mtc_value){0};
}

static void a_callback_may_take_the_value(void **state)
{
    mtc_value kept = {0};
    (void)state;
    mtc_cache_set(rig.cache, the_key(), mtc_str("v"), NULL);
    mtc_cache_get_async(rig.queue, the_key(), NULL, keep_value, &kept);
    mtct_drain_all(rig.queue);
    assert_memory_equal(kept.data, "v", 1);
    mtc_value_free(&kept);
}

static void a_wrong_call_is_never_called_back(void **state)
{
    char key[MTC_KEY_SIZE_MAX + 1] = {0};
    mtc_call call = MTC_CALL_INIT;
    (void)state;
    call.deadline_ms = -1;
    assert_int_equal(mtc_cache_get_async(NULL, the_key(), NULL, mtct_hear, 0),
                     MTC_E_INVALID);
    assert_int_equal(mtc_cache_get_async(rig.queue, the_key(), NULL, NULL, 0),
                     MTC_E_INVALID);
    assert_int_equal(load_with(NULL, NULL, &heard), MTC_E_INVALID);
    assert_int_equal(load_with(load_now, &call, &heard), MTC_E_INVALID);
    assert_int_equal(mtc_cache_get_async(rig.queue, mtc_bytes(key, sizeof(key)),
                                         NULL, mtct_hear, &heard),
                     MTC_E_TOO_LARGE);
    assert_int_equal(mtc_cache_set_async(rig.queue, the_key(),
                                         mtc_bytes(NULL, 1), NULL, mtct_hear,
                                         &heard),
                     MTC_E_INVALID);
    assert_int_equal(mtc_queue_close(NULL), MTC_E_INVALID);
    assert_int_equal(mtc_queue_wait(NULL, 0), MTC_E_INVALID);
    assert_int_equal(mtc_queue_drain(NULL), 0);
    assert_int_equal(mtc_queue_descriptor(NULL), -1);
    mtct_drain_all(rig.queue);
    assert_int_equal(heard.count, 0);
}

static void callbacks_come_in_the_order_of_the_answers(void **state)
{
    static mtct_heard all[MANY];
    char key[8];
    (void)state;
    for (int i = 0; i < MANY; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        mtc_cache_set(rig.cache, mtc_str(key), mtc_str("v"), NULL);
        all[i] = (mtct_heard){0};
        mtc_cache_get_async(rig.queue, mtc_str(key), NULL, mtct_hear, &all[i]);
    }
    assert_int_equal(mtc_queue_drain(rig.queue), MANY);
    for (int i = 0; i < MANY; i++)
        mtct_assert_heard(&all[i], MTC_OK, "v");
}

/* -- the descriptor -------------------------------------------------------- */

static bool is_readable(void)
{
    struct pollfd fd = {.fd = mtc_queue_descriptor(rig.queue),
                        .events = POLLIN};
    return poll(&fd, 1, 0) == 1;
}

static void the_descriptor_tells_that_there_is_something_to_do(void **state)
{
    (void)state;
    assert_false(is_readable());
    assert_int_equal(mtc_queue_wait_ms(rig.queue), -1);
    get(&heard);
    assert_true(is_readable());
    mtct_drain_all(rig.queue);
    assert_false(is_readable());
    assert_true(mtc_queue_wait_ms(rig.queue) > 0);
    mtct_mute_answer(rig.mute, MTC_MISS);
    assert_true(is_readable());
    assert_int_equal(mtc_queue_wait(rig.queue, -1), MTC_OK);
    assert_int_equal(mtc_queue_drain(rig.queue), 1);
    assert_false(is_readable());
    assert_int_equal(mtc_queue_wait(rig.queue, 1), MTC_E_TIMEOUT);
}

/* -- loading --------------------------------------------------------------- */

static void a_loader_runs_on_the_thread_that_drains(void **state)
{
    (void)state;
    assert_int_equal(load_with(load_now, NULL, &heard), MTC_PENDING);
    assert_int_equal(loads, 0);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    mtct_assert_heard(&heard, MTC_OK, "loaded");
    mtct_assert_get(rig.cache, "k", "loaded");
}

static void one_load_serves_all_who_ask(void **state)
{
    (void)state;
    load_with(load_later, NULL, &heard);
    load_with(load_now, NULL, &other);
    get(&third);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    assert_int_equal(heard.count + other.count + third.count, 0);
    mtc_load_set_value(left, mtc_str("late"));
    mtc_load_answer(left, MTC_OK);
    assert_true(is_readable());
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&heard, MTC_OK, "late");
    mtct_assert_heard(&other, MTC_OK, "late");
    mtct_assert_heard(&third, MTC_OK, "late");
    assert_int_equal(loads, 1);
    assert_int_equal(rig.mute->counts[MTC_VERB_READ], 1);
}

static void a_get_without_a_loader_does_not_wait_for_a_load(void **state)
{
    (void)state;
    get(&heard);
    get(&third);
    load_with(load_later, NULL, &other);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    mtct_assert_heard(&heard, MTC_MISS, "");
    mtct_assert_heard(&third, MTC_MISS, "");
    assert_int_equal(other.count, 0);
    mtc_load_set_value(left, mtc_str("late"));
    mtc_load_answer(left, MTC_OK);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&other, MTC_OK, "late");
}

static void what_a_late_answer_stores_is_sent_by_the_drain(void **state)
{
    (void)state;
    load_with(load_later, NULL, &heard);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    unsigned drives = rig.mute->drives;
    mtc_load_set_value(left, mtc_str("late"));
    mtc_load_answer(left, MTC_OK);
    assert_int_equal(rig.mute->counts[MTC_VERB_STORE], 1);
    assert_int_equal(rig.mute->drives, drives);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&heard, MTC_OK, "late");
    assert_true(rig.mute->drives > drives);
}

static void what_it_stores_is_sent_at_once_when_no_call_waits(void **state)
{
    (void)state;
    load_with(load_later, NULL, &heard);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    mtc_queue_cancel(rig.queue, &heard);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&heard, MTC_E_CANCELLED, "");
    unsigned drives = rig.mute->drives;
    mtc_load_set_value(left, mtc_str("late"));
    mtc_load_answer(left, MTC_OK);
    assert_int_equal(rig.mute->counts[MTC_VERB_STORE], 1);
    assert_true(rig.mute->drives > drives);
}

static void a_dropped_load_is_handed_on(void **state)
{
    (void)state;
    load_with(load_later, NULL, &heard);
    load_with(load_now, NULL, &other);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    mtc_load_drop(left);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&heard, MTC_OK, "loaded");
    mtct_assert_heard(&other, MTC_OK, "loaded");
    assert_int_equal(loads, 2);
}

static void a_dropped_load_without_an_heir_is_cancelled(void **state)
{
    (void)state;
    load_with(load_later, NULL, &heard);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    mtc_load_drop(left);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&heard, MTC_E_CANCELLED, "");
    assert_int_equal(flights(), 0);
}

static mtc_status answer_within(mtc_load *load, void *ctx)
{
    (void)ctx;
    mtc_load_set_value(load, mtc_str("within"));
    mtc_load_answer(load, MTC_OK);
    return MTC_PENDING;
}

static void an_answer_may_come_before_the_loader_returns(void **state)
{
    (void)state;
    load_with(answer_within, NULL, &heard);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    mtct_assert_heard(&heard, MTC_OK, "within");
}

static void *answer_left(void *ctx)
{
    mtc_load_set_value(left, mtc_str(ctx));
    mtc_load_answer(left, MTC_OK);
    return NULL;
}

static void a_thread_may_answer(void **state)
{
    (void)state;
    load_with(load_later, NULL, &heard);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    pthread_t thread = mtct_thread_start(answer_left, "thread");
    mtct_drain_until(rig.queue, &heard);
    mtct_assert_heard(&heard, MTC_OK, "thread");
    pthread_join(thread, NULL);
}

/* -- threads and tasks in one flight --------------------------------------- */

static void a_thread_follows_a_task(void **state)
{
    mtct_caller caller = {.cache = rig.cache, .key = "k"};
    (void)state;
    caller.loader = load_now;
    load_with(load_later, NULL, &heard);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    mtct_caller_start(&caller);
    mtct_followers_await(rig.cache, 1);
    mtc_load_set_value(left, mtc_str("task"));
    mtc_load_answer(left, MTC_OK);
    mtct_caller_join(&caller);
    assert_string_equal(caller.text, "task");
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&heard, MTC_OK, "task");
}

static mtc_status load_stopping(mtc_load *load, void *ctx)
{
    mtct_stop_here(ctx);
    return mtc_load_set_value(load, mtc_str("thread"));
}

static void a_task_follows_a_thread(void **state)
{
    mtct_stop stop = {0};
    mtct_caller caller = {.cache = rig.cache, .key = "k"};
    (void)state;
    caller.loader = load_stopping;
    caller.ctx = &stop;
    mtct_caller_start(&caller);
    mtct_asked_await(rig.cache, 1);
    mtct_mute_answer(rig.mute, MTC_MISS);
    mtct_stop_await(&stop, 1);
    load_with(load_now, NULL, &heard);
    mtct_drain_all(rig.queue);
    assert_int_equal(heard.count, 0);
    mtct_stop_open(&stop);
    mtct_drain_until(rig.queue, &heard);
    mtct_assert_heard(&heard, MTC_OK, "thread");
    mtct_caller_join(&caller);
    assert_int_equal(loads, 0);
}

/* -- deadlines ------------------------------------------------------------- */

static mtc_call within(int64_t ms)
{
    mtc_call call = MTC_CALL_INIT;
    call.deadline_ms = ms;
    return call;
}

static void a_call_ends_at_its_deadline(void **state)
{
    mtc_call call = within(100);
    (void)state;
    load_with(load_later, NULL, &other);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    load_with(load_later, &call, &heard);
    mtct_drain_all(rig.queue);
    assert_in_range(mtc_queue_wait_ms(rig.queue), 1, 100);
    step_clock(99);
    mtct_drain_all(rig.queue);
    assert_int_equal(heard.count, 0);
    step_clock(1);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&heard, MTC_E_TIMEOUT, "");
    assert_int_equal(other.count, 0);
    mtc_load_answer(left, MTC_E_DENIED);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&other, MTC_E_DENIED, "");
}

static void a_tier_that_is_late_is_passed_over(void **state)
{
    (void)state;
    load_with(load_now, NULL, &heard);
    mtct_drain_all(rig.queue);
    step_clock(MTCI_DEADLINE_MS);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&heard, MTC_OK, "loaded");
    mtc_stats stats = {.struct_size = sizeof(stats)};
    mtc_cache_stats(rig.cache, &stats);
    assert_int_equal(stats.tiers[1].timeouts, 1);
}

static void the_next_one_looks_when_the_leader_runs_out_of_time(void **state)
{
    mtc_call call = within(50);
    (void)state;
    mtc_cache_get_async(rig.queue, the_key(), &call, mtct_hear, &heard);
    get(&other);
    mtct_drain_all(rig.queue);
    step_clock(50);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&heard, MTC_E_TIMEOUT, "");
    assert_int_equal(other.count, 0);
    assert_int_equal(rig.mute->counts[MTC_VERB_READ], 2);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    mtct_assert_heard(&other, MTC_MISS, "");
}

/* -- cancelling ------------------------------------------------------------ */

static void a_cancelled_call_is_called_back_once(void **state)
{
    (void)state;
    load_with(load_later, NULL, &heard);
    load_with(load_later, NULL, &other);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    assert_int_equal(mtc_queue_cancel(rig.queue, &heard), 1);
    assert_int_equal(mtc_queue_cancel(rig.queue, &heard), 0);
    assert_int_equal(heard.count, 0);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&heard, MTC_E_CANCELLED, "");
    answer_left("late");
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&heard, MTC_E_CANCELLED, "");
    mtct_assert_heard(&other, MTC_OK, "late");
}

static void a_result_that_is_there_is_not_cancelled(void **state)
{
    (void)state;
    load_with(load_later, NULL, &heard);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    answer_left("late");
    mtc_queue_cancel(rig.queue, &heard);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&heard, MTC_OK, "late");
}

static void the_next_one_looks_when_the_leader_is_cancelled(void **state)
{
    (void)state;
    get(&heard);
    get(&other);
    mtct_drain_all(rig.queue);
    mtc_queue_cancel(rig.queue, &heard);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&heard, MTC_E_CANCELLED, "");
    mtct_queue_rig_answer(&rig, MTC_MISS);
    mtct_assert_heard(&other, MTC_MISS, "");
}

/* -- closing --------------------------------------------------------------- */

static void closing_a_queue_cancels_what_is_outstanding(void **state)
{
    (void)state;
    load_with(load_later, NULL, &heard);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    mtc_cache_get_async(rig.queue, mtc_str("x"), NULL, mtct_hear, &other);
    mtct_drain_all(rig.queue);
    mtc_cache_get_async(rig.queue, mtc_str("y"), NULL, mtct_hear, &third);
    assert_int_equal(mtc_queue_close(&rig.queue), MTC_OK);
    assert_null(rig.queue);
    mtct_assert_heard(&heard, MTC_E_CANCELLED, "");
    mtct_assert_heard(&other, MTC_E_CANCELLED, "");
    mtct_assert_heard(&third, MTC_E_CANCELLED, "");
    answer_left("nobody");
    mtct_assert_get(rig.cache, "k", "nobody");
}

static mtc_status when_closed;

static void close_within(void *ctx, mtc_status status, mtc_value *value)
{
    when_closed = mtc_queue_close(&rig.queue);
    mtct_hear(ctx, status, value);
    assert_int_equal(mtc_queue_drain(rig.queue), 0);
}

static void a_callback_cannot_close_its_queue(void **state)
{
    (void)state;
    mtc_cache_get_async(rig.queue, the_key(), NULL, close_within, &heard);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    mtct_assert_heard(&heard, MTC_MISS, "");
    assert_int_equal(when_closed, MTC_E_DEADLOCK);
}

static void a_cache_that_closes_ends_its_calls_with_a_drain(void **state)
{
    (void)state;
    load_with(load_later, NULL, &heard);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    mtc_load_drop(left);
    get(&other);
    assert_int_equal(mtc_cache_close(&rig.cache), MTC_OK);
    assert_true(is_readable());
    assert_int_equal(get(&third), MTC_E_CLOSED);
    mtct_drain_all(rig.queue);
    assert_int_equal(heard.count, 1);
    mtct_assert_heard(&other, MTC_E_CLOSED, "");
    assert_int_equal(third.count, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_get_ends_when_the_tier_below_has_answered),
        TEST(an_error_of_a_tier_is_no_miss),
        TEST(a_hit_in_memory_is_told_by_the_next_drain),
        TEST(a_hit_in_memory_may_be_told_at_once),
        TEST(a_callback_may_take_the_value),
        TEST(a_wrong_call_is_never_called_back),
        TEST(callbacks_come_in_the_order_of_the_answers),
        TEST(the_descriptor_tells_that_there_is_something_to_do),
        TEST(a_loader_runs_on_the_thread_that_drains),
        TEST(one_load_serves_all_who_ask),
        TEST(a_get_without_a_loader_does_not_wait_for_a_load),
        TEST(what_a_late_answer_stores_is_sent_by_the_drain),
        TEST(what_it_stores_is_sent_at_once_when_no_call_waits),
        TEST(a_dropped_load_is_handed_on),
        TEST(a_dropped_load_without_an_heir_is_cancelled),
        TEST(an_answer_may_come_before_the_loader_returns),
        TEST(a_thread_may_answer),
        TEST(a_thread_follows_a_task),
        TEST(a_task_follows_a_thread),
        TEST(a_call_ends_at_its_deadline),
        TEST(a_tier_that_is_late_is_passed_over),
        TEST(the_next_one_looks_when_the_leader_runs_out_of_time),
        TEST(a_cancelled_call_is_called_back_once),
        TEST(a_result_that_is_there_is_not_cancelled),
        TEST(the_next_one_looks_when_the_leader_is_cancelled),
        TEST(closing_a_queue_cancels_what_is_outstanding),
        TEST(a_callback_cannot_close_its_queue),
        TEST(a_cache_that_closes_ends_its_calls_with_a_drain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
