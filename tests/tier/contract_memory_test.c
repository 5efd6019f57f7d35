/*
 * The memory tier keeps the tier contract. labels: quick unit
 */
#include "support/contract.h"

static mtc_tier *open_tier(void *ctx)
{
    mtc_tier_config config = MTC_TIER_CONFIG_INIT;
    mtc_error error;
    (void)ctx;
    if (mtc_tier_open("memory?size=4MiB", &error, &config) != MTC_OK)
        return NULL;
    return config.tier;
}

int main(void)
{
    const contract memory = {.name = "memory",
                             .open = open_tier,
                             .value_size_kept = 3 << 20,
                             .value_size_refused = 4 << 20};
    return contract_run(&memory);
}
