/*
 * Lanes: deadlines, a tier that falls and comes back, lives, what a tier can
 * hold, tickets and promotion, as a caller of the cache sees them.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/cache.h"
#include "support/chain_rig.h"
#include "support/mute_tier.h"

#define HOUR_MS 3600000

static mtct_rig rig;

static int setup(void **state)
{
    (void)state;
    mtct_rig_init(&rig, 1);
    return 0;
}

static int setup_three_tiers(void **state)
{
    (void)state;
    mtct_rig_init(&rig, 2);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mtct_rig_fini(&rig);
    return 0;
}

static mtc_status set_for(const char *key, const char *value, int64_t ttl_ms)
{
    mtc_strategy strategy = MTC_STRATEGY_INIT(ttl_ms);
    return mtc_cache_set(rig.cache, mtc_str(key), mtc_str(value), &strategy);
}

static mtc_status get(const char *key)
{
    mtc_value value;
    mtc_status status = mtc_cache_get(rig.cache, mtc_str(key), &value);
    mtc_value_free(&value);
    return status;
}

static mtc_status load_new(mtc_load *load, void *ctx)
{
    (void)ctx;
    return mtc_load_set_value(load, mtc_str("new"));
}

static mtc_status load(const char *key)
{
    mtc_value value;
    mtc_status status =
        mtc_cache_get_or_load(rig.cache, mtc_str(key), &MTC_SHORT_TERM,
                              load_new, NULL, &value);
    mtc_value_free(&value);
    return status;
}

/* -- deadlines and falls ------------------------------------------------ */

static void a_tier_that_hangs_costs_one_wait_and_comes_back(void **state)
{
    (void)state;
    rig.cache_clock = mtci_clock_boot;
    rig.tiers[1].deadline_ms = 30;
    mtct_rig_open(&rig);
    mtct_script_put(rig.below[0], "k", "v", MTC_TTL_MS_MAX);
    mtct_mood_hold(&rig.moods[0], MTC_VERB_READ, true);
    assert_int_equal(get("k"), MTC_E_TIMEOUT);
    assert_int_equal(mtct_rig_health(&rig).tiers[1].state, MTC_HEALTH_DOWN);
    for (int i = 0; i < 100; i++)
        assert_int_equal(get("k"), MTC_E_UNAVAILABLE);
    assert_int_equal(load("loaded"), MTC_OK);
    mtc_stats stats = mtct_rig_stats(&rig);
    assert_int_equal(stats.tiers[1].skipped, 101);
    assert_int_equal(stats.tiers[1].reads, 1);
    assert_true(stats.tiers[1].timeouts > 0);
    assert_true(stats.tiers[1].errors >= stats.tiers[1].timeouts);
    mtct_mood_hold(&rig.moods[0], MTC_VERB_READ, false);
    mtct_rig_wait_up(&rig, 1);
    assert_int_equal(get("k"), MTC_OK);
    assert_int_equal(mtct_rig_stats(&rig).tiers[1].reads, 2);
}

static void a_call_leaves_at_its_own_deadline_and_blames_no_tier(void **state)
{
    (void)state;
    mtc_value value;
    mtc_call call = MTC_CALL_INIT;
    call.deadline_ms = 10;
    rig.cache_clock = mtci_clock_boot;
    mtct_rig_open(&rig);
    mtct_mood_hold(&rig.moods[0], MTC_VERB_READ, true);
    mtct_mood_hold(&rig.moods[0], MTC_VERB_REMOVE, true);
    assert_int_equal(mtc_cache_get_with(rig.cache, mtc_str("k"), &call, &value),
                     MTC_E_TIMEOUT);
    assert_int_equal(mtc_cache_remove_with(rig.cache, mtc_str("k"), &call),
                     MTC_PENDING);
    assert_int_equal(mtct_rig_stats(&rig).tiers[1].timeouts, 0);
    assert_int_equal(mtct_rig_health(&rig).tiers[1].state, MTC_HEALTH_UP);
    mtct_mood_hold(&rig.moods[0], MTC_VERB_REMOVE, false);
    mtct_mood_hold(&rig.moods[0], MTC_VERB_READ, false);
    mtct_rig_wait_paid(&rig, 1);
}

