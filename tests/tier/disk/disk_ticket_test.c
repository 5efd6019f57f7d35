/*
 * labels: quick unit
 *
 * Tickets: a fill is refused once anybody wrote or removed the key, in this
 * tier, in another tier or in another process, however the row went.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <unistd.h>

#include <stdio.h>

#include "support/disk_rig.h"
#include "tier/disk/disk.h"

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

static void a_miss_gives_a_ticket_that_fills_once(void **state)
{
    uint64_t ticket = 0;
    assert_int_equal(disk_read(*state, "k", &ticket), 0);
    assert_int_equal(disk_fill(*state, "k", 1, ticket), MTC_OK);
    assert_int_equal(disk_fill(*state, "k", 2, ticket), MTC_E_CANCELLED);
    assert_int_equal(disk_read(*state, "k", NULL), 1);
}

static void writes_of_other_keys_leave_a_ticket_good(void **state)
{
    uint64_t ticket = 0;
    assert_int_equal(disk_read(*state, "k", &ticket), 0);
    assert_int_equal(disk_store(*state, "other", 1), MTC_OK);
    assert_int_equal(disk_remove(*state, "another"), MTC_OK);
    assert_int_equal(disk_fill(*state, "k", 1, ticket), MTC_OK);
}

static void removing_what_is_not_there_refuses_a_fill(void **state)
{
    uint64_t ticket = 0;
    assert_int_equal(disk_read(*state, "k", &ticket), 0);
    assert_int_equal(disk_remove(*state, "k"), MTC_OK);
    assert_int_equal(disk_fill(*state, "k", 1, ticket), MTC_E_CANCELLED);
    assert_int_equal(disk_read(*state, "k", &ticket), 0);
    assert_int_equal(disk_fill(*state, "k", 2, ticket), MTC_OK);
}

static void expiring_what_is_not_there_refuses_a_fill(void **state)
{
    uint64_t ticket = 0;
    mtc_request request = disk_request(*state, "k");
    assert_int_equal(disk_read(*state, "k", &ticket), 0);
    assert_int_equal(disk_ask(*state, MTC_VERB_EXPIRE, &request), MTC_OK);
    assert_int_equal(disk_fill(*state, "k", 1, ticket), MTC_E_CANCELLED);
}

static void a_store_without_a_ticket_always_counts(void **state)
{
    assert_int_equal(disk_remove(*state, "k"), MTC_OK);
    assert_int_equal(disk_store(*state, "k", 1), MTC_OK);
    assert_int_equal(disk_store(*state, "k", 2), MTC_OK);
    assert_int_equal(disk_read(*state, "k", NULL), 2);
}

static void another_tier_on_the_directory_refuses_a_fill(void **state)
{
    uint64_t ticket = 0;
    disk_rig other = *(disk_rig *)*state;
    disk_rig_open(&other, "1MiB");
    assert_int_equal(disk_read(*state, "k", &ticket), 0);
    assert_int_equal(disk_store(&other, "k", 1), MTC_OK);
    assert_int_equal(disk_fill(*state, "k", 2, ticket), MTC_E_CANCELLED);
    assert_int_equal(disk_read(*state, "k", NULL), 1);
    assert_int_equal(disk_remove(&other, "k"), MTC_OK);
    assert_int_equal(disk_read(*state, "k", NULL), 0);
    disk_rig_close(&other);
}

static int go[2]; /* a pipe: the child begins when it is told */

static void open_and_remove(disk_rig *rig)
{
    char byte;
    assert_int_equal(read(go[0], &byte, 1), 1);
    disk_rig_open(rig, "1MiB");
    if (disk_read(rig, "k", NULL) != 7)
        fail_msg("the other process does not see the entry");
    disk_remove(rig, "k");
    disk_remove(rig, "l");
}

