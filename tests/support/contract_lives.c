/*
 * The tier contract, part two: lives, facts and tickets.
 */
#include "support/contract.h"

/* A life that a real clock can be waited for, if the tier's steps allow. */
#define SHORT_LIFE_MS 300
#define LATE_MS       120

static int64_t short_life_ms(const trial *trial)
{
    int64_t step_ms = trial->tier->ops->life_step_ms;
    return step_ms > SHORT_LIFE_MS ? step_ms : SHORT_LIFE_MS;
}

/* A read that must hit; the ask keeps the value. */
static void read_hit(trial *trial, mtc_slice key, ask *ask)
{
    ask_init(ask, trial, key);
    assert_int_equal(trial_call(trial, MTC_VERB_READ, ask), MTC_OK);
}

static void an_entry_ends_with_its_life(void **state)
{
    trial *trial = *state;
    mtc_slice key = trial_key(trial, "short");
    int64_t life_ms = short_life_ms(trial);
    trial_require(trial, 0);
    assert_int_equal(trial_store_for(trial, key, mtc_str("v"), life_ms),
                     MTC_OK);
    trial_expect(trial, key, mtc_str("v"));
    trial_pass(trial, life_ms + (trial->contract->is_real_time ? LATE_MS : 0));
    assert_int_equal(trial_look(trial, key), MTC_MISS);
}

static void a_read_never_tells_more_than_is_left(void **state)
{
    trial *trial = *state;
    trial_require(trial, MTC_TIER_TELLS_LEFT);
    mtc_slice key = trial_key(trial, "left");
    ask ask;
    int64_t stored_ms = trial_now_ms(trial);
    trial_store_for(trial, key, mtc_str("v"), 10000);
    for (int i = 0; i < 3; i++) {
        trial_pass(trial, 40);
        read_hit(trial, key, &ask);
        int64_t gone_ms = ask.request.sent_ms - stored_ms;
        assert_in_range(ask.request.facts.left_ms, 1, 10000);
        /* The store itself may have taken a moment. */
        int64_t slack_ms = trial->contract->is_real_time ? 40 : 0;
        assert_true(ask.request.facts.left_ms <= 10000 - gone_ms + slack_ms);
        ask_fini(&ask);
    }
}

static void a_stepped_life_is_exact_to_the_tick(void **state)
{
    trial *trial = *state;
    trial_require(trial, MTC_TIER_TELLS_LEFT);
    if (trial->contract->is_real_time || trial->tier->ops->life_step_ms > 1)
        skip();
    mtc_slice key = trial_key(trial, "exact");
    ask ask;
    trial_store_for(trial, key, mtc_str("v"), 1000);
    trial_pass(trial, 998);
    read_hit(trial, key, &ask);
    assert_int_equal(ask.request.facts.left_ms, 1);
    ask_fini(&ask);
    trial_pass(trial, 1);
    assert_int_equal(trial_look(trial, key), MTC_MISS);
}

static void a_life_counts_from_when_the_request_left(void **state)
{
    trial *trial = *state;
    trial_require(trial, 0);
    if (trial->contract->is_real_time)
        skip();
    mtc_slice key = trial_key(trial, "late");
    ask ask;
    ask_init(&ask, trial, key);
    ask.request.value = mtc_value_borrow(mtc_str("v"));
    ask.request.facts.left_ms = 5000;
    ask.request.sent_ms -= 4900;
    assert_int_equal(trial_call(trial, MTC_VERB_STORE, &ask), MTC_OK);
    trial_pass(trial, 100);
    assert_int_equal(trial_look(trial, key), MTC_MISS);
}

static void a_new_value_has_a_life_of_its_own(void **state)
{
    trial *trial = *state;
    trial_require(trial, 0);
    mtc_slice key = trial_key(trial, "renewed");
    int64_t life_ms = short_life_ms(trial);
    trial_store_for(trial, key, mtc_str("old"), life_ms);
    trial_store_for(trial, key, mtc_str("new"), 60000);
    trial_pass(trial, life_ms + LATE_MS);
    trial_expect(trial, key, mtc_str("new"));
}

static void a_life_below_a_step_is_not_stored(void **state)
{
    trial *trial = *state;
    trial_require(trial, 0);
    mtc_slice key = trial_key(trial, "tiny");
    int64_t step_ms = trial->tier->ops->life_step_ms;
    if (step_ms < 2)
        skip();
    trial_store(trial, key, mtc_str("old"));
    assert_int_equal(trial_store_for(trial, key, mtc_str("new"), step_ms - 1),
                     MTC_PARTIAL);
    assert_int_equal(trial_look(trial, key), MTC_MISS);
}

