/*
 * Closing: with callers waiting, tiers hanging, loads running, answers still
 * to come.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/cache_fixture.h"
#include "support/callers.h"
#include "support/mute_tier.h"

#define FOR_EVER 600000 /* a deadline, in milliseconds */
#define GRACE_MS 100

static mtc_cache *cache;
static mtct_mute *mute;
static mtct_caller callers[MTCT_CROWD];
static mtct_stop at_loader;

/* Memory over a tier with a long deadline. */
static void open_over(mtc_tier *tier)
{
    mtc_tier_config tiers[2] = {MTC_TIER_CONFIG_INIT, MTC_TIER_CONFIG_INIT};
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    at_loader = (mtct_stop){0};
    assert_int_equal(mtc_tier_open("memory?size=4MiB", NULL, &tiers[0]),
                     MTC_OK);
    tiers[1].tier = tier;
    tiers[1].deadline_ms = FOR_EVER;
    options.tier_configs = tiers;
    options.tier_count = 2;
    options.log_level = 5;
    options.grace_ms = GRACE_MS;
    assert_int_equal(mtc_cache_open(&options, NULL, &cache), MTC_OK);
}

static void open_over_mute(unsigned kept_verbs)
{
    mute = mtct_mute_new(kept_verbs);
    open_over(&mute->tier);
}

static mtc_status load_when_let(mtc_load *load, void *ctx)
{
    (void)ctx;
    mtct_stop_here(&at_loader);
    return mtc_load_set_value(load, mtc_str("loaded"));
}

static mtct_caller loading(void)
{
    return (mtct_caller){.cache = cache, .key = "k", .loader = load_when_let};
}

static void a_thousand_waiters_on_a_hung_tier_are_let_go(void **state)
{
    (void)state;
    open_over_mute(MTCT_MUTE(MTC_VERB_READ));
    mtct_callers_start(callers, MTCT_CROWD, loading());
    mtct_followers_await(cache, MTCT_CROWD - 1);
    mtct_wait_for(&mute->counts[MTC_VERB_READ], 1);
    assert_int_equal(mtc_cache_close(&cache), MTC_PARTIAL);
    mtct_callers_join(callers, MTCT_CROWD);
    mtct_assert_all_got(callers, MTCT_CROWD, MTC_E_CLOSED, "");
    assert_int_equal(at_loader.arrived, 0);
}

static void *bulk_main(void *ctx)
{
    mtc_item *items = ctx;
    mtc_cache_get_many(cache, items, 2);
    return NULL;
}

static void a_bulk_get_on_a_hung_tier_is_let_go(void **state)
{
    (void)state;
    mtc_item items[2] = {{.key = mtc_str("a")}, {.key = mtc_str("b")}};
    open_over_mute(MTCT_MUTE(MTC_VERB_READ));
    pthread_t thread = mtct_thread_start(bulk_main, items);
    mtct_wait_for(&mute->counts[MTC_VERB_READ], 2);
    assert_int_equal(mtc_cache_close(&cache), MTC_PARTIAL);
    pthread_join(thread, NULL);
    assert_int_equal(items[0].status, MTC_E_CLOSED);
    assert_int_equal(items[1].status, MTC_E_CLOSED);
}

static void a_store_under_way_is_given_time(void **state)
{
    (void)state;
    open_over_mute(0);
    mtct_caller caller = loading();
    mtct_stop_open(&at_loader);
    mtct_caller_run(&caller);
    assert_int_equal(caller.status, MTC_OK);
    assert_int_equal(mtc_cache_close(&cache), MTC_OK);
}

static void *set_main(void *ctx)
{
    *(mtc_status *)ctx = mtc_cache_set(cache, mtc_str("k"), mtc_str("v"), NULL);
    return NULL;
}

static void a_writer_that_waits_longer_than_the_grace_ends_well(void **state)
{
    (void)state;
    mtc_status status = MTCT_NOT_YET;
    open_over_mute(MTCT_MUTE(MTC_VERB_STORE));
    pthread_t thread = mtct_thread_start(set_main, &status);
    mtct_wait_for(&mute->counts[MTC_VERB_STORE], 1);
    assert_int_equal(mtc_cache_close(&cache), MTC_PARTIAL);
    mtct_mute_answer(mute, MTC_OK);
    pthread_join(thread, NULL);
    assert_int_equal(status, MTC_OK);
}

static void a_cache_is_closed_once(void **state)
{
    (void)state;
    open_over_mute(0);
    assert_int_equal(mtc_cache_close(&cache), MTC_OK);
    assert_null(cache);
    assert_int_equal(mtc_cache_close(&cache), MTC_E_INVALID);
    assert_int_equal(mtc_cache_close(NULL), MTC_E_INVALID);
}

/* -- and loads ---------------------------------------------------------- */

static mtc_status close_inside(mtc_load *load, void *ctx)
{
    *(mtc_status *)ctx = mtc_cache_close(&cache);
    return mtc_load_set_value(load, mtc_str("loaded"));
}

