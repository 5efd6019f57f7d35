/*
 * The ledger of a soak: that its judge sees what is wrong, and nothing else.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "support/ledger.h"
#include "support/stamp.h"

#define KEY    3u
#define MINE   0u
#define OTHERS 1u

static mtct_ledger *ledger;
static mtct_bounds bounds;

static int setup(void **state)
{
    (void)state;
    ledger = calloc(1, sizeof *ledger);
    bounds =
        (mtct_bounds){.memory_ms = 400, .slack_ms = 100, .arrival_ms = 1000};
    return ledger ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    free(ledger);
    return 0;
}

/* A deed from one millisecond to another; its stamp. Lives for a minute. */
static uint32_t note(mtct_deed_kind kind, uint32_t cache, int64_t from_ms,
                     int64_t to_ms, mtc_status status)
{
    uint32_t stamp;
    mtct_deed *deed = mtct_deed_begin(ledger, KEY, cache, kind, &stamp);
    mtct_deed_live(deed, 60000, 30000);
    mtct_deed_end(deed, status);
    atomic_store(&deed->begun_us, from_ms * 1000);
    atomic_store(&deed->ended_us, to_ms * 1000);
    return stamp;
}

/* What is wrong with a read of my cache. */
static const char *judge(uint32_t stamp, int64_t at_ms, mtc_status status)
{
    static char text[320];
    char bytes[40];
    mtct_stamp_write(bytes, sizeof bytes, KEY, stamp);
    mtct_reading reading = {.key = KEY,
                            .cache = MINE,
                            .begun_us = at_ms * 1000,
                            .ended_us = at_ms * 1000 + 10,
                            .status = status,
                            .bytes = mtc_bytes(bytes, sizeof bytes)};
    return mtct_ledger_judge(ledger, &bounds, &reading, text);
}

static void assert_fine(uint32_t stamp, int64_t at_ms, mtc_status status)
{
    const char *wrong = judge(stamp, at_ms, status);
    if (wrong)
        fail_msg("%s", wrong);
}

static void assert_wrong(uint32_t stamp, int64_t at_ms, mtc_status status)
{
    assert_non_null(judge(stamp, at_ms, status));
}

static void a_value_of_another_key_is_seen(void **state)
{
    (void)state;
    char bytes[40], text[320];
    mtct_reading reading = {KEY,  MINE,   1000,
                            1001, MTC_OK, mtc_bytes(bytes, sizeof bytes)};
    uint32_t stamp = note(MTCT_DEED_SET, MINE, 10, 11, MTC_OK);
    mtct_stamp_write(bytes, sizeof bytes, KEY, stamp);
    assert_null(mtct_ledger_judge(ledger, &bounds, &reading, text));
    bytes[30] ^= 1;
    assert_non_null(mtct_ledger_judge(ledger, &bounds, &reading, text));
    mtct_stamp_write(bytes, sizeof bytes, KEY + 1, stamp);
    assert_non_null(mtct_ledger_judge(ledger, &bounds, &reading, text));
}

static void what_nobody_wrote_is_seen(void **state)
{
    (void)state;
    uint32_t removal = note(MTCT_DEED_REMOVE, MINE, 10, 11, MTC_OK);
    assert_wrong(removal, 20, MTC_OK);
    assert_wrong(removal + 1, 20, MTC_OK);
    assert_wrong(0, 20, MTC_OK);
}

static void ones_own_removal_counts_at_once(void **state)
{
    (void)state;
    uint32_t old = note(MTCT_DEED_SET, OTHERS, 10, 11, MTC_OK);
    note(MTCT_DEED_REMOVE, MINE, 20, 30, MTC_PENDING);
    assert_fine(old, 30, MTC_OK); /* it had not returned when the read began */
    assert_wrong(old, 31, MTC_OK);
    assert_wrong(old, 31, MTC_STALE);
}

static void ones_own_set_counts_at_once(void **state)
{
    (void)state;
    uint32_t old = note(MTCT_DEED_SET, MINE, 10, 11, MTC_PARTIAL);
    uint32_t young = note(MTCT_DEED_SET, MINE, 20, 30, MTC_PARTIAL);
    assert_wrong(old, 31, MTC_OK);
    assert_fine(young, 31, MTC_OK);
}

static void a_load_that_a_removal_overtook_must_not_come_back(void **state)
{
    (void)state;
    uint32_t load = note(MTCT_DEED_LOAD, MINE, 10, 40, MTC_OK);
    note(MTCT_DEED_REMOVE, MINE, 20, 30, MTC_OK);
    assert_fine(load, 25, MTC_OK); /* it joined the load before */
    assert_wrong(load, 31, MTC_OK);
}

static void an_expired_value_is_stale_at_most(void **state)
{
    (void)state;
    uint32_t old = note(MTCT_DEED_SET, MINE, 10, 11, MTC_OK);
    note(MTCT_DEED_EXPIRE, MINE, 20, 30, MTC_OK);
    assert_wrong(old, 31, MTC_OK);
    assert_fine(old, 31, MTC_STALE);
}

static void anothers_removal_counts_when_copies_in_memory_have_ended(void **s)
{
    (void)s;
    uint32_t old = note(MTCT_DEED_SET, MINE, 10, 11, MTC_OK);
    note(MTCT_DEED_REMOVE, OTHERS, 20, 30, MTC_OK);
    assert_fine(old, 530, MTC_OK);
    assert_wrong(old, 531, MTC_OK);
    assert_fine(old, 30530, MTC_STALE);
    assert_wrong(old, 30531, MTC_STALE);
}