static void
a_tier_that_is_silent_falls_though_no_call_waits_that_long(void **state)
{
    (void)state;
    mtc_value value;
    mtc_call call = MTC_CALL_INIT;
    mtc_status status = MTC_E_TIMEOUT;
    call.deadline_ms = 10;
    rig.cache_clock = mtci_clock_boot;
    rig.tiers[1].deadline_ms = 60;
    mtct_rig_open(&rig);
    mtct_mood_hold(&rig.moods[0], MTC_VERB_READ, true);
    for (int i = 0; i < 1000 && status == MTC_E_TIMEOUT; i++)
        status = mtc_cache_get_with(rig.cache, mtc_str("k"), &call, &value);
    assert_int_equal(status, MTC_E_UNAVAILABLE);
    assert_int_equal(mtct_rig_health(&rig).tiers[1].state, MTC_HEALTH_DOWN);
    mtct_mood_hold(&rig.moods[0], MTC_VERB_READ, false);
    mtct_rig_wait_up(&rig, 1);
}

/* As a client does with what it has not sent yet. */
static void cancel_kept(mtc_tier *tier, mtc_request *request)
{
    (void)request;
    mtct_mute_answer((mtct_mute *)tier, MTC_E_CANCELLED);
}

static void a_request_that_is_cancelled_is_no_answer(void **state)
{
    (void)state;
    static mtc_tier_ops ops;
    mtct_mute *mute = mtct_mute_new(MTCT_MUTE(MTC_VERB_READ));
    mtc_value value;
    mtc_call call = MTC_CALL_INIT;
    mtc_status status = MTC_E_TIMEOUT;
    ops = *mute->tier.ops;
    ops.abandon = cancel_kept;
    mute->tier.ops = &ops;
    call.deadline_ms = 10;
    rig.cache_clock = mtci_clock_boot;
    mtc_tier_close(rig.tiers[1].tier);
    rig.tiers[1].tier = &mute->tier;
    rig.tiers[1].deadline_ms = 60;
    mtct_rig_open(&rig);
    for (int i = 0; i < 100 && status == MTC_E_TIMEOUT; i++)
        status = mtc_cache_get_with(rig.cache, mtc_str("k"), &call, &value);
    assert_int_equal(status, MTC_E_UNAVAILABLE);
}

static void a_tier_that_refuses_reads_is_closed_off_until_it_answers(void **s)
{
    const mtc_status refusals[] = {MTC_E_UNAVAILABLE, MTC_E_DENIED};
    (void)s;
    mtct_rig_open(&rig);
    for (int i = 0; i < 2; i++) {
        mtct_mood_set(&rig.moods[0], MTC_VERB_READ, refusals[i]);
        assert_int_equal(get("k"), refusals[i]);
        assert_int_equal(mtct_rig_health(&rig).tiers[1].state, MTC_HEALTH_DOWN);
        assert_int_equal(get("k"), MTC_E_UNAVAILABLE);
        mtct_mood_set(&rig.moods[0], MTC_VERB_READ, MTC_OK);
        mtct_rig_wait_up(&rig, 1);
        assert_int_equal(get("k"), MTC_MISS);
    }
}

static void an_error_is_no_miss_and_closes_nothing(void **state)
{
    const mtc_status errors[] = {MTC_E_CORRUPT, MTC_E_BUSY, MTC_E_NO_MEMORY};
    (void)state;
    mtct_rig_open(&rig);
    for (int i = 0; i < 3; i++) {
        mtct_mood_set(&rig.moods[0], MTC_VERB_READ, errors[i]);
        assert_int_equal(get("k"), errors[i]);
        assert_int_equal(mtct_rig_stats(&rig).tiers[1].errors, i + 1);
    }
    assert_int_equal(mtct_rig_stats(&rig).errors, 3);
    assert_int_equal(mtct_rig_stats(&rig).misses, 0);
    assert_int_equal(mtct_rig_health(&rig).tiers[1].state, MTC_HEALTH_UP);
}

