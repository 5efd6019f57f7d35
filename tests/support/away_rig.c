/*
 * A cache over a server that goes away. See away_rig.h.
 */
#include "support/away_rig.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <time.h>

#include "base/clock.h"

#define WAIT_MS 20000

void away_rig_start(away_rig *rig, test_server_kind kind,
                    const char *const *args)
{
    test_server_require(kind);
    rig->cache = NULL;
    assert_true(test_server_start(&rig->server, kind, args));
}

void away_rig_stop(away_rig *rig)
{
    if (rig->cache)
        mtc_cache_close(&rig->cache);
    test_server_stop(&rig->server);
}

mtc_cache *away_rig_open(const away_rig *rig, const char *before,
                         const char *params, mtc_cache_options *options)
{
    char tiers[160];
    mtc_error error;
    mtc_cache *cache;
    snprintf(tiers, sizeof tiers, "%s%s?%s", before, rig->server.url, params);
    options->tiers = tiers;
    if (mtc_cache_open(options, &error, &cache) != MTC_OK)
        fail_msg("cannot open: %s", error.text);
    return cache;
}

mtc_status away_rig_set(mtc_cache *cache, const char *key, const char *value)
{
    return mtc_cache_set(cache, mtc_str(key), mtc_str(value), &MTC_LONG_TERM);
}

mtc_status away_rig_get(mtc_cache *cache, const char *key)
{
    mtc_value value;
    mtc_status status = mtc_cache_get(cache, mtc_str(key), &value);
    mtc_value_free(&value);
    return status;
}

mtc_tier_health away_rig_health(const away_rig *rig)
{
    mtc_health health = {.struct_size = sizeof health};
    assert_int_equal(mtc_cache_health(rig->cache, &health), MTC_OK);
    return health.tiers[1];
}

void away_rig_await_open(const away_rig *rig)
{
    int64_t until_ms = mtci_boot_ms() + WAIT_MS;
    while (away_rig_health(rig).state == MTC_HEALTH_DOWN) {
        assert_true(mtci_boot_ms() < until_ms);
        away_rig_nap(1);
    }
}

void away_rig_await_paid(const away_rig *rig)
{
    int64_t until_ms = mtci_boot_ms() + WAIT_MS;
    while (away_rig_health(rig).debts > 0) {
        assert_true(mtci_boot_ms() < until_ms);
        away_rig_nap(1);
    }
}

mtc_status away_rig_load(mtc_load *load, void *ctx)
{
    return mtc_load_set_value(load, mtc_str(ctx));
}

void away_rig_nap(int64_t ms)
{
    struct timespec nap = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&nap, NULL);
}
