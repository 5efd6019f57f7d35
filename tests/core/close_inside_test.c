/*
 * A cache that is closed from inside of its own callbacks: refused where the
 * close would wait for itself, done where it need not.
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
static mtc_cache *other; /* of a loader, a listener: not the one that calls */
static _Atomic int closed;
static _Atomic uint64_t calls;

static int setup(void **state)
{
    (void)state;
    mtct_rig_init(&rig, 1);
    closed = MTCT_NOT_YET;
    calls = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mtct_rig_fini(&rig);
    return 0;
}

static void close_once(void)
{
    if (atomic_load(&closed) == (int)MTCT_NOT_YET)
        atomic_store(&closed, mtc_cache_close(&rig.cache));
    atomic_fetch_add(&calls, 1);
}

static void assert_refused_and_open(void)
{
    assert_int_equal(closed, MTC_E_DEADLOCK);
    assert_non_null(rig.cache);
    assert_int_equal(mtc_cache_set(rig.cache, mtc_str("k"), mtc_str("v"), NULL),
                     MTC_OK);
    mtct_assert_get(rig.cache, "k", "v");
}

/* -- loaders --------------------------------------------------------------- */

static mtc_status close_in_loader(mtc_load *load, void *ctx)
{
    (void)ctx;
    close_once();
    return mtc_load_set_value(load, mtc_str("loaded"));
}

static void not_by_a_loader_on_a_thread_of_the_cache(void **state)
{
    mtc_strategy strategy = MTC_STRATEGY_INIT(1000);
    (void)state;
    strategy.hard_ms = 60000;
    mtct_rig_open(&rig);
    mtct_caller caller = {.cache = rig.cache,
                          .key = "k",
                          .loader = close_in_loader};
    caller.call = (mtc_call)MTC_CALL_INIT;
    caller.call.strategy = &strategy;
    mtct_caller_run(&caller);
    assert_string_equal(caller.text, "loaded");
    assert_refused_and_open();
}

static mtc_status close_in_bulk(mtc_bulk *bulk, void *ctx)
{
    (void)ctx;
    close_once();
    for (size_t i = 0; i < mtc_bulk_count(bulk); i++)
        mtc_load_set_value(mtc_bulk_load(bulk, i), mtc_str("loaded"));
    return MTC_OK;
}

static void not_by_a_bulk_loader(void **state)
{
    mtc_item items[2] = {{.key = mtc_str("a")}, {.key = mtc_str("b")}};
    (void)state;
    mtct_rig_open(&rig);
    assert_int_equal(mtc_cache_get_or_load_many(rig.cache, items, 2, NULL,
                                                close_in_bulk, NULL),
                     MTC_OK);
    mtc_value_free(&items[0].value);
    mtc_value_free(&items[1].value);
    assert_refused_and_open();
}

static void not_by_a_loader_that_a_drain_runs(void **state)
{
    mtct_heard heard = {0};
    mtc_queue *queue;
    (void)state;
    mtct_rig_open(&rig);
    assert_int_equal(mtc_queue_open(rig.cache, &queue), MTC_OK);
    mtc_cache_get_or_load_async(queue, mtc_str("k"), NULL, close_in_loader,
                                NULL, mtct_hear, &heard);
    mtct_drain_until(queue, &heard);
    mtct_assert_heard(&heard, MTC_OK, "loaded");
    assert_refused_and_open();
    assert_int_equal(mtc_queue_close(&queue), MTC_OK);
}

/* -- listeners ------------------------------------------------------------- */

static void close_in_listener(void *ctx, mtc_slice key, mtc_slice value,
                              mtc_eviction why)
{
    (void)ctx;
    (void)key;
    (void)value;
    (void)why;
    close_once();
}

static void not_by_the_listener_of_a_write(void **state)
{
    (void)state;
    rig.options.evicted = close_in_listener;
    mtct_rig_open(&rig);
    for (int i = 0; i < 2; i++)
        mtc_cache_set(rig.cache, mtc_str("k"), mtc_str("v"), NULL);
    assert_true(calls > 0);
    assert_refused_and_open();
}