static void a_store_that_is_refused_does_not_close_the_tier(void **state)
{
    const mtc_status errors[] = {MTC_E_UNAVAILABLE, MTC_E_DENIED, MTC_E_BUSY};
    (void)state;
    mtct_rig_open(&rig);
    mtct_script_put(rig.below[0], "below", "v", MTC_TTL_MS_MAX);
    for (int i = 0; i < 3; i++) {
        mtct_mood_set(&rig.moods[0], MTC_VERB_STORE, errors[i]);
        assert_int_equal(set_for("k", "v", HOUR_MS), MTC_PARTIAL);
        assert_int_equal(mtct_rig_health(&rig).tiers[1].state, MTC_HEALTH_UP);
        assert_int_equal(mtct_rig_get_below(&rig, "below"), MTC_OK);
    }
}

static void a_value_of_any_tier_wins_over_an_error(void **state)
{
    (void)state;
    mtct_rig_open(&rig);
    mtct_script_put(rig.below[1], "k", "v", MTC_TTL_MS_MAX);
    mtct_mood_set(&rig.moods[0], MTC_VERB_READ, MTC_E_CORRUPT);
    assert_int_equal(get("missing"), MTC_E_CORRUPT);
    mtct_assert_get(rig.cache, "k", "v");
}

/* -- keys, lives, sizes ------------------------------------------------- */

static void a_prefix_is_put_before_every_key(void **state)
{
    (void)state;
    strcpy(rig.tiers[1].prefix, "app:");
    mtct_rig_open(&rig);
    assert_int_equal(set_for("k", "v", HOUR_MS), MTC_OK);
    assert_true(mtct_script_holds(rig.below[0], "app:k", "v"));
    assert_int_equal(mtct_rig_get_below(&rig, "k"), MTC_OK);
    assert_int_equal(mtc_cache_remove(rig.cache, mtc_str("k")), MTC_OK);
    assert_true(mtct_script_holds(rig.below[0], "app:k", NULL));
    mtct_mood_set(&rig.moods[0], MTC_VERB_REMOVE, MTC_E_UNAVAILABLE);
    assert_int_equal(set_for("k", "v", HOUR_MS), MTC_OK);
    assert_int_equal(mtc_cache_remove(rig.cache, mtc_str("k")), MTC_PENDING);
    mtct_mood_set(&rig.moods[0], MTC_VERB_REMOVE, MTC_OK);
    mtct_rig_wait_paid(&rig, 1);
    assert_true(mtct_script_holds(rig.below[0], "app:k", NULL));
}

static void a_scale_applies_to_what_is_set_and_loaded_once(void **state)
{
    (void)state;
    rig.tiers[1].ttl_scale = 0.5;
    mtct_rig_open(&rig);
    assert_int_equal(set_for("set", "v", 1000), MTC_OK);
    assert_int_equal(mtct_script_facts(rig.below[0], "set").left_ms, 500);
    assert_int_equal(mtct_script_facts(rig.below[1], "set").left_ms, 1000);
    assert_int_equal(load("loaded"), MTC_OK);
    mtct_wait_for(&rig.below[0]->stores, 2);
    assert_int_equal(mtc_cache_set(rig.cache, mtc_str("set"), mtc_str("w"),
                                   NULL),
                     MTC_OK);
    assert_int_equal(mtct_script_facts(rig.below[0], "set").left_ms,
                     MTC_SHORT_TERM.ttl_ms / 2);
    /* The puts count from 0: 800 ms are left at the clock's 1,000,000. */
    mtct_script_put(rig.below[1], "promoted", "v", 1000800);
    assert_int_equal(get("promoted"), MTC_OK);
    mtct_wait_for(&rig.below[0]->stores, 4);
    assert_true(mtct_script_facts(rig.below[0], "promoted").left_ms == 800);
}

