/*
 * Allocation sweep over the public interface, over real servers: the n-th
 * allocation of each call fails, alone or with all that follow.
 * labels: quick server
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "support/failing_alloc.h"
#include "support/fault_rig.h"
#include "support/server.h"

static void sweep_one(const char *tiers, const fault_call *calls)
{
    const fault_sweep sweep = {tiers, mtct_alloc_arm, mtct_alloc_disarm,
                               mtct_alloc_live};
    fault_sweep_calls(&sweep, calls);
}

static void sweep_all(const char *tiers)
{
    sweep_one(tiers, fault_cache_calls);
    sweep_one(tiers, fault_load_calls);
    sweep_one(tiers, fault_queue_calls);
    sweep_one(tiers, fault_lease_calls);
}

static void sweep_server(test_server_kind kind, const char *params)
{
    test_server server = {0};
    char tiers[160];
    test_server_require(kind);
    assert_true(test_server_start(&server, kind, NULL));
    snprintf(tiers, sizeof(tiers), "memory?size=1MiB %s?deadline=5s%s",
             server.url, params);
    sweep_all(tiers);
    if (kind == TEST_REDIS)
        sweep_one(tiers, fault_stream_calls);
    test_server_stop(&server);
}

static void the_redis_tier_survives_every_failed_allocation(void **state)
{
    (void)state;
    sweep_server(TEST_REDIS, "&checksum=on");
}

static void the_memcached_tier_survives_every_failed_allocation(void **state)
{
    (void)state;
    sweep_server(TEST_MEMCACHED, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_redis_tier_survives_every_failed_allocation),
        cmocka_unit_test(the_memcached_tier_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
