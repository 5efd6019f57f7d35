/*
 * What a loader says of its result, and what values and their copies tell of
 * themselves in the end.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/chain_rig.h"

#define SECOND_MS INT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)

static mtct_rig rig;

static int setup(void **state)
{
    (void)state;
    mtct_rig_init(&rig, 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mtct_rig_fini(&rig);
    return 0;
}

static void step(int64_t ms)
{
    atomic_fetch_add(&rig.clock.now_ms, ms);
}

static mtc_value_info info_of(const mtc_value *value)
{
    mtc_value_info info = MTC_VALUE_INFO_INIT;
    value->ops->info(value, atomic_load(&rig.clock.now_ms), &info);
    return info;
}

static mtc_value get(uint32_t flags, mtc_status expected)
{
    mtc_value value;
    mtc_call call = MTC_CALL_INIT;
    call.flags = flags;
    assert_int_equal(mtc_cache_get_with(rig.cache, mtc_str("k"), &call, &value),
                     expected);
    return value;
}

/* -- ages --------------------------------------------------------------- */

static void test_a_copy_with_a_shorter_life_is_as_old_as_the_entry(void **state)
{
    (void)state;
    rig.tiers[0].ttl_ms_max = 5 * MINUTE_MS;
    mtct_rig_open(&rig);
    mtc_facts facts = {.left_ms = 60 * MINUTE_MS, .ttl_ms = 60 * MINUTE_MS};
    mtct_script_put_facts(rig.below[0], "k", "v", &facts, rig.clock.now_ms);
    step(MINUTE_MS);
    mtc_value value = get(0, MTC_OK);
    assert_int_equal(info_of(&value).tier, 1);
    mtc_value_free(&value);
    value = get(0, MTC_OK);
    mtc_value_info info = info_of(&value);
    mtc_value_free(&value);
    assert_int_equal(info.tier, 0);
    assert_in_range(info.age_ms, MINUTE_MS - 20, MINUTE_MS + 20);
    assert_in_range(info.left_ms, 5 * MINUTE_MS - 20, 5 * MINUTE_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_a_copy_with_a_shorter_life_is_as_old_as_the_entry, setup,
            teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
