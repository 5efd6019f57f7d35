/*
 * Threads that are cancelled inside a call of the library: the call ends as if
 * nothing had happened, and nothing is left behind. Only a loader may be left
 * by cancellation (handover_test.c).
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>

#include "support/callers.h"
#include "support/chain_rig.h"
#include "support/mute_tier.h"

#define SOME 12

static mtct_rig rig;
static mtct_caller callers[SOME];
static mtct_stop at_loader, at_answer;

static int setup(void **state)
{
    (void)state;
    mtct_rig_init(&rig, 1);
    at_loader = at_answer = (mtct_stop){0};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mtct_rig_fini(&rig);
    return 0;
}

static mtc_status load_when_let(mtc_load *load, void *ctx)
{
    (void)ctx;
    mtct_stop_here(&at_loader);
    return mtc_load_set_value(load, mtc_str("loaded"));
}

static mtct_caller calling(mtc_loader loader)
{
    return (mtct_caller){.cache = rig.cache, .key = "k", .loader = loader};
}

/* What a thread that was cancelled within its call did before it ended. */
typedef struct cancelled {
    mtct_caller caller;
    _Atomic uint64_t returned;
    pthread_t thread;
} cancelled;

/* A point of cancellation follows the call. */
static void *call_and_end(void *ctx)
{
    cancelled *own = ctx;
    mtct_caller_run(&own->caller);
    atomic_store(&own->returned, 1);
    pthread_testcancel();
    return NULL;
}

static void assert_cancelled(cancelled *own)
{
    void *result;
    assert_int_equal(pthread_join(own->thread, &result), 0);
    assert_ptr_equal(result, PTHREAD_CANCELED);
    assert_int_equal(own->returned, 1);
}

static void a_follower_that_is_cancelled_waits_to_the_end(void **state)
{
    static cancelled followers[SOME];
    (void)state;
    mtct_rig_open(&rig);
    mtct_caller leader = calling(load_when_let);
    mtct_caller_start(&leader);
    mtct_stop_await(&at_loader, 1);
    for (size_t i = 0; i < SOME; i++) {
        followers[i] = (cancelled){.caller = calling(load_when_let)};
        followers[i].thread = mtct_thread_start(call_and_end, &followers[i]);
    }
    mtct_followers_await(rig.cache, SOME);
    for (size_t i = 0; i < SOME; i++)
        pthread_cancel(followers[i].thread);
    mtct_stop_open(&at_loader);
    mtct_caller_join(&leader);
    for (size_t i = 0; i < SOME; i++) {
        assert_cancelled(&followers[i]);
        assert_string_equal(followers[i].caller.text, "loaded");
    }
    assert_int_equal(mtct_rig_stats(&rig).requests, SOME + 1);
    assert_int_equal(mtct_rig_stats(&rig).in_flight, 0);
}

/* The one whom all wait for is cancelled while the tier has not answered. */
static void a_leader_that_is_cancelled_waits_for_the_tier(void **state)
{
    static cancelled leader;
    (void)state;
    mtct_rig_open(&rig);
    mtct_script_put(rig.below[0], "k", "below", 3600000);
    mtct_mood_hold(&rig.moods[0], MTC_VERB_READ, true);
    leader = (cancelled){.caller = calling(NULL)};
    leader.thread = mtct_thread_start(call_and_end, &leader);
    mtct_wait_for(&rig.moods[0].holding, 1);
    mtct_callers_start(callers, SOME, calling(NULL));
    mtct_followers_await(rig.cache, SOME);
    pthread_cancel(leader.thread);
    mtct_mood_hold(&rig.moods[0], MTC_VERB_READ, false);
    assert_cancelled(&leader);
    mtct_callers_join(callers, SOME);
    mtct_assert_all_got(callers, SOME, MTC_OK, "below");
    assert_string_equal(leader.caller.text, "below");
    assert_int_equal(mtct_rig_stats(&rig).in_flight, 0);
}

/* -- writes and the listener ----------------------------------------------- */

static void *set_and_end(void *ctx)
{
    cancelled *own = ctx;
    own->caller.status =
        mtc_cache_set(rig.cache, mtc_str("k"), mtc_str("new"), NULL);
    atomic_store(&own->returned, 1);
    pthread_testcancel();
    return NULL;
}

static _Atomic unsigned told;

/* Prints a line, as it were. */
static void hear(void *ctx, mtc_slice key, mtc_slice value, mtc_eviction why)
{
    (void)ctx;
    (void)key;
    (void)value;
    (void)why;
    atomic_fetch_add(&told, 1);
    mtct_stop_here(&at_loader);
    pthread_testcancel();
}

