/*
 * The no-op tier keeps the tier contract. labels: quick unit
 */
#include "support/contract.h"

static mtc_tier *open_tier(void *ctx)
{
    mtc_tier_config config = MTC_TIER_CONFIG_INIT;
    mtc_error error;
    (void)ctx;
    if (mtc_tier_open("noop:", &error, &config) != MTC_OK)
        return NULL;
    return config.tier;
}

int main(void)
{
    const contract noop = {.name = "noop",
                           .open = open_tier,
                           .keeps_nothing = true};
    return contract_run(&noop);
}