static void a_life_without_an_end_is_kept_as_long_as_can_be(void **state)
{
    trial *trial = *state;
    trial_require(trial, 0);
    mtc_slice key = trial_key(trial, "lasting");
    ask ask;
    trial_store_for(trial, key, mtc_str("v"), MTC_NO_END);
    trial_pass(trial, 50);
    read_hit(trial, key, &ask);
    int64_t life_max = trial->tier->ops->life_ms_max;
    if (trial->tier->ops->abilities & MTC_TIER_TELLS_LEFT)
        assert_true(ask.request.facts.left_ms <= life_max);
    assert_true(ask.request.facts.left_ms > 60000);
    ask_fini(&ask);
}

static void a_life_over_the_longest_is_cut(void **state)
{
    trial *trial = *state;
    trial_require(trial, MTC_TIER_TELLS_LEFT);
    mtc_slice key = trial_key(trial, "long");
    int64_t life_max = trial->tier->ops->life_ms_max;
    if (life_max > INT64_MAX / 8)
        skip();
    ask ask;
    trial_store_for(trial, key, mtc_str("v"), life_max + 86400000);
    read_hit(trial, key, &ask);
    assert_in_range(ask.request.facts.left_ms, life_max / 2, life_max);
    ask_fini(&ask);
}

/* A store with every fact that there is. */
static void store_with_facts(trial *trial, mtc_slice key)
{
    ask ask;
    ask_init(&ask, trial, key);
    ask.request.value = mtc_value_borrow(mtc_str("v"));
    ask.request.facts = (mtc_facts){
        .kind = MTC_KIND_VALUE,
        .load_ms = 12,
        .left_ms = 50000,
        .ttl_ms = 30000,
        .window_ms = 20000,
        .etag = mtc_str("\"abc\""),
    };
    assert_int_equal(trial_call(trial, MTC_VERB_STORE, &ask), MTC_OK);
}

static void facts_are_kept(void **state)
{
    trial *trial = *state;
    trial_require(trial, MTC_TIER_KEEPS_FACTS);
    mtc_slice key = trial_key(trial, "facts");
    ask ask;
    store_with_facts(trial, key);
    read_hit(trial, key, &ask);
    const mtc_facts *facts = &ask.request.facts;
    assert_int_equal(facts->kind, MTC_KIND_VALUE);
    assert_int_equal(facts->load_ms, 12);
    assert_int_equal(facts->ttl_ms, 30000);
    assert_int_equal(facts->window_ms, 20000);
    assert_in_range(facts->left_ms, 40000, 50000);
    assert_int_equal(facts->etag.size, 5);
    assert_memory_equal(facts->etag.data, "\"abc\"", 5);
    ask_fini(&ask);
}

static void a_copy_that_has_aged_keeps_its_age(void **state)
{
    trial *trial = *state;
    trial_require(trial, MTC_TIER_KEEPS_FACTS | MTC_TIER_TELLS_LEFT);
    mtc_slice key = trial_key(trial, "promoted");
    ask ask;
    ask_init(&ask, trial, key);
    ask.request.value = mtc_value_borrow(mtc_str("v"));
    ask.request.facts.left_ms = 9000;
    ask.request.facts.ttl_ms = 30000;
    ask.request.facts.window_ms = 2000;
    assert_int_equal(trial_call(trial, MTC_VERB_STORE, &ask), MTC_OK);
    read_hit(trial, key, &ask);
    assert_in_range(ask.request.facts.left_ms, 8000, 9000);
    assert_int_equal(ask.request.facts.ttl_ms, 30000);
    assert_int_equal(ask.request.facts.window_ms, 2000);
    ask_fini(&ask);
}

static void a_negative_entry_is_not_a_value(void **state)
{
    trial *trial = *state;
    trial_require(trial, MTC_TIER_KEEPS_FACTS);
    mtc_slice key = trial_key(trial, "absent");
    ask ask;
    ask_init(&ask, trial, key);
    ask.request.facts.kind = MTC_KIND_ABSENT;
    assert_int_equal(trial_call(trial, MTC_VERB_STORE, &ask), MTC_OK);
    read_hit(trial, key, &ask);
    assert_int_equal(ask.request.facts.kind, MTC_KIND_ABSENT);
    assert_int_equal(ask.request.value.size, 0);
    ask_fini(&ask);
}

