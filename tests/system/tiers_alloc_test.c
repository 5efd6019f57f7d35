/*
 * Allocation sweep over the public interface, over memory and disk: the n-th
 * allocation of each call fails, alone or with all that follow.
 * labels: quick unit
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
#include "support/failing_alloc.h"
#include "support/fault_rig.h"

static fault_sweep sweep_of(const char *tiers)
{
    return (fault_sweep){tiers, mtct_alloc_arm, mtct_alloc_disarm,
                         mtct_alloc_live};
}

static void values_survive_every_failed_allocation(void **state)
{
    (void)state;
    fault_sweep sweep = sweep_of("memory?size=1MiB");
    fault_sweep_calls(&sweep, fault_value_calls);
}

static void memory_alone_survives_every_failed_allocation(void **state)
{
    (void)state;
    fault_sweep sweep = sweep_of("memory?size=1MiB");
    fault_sweep_cache(&sweep);
}

/* SQLite allocates here as well. */
static void the_disk_tier_survives_every_failed_allocation(void **state)
{
    disk_rig rig = {0};
    char tiers[120];
    (void)state;
    disk_rig_in_memory(&rig);
    if (rig.dir[0] == '\0')
        assert_non_null(mkdtemp(strcpy(rig.dir, "/tmp/mtc-alloc-XXXXXX")));
    snprintf(tiers, sizeof(tiers), "memory?size=1MiB disk:%s?deadline=20s",
             rig.dir);
    fault_sweep sweep = sweep_of(tiers);
    fault_sweep_cache(&sweep);
    disk_rig_clean(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_survive_every_failed_allocation),
        cmocka_unit_test(memory_alone_survives_every_failed_allocation),
        cmocka_unit_test(the_disk_tier_survives_every_failed_allocation),
    };
    mtct_alloc_serve_sqlite();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