static void no_life_is_longer_than_the_tier_allows(void **state)
{
    (void)state;
    rig.tiers[1].ttl_ms_max = 700;
    rig.ops[1].life_ms_max = 600;
    mtct_rig_open(&rig);
    assert_int_equal(set_for("k", "v", HOUR_MS), MTC_OK);
    assert_int_equal(mtct_script_facts(rig.below[0], "k").left_ms, 700);
    assert_int_equal(mtct_script_facts(rig.below[1], "k").left_ms, 600);
    mtct_script_put(rig.below[1], "promoted", "v", MTC_TTL_MS_MAX);
    assert_int_equal(get("promoted"), MTC_OK);
    mtct_wait_for(&rig.below[0]->stores, 2);
    assert_int_equal(mtct_script_facts(rig.below[0], "promoted").left_ms, 700);
}

/* Reads of the tier below after five minutes less, and more, a moment. */
static void count_reads_around_five_minutes(uint64_t before, uint64_t after)
{
    assert_int_equal(set_for("k", "v", HOUR_MS), MTC_OK);
    atomic_fetch_add(&rig.clock.now_ms, 299990);
    assert_int_equal(get("k"), MTC_OK);
    assert_int_equal(rig.below[0]->reads, before);
    atomic_fetch_add(&rig.clock.now_ms, 10);
    assert_int_equal(get("k"), MTC_OK);
    assert_int_equal(rig.below[0]->reads, after);
}

static void
memory_over_a_shared_tier_keeps_nothing_beyond_five_minutes(void **s)
{
    (void)s;
    rig.ops[0].abilities |= MTC_TIER_SHARED;
    mtct_rig_open(&rig);
    count_reads_around_five_minutes(0, 1);
}

static void memory_over_a_tier_of_ones_own_keeps_the_whole_life(void **state)
{
    (void)state;
    mtct_rig_open(&rig);
    count_reads_around_five_minutes(0, 0);
}

static void memory_over_a_shared_tier_takes_the_limit_it_is_given(void **state)
{
    (void)state;
    rig.ops[0].abilities |= MTC_TIER_SHARED;
    rig.tiers[0].ttl_ms_max = HOUR_MS;
    mtct_rig_open(&rig);
    count_reads_around_five_minutes(0, 0);
}

static void what_a_tier_cannot_hold_is_removed_there(void **state)
{
    (void)state;
    char long_key[80];
    memset(long_key, 'x', sizeof(long_key));
    long_key[sizeof(long_key) - 1] = '\0';
    rig.ops[0].value_size_max = 4;
    rig.ops[0].life_step_ms = 1000;
    mtct_rig_open(&rig);
    assert_int_equal(set_for("k", "four", 1000), MTC_OK);
    assert_int_equal(set_for("k", "fiver", 1000), MTC_PARTIAL);
    assert_true(mtct_script_holds(rig.below[0], "k", NULL));
    mtct_assert_get(rig.cache, "k", "fiver");
    assert_int_equal(set_for("k", "four", 1000), MTC_OK);
    assert_int_equal(set_for("k", "life", 999), MTC_PARTIAL);
    assert_true(mtct_script_holds(rig.below[0], "k", NULL));
    mtct_assert_get(rig.cache, "k", "life");
    assert_int_equal(set_for(long_key, "v", 1000), MTC_PARTIAL);
    mtct_assert_get(rig.cache, long_key, "v");
    assert_int_equal(mtc_cache_remove(rig.cache, mtc_str(long_key)), MTC_OK);
    mtct_assert_get(rig.cache, long_key, NULL);
    assert_int_equal(rig.below[0]->reads, 0);
    assert_int_equal(mtct_rig_stats(&rig).tiers[1].errors, 0);
}

/* -- promotion and fills ------------------------------------------------ */

static void a_hit_in_the_third_tier_is_promoted_into_both_above(void **state)
{
    (void)state;
    mtct_rig_open(&rig);
    mtct_script_put(rig.below[1], "k", "v", MTC_TTL_MS_MAX);
    assert_int_equal(get("k"), MTC_OK);
    mtct_wait_for(&rig.below[0]->stores, 1);
    assert_int_equal(get("k"), MTC_OK);
    assert_int_equal(mtct_rig_get_below(&rig, "k"), MTC_OK);
    mtc_stats stats = mtct_rig_stats(&rig);
    for (int i = 0; i < 3; i++)
        assert_int_equal(stats.tiers[i].hits, 1);
    assert_int_equal(stats.promotions, 1);
    assert_int_equal(stats.tiers[2].promotions, 1);
    assert_int_equal(rig.below[1]->reads, 1);
}

