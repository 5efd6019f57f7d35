/*
 * The tier contract, part five: leases. A second tier on the same storage is
 * another process.
 */
#include "support/contract.h"

#include <stdio.h>

#define LEASE_MS 30000
#define SHORT_MS 200
#define LATE_MS  120
/* Time for an await to be under way before what it awaits happens; it is
 * complete all the same if that was too short. */
#define SETTLE_MS 50
#define MANY      20

static void need_leases(trial *trial)
{
    trial_require(trial, MTC_TIER_LEASES | MTC_TIER_SHARED);
}

/* One request, through another tier than the trial's. */
static mtc_status call_through(trial *trial, mtc_tier *tier, mtc_verb verb,
                               ask *ask)
{
    mtc_tier *own = trial->tier;
    trial->tier = tier;
    mtc_status status = trial_call(trial, verb, ask);
    trial->tier = own;
    return status;
}

static mtc_status read_for(trial *trial, mtc_tier *tier, mtc_slice key,
                           int64_t lease_ms, ask *ask)
{
    ask_init(ask, trial, key);
    ask->request.lease_ms = lease_ms;
    return call_through(trial, tier, MTC_VERB_READ, ask);
}

static bool is_filled_atomically(const trial *trial)
{
    return trial->tier->ops->abilities & MTC_TIER_ATOMIC_FILL;
}

/* A read that misses and takes the lease; its ticket. */
static uint64_t take(trial *trial, mtc_tier *tier, mtc_slice key,
                     int64_t lease_ms)
{
    ask ask;
    assert_int_equal(read_for(trial, tier, key, lease_ms, &ask), MTC_MISS);
    assert_true(ask.request.ticket != 0);
    assert_int_equal(ask.request.facts.kind, MTC_KIND_LEASE);
    assert_in_range(ask.request.lease_ms, 1, lease_ms);
    return ask.request.ticket;
}

static mtc_status fill(trial *trial, mtc_slice key, uint64_t ticket,
                       const char *text)
{
    ask ask;
    ask_init(&ask, trial, key);
    ask.request.ticket = ticket;
    ask.request.value = mtc_value_borrow(mtc_str(text));
    return trial_call(trial, MTC_VERB_STORE, &ask);
}

static mtc_status renew(trial *trial, mtc_slice key, uint64_t ticket,
                        int64_t lease_ms)
{
    ask ask;
    ask_init(&ask, trial, key);
    ask.request.ticket = ticket;
    ask.request.lease_ms = lease_ms;
    ask.request.facts.kind = MTC_KIND_LEASE;
    return trial_call(trial, MTC_VERB_STORE, &ask);
}

static mtc_status give_back(trial *trial, mtc_slice key, uint64_t ticket)
{
    ask ask;
    ask_init(&ask, trial, key);
    ask.request.ticket = ticket;
    return trial_call(trial, MTC_VERB_REMOVE, &ask);
}

static mtc_status expire(trial *trial, mtc_slice key)
{
    ask ask;
    ask_init(&ask, trial, key);
    return trial_call(trial, MTC_VERB_EXPIRE, &ask);
}

/* An entry that is past its soft end, with an etag. */
static void store_stale(trial *trial, mtc_slice key, const char *text)
{
    ask ask;
    ask_init(&ask, trial, key);
    ask.request.value = mtc_value_borrow(mtc_str(text));
    ask.request.facts = (mtc_facts){.left_ms = 50000,
                                    .ttl_ms = 1000,
                                    .window_ms = 60000,
                                    .etag = mtc_str("tag")};
    assert_int_equal(trial_call(trial, MTC_VERB_STORE, &ask), MTC_OK);
}

/* A ticket that is no lease's is for a fill without one. */
static void expect_no_lease_taken(const trial *trial, const ask *ask)
{
    if (!is_filled_atomically(trial))
        assert_int_equal(ask->request.ticket, 0);
}

