/*
 * The keeper without memory: what it does behind all callers fails once or for
 * a while, and is done in the end.
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

#define NAPS_MAX 10000

/* More than the keeper makes; how many are left to it when the sweep begins is
 * a matter of chance. */
#define ALLOCATIONS 5

static mtct_rig rig;

static void nap(void)
{
    struct timespec ms = {0, 1000000};
    nanosleep(&ms, NULL);
}

static mtc_status load(mtc_load *load, void *ctx)
{
    (void)ctx;
    return mtc_load_set_value(load, mtc_str("loaded"));
}

/* -- scenarios: what the keeper has to do, and whether it has ------------ */

typedef struct scenario {
    void (*begin)(void); /* before memory runs out */
    void (*go)(void);    /* then */
    bool (*is_done)(void);
} scenario;

static void owe(void)
{
    assert_int_equal(mtc_cache_set(rig.cache, mtc_str("k"), mtc_str("old"),
                                   NULL),
                     MTC_OK);
    mtct_mood_set(&rig.moods[0], MTC_VERB_REMOVE, MTC_E_UNAVAILABLE);
    mtct_mood_set(&rig.moods[0], MTC_VERB_READ, MTC_E_UNAVAILABLE);
    assert_int_equal(mtc_cache_remove(rig.cache, mtc_str("k")), MTC_PENDING);
}

static void come_back(void)
{
    mtct_mood_set(&rig.moods[0], MTC_VERB_READ, MTC_OK);
    mtct_mood_set(&rig.moods[0], MTC_VERB_REMOVE, MTC_OK);
}

static bool is_paid(void)
{
    return mtct_rig_stats(&rig).tiers[1].debts == 0 &&
           mtct_rig_health(&rig).tiers[1].state != MTC_HEALTH_DOWN &&
           mtct_script_holds(rig.below[0], "k", NULL);
}

/* The tier says later that the value was outdated. */
static void load_outdated(void)
{
    mtc_value value;
    mtct_mood_set(&rig.moods[0], MTC_VERB_STORE, MTC_E_CANCELLED);
    mtct_mood_hold(&rig.moods[0], MTC_VERB_STORE, true);
    assert_int_equal(mtc_cache_get_or_load(rig.cache, mtc_str("k"), NULL, load,
                                           NULL, &value),
                     MTC_OK);
    mtc_value_free(&value);
}

static void refuse(void)
{
    mtct_mood_hold(&rig.moods[0], MTC_VERB_STORE, false);
}

static bool is_dropped(void)
{
    mtc_value value;
    mtc_status status = mtc_cache_get(rig.cache, mtc_str("k"), &value);
    mtc_value_free(&value);
    return status == MTC_MISS;
}

static const scenario scenarios[] = {
    {owe, come_back, is_paid},
    {load_outdated, refuse, is_dropped},
};

/* -- the sweep ----------------------------------------------------------- */

static void await_done(const scenario *scenario)
{
    int naps = 0;
    while (!scenario->is_done()) {
        assert_true(naps++ < NAPS_MAX);
        nap();
    }
}

/* Until the failure has come, or there was none to come. */
static bool await_failure(const scenario *scenario)
{
    int naps = 0;
    while (!mtct_alloc_has_failed() && !scenario->is_done()) {
        assert_true(naps++ < NAPS_MAX);
        nap();
    }
    return mtct_alloc_has_failed();
}

static bool sweep_once(const scenario *scenario, long n, bool goes_on)
{
    long before = mtct_alloc_live();
    mtct_rig_init(&rig, 1);
    mtct_rig_open(&rig);
    scenario->begin();
    mtct_alloc_arm(n, goes_on);
    scenario->go();
    bool has_failed = await_failure(scenario);
    mtct_alloc_disarm();
    await_done(scenario);
    mtct_rig_fini(&rig);
    assert_int_equal(mtct_alloc_live(), before);
    return has_failed;
}

static void what_the_keeper_owes_is_done_in_the_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(*scenarios); i++) {
        int failures = 0;
        for (long n = 1; n <= ALLOCATIONS; n++) {
            failures += sweep_once(&scenarios[i], n, false);
            failures += sweep_once(&scenarios[i], n, true);
        }
        assert_true(failures > 0);
    }
}

/* Closing waits for what is under way, without memory. */
static void what_is_left_at_the_end_is_freed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(*scenarios); i++) {
        long before = mtct_alloc_live();
        mtct_rig_init(&rig, 1);
        mtct_rig_open(&rig);
        scenarios[i].begin();
        mtct_alloc_arm(1, true);
        scenarios[i].go();
        mtct_rig_fini(&rig);
        mtct_alloc_disarm();
        assert_int_equal(mtct_alloc_live(), before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_keeper_owes_is_done_in_the_end),
        cmocka_unit_test(what_is_left_at_the_end_is_freed),
    };
    mtct_rig_init(&rig, 0); /* what threads keep for good */
    mtct_rig_open(&rig);
    mtct_rig_fini(&rig);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
