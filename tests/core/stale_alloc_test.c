/*
 * Stale copies and early refreshes without memory: a caller that has a copy
 * gets it, and the next load puts things right.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "support/callers.h"
#include "support/chain_rig.h"
#include "support/failing_alloc.h"

#define TTL_MS 1000

static mtct_rig rig;
static _Atomic int loads;

static const mtc_strategy base = {
    .struct_size = sizeof(mtc_strategy),
    .ttl_ms = TTL_MS,
    .stale_ms = 100 * TTL_MS,
    .throttle_ms = TTL_MS,
    .error_ms = TTL_MS,
    .soft_ms = -1,
};

static mtc_status load_fresh(mtc_load *load, void *ctx)
{
    (void)ctx;
    atomic_fetch_add(&loads, 1);
    mtc_status status = mtc_load_set_etag(load, mtc_str("e2"));
    return status == MTC_OK ? mtc_load_set_value(load, mtc_str("fresh"))
                            : status;
}

static mtc_status load_unchanged(mtc_load *load, void *ctx)
{
    (void)ctx;
    atomic_fetch_add(&loads, 1);
    return mtc_load_set_unchanged(load);
}

static mtc_status load_failing(mtc_load *load, void *ctx)
{
    (void)load;
    (void)ctx;
    atomic_fetch_add(&loads, 1);
    return MTC_E_DENIED;
}

/* How a copy is met: its age, the strategy, the loader; and what a call may
 * end as while memory fails, but for NO_MEMORY where it has no copy. */
typedef struct scenario {
    int64_t age_ms;
    int64_t soft_ms;
    int64_t hard_ms;
    uint32_t refresh_percent;
    mtc_loader loader;
    mtc_status status; /* when nothing fails */
} scenario;

static const scenario scenarios[] = {
    {3 * TTL_MS / 4, -1, 0, 50, load_fresh, MTC_OK},     /* early, behind */
    {3 * TTL_MS / 4, -1, 0, 50, load_unchanged, MTC_OK}, /* the same */
    {3 * TTL_MS / 4, -1, 0, 50, load_failing, MTC_OK},
    {2 * TTL_MS, -1, 0, 0, load_fresh, MTC_OK},
    {2 * TTL_MS, -1, 0, 0, load_unchanged, MTC_OK},
    {2 * TTL_MS, -1, 0, 0, load_failing, MTC_STALE},
    {2 * TTL_MS, 0, 0, 0, load_fresh, MTC_STALE}, /* behind */
    {2 * TTL_MS, 0, 0, 0, load_failing, MTC_STALE},
    {2 * TTL_MS, -1, 60000, 0, load_fresh, MTC_OK}, /* on a thread */
    {2 * TTL_MS, -1, 60000, 0, load_failing, MTC_STALE},
};

static mtc_status ask(const mtc_strategy *strategy, mtc_loader loader,
                      char *text)
{
    mtc_value value;
    mtc_status status = mtc_cache_get_or_load(rig.cache, mtc_str("k"), strategy,
                                              loader, NULL, &value);
    memcpy(text, value.data ? value.data : "", value.size);
    text[value.size] = '\0';
    mtc_value_free(&value);
    return status;
}

static void settle(void)
{
    for (int i = 0; i < 10000; i++) {
        mtc_stats stats = mtct_rig_stats(&rig);
        if (stats.in_flight == 0 && stats.loads_running == 0)
            return;
        struct timespec ms = {0, 1000000};
        nanosleep(&ms, NULL);
    }
    fail_msg("a load does not end");
}

static void assert_outcome(const scenario *scenario, mtc_status status,
                           const char *text, bool has_failed)
{
    bool is_old = strcmp(text, "old") == 0;
    if (!has_failed)
        assert_int_equal(status, scenario->status);
    else if (status != MTC_E_NO_MEMORY)
        assert_true(status == scenario->status || status == MTC_STALE);
    if (scenario->age_ms < TTL_MS)
        assert_int_equal(status, MTC_OK); /* a hit, whatever is behind it */
    if (status == MTC_OK || status == MTC_STALE)
        assert_true(is_old || (!status && strcmp(text, "fresh") == 0));
    assert_true(atomic_load(&loads) <= 1);
}

/* The copy is old or fresh, and once all notes have run out a load is run. */
static void assert_mended(const mtc_strategy *strategy)
{
    char text[16];
    mtct_quiet_await(rig.cache);
    atomic_fetch_add(&rig.clock.now_ms, 3 * TTL_MS);
    assert_int_equal(ask(&base, load_fresh, text), MTC_OK);
    assert_string_equal(text, "fresh");
    atomic_store(&loads, 0);
    assert_int_equal(ask(strategy, load_fresh, text), MTC_OK);
    assert_string_equal(text, "fresh");
    assert_int_equal(atomic_load(&loads), 0);
}

static bool sweep_once(const scenario *scenario, long n, bool goes_on)
{
    char text[16];
    mtc_strategy strategy = base;
    long before = mtct_alloc_live();
    strategy.soft_ms = scenario->soft_ms;
    strategy.hard_ms = scenario->hard_ms;
    strategy.refresh_percent = scenario->refresh_percent;
    mtct_rig_init(&rig, 1);
    mtct_rig_open(&rig);
    assert_int_equal(mtc_cache_set(rig.cache, mtc_str("k"), mtc_str("old"),
                                   &base),
                     MTC_OK);
    atomic_fetch_add(&rig.clock.now_ms, scenario->age_ms);
    atomic_store(&loads, 0);
    mtct_alloc_arm(n, goes_on);
    mtc_status status = ask(&strategy, scenario->loader, text);
    settle();
    bool has_failed = mtct_alloc_disarm();
    assert_outcome(scenario, status, text, has_failed);
    assert_mended(&strategy);
    mtct_rig_fini(&rig);
    assert_int_equal(mtct_alloc_live(), before);
    return has_failed;
}

static void a_copy_is_not_lost_with_the_memory_for_its_load(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(*scenarios); i++) {
        for (int mode = 0; mode < 2; mode++) {
            long n = 1;
            while (sweep_once(&scenarios[i], n, mode == 1))
                n++;
            assert_true(n > 1);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_is_not_lost_with_the_memory_for_its_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
