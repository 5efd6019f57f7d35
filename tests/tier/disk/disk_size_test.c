/*
 * labels: quick unit
 *
 * Size and age: the file stays within its limit, what is past its end goes
 * first, then the oldest, and everything is counted.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <sys/stat.h>

#include "support/disk_rig.h"
#include "tier/disk/disk.h"

#define SIZE_BYTES (1u << 20)

static int set_up(void **state)
{
    static disk_rig rig;
    rig = (disk_rig){0};
    disk_rig_open(&rig, "1MiB");
    *state = &rig;
    return 0;
}

static int tear_down(void **state)
{
    disk_rig_close(*state);
    disk_rig_clean(*state);
    return 0;
}

static const char *key_of(unsigned i)
{
    static char key[32];
    snprintf(key, sizeof(key), "key-%u", i);
    return key;
}

static void tend(disk_rig *rig)
{
    rig->tier->ops->tend(rig->tier, rig->now_ms);
}

static void many_stores_stay_within_the_limit(void **state)
{
    disk_rig *rig = *state;
    struct stat file;
    for (unsigned i = 0; i < 4000; i++)
        assert_int_equal(disk_store_sized(rig, key_of(i), 1, i % 5000), MTC_OK);
    mtc_tier_usage usage = disk_usage_of(rig);
    assert_int_equal(usage.bytes_max, SIZE_BYTES);
    assert_true(usage.bytes > SIZE_BYTES / 2);
    assert_true(usage.bytes <= SIZE_BYTES);
    assert_true(usage.evicted_size > 0);
    assert_int_equal(usage.entries + usage.evicted_size, 4000);
    /* The newest are there, the oldest are not. */
    assert_int_equal(disk_read(rig, key_of(3999), NULL), 1);
    assert_int_equal(disk_read(rig, key_of(3900), NULL), 1);
    assert_int_equal(disk_read(rig, key_of(0), NULL), 0);
    disk_rig_close(rig);
    assert_int_equal(stat(disk_path(rig, "cache.db"), &file), 0);
    assert_true(file.st_size <= SIZE_BYTES);
    disk_rig_open(rig, "1MiB");
    assert_int_equal(disk_usage_of(rig).entries, usage.entries);
}

static void tend_makes_room_before_stores_need_it(void **state)
{
    disk_rig *rig = *state;
    unsigned i = 0;
    while (disk_usage_of(rig).bytes < SIZE_BYTES / 100 * 92)
        assert_int_equal(disk_store_sized(rig, key_of(i++), 1, 1000), MTC_OK);
    assert_int_equal(disk_usage_of(rig).evicted_size, 0);
    for (int round = 0; round < 10; round++)
        tend(rig);
    mtc_tier_usage usage = disk_usage_of(rig);
    assert_true(usage.evicted_size > 0);
    assert_true(usage.bytes <= SIZE_BYTES / 100 * MTCI_DISK_HIGH_PERCENT);
    assert_int_equal(usage.entries + usage.evicted_size, i);
    assert_int_equal(disk_read(rig, key_of(0), NULL), 0);
    assert_int_equal(disk_read(rig, key_of(i - 1), NULL), 1);
}

static void what_is_past_its_end_goes_first(void **state)
{
    disk_rig *rig = *state;
    assert_int_equal(disk_store(rig, "oldest", 1), MTC_OK);
    for (unsigned i = 0; i < 200; i++) {
        mtc_request request = disk_request(rig, key_of(i));
        request.facts.left_ms = MTCI_DISK_KEEP_MS + 1;
        request.value = mtc_value_borrow(mtc_str("soon gone"));
        assert_int_equal(disk_ask(rig, MTC_VERB_STORE, &request), MTC_OK);
    }
    tend(rig);
    assert_int_equal(disk_usage_of(rig).entries, 201);
    rig->now_ms += MTCI_DISK_KEEP_MS;
    tend(rig);
    mtc_tier_usage usage = disk_usage_of(rig);
    assert_int_equal(usage.entries, 1);
    assert_int_equal(usage.evicted_expired, 200);
    assert_int_equal(usage.evicted_size, 0);
    assert_int_equal(disk_read(rig, "oldest", NULL), 1);
}

static void what_cannot_fit_is_not_stored_and_the_old_is_gone(void **state)
{
    disk_rig *rig = *state;
    assert_int_equal(disk_store(rig, "big", 1), MTC_OK);
    assert_int_equal(disk_store(rig, "other", 1), MTC_OK);
    assert_int_equal(disk_store_sized(rig, "big", 2, 2 * SIZE_BYTES),
                     MTC_PARTIAL);
    assert_int_equal(disk_read(rig, "big", NULL), 0);
    assert_int_equal(disk_read(rig, "other", NULL), 1);
}

static void a_value_of_half_the_limit_makes_its_room(void **state)
{
    disk_rig *rig = *state;
    for (unsigned i = 0; i < 150; i++)
        assert_int_equal(disk_store_sized(rig, key_of(i), 1, 5000), MTC_OK);
    assert_int_equal(disk_store_sized(rig, "big", 1, SIZE_BYTES / 2), MTC_OK);
    assert_int_equal(disk_read(rig, "big", NULL), 1);
    assert_true(disk_usage_of(rig).bytes <= SIZE_BYTES);
}

static void what_happens_to_entries_is_counted(void **state)
{
    disk_rig *rig = *state;
    assert_int_equal(disk_store(rig, "a", 1), MTC_OK);
    assert_int_equal(disk_store(rig, "a", 2), MTC_OK);
    assert_int_equal(disk_store(rig, "b", 1), MTC_OK);
    assert_int_equal(disk_remove(rig, "b"), MTC_OK);
    assert_int_equal(disk_remove(rig, "b"), MTC_OK);
    assert_int_equal(disk_remove(rig, "c"), MTC_OK);
    mtc_tier_usage usage = disk_usage_of(rig);
    assert_int_equal(usage.entries, 1);
    assert_int_equal(usage.evicted_replaced, 1);
    assert_int_equal(usage.evicted_removed, 1);
    assert_int_equal(usage.evicted_size, 0);
    assert_int_equal(usage.evicted_expired, 0);
    assert_int_equal(usage.damaged, 0);
}

static void removals_do_not_fill_the_file(void **state)
{
    disk_rig *rig = *state;
    assert_int_equal(disk_store(rig, "kept", 1), MTC_OK);
    for (unsigned i = 0; i < 12000; i++) {
        assert_int_equal(disk_remove(rig, key_of(i)), MTC_OK);
        if (i % 400 == 0)
            rig->now_ms += MTCI_DISK_KEEP_MS / 4;
        if (i % 100 == 0)
            tend(rig);
    }
    assert_true(disk_usage_of(rig).bytes <= SIZE_BYTES);
    assert_int_equal(disk_store(rig, "last", 1), MTC_OK);
    assert_int_equal(disk_read(rig, "last", NULL), 1);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(many_stores_stay_within_the_limit),
        CASE(tend_makes_room_before_stores_need_it),
        CASE(what_is_past_its_end_goes_first),
        CASE(what_cannot_fit_is_not_stored_and_the_old_is_gone),
        CASE(a_value_of_half_the_limit_makes_its_room),
        CASE(what_happens_to_entries_is_counted),
        CASE(removals_do_not_fill_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
