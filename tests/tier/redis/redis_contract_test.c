/*
 * labels: server
 *
 * The contract suite of tiers, run against the Redis tier and a real server.
 */
#include "support/contract.h"

#include <stdio.h>

#include "support/redis_rig.h"
#include "support/server.h"

static mtc_tier *open_tier(void *ctx)
{
    const test_server *server = ctx;
    return redis_rig_tier(server->url, NULL);
}

int main(void)
{
    test_server server;
    if (!test_server_installed(TEST_REDIS)) {
        printf("skipped: redis-server is not installed\n");
        return 0;
    }
    if (!test_server_start(&server, TEST_REDIS, NULL))
        return 1;
    const contract contract = {
        .name = "redis",
        .open = open_tier,
        .ctx = &server,
        .is_real_time = true,
    };
    int failures = contract_run(&contract);
    test_server_stop(&server);
    return failures;
}