static void expire_leaves_the_window(void **state)
{
    trial *trial = *state;
    trial_require(trial, MTC_TIER_KEEPS_FACTS | MTC_TIER_TELLS_LEFT);
    mtc_slice key = trial_key(trial, "expired");
    ask ask;
    store_with_facts(trial, key);
    ask_init(&ask, trial, key);
    assert_int_equal(trial_call(trial, MTC_VERB_EXPIRE, &ask), MTC_OK);
    read_hit(trial, key, &ask);
    assert_in_range(ask.request.facts.left_ms, 15000, 20000);
    ask_fini(&ask);
}

static void expire_takes_away_what_has_no_window(void **state)
{
    trial *trial = *state;
    trial_require(trial, 0);
    mtc_slice key = trial_key(trial, "expired");
    ask ask;
    trial_store(trial, key, mtc_str("v"));
    ask_init(&ask, trial, key);
    assert_int_equal(trial_call(trial, MTC_VERB_EXPIRE, &ask), MTC_OK);
    assert_int_equal(trial_look(trial, key), MTC_MISS);
}

static void expire_never_makes_a_life_longer(void **state)
{
    trial *trial = *state;
    trial_require(trial, MTC_TIER_KEEPS_FACTS | MTC_TIER_TELLS_LEFT);
    mtc_slice key = trial_key(trial, "expired twice");
    ask ask;
    store_with_facts(trial, key);
    for (int i = 0; i < 2; i++) {
        ask_init(&ask, trial, key);
        trial_call(trial, MTC_VERB_EXPIRE, &ask);
        trial_pass(trial, 60);
    }
    read_hit(trial, key, &ask);
    /* Cut at the first EXPIRE, which is 120 ms ago. */
    assert_in_range(ask.request.facts.left_ms, 15000, 20000 - 100);
    ask_fini(&ask);
}

/* A miss that hands out a ticket. */
static uint64_t ticket_for(trial *trial, mtc_slice key)
{
    ask ask;
    ask_init(&ask, trial, key);
    assert_int_equal(trial_call(trial, MTC_VERB_READ, &ask), MTC_MISS);
    assert_int_not_equal(ask.request.ticket, 0);
    return ask.request.ticket;
}

static mtc_status fill(trial *trial, mtc_slice key, const char *value,
                       uint64_t ticket)
{
    ask ask;
    ask_init(&ask, trial, key);
    ask.request.value = mtc_value_borrow(mtc_str(value));
    ask.request.ticket = ticket;
    return trial_call(trial, MTC_VERB_STORE, &ask);
}

static void a_ticket_fills_once_nothing_happened(void **state)
{
    trial *trial = *state;
    trial_require(trial, MTC_TIER_ATOMIC_FILL);
    mtc_slice key = trial_key(trial, "filled");
    uint64_t ticket = ticket_for(trial, key);
    assert_int_equal(fill(trial, key, "filled", ticket), MTC_OK);
    trial_expect(trial, key, mtc_str("filled"));
}

static void a_ticket_is_refused_after_a_store(void **state)
{
    trial *trial = *state;
    trial_require(trial, MTC_TIER_ATOMIC_FILL);
    mtc_slice key = trial_key(trial, "written");
    uint64_t ticket = ticket_for(trial, key);
    trial_store(trial, key, mtc_str("newer"));
    assert_int_equal(fill(trial, key, "older", ticket), MTC_E_CANCELLED);
    trial_expect(trial, key, mtc_str("newer"));
}

static void a_ticket_is_refused_after_a_remove(void **state)
{
    trial *trial = *state;
    trial_require(trial, MTC_TIER_ATOMIC_FILL);
    mtc_slice key = trial_key(trial, "removed");
    uint64_t ticket = ticket_for(trial, key);
    trial_remove(trial, key);
    assert_int_equal(fill(trial, key, "older", ticket), MTC_E_CANCELLED);
    assert_int_equal(trial_look(trial, key), MTC_MISS);
}

/* What is found may be loaded anew: it is stale, or soon will be. */
static uint64_t ticket_of_found(trial *trial, mtc_slice key)
{
    ask ask;
    ask_init(&ask, trial, key);
    assert_int_equal(trial_call(trial, MTC_VERB_READ, &ask), MTC_OK);
    mtc_value_free(&ask.request.value);
    assert_int_not_equal(ask.request.ticket, 0);
    return ask.request.ticket;
}

