/*
 * labels: quick unit
 *
 * A value that is stored again as it is in memory: its entry lives on in place,
 * and no byte is copied. One that is expired is stale for every reader.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/hash.h"
#include "mtc/tier.h"

#define LIFE_MS 1000

static mtc_tier *tier;

static int set_up(void **state)
{
    (void)state;
    mtc_tier_config config = MTC_TIER_CONFIG_INIT;
    assert_int_equal(mtc_tier_open("memory", NULL, &config), MTC_OK);
    tier = config.tier;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tier->ops->close(tier);
    return 0;
}

static void ignore_done(mtc_request *request)
{
    (void)request;
}

/* A store of a life that begins at sent_ms. */
static mtc_request storing(mtc_value value, int64_t sent_ms)
{
    return (mtc_request){
        .key = mtc_str("k"),
        .hash = mtci_hash(mtc_str("k"), 1),
        .value = value,
        .facts = {.left_ms = LIFE_MS + 500,
                  .ttl_ms = LIFE_MS,
                  .window_ms = 500,
                  .etag = mtc_str("tag")},
        .sent_ms = sent_ms,
        .deadline_ms = sent_ms + 1000,
        .done = ignore_done,
    };
}

static void submit(mtc_verb verb, mtc_request *request)
{
    tier->ops->submit(tier, verb, &request, 1);
    assert_int_equal(request->status, MTC_OK);
}

static mtc_status find(int64_t now_ms, mtc_value *value)
{
    return tier->ops->find(tier, mtc_str("k"), mtci_hash(mtc_str("k"), 1),
                           now_ms, value);
}

static uint64_t replaced(void)
{
    mtc_tier_usage usage;
    tier->ops->usage(tier, &usage);
    return usage.evicted_replaced;
}

/* Stores at 5000 and finds the stale copy at 6200. */
static mtc_value begin(void)
{
    mtc_value stale;
    mtc_request first = storing(mtc_value_borrow(mtc_str("value")), 5000);
    submit(MTC_VERB_STORE, &first);
    assert_int_equal(find(6200, &stale), MTC_STALE);
    return stale;
}

/* Stores the found value again, with what differs, and says whether the entry
 * is another one. */
static bool is_copied(mtc_value stale, mtc_request again, mtc_status status)
{
    mtc_value found;
    const void *data = stale.data;
    submit(MTC_VERB_STORE, &again);
    assert_int_equal(find(6900, &found), status);
    assert_int_equal(found.size, 5);
    assert_memory_equal(found.data, "value", 5);
    bool is_other = found.data != data;
    assert_int_equal(is_other, replaced() > 0);
    mtc_value_free(&found);
    mtc_value_free(&stale);
    return is_other;
}

static void the_same_value_lives_on_in_place(void **state)
{
    (void)state;
    mtc_value found;
    mtc_value stale = begin();
    assert_false(is_copied(stale, storing(stale, 6200), MTC_OK));
    assert_int_equal(find(7300, &found), MTC_STALE);
    mtc_value_free(&found);
    assert_int_equal(find(7700, &found), MTC_MISS);
    tier->ops->tend(tier, 7800);
    mtc_tier_usage usage;
    tier->ops->usage(tier, &usage);
    assert_int_equal(usage.entries, 0);
    assert_int_equal(usage.evicted_expired, 1);
}

/* Stores at 5000, and expires that. */
static void begin_expired(int64_t at_ms)
{
    mtc_request first = storing(mtc_value_borrow(mtc_str("value")), 5000);
    submit(MTC_VERB_STORE, &first);
    mtc_request expiring = storing((mtc_value){0}, at_ms);
    submit(MTC_VERB_EXPIRE, &expiring);
}

/* The time of hits is behind when the kernel's tick is late. */
static void expired_it_is_stale_however_late_the_clock(void **state)
{
    (void)state;
    mtc_value found;
    begin_expired(5500);
    assert_int_equal(find(5400, &found), MTC_STALE);
    mtc_request again = storing(found, 5600);
    submit(MTC_VERB_STORE, &again);
    mtc_value_free(&found);
    assert_int_equal(find(5610, &found), MTC_OK);
    mtc_value_free(&found);
    assert_int_equal(replaced(), 0);
}

/* Nor does it matter that it was stale already. */
static void expired_late_it_is_stale_too(void **state)
{
    (void)state;
    mtc_value found;
    begin_expired(6001);
    assert_int_equal(find(5990, &found), MTC_STALE);
    mtc_value_free(&found);
    assert_int_equal(find(6520, &found), MTC_MISS);
}

/* What is read of it says so too. */
static void expired_it_is_read_as_stale(void **state)
{
    (void)state;
    begin_expired(5500);
    mtc_request reading = storing((mtc_value){0}, 5400);
    submit(MTC_VERB_READ, &reading);
    assert_int_equal(reading.facts.left_ms, reading.facts.window_ms);
    mtc_value_free(&reading.value);
}

/* The wheel has it at its new end: tend does not take it at the old one. */
static void it_is_kept_beyond_its_old_end(void **state)
{
    (void)state;
    mtc_value found;
    mtc_value stale = begin();
    mtc_request again = storing(stale, 6200);
    submit(MTC_VERB_STORE, &again);
    mtc_value_free(&stale);
    tier->ops->tend(tier, 6700);
    assert_int_equal(find(6900, &found), MTC_OK);
    mtc_value_free(&found);
}

static void other_facts_make_another_entry(void **state)
{
    (void)state;
    mtc_value stale = begin();
    mtc_request again = storing(stale, 6200);
    again.facts.etag = mtc_str("gat");
    assert_true(is_copied(stale, again, MTC_OK));
    stale = begin();
    again = storing(stale, 6200);
    again.facts.ttl_ms = LIFE_MS - 1;
    assert_true(is_copied(stale, again, MTC_OK));
    stale = begin();
    again = storing(stale, 6200);
    again.weight = 7;
    assert_true(is_copied(stale, again, MTC_OK));
}

/* Equal bytes elsewhere are not the entry's own, nor is a part of them. */
static void other_bytes_make_another_entry(void **state)
{
    (void)state;
    mtc_value part, found;
    mtc_value stale = begin();
    mtc_request again = storing(mtc_value_borrow(mtc_str("value")), 6200);
    assert_true(is_copied(stale, again, MTC_OK));
    stale = begin();
    part = mtc_value_borrow(mtc_bytes(stale.data, 3));
    again = storing(part, 6200);
    submit(MTC_VERB_STORE, &again);
    assert_int_equal(find(6900, &found), MTC_OK);
    assert_int_equal(found.size, 3);
    mtc_value_free(&found);
    mtc_value_free(&stale);
}

static void a_value_whose_key_was_removed_is_stored_anew(void **state)
{
    (void)state;
    mtc_value stale = begin();
    mtc_request removal = storing((mtc_value){0}, 6200);
    submit(MTC_VERB_REMOVE, &removal);
    mtc_value found;
    mtc_request again = storing(stale, 6200);
    submit(MTC_VERB_STORE, &again);
    assert_int_equal(find(6900, &found), MTC_OK);
    assert_ptr_not_equal(found.data, stale.data);
    mtc_value_free(&found);
    mtc_value_free(&stale);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(the_same_value_lives_on_in_place),
        CASE(it_is_kept_beyond_its_old_end),
        CASE(expired_it_is_stale_however_late_the_clock),
        CASE(expired_late_it_is_stale_too),
        CASE(expired_it_is_read_as_stale),
        CASE(other_facts_make_another_entry),
        CASE(other_bytes_make_another_entry),
        CASE(a_value_whose_key_was_removed_is_stored_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