/* How many of 60 hits below are found in memory afterwards. */
static int count_promoted(int32_t one_in)
{
    char key[] = "a";
    int count = 0;
    rig.tiers[0].promote_one_in = one_in;
    mtct_rig_open(&rig);
    for (int i = 0; i < 60; i++) {
        key[0] = (char)('A' + i);
        mtct_script_put(rig.below[0], key, "v", MTC_TTL_MS_MAX);
        assert_int_equal(get(key), MTC_OK);
        uint64_t reads = rig.below[0]->reads;
        assert_int_equal(get(key), MTC_OK);
        count += rig.below[0]->reads == reads;
    }
    return count;
}

static void promotion_may_be_off(void **state)
{
    (void)state;
    assert_int_equal(count_promoted(-1), 0);
    assert_int_equal(mtct_rig_stats(&rig).promotions, 0);
    assert_int_equal(load("loaded"), MTC_OK);
    assert_int_equal(get("loaded"), MTC_OK);
    assert_int_equal(mtct_rig_stats(&rig).tiers[0].hits, 1);
}

static void promotion_may_be_one_in_n(void **state)
{
    (void)state;
    int count = count_promoted(4);
    assert_in_range(count, 4, 40);
}

/* Hands out ticket 77, and refuses the store that brings it back. */
static mtc_status refuse_ticket(mtct_script *script, mtc_verb verb,
                                mtc_request *request)
{
    (void)script;
    if (verb == MTC_VERB_READ) {
        request->ticket = 77;
        return MTC_MISS;
    }
    if (verb == MTC_VERB_STORE && request->ticket == 77)
        return MTC_E_CANCELLED;
    return request->ticket == 0 ? MTC_OK : MTC_E_INVALID;
}

static void a_fill_that_is_refused_leaves_memory_too(void **state)
{
    (void)state;
    rig.below[0]->hook = refuse_ticket;
    mtct_rig_open(&rig);
    assert_int_equal(load("k"), MTC_OK);
    mtct_wait_for(&rig.below[0]->stores, 1);
    for (int tries = 0; get("k") != MTC_MISS; tries++)
        assert_true(tries < 10000000);
    assert_int_equal(set_for("k", "v", HOUR_MS), MTC_OK);
    assert_true(mtct_script_holds(rig.below[0], "k", "v"));
    mtct_assert_get(rig.cache, "k", "v");
    assert_int_equal(mtct_rig_stats(&rig).tiers[1].errors, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST3(name)                                                            \
    cmocka_unit_test_setup_teardown(name, setup_three_tiers, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_tier_that_hangs_costs_one_wait_and_comes_back),
        TEST(a_call_leaves_at_its_own_deadline_and_blames_no_tier),
        TEST(a_tier_that_is_silent_falls_though_no_call_waits_that_long),
        TEST(a_request_that_is_cancelled_is_no_answer),
        TEST(a_tier_that_refuses_reads_is_closed_off_until_it_answers),
        TEST(an_error_is_no_miss_and_closes_nothing),
        TEST(a_store_that_is_refused_does_not_close_the_tier),
        TEST3(a_value_of_any_tier_wins_over_an_error),
        TEST(a_prefix_is_put_before_every_key),
        TEST3(a_scale_applies_to_what_is_set_and_loaded_once),
        TEST3(no_life_is_longer_than_the_tier_allows),
        TEST(memory_over_a_shared_tier_keeps_nothing_beyond_five_minutes),
        TEST(memory_over_a_tier_of_ones_own_keeps_the_whole_life),
        TEST(memory_over_a_shared_tier_takes_the_limit_it_is_given),
        TEST(what_a_tier_cannot_hold_is_removed_there),
        TEST3(a_hit_in_the_third_tier_is_promoted_into_both_above),
        TEST(promotion_may_be_off),
        TEST(promotion_may_be_one_in_n),
        TEST(a_fill_that_is_refused_leaves_memory_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