/* What expires is told by the keeper, who would wait for himself. */
static void not_by_the_listener_on_the_keepers_thread(void **state)
{
    (void)state;
    rig.options.evicted = close_in_listener;
    mtct_rig_open(&rig);
    mtc_cache_set(rig.cache, mtc_str("k"), mtc_str("v"), &MTC_REAL_TIME);
    atomic_fetch_add(&rig.clock.now_ms, 60000);
    mtct_wait_for(&calls, 1);
    assert_refused_and_open();
}

static void close_other_in_listener(void *ctx, mtc_slice key, mtc_slice value,
                                    mtc_eviction why)
{
    (void)ctx;
    (void)key;
    (void)value;
    (void)why;
    if (other)
        atomic_store(&closed, mtc_cache_close(&other));
}

static void another_cache_may_be_closed_by_a_listener(void **state)
{
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    (void)state;
    options.tiers = "memory?size=4MiB";
    assert_int_equal(mtc_cache_open(&options, NULL, &other), MTC_OK);
    rig.options.evicted = close_other_in_listener;
    mtct_rig_open(&rig);
    for (int i = 0; i < 2; i++)
        mtc_cache_set(rig.cache, mtc_str("k"), mtc_str("v"), NULL);
    assert_int_equal(closed, MTC_OK);
    assert_null(other);
}

/* -- the log --------------------------------------------------------------- */

static void close_in_log(void *ctx, mtc_log_level level, const char *part,
                         const char *text)
{
    (void)ctx;
    (void)level;
    (void)part;
    (void)text;
    close_once();
}

/* That a tier is back is told by the keeper. */
static void not_by_the_log_on_the_keepers_thread(void **state)
{
    (void)state;
    rig.options.log = close_in_log;
    rig.options.log_level = MTC_LOG_INFO + 1;
    rig.tiers[1].deadline_ms = 5000;
    mtct_rig_open(&rig);
    mtct_mood_set(&rig.moods[0], MTC_VERB_READ, MTC_E_UNAVAILABLE);
    mtct_rig_get_below(&rig, "k");
    mtct_wait_for(&calls, 1);
    mtct_mood_set(&rig.moods[0], MTC_VERB_READ, MTC_OK);
    mtct_rig_wait_up(&rig, 1);
    assert_refused_and_open();
}

/* -- callbacks of a queue -------------------------------------------------- */

static void close_in_callback(void *ctx, mtc_status status, mtc_value *value)
{
    mtct_hear(ctx, status, value);
    close_once();
}

/* The close need not wait for the queue, and takes what is under way along. */
static void a_callback_may_close_the_cache(void **state)
{
    static _Atomic uint64_t closes;
    mtct_heard first = {0}, second = {0};
    mtc_queue *queue;
    (void)state;
    rig.below[0]->closes = &closes;
    rig.options.grace_ms = 10000;
    mtct_rig_open(&rig);
    assert_int_equal(mtc_queue_open(rig.cache, &queue), MTC_OK);
    mtc_cache_set(rig.cache, mtc_str("k"), mtc_str("v"), NULL);
    mtc_cache_get_async(queue, mtc_str("k"), NULL, close_in_callback, &first);
    mtc_cache_get_async(queue, mtc_str("x"), NULL, mtct_hear, &second);
    mtct_drain_until(queue, &second);
    mtct_assert_heard(&first, MTC_OK, "v");
    assert_int_equal(closed, MTC_OK);
    assert_null(rig.cache);
    assert_true(second.status == MTC_E_CLOSED || second.status == MTC_MISS);
    assert_int_equal(mtc_cache_get_async(queue, mtc_str("k"), NULL, mtct_hear,
                                         &second),
                     MTC_E_CLOSED);
    assert_int_equal(closes, 0);
    assert_int_equal(mtc_queue_close(&queue), MTC_OK);
    assert_int_equal(closes, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(not_by_a_loader_on_a_thread_of_the_cache),
        TEST(not_by_a_bulk_loader),
        TEST(not_by_a_loader_that_a_drain_runs),
        TEST(not_by_the_listener_of_a_write),
        TEST(not_by_the_listener_on_the_keepers_thread),
        TEST(another_cache_may_be_closed_by_a_listener),
        TEST(not_by_the_log_on_the_keepers_thread),
        TEST(a_callback_may_close_the_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
