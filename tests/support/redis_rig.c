/*
 * Redis tiers, clients and settings for tests. Stateless.
 */
#include "support/redis_rig.h"

#include <stdio.h>
#include <string.h>

#include "tier/open.h"

/* More than the tier's options take. */
#define OPTION_WORDS 8

static mtc_status apply_params(const mtci_url *url, mtc_error *error,
                               int64_t *options)
{
    mtci_options_default(mtci_redis_kind.options, options);
    for (size_t i = 0; i < url->param_count; i++) {
        bool is_known;
        mtc_status status =
            mtci_options_set(mtci_redis_kind.options, &url->params[i], error,
                             options, &is_known);
        if (status != MTC_OK)
            return status;
    }
    return MTC_OK;
}

mtc_tier *redis_rig_tier(const char *url, mtc_error *error)
{
    int64_t options[OPTION_WORDS] = {0};
    mtc_tier *tier = NULL;
    mtci_url parts;
    if (mtci_url_parse(url, error, &parts) != MTC_OK)
        return NULL;
    if (apply_params(&parts, error, options) == MTC_OK)
        mtci_redis_kind.open(&parts, options, error, &tier);
    mtci_url_fini(&parts);
    return tier;
}

mtci_redis_settings redis_rig_settings(int port)
{
    mtci_redis_settings settings = {
        .host = "127.0.0.1",
        .port = port,
        .connect_ms = 500,
        .bulk_size_max = (size_t)64 << 20,
        .clock = mtci_clock_boot,
    };
    return settings;
}
