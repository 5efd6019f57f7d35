/*
 * The memcached tier keeps the tier contract, against a real server.
 * labels: server
 */
#include "support/contract.h"
#include "support/server.h"

#include <stdio.h>

/* A frame, the key and memcached's own part take the rest of 1 MiB. */
#define VALUE_SIZE_KEPT    (1024 * 1024 - 400)
#define VALUE_SIZE_REFUSED (1024 * 1024)

static mtc_tier *open_tier(void *ctx)
{
    const test_server *server = ctx;
    mtc_tier_config config = MTC_TIER_CONFIG_INIT;
    mtc_error error;
    if (mtc_tier_open(server->url, &error, &config) != MTC_OK)
        return NULL;
    return config.tier;
}

int main(void)
{
    test_server server;
    if (!test_server_installed(TEST_MEMCACHED)) {
        printf("memcached is not installed (make test installs it)\n");
        return 0;
    }
    if (!test_server_start(&server, TEST_MEMCACHED, NULL))
        return 1;
    const contract memcached = {.name = "memcached",
                                .open = open_tier,
                                .ctx = &server,
                                .is_real_time = true,
                                .value_size_kept = VALUE_SIZE_KEPT,
                                .value_size_refused = VALUE_SIZE_REFUSED};
    int failed = contract_run(&memcached);
    test_server_stop(&server);
    return failed;
}
