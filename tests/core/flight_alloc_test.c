/*
 * What a flight takes: one allocation, and no more.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/chain_rig.h"
#include "support/failing_alloc.h"

static mtc_status load_nothing(mtc_load *load, void *ctx)
{
    (void)load;
    (void)ctx;
    return MTC_MISS;
}

static mtc_status ask(mtct_rig *rig)
{
    mtc_value value;
    return mtc_cache_get_or_load(rig->cache, mtc_str("k"), NULL, load_nothing,
                                 NULL, &value);
}

static void a_flight_is_one_allocation(void **state)
{
    (void)state;
    mtct_rig rig;
    mtct_rig_init(&rig, 0);
    mtct_rig_open(&rig);
    assert_int_equal(ask(&rig), MTC_MISS); /* what the thread needs once */
    mtct_alloc_arm(1, true);
    assert_int_equal(ask(&rig), MTC_E_NO_MEMORY);
    assert_true(mtct_alloc_disarm());
    mtct_alloc_arm(2, true);
    assert_int_equal(ask(&rig), MTC_MISS);
    assert_false(mtct_alloc_disarm());
    mtct_rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flight_is_one_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
