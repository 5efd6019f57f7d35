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

static fault_sweep sweep_of(const char *tiers)
{
    return (fault_sweep){tiers, mtct_alloc_arm, mtct_alloc_disarm,
                         mtct_alloc_live};
}

static void sweep_server(test_server_kind kind, const char *params)
{
    test_server server = {0};
    char tiers[160];
    test_server_require(kind);
    assert_true(test_server_start(&server, kind, NULL));
    snprintf(tiers, sizeof(tiers), "memory?size=1MiB %s?deadline=5s%s",
             server.url, params);
    fault_sweep sweep = sweep_of(tiers);
    fault_sweep_cache(&sweep);
    if (kind == TEST_REDIS)
        fault_sweep_calls(&sweep, fault_stream_calls);
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
