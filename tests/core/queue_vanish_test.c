/*
 * Threads that end inside a drain, by a loader or a callback, and loads that
 * are never answered: the queue serves its next owner, and each call is told.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>

#include "support/callers.h"
#include "support/queue_rig.h"

static mtct_queue_rig rig;
static mtct_heard heard, other;
static mtc_load *left;
static _Atomic bool is_inside;

static int setup(void **state)
{
    (void)state;
    mtct_queue_rig_init(&rig);
    heard = other = (mtct_heard){0};
    left = NULL;
    is_inside = false;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mtct_queue_rig_fini(&rig);
    return 0;
}

static uint64_t flights(void)
{
    mtc_stats stats = {.struct_size = sizeof(stats)};
    assert_int_equal(mtc_cache_stats(rig.cache, &stats), MTC_OK);
    return stats.in_flight;
}

static void begin(mtc_loader loader, mtct_heard *who)
{
    assert_int_equal(mtc_cache_get_or_load_async(rig.queue, mtc_str("k"), NULL,
                                                 loader, NULL, mtct_hear, who),
                     MTC_PENDING);
}

static mtc_status load_now(mtc_load *load, void *ctx)
{
    (void)ctx;
    return mtc_load_set_value(load, mtc_str("loaded"));
}

static mtc_status load_later(mtc_load *load, void *ctx)
{
    (void)ctx;
    left = load;
    return MTC_PENDING;
}

static mtc_status load_and_exit(mtc_load *load, void *ctx)
{
    (void)ctx;
    mtc_load_set_value(load, mtc_str("never seen"));
    pthread_exit(NULL);
}

static mtc_status load_until_cancelled(mtc_load *load, void *ctx)
{
    (void)ctx;
    (void)load;
    atomic_store(&is_inside, true);
    while (atomic_load(&is_inside)) {
        pthread_testcancel();
        sched_yield();
    }
    return MTC_OK;
}

static void drain_in_a_thread_that_ends(bool is_cancelled)
{
    void *result;
    mtct_drain_all(rig.queue);
    mtct_mute_answer(rig.mute, MTC_MISS);
    pthread_t thread = mtct_thread_start(mtct_drain_to_the_end, rig.queue);
    while (is_cancelled && !atomic_load(&is_inside))
        sched_yield();
    if (is_cancelled)
        pthread_cancel(thread);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, is_cancelled ? PTHREAD_CANCELED : NULL);
}

/* -- loaders -------------------------------------------------------------- */

static void a_loader_that_ends_its_thread_hands_over(void **state)
{
    (void)state;
    begin(load_and_exit, &heard);
    begin(load_now, &other);
    drain_in_a_thread_that_ends(false);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&heard, MTC_E_CANCELLED, "");
    mtct_assert_heard(&other, MTC_OK, "loaded");
    assert_int_equal(flights(), 0);
    mtct_assert_get(rig.cache, "k", "loaded");
}

static void a_loader_that_is_cancelled_hands_over(void **state)
{
    (void)state;
    begin(load_until_cancelled, &heard);
    begin(load_now, &other);
    drain_in_a_thread_that_ends(true);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&heard, MTC_E_CANCELLED, "");
    mtct_assert_heard(&other, MTC_OK, "loaded");
}

static void a_blocking_caller_may_be_the_heir(void **state)
{
    mtct_caller caller = {.cache = rig.cache, .key = "k", .loader = load_now};
    (void)state;
    begin(load_until_cancelled, &heard);
    mtct_drain_all(rig.queue);
    mtct_caller_start(&caller);
    mtct_followers_await(rig.cache, 1);
    drain_in_a_thread_that_ends(true);
    mtct_caller_join(&caller);
    assert_string_equal(caller.text, "loaded");
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&heard, MTC_E_CANCELLED, "");
}

static void without_an_heir_the_next_call_loads(void **state)
{
    (void)state;
    begin(load_and_exit, &heard);
    drain_in_a_thread_that_ends(false);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&heard, MTC_E_CANCELLED, "");
    assert_int_equal(flights(), 0);
    begin(load_now, &other);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    mtct_assert_heard(&other, MTC_OK, "loaded");
}

/* -- callbacks ------------------------------------------------------------ */

static void hear_and_exit(void *ctx, mtc_status status, mtc_value *value)
{
    mtct_hear(ctx, status, value);
    pthread_exit(NULL);
}

static void a_callback_that_ends_its_thread_leaves_the_queue_in_order(void **s)
{
    (void)s;
    mtc_cache_get_or_load_async(rig.queue, mtc_str("k"), NULL, load_now, NULL,
                                hear_and_exit, &heard);
    begin(load_now, &other);
    drain_in_a_thread_that_ends(false);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&heard, MTC_OK, "loaded");
    mtct_assert_heard(&other, MTC_OK, "loaded");
    assert_int_equal(mtc_queue_wait_ms(rig.queue), -1);
}

/* -- answers that never come ---------------------------------------------- */

static void a_load_that_is_never_answered_holds_up_nobody(void **state)
{
    mtc_call call = MTC_CALL_INIT;
    mtct_caller caller = {.cache = rig.cache, .key = "k", .loader = load_now};
    (void)state;
    begin(load_later, &heard);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    assert_non_null(left);
    call.deadline_ms = 100;
    mtc_cache_get_or_load_async(rig.queue, mtc_str("k"), &call, load_now, NULL,
                                mtct_hear, &other);
    mtct_drain_all(rig.queue);
    caller.call = call;
    mtct_caller_start(&caller);
    mtct_followers_await(rig.cache, 2);
    atomic_fetch_add(&rig.now.now_ms, 100);
    mtct_caller_join(&caller);
    assert_int_equal(caller.status, MTC_E_TIMEOUT);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&other, MTC_E_TIMEOUT, "");
    /* A write takes the key out of its hands. */
    assert_int_equal(mtc_cache_remove(rig.cache, mtc_str("k")), MTC_OK);
    caller.call = (mtc_call)MTC_CALL_INIT;
    mtct_caller_start(&caller);
    mtct_asked_await(rig.cache, 1);
    mtct_mute_answer(rig.mute, MTC_MISS);
    mtct_caller_join(&caller);
    assert_string_equal(caller.text, "loaded");
    assert_int_equal(heard.count, 0);
    mtc_load_drop(left);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&heard, MTC_E_CANCELLED, "");
}

static void nor_does_it_hold_up_the_end_of_queue_and_cache(void **state)
{
    (void)state;
    begin(load_later, &heard);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    assert_int_equal(mtc_queue_close(&rig.queue), MTC_OK);
    mtct_assert_heard(&heard, MTC_E_CANCELLED, "");
    /* The load keeps what it needs of the cache. */
    assert_int_equal(mtc_cache_close(&rig.cache), MTC_PARTIAL);
    assert_null(rig.cache);
    assert_int_equal(mtc_load_set_value(left, mtc_str("late")), MTC_OK);
    assert_int_equal(mtc_load_answer(left, MTC_OK), MTC_OK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_loader_that_ends_its_thread_hands_over),
        TEST(a_loader_that_is_cancelled_hands_over),
        TEST(a_blocking_caller_may_be_the_heir),
        TEST(without_an_heir_the_next_call_loads),
        TEST(a_callback_that_ends_its_thread_leaves_the_queue_in_order),
        TEST(a_load_that_is_never_answered_holds_up_nobody),
        TEST(nor_does_it_hold_up_the_end_of_queue_and_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