static void anothers_removal_that_is_pending_does_not_count(void **state)
{
    (void)state;
    uint32_t old = note(MTCT_DEED_SET, MINE, 10, 11, MTC_OK);
    note(MTCT_DEED_REMOVE, OTHERS, 20, 30, MTC_PENDING);
    assert_fine(old, 2000, MTC_OK);
}

static void what_was_not_acknowledged_may_come_late(void **state)
{
    (void)state;
    uint32_t theirs = note(MTCT_DEED_SET, OTHERS, 10, 11, MTC_PARTIAL);
    uint32_t load = note(MTCT_DEED_LOAD, OTHERS, 10, 11, MTC_OK);
    note(MTCT_DEED_REMOVE, MINE, 20, 30, MTC_OK);
    assert_fine(theirs, 100, MTC_OK);
    assert_fine(load, 100, MTC_OK);
    bounds.fences_fills = true;
    assert_wrong(load, 100, MTC_OK);
}

static void where_there_is_no_order_ones_own_write_may_come_late(void **state)
{
    (void)state;
    uint32_t hung = note(MTCT_DEED_SET, MINE, 10, 11, MTC_PARTIAL);
    uint32_t kept = note(MTCT_DEED_SET, MINE, 12, 13, MTC_OK);
    note(MTCT_DEED_REMOVE, MINE, 20, 30, MTC_OK);
    assert_wrong(hung, 100, MTC_OK);
    bounds.has_no_order = true;
    assert_fine(hung, 100, MTC_OK);
    assert_wrong(kept, 100, MTC_OK);
}

static void a_tier_that_loses_writes_may_return_to_older_ones(void **state)
{
    (void)state;
    uint32_t old = note(MTCT_DEED_SET, MINE, 10, 11, MTC_OK);
    note(MTCT_DEED_REMOVE, MINE, 20, 30, MTC_OK);
    bounds.may_lose = true;
    assert_fine(old, 2000, MTC_OK);
    assert_wrong(old, 60112, MTC_OK);
}

static void nothing_outlives_its_life(void **state)
{
    (void)state;
    uint32_t set = note(MTCT_DEED_SET, MINE, 10, 11, MTC_OK);
    uint32_t late = note(MTCT_DEED_SET, OTHERS, 10, 11, MTC_PARTIAL);
    assert_fine(set, 60111, MTC_OK);
    assert_wrong(set, 60112, MTC_OK);
    assert_fine(set, 90111, MTC_STALE);
    assert_wrong(set, 90112, MTC_STALE);
    assert_fine(late, 61011, MTC_OK);
    assert_wrong(late, 61012, MTC_OK);
}

static void a_miss_needs_a_reason_where_all_is_kept(void **state)
{
    (void)state;
    note(MTCT_DEED_REMOVE, MINE, 40000, 40001, MTC_PENDING);
    note(MTCT_DEED_SET, OTHERS, 40500, 40501, MTC_OK);
    bounds.keeps_all = true;
    assert_fine(0, 50000, MTC_MISS); /* the removal is owed, and comes late */
    note(MTCT_DEED_SET, MINE, 80000, 80001, MTC_OK);
    assert_fine(0, 80001, MTC_MISS); /* the read began before */
    assert_wrong(0, 80002, MTC_MISS);
    assert_fine(0, 140001, MTC_MISS); /* its life has ended */
    bounds.keeps_all = false;
    assert_fine(0, 80002, MTC_MISS);
    bounds.keeps_all = true;
    note(MTCT_DEED_SET, OTHERS, 120000, 120001, MTC_OK);
    assert_fine(0, 120101, MTC_MISS); /* it may have asked before */
    assert_wrong(0, 120102, MTC_MISS);
    note(MTCT_DEED_REMOVE, OTHERS, 130000, 130001, MTC_OK);
    assert_fine(0, 130010, MTC_MISS);
}

static void what_the_ring_has_forgotten_is_too_old(void **state)
{
    (void)state;
    uint32_t old = note(MTCT_DEED_SET, MINE, 10, 11, MTC_OK);
    for (unsigned i = 0; i < MTCT_LEDGER_RING; i++)
        note(MTCT_DEED_SET, OTHERS, 5, 1000, MTC_E_BUSY);
    assert_wrong(old, 20, MTC_OK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_value_of_another_key_is_seen),
        TEST(what_nobody_wrote_is_seen),
        TEST(ones_own_removal_counts_at_once),
        TEST(ones_own_set_counts_at_once),
        TEST(a_load_that_a_removal_overtook_must_not_come_back),
        TEST(an_expired_value_is_stale_at_most),
        TEST(anothers_removal_counts_when_copies_in_memory_have_ended),
        TEST(anothers_removal_that_is_pending_does_not_count),
        TEST(what_was_not_acknowledged_may_come_late),
        TEST(where_there_is_no_order_ones_own_write_may_come_late),
        TEST(a_tier_that_loses_writes_may_return_to_older_ones),
        TEST(nothing_outlives_its_life),
        TEST(a_miss_needs_a_reason_where_all_is_kept),
        TEST(what_the_ring_has_forgotten_is_too_old),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