/* A read that takes no lease finds the stale entry, and a lease or none. */
static void expect_stale(trial *trial, mtc_tier *tier, mtc_slice key,
                         const char *text, bool has_lease)
{
    ask ask;
    assert_int_equal(read_for(trial, tier, key, 0, &ask), MTC_OK);
    ask_expect(trial, &ask, mtc_str(text));
    const mtc_facts *facts = &ask.request.facts;
    assert_in_range(facts->left_ms, 1, 50000);
    assert_int_equal(facts->window_ms, 60000);
    assert_int_equal(facts->etag.size, 3);
    assert_memory_equal(facts->etag.data, "tag", 3);
    expect_no_lease_taken(trial, &ask);
    assert_int_equal(ask.request.lease_ms > 0, has_lease);
    ask_fini(&ask);
}

static uint64_t take_stale(trial *trial, mtc_slice key, const char *text)
{
    ask ask;
    assert_int_equal(read_for(trial, trial->tier, key, LEASE_MS, &ask), MTC_OK);
    ask_expect(trial, &ask, mtc_str(text));
    assert_true(ask.request.ticket != 0);
    assert_in_range(ask.request.lease_ms, 1, LEASE_MS);
    ask_fini(&ask);
    return ask.request.ticket;
}

/* -- taking and filling --------------------------------------------------- */

static void one_reader_of_a_missing_key_takes_its_lease(void **state)
{
    trial *trial = *state;
    need_leases(trial);
    mtc_slice key = trial_key(trial, "taken");
    mtc_tier *other = trial_open_second(trial);
    ask ask;
    take(trial, trial->tier, key, LEASE_MS);
    const int64_t wanted_ms[] = {LEASE_MS, 0};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(read_for(trial, other, key, wanted_ms[i], &ask),
                         MTC_MISS);
        expect_no_lease_taken(trial, &ask);
        if (wanted_ms[i] > 0)
            assert_int_equal(ask.request.ticket, 0);
        assert_int_equal(ask.request.facts.kind, MTC_KIND_LEASE);
        assert_in_range(ask.request.facts.left_ms, 1, LEASE_MS);
        assert_int_equal(ask.request.lease_ms, ask.request.facts.left_ms);
    }
    other->ops->close(other);
}

static void a_read_without_a_lease_takes_none(void **state)
{
    trial *trial = *state;
    need_leases(trial);
    mtc_slice key = trial_key(trial, "untaken");
    ask ask;
    assert_int_equal(read_for(trial, trial->tier, key, 0, &ask), MTC_MISS);
    assert_int_equal(ask.request.lease_ms, 0);
    take(trial, trial->tier, key, LEASE_MS);
}

static void a_fresh_entry_needs_no_lease(void **state)
{
    trial *trial = *state;
    need_leases(trial);
    mtc_slice key = trial_key(trial, "fresh");
    ask ask;
    trial_store(trial, key, mtc_str("v"));
    assert_int_equal(read_for(trial, trial->tier, key, LEASE_MS, &ask), MTC_OK);
    ask_expect(trial, &ask, mtc_str("v"));
    expect_no_lease_taken(trial, &ask);
    assert_int_equal(ask.request.lease_ms, 0);
    ask_fini(&ask);
}

static void a_lease_is_filled_once(void **state)
{
    trial *trial = *state;
    need_leases(trial);
    mtc_slice key = trial_key(trial, "filled");
    uint64_t ticket = take(trial, trial->tier, key, LEASE_MS);
    assert_int_equal(fill(trial, key, ticket + 1, "wrong"), MTC_E_CANCELLED);
    assert_int_equal(fill(trial, key, ticket, "loaded"), MTC_OK);
    trial_expect(trial, key, mtc_str("loaded"));
    assert_int_equal(fill(trial, key, ticket, "late"), MTC_E_CANCELLED);
    trial_expect(trial, key, mtc_str("loaded"));
}

static void a_fill_without_an_end_has_none(void **state)
{
    trial *trial = *state;
    need_leases(trial);
    mtc_slice key = trial_key(trial, "endless");
    ask ask;
    ask_init(&ask, trial, key);
    ask.request.ticket = take(trial, trial->tier, key, LEASE_MS);
    ask.request.value = mtc_value_borrow(mtc_str("v"));
    ask.request.facts.left_ms = MTC_NO_END;
    assert_int_equal(trial_call(trial, MTC_VERB_STORE, &ask), MTC_OK);
    assert_int_equal(read_for(trial, trial->tier, key, LEASE_MS, &ask), MTC_OK);
    assert_true(ask.request.facts.left_ms == MTC_NO_END);
    expect_no_lease_taken(trial, &ask);
    assert_int_equal(ask.request.lease_ms, 0);
    ask_fini(&ask);
}

