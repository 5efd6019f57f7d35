/*
 * Health: up, slow and down, of a tier and of the whole cache; ping.
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

static mtct_rig rig;

static int setup(void **state)
{
    (void)state;
    mtct_rig_init(&rig, 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mtct_rig_fini(&rig);
    return 0;
}

static mtc_status get(const char *key)
{
    mtc_value value;
    mtc_status status = mtc_cache_get(rig.cache, mtc_str(key), &value);
    mtc_value_free(&value);
    return status;
}

static void a_cache_that_works_is_healthy(void **state)
{
    (void)state;
    mtct_rig_open(&rig);
    mtc_health health = mtct_rig_health(&rig);
    assert_int_equal(health.state, MTC_HEALTH_UP);
    assert_int_equal(health.tier_count, 2);
    assert_string_equal(health.note, "");
    assert_string_equal(health.tiers[0].scheme, "memory");
    assert_string_equal(health.tiers[1].scheme, "script");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(health.tiers[i].state, MTC_HEALTH_UP);
        assert_int_equal(health.tiers[i].last_error, MTC_OK);
        assert_int_equal(health.tiers[i].last_error_age_ms, -1);
        assert_string_equal(health.tiers[i].last_error_text, "");
    }
}

static void the_last_failure_is_told_with_its_age(void **state)
{
    (void)state;
    mtct_rig_open(&rig);
    mtct_mood_set(&rig.moods[0], MTC_VERB_READ, MTC_E_CORRUPT);
    assert_int_equal(get("k"), MTC_E_CORRUPT);
    mtct_mood_set(&rig.moods[0], MTC_VERB_READ, MTC_OK);
    atomic_fetch_add(&rig.clock.now_ms, 1234);
    assert_int_equal(get("k"), MTC_MISS);
    mtc_health health = mtct_rig_health(&rig);
    assert_int_equal(health.tiers[1].state, MTC_HEALTH_UP);
    assert_int_equal(health.tiers[1].last_error, MTC_E_CORRUPT);
    assert_int_equal(health.tiers[1].last_error_age_ms, 1234);
    assert_string_equal(health.tiers[1].last_error_text, "scripted");
    assert_int_equal(health.state, MTC_HEALTH_UP);
}

static void a_tier_that_fell_degrades_the_cache(void **state)
{
    (void)state;
    mtct_rig_open(&rig);
    mtct_mood_set(&rig.moods[0], MTC_VERB_READ, MTC_E_UNAVAILABLE);
    assert_int_equal(get("k"), MTC_E_UNAVAILABLE);
    mtc_health health = mtct_rig_health(&rig);
    assert_int_equal(health.tiers[1].state, MTC_HEALTH_DOWN);
    assert_int_equal(health.tiers[1].last_error, MTC_E_UNAVAILABLE);
    assert_int_equal(health.tiers[0].state, MTC_HEALTH_UP);
    assert_int_equal(health.state, MTC_HEALTH_DEGRADED);
    mtct_mood_set(&rig.moods[0], MTC_VERB_READ, MTC_OK);
    mtct_rig_wait_up(&rig, 1);
    assert_int_equal(mtct_rig_health(&rig).state, MTC_HEALTH_UP);
}

static void a_cache_without_a_tier_that_works_is_down(void **state)
{
    (void)state;
    rig.options.tier_configs = &rig.tiers[1];
    rig.options.tier_count = 1;
    mtct_rig_open(&rig);
    mtct_mood_set(&rig.moods[0], MTC_VERB_READ, MTC_E_UNAVAILABLE);
    assert_int_equal(get("k"), MTC_E_UNAVAILABLE);
    assert_int_equal(mtct_rig_health(&rig).state, MTC_HEALTH_DOWN);
    mtc_tier_close(rig.tiers[0].tier);
}

static void fill_samples(uint32_t us, size_t count)
{
    mtci_lane *lane = &rig.cache->lanes[1];
    for (size_t i = 0; i < count; i++)
        atomic_store(&lane->samples_us[i], us);
}

static void a_tier_is_slow_when_the_median_is_above_half_the_deadline(void **s)
{
    (void)s;
    rig.tiers[1].deadline_ms = 100;
    mtct_rig_open(&rig);
    mtci_lane *lane = &rig.cache->lanes[1];
    for (int i = 0; i < 300; i++)
        assert_int_equal(mtct_rig_get_below(&rig, "k"), MTC_MISS);
    assert_int_equal(lane->sample_count, 300);
    assert_true(mtct_rig_health(&rig).tiers[1].median_us < 50000);
    fill_samples(1, MTCI_LANE_SAMPLES);
    fill_samples(50001, 49);
    assert_int_equal(mtct_rig_health(&rig).tiers[1].median_us, 1);
    assert_int_equal(mtct_rig_health(&rig).state, MTC_HEALTH_UP);
    fill_samples(50000, 51);
    assert_int_equal(mtct_rig_health(&rig).tiers[1].state, MTC_HEALTH_UP);
    fill_samples(50001, 51);
    assert_int_equal(mtct_rig_health(&rig).tiers[1].state, MTC_HEALTH_DEGRADED);
    assert_int_equal(mtct_rig_health(&rig).state, MTC_HEALTH_DEGRADED);
}

static void ping_finds_out_what_no_call_has_shown(void **state)
{
    (void)state;
    mtc_health health = {.struct_size = sizeof(health)};
    mtct_rig_open(&rig);
    assert_int_equal(mtc_cache_ping(rig.cache, &health), MTC_OK);
    assert_int_equal(health.state, MTC_HEALTH_UP);
    assert_int_equal(rig.below[0]->reads, 1);
    mtct_mood_set(&rig.moods[0], MTC_VERB_READ, MTC_E_DENIED);
    assert_int_equal(mtct_rig_health(&rig).state, MTC_HEALTH_UP);
    assert_int_equal(mtc_cache_ping(rig.cache, &health), MTC_OK);
    assert_int_equal(health.tiers[1].state, MTC_HEALTH_DOWN);
    assert_int_equal(health.tiers[1].last_error, MTC_E_DENIED);
    assert_int_equal(mtct_rig_stats(&rig).requests, 0);
}

static void wrong_arguments_are_refused(void **state)
{
    (void)state;
    mtc_health health = {.struct_size = sizeof(health)};
    mtc_stats stats = {.struct_size = sizeof(stats)};
    mtct_rig_open(&rig);
    assert_int_equal(mtc_cache_health(NULL, &health), MTC_E_INVALID);
    assert_int_equal(mtc_cache_health(rig.cache, NULL), MTC_E_INVALID);
    assert_int_equal(mtc_cache_ping(rig.cache, NULL), MTC_E_INVALID);
    assert_int_equal(mtc_cache_stats(NULL, &stats), MTC_E_INVALID);
    assert_int_equal(mtc_cache_stats(rig.cache, NULL), MTC_E_INVALID);
    health.struct_size = 8;
    assert_int_equal(mtc_cache_health(rig.cache, &health), MTC_E_INVALID);
    stats.struct_size = 0;
    assert_int_equal(mtc_cache_stats(rig.cache, &stats), MTC_E_INVALID);
}

/* A struct of an older or newer header is filled as far as both know it. */
static void structs_of_other_sizes_are_filled_as_far_as_they_go(void **state)
{
    (void)state;
    struct {
        mtc_stats known;
        char later[16];
    } newer;
    mtct_rig_open(&rig);
    assert_int_equal(get("k"), MTC_MISS);
    memset(&newer, 0x5a, sizeof(newer));
    newer.known.struct_size = sizeof(newer);
    assert_int_equal(mtc_cache_stats(rig.cache, &newer.known), MTC_OK);
    assert_int_equal(newer.known.requests, 1);
    assert_int_equal(newer.later[0] | newer.later[15], 0);
    memset(&newer, 0x5a, sizeof(newer));
    newer.known.struct_size = offsetof(mtc_stats, tiers);
    assert_int_equal(mtc_cache_stats(rig.cache, &newer.known), MTC_OK);
    assert_int_equal(newer.known.requests, 1);
    assert_int_equal(newer.known.tiers[0].scheme[0], 0x5a);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_cache_that_works_is_healthy),
        TEST(the_last_failure_is_told_with_its_age),
        TEST(a_tier_that_fell_degrades_the_cache),
        TEST(a_cache_without_a_tier_that_works_is_down),
        TEST(a_tier_is_slow_when_the_median_is_above_half_the_deadline),
        TEST(ping_finds_out_what_no_call_has_shown),
        TEST(wrong_arguments_are_refused),
        TEST(structs_of_other_sizes_are_filled_as_far_as_they_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
