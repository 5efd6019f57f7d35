/*
 * labels: quick unit
 *
 * Leases in the file, beyond what the contract asks of every tier: what is left
 * in it, and what comes of them when it is replaced or cannot be written.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sched.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/disk_rig.h"
#include "tier/disk/disk.h"
#include "tier/disk/file.h"

#define LENGTH_MS 5000
#define LEASES    150 /* more than one transaction drops */

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

static mtc_status read_for(disk_rig *rig, const char *key, mtc_request *request)
{
    *request = disk_request(rig, key);
    request->lease_ms = LENGTH_MS;
    mtc_status status = disk_ask(rig, MTC_VERB_READ, request);
    mtc_value_free(&request->value);
    return status;
}

static uint64_t take(disk_rig *rig, const char *key)
{
    mtc_request request;
    assert_int_equal(read_for(rig, key, &request), MTC_MISS);
    assert_int_equal(request.lease_ms, LENGTH_MS);
    assert_true(request.ticket != 0);
    return request.ticket;
}

static int rows(const disk_rig *rig)
{
    sqlite3 *db;
    sqlite3_stmt *count;
    assert_int_equal(sqlite3_open(disk_path(rig, "cache.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM leases", -1,
                                        &count, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(count), SQLITE_ROW);
    int found = sqlite3_column_int(count, 0);
    sqlite3_finalize(count);
    sqlite3_close(db);
    return found;
}

static void what_has_run_out_is_dropped(void **state)
{
    char key[16];
    disk_rig *rig = *state;
    for (int i = 0; i < LEASES; i++) {
        snprintf(key, sizeof key, "k%d", i);
        take(rig, key);
    }
    rig->tier->ops->tend(rig->tier, rig->now_ms);
    assert_int_equal(rows(rig), LEASES);
    rig->now_ms += LENGTH_MS;
    rig->tier->ops->tend(rig->tier, rig->now_ms);
    assert_int_equal(rows(rig), 0);
}

static void what_has_ended_leaves_no_row(void **state)
{
    disk_rig *rig = *state;
    mtc_request back = disk_request(rig, "given");
    back.ticket = take(rig, "given");
    assert_int_equal(disk_fill(rig, "filled", 1, take(rig, "filled")), MTC_OK);
    assert_int_equal(disk_ask(rig, MTC_VERB_REMOVE, &back), MTC_OK);
    take(rig, "removed");
    assert_int_equal(disk_remove(rig, "removed"), MTC_OK);
    assert_int_equal(rows(rig), 0);
}

static void a_lease_outlives_reopening_the_tier(void **state)
{
    mtc_request request;
    disk_rig *rig = *state;
    uint64_t ticket = take(rig, "k");
    disk_rig_close(rig);
    disk_rig_open(rig, "1MiB");
    assert_int_equal(read_for(rig, "k", &request), MTC_MISS);
    assert_int_equal(request.ticket, 0);
    assert_int_equal(disk_fill(rig, "k", 1, ticket), MTC_OK);
    assert_int_equal(disk_read(rig, "k", NULL), 1);
}

static void a_fill_without_the_lease_counts_and_ends_it(void **state)
{
    uint64_t plain = 0;
    disk_rig *rig = *state;
    uint64_t ticket = take(rig, "k");
    assert_int_equal(disk_read(rig, "k", &plain), 0);
    assert_int_equal(disk_fill(rig, "k", 1, plain), MTC_OK);
    assert_int_equal(disk_fill(rig, "k", 2, ticket), MTC_E_CANCELLED);
    assert_int_equal(disk_read(rig, "k", NULL), 1);
}

/* -- when something is wrong ----------------------------------------------- */

static _Atomic int ends;

static void on_end(mtc_request *request)
{
    (void)request;
    atomic_fetch_add(&ends, 1);
}

static void retire(disk_rig *rig)
{
    mtci_disk *disk = (mtci_disk *)rig->tier;
    assert_int_equal(mtci_disk_file_retire(disk, &disk->idle->id, false, 1000),
                     SQLITE_OK);
}

static void a_wait_ends_when_the_file_is_replaced(void **state)
{
    disk_rig *rig = *state;
    mtc_request request = disk_request(rig, "k");
    mtc_request *requests = &request;
    uint64_t ticket = take(rig, "k");
    request.done = on_end;
    ends = 0;
    rig->tier->ops->submit(rig->tier, MTC_VERB_AWAIT, &requests, 1);
    assert_int_equal(ends, 0);
    retire(rig);
    int64_t until_ms = mtci_boot_ms() + 10000;
    while (ends == 0 && mtci_boot_ms() < until_ms)
        sched_yield();
    assert_true(mtc_request_is_complete(&request));
    assert_int_equal(request.status, MTC_OK);
    assert_int_equal(disk_fill(rig, "k", 1, ticket), MTC_E_CANCELLED);
    assert_true(take(rig, "k") != ticket);
}

static void a_lease_that_cannot_be_written_is_not_taken(void **state)
{
    sqlite3 *db;
    mtc_request request;
    disk_rig *rig = *state;
    assert_int_equal(disk_store(rig, "other", 1), MTC_OK);
    assert_int_equal(sqlite3_open(disk_path(rig, "cache.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL),
                     SQLITE_OK);
    request = disk_request(rig, "k");
    request.lease_ms = LENGTH_MS;
    request.deadline_ms = rig->now_ms + 20;
    assert_int_equal(disk_ask(rig, MTC_VERB_READ, &request), MTC_MISS);
    assert_int_equal(request.lease_ms, 0);
    sqlite3_close(db);
    /* The ticket is that of a read without a lease. */
    uint64_t plain = request.ticket;
    assert_true(plain != 0);
    assert_int_equal(disk_remove(rig, "k"), MTC_OK);
    assert_int_equal(disk_fill(rig, "k", 1, plain), MTC_E_CANCELLED);
}

static void without_the_map_nobody_waits(void **state)
{
    disk_rig *rig = *state;
    mtci_disk *disk = (mtci_disk *)rig->tier;
    mtci_disk_bell_close(&disk->bell);
    take(rig, "k");
    mtc_request request = disk_request(rig, "k");
    assert_int_equal(disk_ask(rig, MTC_VERB_AWAIT, &request),
                     MTC_E_UNSUPPORTED);
    assert_int_equal(disk_store(rig, "k", 1), MTC_OK);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(what_has_run_out_is_dropped),
        CASE(what_has_ended_leaves_no_row),
        CASE(a_lease_outlives_reopening_the_tier),
        CASE(a_fill_without_the_lease_counts_and_ends_it),
        CASE(a_wait_ends_when_the_file_is_replaced),
        CASE(a_lease_that_cannot_be_written_is_not_taken),
        CASE(without_the_map_nobody_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