static void a_fill_after_a_foreign_change_is_refused(void **state)
{
    trial *trial = *state;
    need_leases(trial);
    mtc_slice set = trial_key(trial, "set");
    mtc_slice removed = trial_key(trial, "removed");
    mtc_slice expired = trial_key(trial, "expired");
    uint64_t of_set = take(trial, trial->tier, set, LEASE_MS);
    uint64_t of_removed = take(trial, trial->tier, removed, LEASE_MS);
    uint64_t of_expired = take(trial, trial->tier, expired, LEASE_MS);
    trial_store(trial, set, mtc_str("newer"));
    trial_remove(trial, removed);
    assert_int_equal(expire(trial, expired), MTC_OK);
    assert_int_equal(fill(trial, set, of_set, "older"), MTC_E_CANCELLED);
    assert_int_equal(renew(trial, set, of_set, LEASE_MS), MTC_E_CANCELLED);
    assert_int_equal(give_back(trial, set, of_set), MTC_E_CANCELLED);
    trial_expect(trial, set, mtc_str("newer"));
    assert_int_equal(fill(trial, removed, of_removed, "old"), MTC_E_CANCELLED);
    assert_int_equal(fill(trial, expired, of_expired, "old"), MTC_E_CANCELLED);
    assert_int_equal(trial_look(trial, removed), MTC_MISS);
    assert_int_equal(trial_look(trial, expired), MTC_MISS);
}

/* -- its end --------------------------------------------------------------- */

static void a_lease_that_ran_out_is_no_longer_held(void **state)
{
    trial *trial = *state;
    need_leases(trial);
    mtc_slice key = trial_key(trial, "out");
    uint64_t first = take(trial, trial->tier, key, SHORT_MS);
    trial_pass(trial, SHORT_MS + LATE_MS);
    assert_int_equal(fill(trial, key, first, "late"), MTC_E_CANCELLED);
    assert_int_equal(trial_look(trial, key), MTC_MISS);
    uint64_t second = take(trial, trial->tier, key, LEASE_MS);
    assert_true(first != second);
    assert_int_equal(fill(trial, key, first, "late"), MTC_E_CANCELLED);
    assert_int_equal(give_back(trial, key, first), MTC_E_CANCELLED);
    assert_int_equal(fill(trial, key, second, "loaded"), MTC_OK);
}

static void a_renewed_lease_lives_on(void **state)
{
    trial *trial = *state;
    need_leases(trial);
    mtc_slice key = trial_key(trial, "renewed");
    uint64_t ticket = take(trial, trial->tier, key, SHORT_MS);
    assert_int_equal(renew(trial, key, ticket, LEASE_MS), MTC_OK);
    trial_pass(trial, SHORT_MS + LATE_MS);
    assert_int_equal(fill(trial, key, ticket, "loaded"), MTC_OK);
    trial_expect(trial, key, mtc_str("loaded"));
}

static void a_lease_given_back_can_be_taken(void **state)
{
    trial *trial = *state;
    need_leases(trial);
    mtc_slice key = trial_key(trial, "given");
    uint64_t ticket = take(trial, trial->tier, key, LEASE_MS);
    assert_int_equal(give_back(trial, key, ticket), MTC_OK);
    assert_int_equal(give_back(trial, key, ticket), MTC_E_CANCELLED);
    take(trial, trial->tier, key, LEASE_MS);
}

/* -- over a stale entry ---------------------------------------------------- */