static void what_is_found_has_a_ticket_too(void **state)
{
    trial *trial = *state;
    trial_require(trial, MTC_TIER_ATOMIC_FILL);
    mtc_slice key = trial_key(trial, "found first");
    trial_store(trial, key, mtc_str("old"));
    uint64_t ticket = ticket_of_found(trial, key);
    assert_int_equal(fill(trial, key, "new", ticket), MTC_OK);
    trial_expect(trial, key, mtc_str("new"));
    ticket = ticket_of_found(trial, key);
    trial_remove(trial, key);
    assert_int_equal(fill(trial, key, "older", ticket), MTC_E_CANCELLED);
    assert_int_equal(trial_look(trial, key), MTC_MISS);
}

static void a_ticket_is_refused_after_anothers_remove(void **state)
{
    trial *trial = *state;
    trial_require(trial, MTC_TIER_ATOMIC_FILL | MTC_TIER_SHARED);
    mtc_slice key = trial_key(trial, "removed elsewhere");
    mtc_tier *first = trial->tier;
    uint64_t ticket = ticket_for(trial, key);
    trial->tier = trial_open_second(trial);
    trial_remove(trial, key);
    trial_close(trial);
    trial->tier = first;
    assert_int_equal(fill(trial, key, "older", ticket), MTC_E_CANCELLED);
    assert_int_equal(trial_look(trial, key), MTC_MISS);
}

/* Ends the test as skipped where the tier has no find. */
static mtc_slice store_to_find(trial *trial)
{
    trial_require(trial, 0);
    if (!trial->tier->ops->find)
        skip();
    mtc_slice key = trial_key(trial, "found");
    store_with_facts(trial, key);
    return key;
}

/* What a find says of that, and whether its value is there. */
static mtc_status find_at(trial *trial, const ask *ask, int64_t now_ms)
{
    mtc_value value = {0};
    mtc_status status =
        trial->tier->ops->find(trial->tier, ask->request.key, ask->request.hash,
                               now_ms, &value);
    if (status == MTC_MISS)
        assert_null(value.ops);
    else
        assert_int_equal(value.size, 1);
    mtc_value_free(&value);
    return status;
}

static void find_agrees_with_read(void **state)
{
    trial *trial = *state;
    ask ask;
    ask_init(&ask, trial, store_to_find(trial));
    int64_t sent_ms = ask.request.sent_ms;
    assert_int_equal(find_at(trial, &ask, sent_ms), MTC_OK);
    assert_int_equal(find_at(trial, &ask, sent_ms + 31000), MTC_STALE);
    assert_int_equal(find_at(trial, &ask, sent_ms + 50000), MTC_MISS);
}

/* Whoever asks later may have a clock that is behind. */
static void find_has_an_expired_entry_as_stale(void **state)
{
    trial *trial = *state;
    ask ask;
    ask_init(&ask, trial, store_to_find(trial));
    assert_int_equal(trial_call(trial, MTC_VERB_EXPIRE, &ask), MTC_OK);
    assert_int_equal(find_at(trial, &ask, ask.request.sent_ms - 10), MTC_STALE);
}

const struct CMUnitTest contract_life_tests[] = {
    cmocka_unit_test(an_entry_ends_with_its_life),
    cmocka_unit_test(a_read_never_tells_more_than_is_left),
    cmocka_unit_test(a_stepped_life_is_exact_to_the_tick),
    cmocka_unit_test(a_life_counts_from_when_the_request_left),
    cmocka_unit_test(a_new_value_has_a_life_of_its_own),
    cmocka_unit_test(a_life_below_a_step_is_not_stored),
    cmocka_unit_test(a_life_without_an_end_is_kept_as_long_as_can_be),
    cmocka_unit_test(a_life_over_the_longest_is_cut),
    cmocka_unit_test(facts_are_kept),
    cmocka_unit_test(a_copy_that_has_aged_keeps_its_age),
    cmocka_unit_test(a_negative_entry_is_not_a_value),
    cmocka_unit_test(expire_leaves_the_window),
    cmocka_unit_test(expire_takes_away_what_has_no_window),
    cmocka_unit_test(expire_never_makes_a_life_longer),
    cmocka_unit_test(a_ticket_fills_once_nothing_happened),
    cmocka_unit_test(a_ticket_is_refused_after_a_store),
    cmocka_unit_test(a_ticket_is_refused_after_a_remove),
    cmocka_unit_test(what_is_found_has_a_ticket_too),
    cmocka_unit_test(a_ticket_is_refused_after_anothers_remove),
    cmocka_unit_test(find_agrees_with_read),
    cmocka_unit_test(find_has_an_expired_entry_as_stale),
};

const size_t contract_life_test_count =
    sizeof(contract_life_tests) / sizeof(contract_life_tests[0]);
