/*
 * labels: server
 *
 * The contract suite of tiers, run against the Redis tier and a real cluster.
 */
#include "support/contract.h"

#include <stdio.h>

#include "support/redis_cluster.h"
#include "support/redis_rig.h"

static mtc_tier *open_tier(void *ctx)
{
    const test_cluster *cluster = ctx;
    return redis_rig_tier(cluster->url, NULL);
}

int main(void)
{
    static test_cluster cluster;
    if (!test_server_installed(TEST_REDIS)) {
        printf("skipped: redis-server is not installed\n");
        return 0;
    }
    if (!test_cluster_start(&cluster))
        return 1;
    const contract contract = {
        .name = "redis+cluster",
        .open = open_tier,
        .ctx = &cluster,
        .is_real_time = true,
    };
    int failures = contract_run(&contract);
    test_cluster_stop(&cluster);
    return failures;
}