static void a_stale_entry_is_read_under_its_lease(void **state)
{
    trial *trial = *state;
    need_leases(trial);
    mtc_slice key = trial_key(trial, "stale");
    mtc_tier *other = trial_open_second(trial);
    ask ask;
    store_stale(trial, key, "old");
    uint64_t ticket = take_stale(trial, key, "old");
    expect_stale(trial, other, key, "old", true);
    assert_int_equal(read_for(trial, other, key, LEASE_MS, &ask), MTC_OK);
    assert_int_equal(ask.request.ticket, 0);
    assert_in_range(ask.request.lease_ms, 1, LEASE_MS);
    ask_fini(&ask);
    assert_int_equal(renew(trial, key, ticket, LEASE_MS * 3), MTC_OK);
    expect_stale(trial, other, key, "old", true);
    assert_int_equal(fill(trial, key, ticket, "new"), MTC_OK);
    trial_expect(trial, key, mtc_str("new"));
    other->ops->close(other);
}

static void a_stale_entry_outlives_its_lease(void **state)
{
    trial *trial = *state;
    need_leases(trial);
    mtc_slice key = trial_key(trial, "kept");
    store_stale(trial, key, "old");
    assert_int_equal(give_back(trial, key, take_stale(trial, key, "old")),
                     MTC_OK);
    expect_stale(trial, trial->tier, key, "old", false);
    uint64_t ticket = take_stale(trial, key, "old");
    assert_int_equal(expire(trial, key), MTC_OK);
    expect_stale(trial, trial->tier, key, "old", false);
    assert_int_equal(fill(trial, key, ticket, "older"), MTC_E_CANCELLED);
    ticket = take_stale(trial, key, "old");
    assert_int_equal(renew(trial, key, ticket, SHORT_MS), MTC_OK);
    trial_pass(trial, SHORT_MS + LATE_MS);
    expect_stale(trial, trial->tier, key, "old", false);
    assert_int_equal(fill(trial, key, ticket, "late"), MTC_E_CANCELLED);
    take_stale(trial, key, "old");
}

/* -- waiting --------------------------------------------------------------- */

/* An await through a tier that is under way when this returns. */
static void begin_await(trial *trial, mtc_tier *tier, mtc_slice key, ask *ask)
{
    mtc_request *request = &ask->request;
    ask_init(ask, trial, key);
    tier->ops->submit(tier, MTC_VERB_AWAIT, &request, 1);
    if (tier->ops->drive)
        tier->ops->drive(tier, NULL, trial_now_ms(trial) + SETTLE_MS);
}

static void end_await(trial *trial, mtc_tier *tier, ask *ask,
                      mtc_status expected)
{
    mtc_tier *own = trial->tier;
    trial->tier = tier;
    trial_settle(trial, ask, 1);
    trial->tier = own;
    assert_int_equal(ask->request.status, expected);
}

static void what_ends_a_lease_is_told_to_who_waits(void **state)
{
    trial *trial = *state;
    need_leases(trial);
    mtc_slice filled = trial_key(trial, "told fill");
    mtc_slice given = trial_key(trial, "told give");
    mtc_slice expired = trial_key(trial, "told expire");
    mtc_tier *other = trial_open_second(trial);
    uint64_t of_filled = take(trial, trial->tier, filled, LEASE_MS);
    uint64_t of_given = take(trial, trial->tier, given, LEASE_MS);
    take(trial, trial->tier, expired, LEASE_MS);
    ask asks[3];
    begin_await(trial, other, filled, &asks[0]);
    begin_await(trial, other, given, &asks[1]);
    begin_await(trial, other, expired, &asks[2]);
    for (int i = 0; i < 3; i++)
        assert_false(mtc_request_is_complete(&asks[i].request));
    assert_int_equal(fill(trial, filled, of_filled, "v"), MTC_OK);
    end_await(trial, other, &asks[0], MTC_OK);
    assert_int_equal(give_back(trial, given, of_given), MTC_OK);
    end_await(trial, other, &asks[1], MTC_OK);
    assert_int_equal(expire(trial, expired), MTC_OK);
    end_await(trial, other, &asks[2], MTC_OK);
    other->ops->close(other);
}

static void nobody_waits_where_there_is_no_lease(void **state)
{
    trial *trial = *state;
    need_leases(trial);
    mtc_slice nothing = trial_key(trial, "nothing");
    mtc_slice value = trial_key(trial, "value");
    ask ask;
    trial_store(trial, value, mtc_str("v"));
    ask_init(&ask, trial, nothing);
    assert_int_equal(trial_call(trial, MTC_VERB_AWAIT, &ask), MTC_OK);
    ask_init(&ask, trial, value);
    assert_int_equal(trial_call(trial, MTC_VERB_AWAIT, &ask), MTC_OK);
}