static void a_writer_that_is_cancelled_in_the_listener_goes_on(void **state)
{
    static cancelled writer;
    (void)state;
    rig.options.evicted = hear;
    mtct_rig_open(&rig);
    assert_int_equal(mtc_cache_set(rig.cache, mtc_str("k"), mtc_str("old"),
                                   NULL),
                     MTC_OK);
    writer = (cancelled){0};
    writer.thread = mtct_thread_start(set_and_end, &writer);
    mtct_stop_await(&at_loader, 1);
    pthread_cancel(writer.thread);
    mtct_stop_open(&at_loader);
    assert_cancelled(&writer);
    assert_int_equal(writer.caller.status, MTC_OK);
    mtct_assert_get(rig.cache, "k", "new");
    /* Nobody is counted as inside: there is nothing to wait for. */
    assert_int_equal(mtc_cache_close(&rig.cache), MTC_OK);
}

/* -- answers that come later ----------------------------------------------- */

static mtc_load *left;

static mtc_status load_later(mtc_load *load, void *ctx)
{
    (void)ctx;
    left = load;
    mtct_stop_here(&at_loader);
    return MTC_PENDING;
}

static _Atomic uint64_t drives;
static mtc_tier_ops punctual;
static const mtc_tier_ops *mute_ops;

/* As a tier whose I/O is system calls, which are points of cancellation. */
static void drive(mtc_tier *tier, const mtc_request *awaited, int64_t until_ms)
{
    atomic_fetch_add(&drives, 1);
    pthread_testcancel();
    mute_ops->drive(tier, awaited, until_ms);
}

static void *answer_and_end(void *ctx)
{
    cancelled *own = ctx;
    mtct_stop_here(&at_answer); /* it is cancelled by now */
    mtc_load_set_value(left, mtc_str("late"));
    own->caller.status = mtc_load_answer(left, MTC_OK);
    atomic_store(&own->returned, 1);
    pthread_testcancel();
    return NULL;
}

static void open_over_mute(void)
{
    mtct_mute *mute = mtct_mute_new(0);
    mute_ops = mute->tier.ops;
    punctual = *mute_ops;
    punctual.drive = drive;
    mute->tier.ops = &punctual;
    rig.below[0]->tier.ops->close(&rig.below[0]->tier);
    rig.tiers[1].tier = &mute->tier;
    mtct_rig_open(&rig);
}

static void who_answers_a_load_is_not_cancelled_within(void **state)
{
    static cancelled answerer;
    (void)state;
    open_over_mute();
    mtct_caller leader = calling(load_later);
    mtct_caller_start(&leader);
    mtct_stop_await(&at_loader, 1);
    mtct_stop_open(&at_loader);
    answerer = (cancelled){0};
    answerer.thread = mtct_thread_start(answer_and_end, &answerer);
    mtct_stop_await(&at_answer, 1);
    pthread_cancel(answerer.thread);
    mtct_stop_open(&at_answer);
    assert_cancelled(&answerer);
    mtct_caller_join(&leader);
    assert_int_equal(leader.status, MTC_OK);
    assert_string_equal(leader.text, "late");
    assert_int_equal(mtc_cache_close(&rig.cache), MTC_OK);
}

/* -- closing --------------------------------------------------------------- */

static void *close_and_end(void *ctx)
{
    cancelled *own = ctx;
    own->caller.status = mtc_cache_close(&rig.cache);
    atomic_store(&own->returned, 1);
    pthread_testcancel();
    return NULL;
}

static void closing_is_finished_by_a_cancelled_thread(void **state)
{
    static cancelled closer;
    static _Atomic uint64_t closes;
    (void)state;
    rig.below[0]->closes = &closes;
    rig.options.grace_ms = 10000;
    mtct_rig_open(&rig);
    mtct_mood_hold(&rig.moods[0], MTC_VERB_STORE, true);
    mtct_caller caller = calling(load_when_let);
    mtct_stop_open(&at_loader);
    mtct_caller_run(&caller);
    mtct_wait_for(&rig.moods[0].holding, 1);
    closer = (cancelled){0};
    closer.thread = mtct_thread_start(close_and_end, &closer);
    while (__atomic_load_n(&rig.cache, __ATOMIC_ACQUIRE))
        sched_yield();
    pthread_cancel(closer.thread);
    mtct_mood_hold(&rig.moods[0], MTC_VERB_STORE, false);
    assert_cancelled(&closer);
    assert_int_equal(closer.caller.status, MTC_OK);
    assert_int_equal(closes, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_follower_that_is_cancelled_waits_to_the_end),
        TEST(a_leader_that_is_cancelled_waits_for_the_tier),
        TEST(a_writer_that_is_cancelled_in_the_listener_goes_on),
        TEST(who_answers_a_load_is_not_cancelled_within),
        TEST(closing_is_finished_by_a_cancelled_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