static mtc_status load_from_another(mtc_load *load, void *ctx)
{
    mtct_cache other;
    mtct_cache_init(&other);
    mtct_caller caller = {.cache = other.cache,
                          .key = "k",
                          .loader = close_inside,
                          .ctx = ctx};
    mtct_caller_run(&caller);
    if (mtc_cache_close(&other.cache) != MTC_OK)
        return MTC_E_CORRUPT;
    return mtc_load_set_value(load, mtc_str(caller.text));
}

static void a_cache_is_not_closed_inside_its_loader(void **state)
{
    (void)state;
    mtc_loader loaders[] = {close_inside, load_from_another};
    open_over_mute(0);
    for (size_t i = 0; i < 2; i++) {
        mtc_status closed = MTCT_NOT_YET;
        mtct_caller caller = loading();
        caller.loader = loaders[i];
        caller.ctx = &closed;
        mtct_caller_run(&caller);
        assert_int_equal(closed, MTC_E_DEADLOCK);
        assert_string_equal(caller.text, "loaded");
        mtct_assert_get(cache, "k", "loaded");
        assert_int_equal(mtc_cache_remove(cache, mtc_str("k")), MTC_OK);
    }
    assert_int_equal(mtc_cache_close(&cache), MTC_OK);
}

static void a_loader_may_run_longer_than_the_grace(void **state)
{
    (void)state;
    enum { SOME = 8 };
    open_over_mute(0);
    mtct_caller leader = loading();
    mtct_caller_start(&leader);
    mtct_stop_await(&at_loader, 1);
    mtct_callers_start(callers, SOME, loading());
    mtct_followers_await(cache, SOME);
    assert_int_equal(mtc_cache_close(&cache), MTC_PARTIAL);
    mtct_callers_join(callers, SOME);
    mtct_assert_all_got(callers, SOME, MTC_E_CLOSED, "");
    mtct_stop_open(&at_loader);
    mtct_caller_join(&leader);
    mtct_assert_all_got(&leader, 1, MTC_OK, "loaded");
}

static mtc_load *token;

static mtc_status leave_token(mtc_load *load, void *ctx)
{
    (void)ctx;
    token = load;
    mtct_stop_here(&at_loader);
    return MTC_PENDING;
}

/* The load keeps the cache until it is answered or dropped. */
static void a_token_may_outlive_its_cache(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        open_over_mute(0);
        mtct_caller caller = loading();
        caller.loader = leave_token;
        mtct_stop_open(&at_loader);
        mtct_caller_start(&caller);
        mtct_stop_await(&at_loader, 1);
        assert_int_equal(mtc_cache_close(&cache), MTC_PARTIAL);
        mtct_caller_join(&caller);
        assert_int_equal(caller.status, MTC_E_CLOSED);
        if (i == 0) {
            assert_int_equal(mtc_load_set_value(token, mtc_str("v")), MTC_OK);
            assert_int_equal(mtc_load_answer(token, MTC_OK), MTC_OK);
        } else {
            mtc_load_drop(token);
        }
    }
}

/* -- and workers -------------------------------------------------------- */

static mtct_stop in_tier;

static mtc_status hang(mtct_script *script, mtc_verb verb, mtc_request *request)
{
    (void)script;
    (void)verb;
    (void)request;
    mtct_stop_here(&in_tier);
    return MTC_OK;
}

/* A worker is inside the tier when the cache closes; what it needs is kept
 * until it comes out. */
static void a_worker_that_hangs_is_left_behind(void **state)
{
    (void)state;
    mtct_script *script = mtct_script_new();
    static _Atomic uint64_t closes;
    in_tier = (mtct_stop){0};
    script->hook = hang;
    script->closes = &closes;
    open_over(&script->tier);
    mtct_caller caller = loading();
    mtct_caller_start(&caller);
    mtct_stop_await(&in_tier, 1);
    assert_int_equal(mtc_cache_close(&cache), MTC_PARTIAL);
    mtct_caller_join(&caller);
    assert_int_equal(caller.status, MTC_E_CLOSED);
    mtct_stop_open(&in_tier);
    mtct_wait_for(&closes, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thousand_waiters_on_a_hung_tier_are_let_go),
        cmocka_unit_test(a_bulk_get_on_a_hung_tier_is_let_go),
        cmocka_unit_test(a_store_under_way_is_given_time),
        cmocka_unit_test(a_writer_that_waits_longer_than_the_grace_ends_well),
        cmocka_unit_test(a_cache_is_closed_once),
        cmocka_unit_test(a_cache_is_not_closed_inside_its_loader),
        cmocka_unit_test(a_loader_may_run_longer_than_the_grace),
        cmocka_unit_test(a_token_may_outlive_its_cache),
        cmocka_unit_test(a_worker_that_hangs_is_left_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