static void a_wait_ends_with_the_lease_or_at_its_deadline(void **state)
{
    trial *trial = *state;
    need_leases(trial);
    mtc_slice brief = trial_key(trial, "brief");
    mtc_slice lasting = trial_key(trial, "lasting");
    take(trial, trial->tier, brief, SHORT_MS);
    take(trial, trial->tier, lasting, LEASE_MS);
    ask ends, late;
    ask_init(&ends, trial, brief);
    ask_init(&late, trial, lasting);
    late.request.deadline_ms = late.request.sent_ms + SHORT_MS;
    trial_submit(trial, MTC_VERB_AWAIT, &ends, 1);
    trial_submit(trial, MTC_VERB_AWAIT, &late, 1);
    trial_pass(trial, trial->contract->is_real_time ? 0 : SHORT_MS + 1);
    end_await(trial, trial->tier, &ends, MTC_OK);
    end_await(trial, trial->tier, &late, MTC_E_TIMEOUT);
}

static void a_wait_can_be_abandoned(void **state)
{
    trial *trial = *state;
    need_leases(trial);
    mtc_slice key = trial_key(trial, "abandoned");
    ask ask;
    take(trial, trial->tier, key, LEASE_MS);
    begin_await(trial, trial->tier, key, &ask);
    trial->tier->ops->abandon(trial->tier, &ask.request);
    end_await(trial, trial->tier, &ask, MTC_E_CANCELLED);
}

static void a_wait_ends_when_the_tier_closes(void **state)
{
    trial *trial = *state;
    need_leases(trial);
    mtc_slice key = trial_key(trial, "closed");
    ask ask;
    take(trial, trial->tier, key, LEASE_MS);
    begin_await(trial, trial->tier, key, &ask);
    trial_close(trial);
    assert_int_equal(atomic_load(&ask.done_count), 1);
    assert_int_equal(ask.request.status, MTC_E_CLOSED);
}

static void many_keys_are_leased_in_one_call(void **state)
{
    trial *trial = *state;
    need_leases(trial);
    char names[MANY][16];
    ask asks[MANY];
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "many %d", i);
        ask_init(&asks[i], trial, trial_key(trial, names[i]));
        asks[i].request.lease_ms = i % 3 ? LEASE_MS : 0;
    }
    trial_submit(trial, MTC_VERB_READ, asks, MANY);
    trial_settle(trial, asks, MANY);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(asks[i].request.status, MTC_MISS);
        assert_int_equal(asks[i].request.lease_ms > 0, i % 3 != 0);
    }
}

const struct CMUnitTest contract_lease_tests[] = {
    cmocka_unit_test(one_reader_of_a_missing_key_takes_its_lease),
    cmocka_unit_test(a_read_without_a_lease_takes_none),
    cmocka_unit_test(a_fresh_entry_needs_no_lease),
    cmocka_unit_test(a_lease_is_filled_once),
    cmocka_unit_test(a_fill_without_an_end_has_none),
    cmocka_unit_test(a_fill_after_a_foreign_change_is_refused),
    cmocka_unit_test(a_lease_that_ran_out_is_no_longer_held),
    cmocka_unit_test(a_renewed_lease_lives_on),
    cmocka_unit_test(a_lease_given_back_can_be_taken),
    cmocka_unit_test(a_stale_entry_is_read_under_its_lease),
    cmocka_unit_test(a_stale_entry_outlives_its_lease),
    cmocka_unit_test(what_ends_a_lease_is_told_to_who_waits),
    cmocka_unit_test(nobody_waits_where_there_is_no_lease),
    cmocka_unit_test(a_wait_ends_with_the_lease_or_at_its_deadline),
    cmocka_unit_test(a_wait_can_be_abandoned),
    cmocka_unit_test(a_wait_ends_when_the_tier_closes),
    cmocka_unit_test(many_keys_are_leased_in_one_call),
};
const size_t contract_lease_test_count =
    sizeof contract_lease_tests / sizeof contract_lease_tests[0];
