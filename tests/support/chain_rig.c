/*
 * The rig of a cache whose tiers are bent by the test; see chain_rig.h.
 */
#include "support/chain_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "core/cache.h"

static void nap(void)
{
    struct timespec ms = {0, 1000000};
    nanosleep(&ms, NULL);
}

/* -- moods -------------------------------------------------------------- */

static mtc_status answer_in_mood(mtct_script *script, mtc_verb verb,
                                 mtc_request *request)
{
    mtct_mood *mood = script->ctx;
    (void)request;
    atomic_fetch_add(&mood->holding, 1);
    while (atomic_load(&mood->is_held[verb]))
        nap();
    atomic_fetch_sub(&mood->holding, 1);
    atomic_fetch_add(&mood->answered, 1);
    return (mtc_status)atomic_load(&mood->status[verb]);
}

void mtct_mood_set(mtct_mood *mood, mtc_verb verb, mtc_status status)
{
    atomic_store(&mood->status[verb], status);
}

void mtct_mood_hold(mtct_mood *mood, mtc_verb verb, bool is_held)
{
    atomic_store(&mood->is_held[verb], is_held);
}

/* -- the rig ------------------------------------------------------------ */

void mtct_rig_init(mtct_rig *rig, size_t scripts)
{
    memset(rig, 0, sizeof(*rig));
    atomic_init(&rig->clock.now_ms, 1000000);
    rig->cache_clock = mtct_clock_of(&rig->clock);
    rig->options = (mtc_cache_options)MTC_CACHE_OPTIONS_INIT;
    rig->options.log_level = 5;
    rig->tiers[0] = (mtc_tier_config)MTC_TIER_CONFIG_INIT;
    assert_int_equal(mtc_tier_open("memory?size=4MiB", NULL, &rig->tiers[0]),
                     MTC_OK);
    for (size_t i = 0; i < scripts; i++) {
        rig->below[i] = mtct_script_new();
        rig->below[i]->hook = answer_in_mood;
        rig->below[i]->ctx = &rig->moods[i];
        rig->ops[i] = *rig->below[i]->tier.ops;
        rig->below[i]->tier.ops = &rig->ops[i];
        rig->tiers[i + 1] = (mtc_tier_config)MTC_TIER_CONFIG_INIT;
        rig->tiers[i + 1].tier = &rig->below[i]->tier;
        rig->tiers[i + 1].deadline_ms = 60000;
    }
    rig->options.tier_configs = rig->tiers;
    rig->options.tier_count = scripts + 1;
}

void mtct_rig_open(mtct_rig *rig)
{
    mtc_error error;
    mtc_status status = mtci_cache_open_at(&rig->options, rig->cache_clock,
                                           &error, &rig->cache);
    if (status != MTC_OK)
        fail_msg("cannot open: %s", error.text);
}

void mtct_rig_fini(mtct_rig *rig)
{
    for (size_t i = 0; i < MTCT_RIG_SCRIPTS_MAX; i++) {
        for (int verb = 0; verb < 4; verb++)
            mtct_mood_hold(&rig->moods[i], (mtc_verb)verb, false);
    }
    if (rig->cache)
        assert_int_equal(mtc_cache_close(&rig->cache), MTC_OK);
}

mtc_facts mtct_script_facts(mtct_script *script, const char *key)
{
    mtc_facts facts = {0};
    pthread_mutex_lock(&script->mutex);
    for (size_t i = 0; i < script->count; i++) {
        if (script->entries[i].key_size == strlen(key) &&
            memcmp(script->entries[i].key, key, strlen(key)) == 0)
            facts = script->entries[i].facts;
    }
    pthread_mutex_unlock(&script->mutex);
    return facts;
}

mtc_stats mtct_rig_stats(mtct_rig *rig)
{
    mtc_stats stats = {.struct_size = sizeof(stats)};
    assert_int_equal(mtc_cache_stats(rig->cache, &stats), MTC_OK);
    assert_int_equal(stats.requests, stats.hits + stats.misses + stats.errors);
    return stats;
}

mtc_health mtct_rig_health(mtct_rig *rig)
{
    mtc_health health = {.struct_size = sizeof(health)};
    assert_int_equal(mtc_cache_health(rig->cache, &health), MTC_OK);
    return health;
}

void mtct_rig_wait_paid(mtct_rig *rig, size_t i)
{
    for (int tries = 0; mtct_rig_stats(rig).tiers[i].debts > 0; tries++) {
        assert_true(tries < 10000);
        nap();
    }
}

void mtct_rig_wait_up(mtct_rig *rig, size_t i)
{
    int tries = 0;
    for (; mtct_rig_health(rig).tiers[i].state == MTC_HEALTH_DOWN; tries++) {
        assert_true(tries < 10000);
        nap();
    }
}

mtc_status mtct_rig_get_below(mtct_rig *rig, const char *key)
{
    mtc_value value;
    mtc_call call = MTC_CALL_INIT;
    call.flags = MTC_CALL_SKIP_MEMORY | MTC_CALL_NO_PROMOTE;
    mtc_status status =
        mtc_cache_get_with(rig->cache, mtc_str(key), &call, &value);
    mtc_value_free(&value);
    return status;
}
