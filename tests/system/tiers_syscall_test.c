/*
 * Sweep over the public interface and real tiers in which the n-th call of the
 * system fails: one that makes a descriptor, a mapping or a thread, or one
 * that moves bytes over a socket; alone or with all that follow.
 * labels: quick server
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/disk_rig.h"
#include "support/failing_calls.h"
#include "support/fault_rig.h"
#include "support/server.h"

static void arm_making(long n, bool goes_on)
{
    mtct_calls_arm(MTCT_CALLS_MAKE, n, goes_on);
}

static void arm_moving(long n, bool goes_on)
{
    mtct_calls_arm(MTCT_CALLS_MOVE, n, goes_on);
}

static void sweep_making(const char *tiers)
{
    const fault_sweep sweep = {tiers, arm_making, mtct_calls_disarm, NULL};
    fault_sweep_cache(&sweep);
    if (strstr(tiers, "redis:"))
        fault_sweep_calls(&sweep, fault_stream_calls);
}

/* Each of these waits until the connection is made anew. */
static void sweep_moving(const char *tiers)
{
    const fault_sweep sweep = {tiers, arm_moving, mtct_calls_disarm, NULL};
    fault_sweep_calls(&sweep, fault_cache_calls);
    fault_sweep_calls(&sweep, fault_lease_calls);
    fault_sweep_calls(&sweep, fault_stream_calls);
}

static void memory_alone_does_without_descriptors_and_threads(void **state)
{
    (void)state;
    sweep_making("memory?size=1MiB");
}

static void the_disk_tier_does_without_descriptors_and_threads(void **state)
{
    disk_rig rig = {0};
    char tiers[120];
    (void)state;
    disk_rig_in_memory(&rig);
    if (rig.dir[0] == '\0')
        assert_non_null(mkdtemp(strcpy(rig.dir, "/tmp/mtc-calls-XXXXXX")));
    snprintf(tiers, sizeof(tiers), "memory?size=1MiB disk:%s?deadline=20s",
             rig.dir);
    sweep_making(tiers);
    disk_rig_clean(&rig);
}

static void sweep_redis(void (*sweep)(const char *tiers))
{
    test_server server = {0};
    char tiers[160];
    test_server_require(TEST_REDIS);
    assert_true(test_server_start(&server, TEST_REDIS, NULL));
    snprintf(tiers, sizeof(tiers), "memory?size=1MiB %s?deadline=5s",
             server.url);
    sweep(tiers);
    test_server_stop(&server);
}

static void the_redis_tier_does_without_descriptors_and_threads(void **state)
{
    (void)state;
    sweep_redis(sweep_making);
}

static void the_redis_tier_survives_every_failed_transfer(void **state)
{
    (void)state;
    sweep_redis(sweep_moving);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_alone_does_without_descriptors_and_threads),
        cmocka_unit_test(the_disk_tier_does_without_descriptors_and_threads),
        cmocka_unit_test(the_redis_tier_does_without_descriptors_and_threads),
        cmocka_unit_test(the_redis_tier_survives_every_failed_transfer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