static void another_process_refuses_a_fill(void **state)
{
    uint64_t ticket = 0;
    disk_rig *rig = *state;
    disk_rig other = *rig;
    assert_int_equal(pipe(go), 0);
    disk_rig_close(rig);
    pid_t child = disk_child(open_and_remove, &other);
    disk_rig_open(rig, NULL);
    assert_int_equal(disk_store(rig, "k", 7), MTC_OK);
    assert_int_equal(disk_read(rig, "l", &ticket), 0);
    assert_int_equal(write(go[1], "!", 1), 1);
    disk_child_join(child);
    close(go[0]);
    close(go[1]);
    assert_int_equal(disk_read(rig, "k", NULL), 0);
    assert_int_equal(disk_fill(rig, "l", 1, ticket), MTC_E_CANCELLED);
}

/* The tombstone goes after a time; the ticket is refused all the same. */
static void a_ticket_from_before_the_horizon_is_refused(void **state)
{
    uint64_t ticket = 0;
    disk_rig *rig = *state;
    assert_int_equal(disk_read(rig, "k", &ticket), 0);
    assert_int_equal(disk_remove(rig, "k"), MTC_OK);
    rig->now_ms += MTCI_DISK_KEEP_MS - 1;
    rig->tier->ops->tend(rig->tier, rig->now_ms);
    assert_int_equal(disk_fill(rig, "k", 1, ticket), MTC_E_CANCELLED);
    rig->now_ms += 1;
    rig->tier->ops->tend(rig->tier, rig->now_ms);
    assert_int_equal(disk_fill(rig, "k", 1, ticket), MTC_E_CANCELLED);
    assert_int_equal(disk_fill(rig, "never-seen", 1, ticket), MTC_E_CANCELLED);
}

/* Its row is older than what was dropped since, and still the newest. */
static void the_ticket_of_what_is_found_is_good_below_the_horizon(void **state)
{
    uint64_t ticket = 0;
    disk_rig *rig = *state;
    assert_int_equal(disk_store(rig, "k", 1), MTC_OK);
    assert_int_equal(disk_remove(rig, "other"), MTC_OK);
    rig->now_ms += MTCI_DISK_KEEP_MS;
    rig->tier->ops->tend(rig->tier, rig->now_ms);
    assert_int_equal(disk_read(rig, "k", &ticket), 1);
    assert_int_equal(disk_fill(rig, "k", 2, ticket), MTC_OK);
    assert_int_equal(disk_read(rig, "k", NULL), 2);
    assert_int_equal(disk_fill(rig, "k", 3, ticket), MTC_E_CANCELLED);
}

static void a_newer_value_that_was_evicted_refuses_a_fill(void **state)
{
    uint64_t ticket = 0;
    disk_rig *rig = *state;
    char key[32];
    assert_int_equal(disk_read(rig, "k", &ticket), 0);
    assert_int_equal(disk_store(rig, "k", 1), MTC_OK);
    for (int i = 0; disk_usage_of(rig).evicted_size == 0; i++) {
        assert_true(i < 10000);
        snprintf(key, sizeof(key), "fill-%d", i);
        assert_int_equal(disk_store_sized(rig, key, 1, 2000), MTC_OK);
    }
    assert_int_equal(disk_read(rig, "k", NULL), 0);
    assert_int_equal(disk_fill(rig, "k", 2, ticket), MTC_E_CANCELLED);
}

static void a_ticket_outlives_reopening_the_tier(void **state)
{
    uint64_t ticket = 0;
    disk_rig *rig = *state;
    assert_int_equal(disk_read(rig, "k", &ticket), 0);
    assert_int_equal(disk_remove(rig, "k"), MTC_OK);
    disk_rig_close(rig);
    disk_rig_open(rig, "1MiB");
    assert_int_equal(disk_fill(rig, "k", 1, ticket), MTC_E_CANCELLED);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_miss_gives_a_ticket_that_fills_once),
        CASE(writes_of_other_keys_leave_a_ticket_good),
        CASE(removing_what_is_not_there_refuses_a_fill),
        CASE(expiring_what_is_not_there_refuses_a_fill),
        CASE(a_store_without_a_ticket_always_counts),
        CASE(another_tier_on_the_directory_refuses_a_fill),
        CASE(another_process_refuses_a_fill),
        CASE(a_ticket_from_before_the_horizon_is_refused),
        CASE(the_ticket_of_what_is_found_is_good_below_the_horizon),
        CASE(a_newer_value_that_was_evicted_refuses_a_fill),
        CASE(a_ticket_outlives_reopening_the_tier),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
