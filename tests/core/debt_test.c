/*
 * Debts: the table alone, and what a cache does while a tier owes removals.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/cache.h"
#include "support/chain_rig.h"
#include "support/mute_tier.h"

/* -- the table ---------------------------------------------------------- */

static mtci_debts debts;

static int table_setup(void **state)
{
    (void)state;
    mtci_debts_init(&debts);
    return 0;
}

static int table_teardown(void **state)
{
    (void)state;
    mtci_debts_fini(&debts);
    return 0;
}

static void a_debt_is_paid_by_what_left_after_it_only(void **state)
{
    (void)state;
    assert_false(mtci_debts_has(&debts, mtc_str("k"), 7));
    uint64_t older = mtci_debts_order(&debts);
    uint64_t younger = mtci_debts_order(&debts);
    assert_true(younger > older && older > 0);
    assert_true(mtci_debts_add(&debts, mtc_str("k"), 7, younger));
    assert_true(mtci_debts_add(&debts, mtc_str("k"), 7, older));
    assert_int_equal(mtci_debts_count(&debts), 1);
    mtci_debts_pay(&debts, mtc_str("k"), 7, 0);
    mtci_debts_pay(&debts, mtc_str("k"), 7, older);
    assert_true(mtci_debts_has(&debts, mtc_str("k"), 7));
    mtci_debts_pay(&debts, mtc_str("k"), 7, younger);
    assert_false(mtci_debts_has(&debts, mtc_str("k"), 7));
    assert_int_equal(mtci_debts_count(&debts), 0);
}

static void keys_of_one_hash_are_told_apart(void **state)
{
    (void)state;
    static char big[MTC_KEY_SIZE_MAX];
    const mtc_slice keys[] = {mtc_bytes(NULL, 0), mtc_str("a"), mtc_str("b"),
                              mtc_bytes("a\0b", 3),
                              mtc_bytes(big, sizeof(big))};
    for (size_t i = 0; i < 5; i++)
        assert_true(mtci_debts_add(&debts, keys[i], 9, 1));
    assert_int_equal(mtci_debts_count(&debts), 5);
    for (size_t i = 0; i < 5; i++) {
        assert_true(mtci_debts_has(&debts, keys[i], 9));
        assert_false(mtci_debts_has(&debts, keys[i], 10));
        mtci_debts_pay(&debts, keys[i], 9, UINT64_MAX);
        assert_false(mtci_debts_has(&debts, keys[i], 9));
    }
}

static void owe_many(mtci_debts *table, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        assert_true(mtci_debts_add(table, mtc_bytes(&i, sizeof(i)), i * 31, 1));
}

static void a_full_table_takes_no_other_key(void **state)
{
    (void)state;
    uint64_t first = 0;
    owe_many(&debts, MTCI_DEBTS_MAX);
    assert_int_equal(mtci_debts_count(&debts), 65536);
    assert_false(mtci_debts_add(&debts, mtc_str("more"), 1, 1));
    assert_false(mtci_debts_has(&debts, mtc_str("more"), 1));
    assert_true(mtci_debts_add(&debts, mtc_bytes(&first, sizeof(first)), 0, 1));
    mtci_debts_pay(&debts, mtc_bytes(&first, sizeof(first)), 0, UINT64_MAX);
    assert_true(mtci_debts_add(&debts, mtc_str("more"), 1, 1));
}

static void picking_goes_round_all_keys(void **state)
{
    (void)state;
    /* Two buckets with three keys each. */
    const char *const keys[] = {"a", "b", "c", "d", "e", "f"};
    unsigned seen = 0;
    for (uint64_t i = 0; i < 6; i++)
        mtci_debts_add(&debts, mtc_str(keys[i]), i % 2, 1);
    for (int i = 0; i < 6; i++) {
        static char key[MTC_KEY_SIZE_MAX];
        size_t size = 0;
        uint64_t hash = 9;
        assert_true(mtci_debts_pick(&debts, key, &size, &hash));
        assert_int_equal(size, 1);
        assert_int_equal(hash, (key[0] - 'a') % 2);
        seen |= 1u << (key[0] - 'a');
    }
    assert_int_equal(seen, 63);
}

/* -- the cache ---------------------------------------------------------- */

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

static mtc_status set(const char *key, const char *value)
{
    return mtc_cache_set(rig.cache, mtc_str(key), mtc_str(value), NULL);
}

static mtc_status drop(const char *key)
{
    return mtc_cache_remove(rig.cache, mtc_str(key));
}

static mtc_status load_new(mtc_load *load, void *ctx)
{
    (void)ctx;
    return mtc_load_set_value(load, mtc_str("new"));
}

static void what_a_tier_did_not_remove_is_not_read_there(void **state)
{
    (void)state;
    mtc_value value;
    mtct_rig_open(&rig);
    assert_int_equal(set("k", "old"), MTC_OK);
    assert_int_equal(set("other", "v"), MTC_OK);
    mtct_mood_set(&rig.moods[0], MTC_VERB_REMOVE, MTC_E_UNAVAILABLE);
    mtct_mood_set(&rig.moods[0], MTC_VERB_STORE, MTC_E_UNAVAILABLE);
    assert_int_equal(drop("k"), MTC_PENDING);
    assert_int_equal(mtct_rig_stats(&rig).tiers[1].debts, 1);
    assert_int_equal(mtct_rig_health(&rig).tiers[1].debts, 1);
    assert_int_equal(mtc_cache_get(rig.cache, mtc_str("k"), &value),
                     MTC_E_UNAVAILABLE);
    assert_int_equal(rig.below[0]->reads, 0);
    assert_int_equal(mtct_rig_stats(&rig).tiers[1].skipped, 1);
    assert_int_equal(mtc_cache_get_or_load(rig.cache, mtc_str("k"), NULL,
                                           load_new, NULL, &value),
                     MTC_OK);
    assert_memory_equal(value.data, "new", 3);
    mtc_value_free(&value);
    assert_int_equal(mtct_rig_get_below(&rig, "k"), MTC_E_UNAVAILABLE);
    assert_int_equal(mtct_rig_get_below(&rig, "other"), MTC_OK);
    assert_true(mtct_script_holds(rig.below[0], "k", "old"));
}

static void the_keeper_pays_what_is_owed(void **state)
{
    (void)state;
    mtct_rig_open(&rig);
    assert_int_equal(set("k", "old"), MTC_OK);
    mtct_mood_set(&rig.moods[0], MTC_VERB_REMOVE, MTC_E_UNAVAILABLE);
    assert_int_equal(drop("k"), MTC_PENDING);
    mtct_mood_set(&rig.moods[0], MTC_VERB_REMOVE, MTC_OK);
    mtct_rig_wait_paid(&rig, 1);
    assert_true(mtct_script_holds(rig.below[0], "k", NULL));
    mtct_assert_get(rig.cache, "k", NULL);
    assert_int_equal(rig.below[0]->reads, 1);
}

static void a_set_that_failed_is_paid_by_the_next_one(void **state)
{
    (void)state;
    mtct_rig_open(&rig);
    assert_int_equal(set("k", "old"), MTC_OK);
    mtct_mood_set(&rig.moods[0], MTC_VERB_REMOVE, MTC_E_UNAVAILABLE);
    mtct_mood_set(&rig.moods[0], MTC_VERB_STORE, MTC_E_BUSY);
    assert_int_equal(set("k", "new"), MTC_PARTIAL);
    mtct_assert_get(rig.cache, "k", "new");
    assert_int_equal(mtct_rig_get_below(&rig, "k"), MTC_E_UNAVAILABLE);
    mtct_mood_set(&rig.moods[0], MTC_VERB_STORE, MTC_OK);
    assert_int_equal(set("k", "newest"), MTC_OK);
    assert_int_equal(mtct_rig_stats(&rig).tiers[1].debts, 0);
    assert_int_equal(mtct_rig_get_below(&rig, "k"), MTC_OK);
}

static void a_loaded_value_that_is_stored_pays(void **state)
{
    (void)state;
    mtc_value value;
    mtct_rig_open(&rig);
    assert_int_equal(set("k", "old"), MTC_OK);
    mtct_mood_set(&rig.moods[0], MTC_VERB_REMOVE, MTC_E_UNAVAILABLE);
    assert_int_equal(drop("k"), MTC_PENDING);
    assert_int_equal(mtc_cache_get_or_load(rig.cache, mtc_str("k"), NULL,
                                           load_new, NULL, &value),
                     MTC_OK);
    mtc_value_free(&value);
    mtct_rig_wait_paid(&rig, 1);
    assert_true(mtct_script_holds(rig.below[0], "k", "new"));
}

/* An expired entry stays as a stale copy: it is not removed. */
static void an_expire_does_not_pay_for_a_removal(void **state)
{
    (void)state;
    mtct_rig_open(&rig);
    assert_int_equal(set("k", "old"), MTC_OK);
    mtct_mood_set(&rig.moods[0], MTC_VERB_REMOVE, MTC_E_UNAVAILABLE);
    assert_int_equal(drop("k"), MTC_PENDING);
    assert_int_equal(mtc_cache_expire(rig.cache, mtc_str("k")), MTC_OK);
    assert_int_equal(mtct_rig_stats(&rig).tiers[1].debts, 1);
    assert_int_equal(mtct_rig_get_below(&rig, "k"), MTC_E_UNAVAILABLE);
}

static void a_full_list_refuses_the_removal(void **state)
{
    (void)state;
    mtct_rig_open(&rig);
    assert_int_equal(set("k", "old"), MTC_OK);
    mtct_mood_set(&rig.moods[0], MTC_VERB_REMOVE, MTC_E_UNAVAILABLE);
    mtct_mood_set(&rig.moods[0], MTC_VERB_STORE, MTC_E_UNAVAILABLE);
    assert_int_equal(drop("first"), MTC_PENDING);
    owe_many(&rig.cache->lanes[1].debts, MTCI_DEBTS_MAX - 1);
    assert_int_equal(drop("k"), MTC_E_BUSY);
    assert_int_equal(set("k", "new"), MTC_E_BUSY);
    assert_int_equal(drop("first"), MTC_PENDING);
    assert_int_equal(mtct_rig_stats(&rig).tiers[1].debts, MTCI_DEBTS_MAX);
    mtct_mood_set(&rig.moods[0], MTC_VERB_REMOVE, MTC_OK);
    mtct_rig_wait_paid(&rig, 1);
    assert_int_equal(drop("k"), MTC_OK);
}

static void a_tier_that_refuses_removals_is_read_for_other_keys(void **state)
{
    (void)state;
    mtct_rig_open(&rig);
    assert_int_equal(set("k", "old"), MTC_OK);
    assert_int_equal(set("other", "v"), MTC_OK);
    mtct_mood_set(&rig.moods[0], MTC_VERB_REMOVE, MTC_E_UNAVAILABLE);
    assert_int_equal(drop("k"), MTC_PENDING);
    mtct_mood_set(&rig.moods[0], MTC_VERB_READ, MTC_E_UNAVAILABLE);
    assert_int_equal(mtct_rig_get_below(&rig, "other"), MTC_E_UNAVAILABLE);
    assert_int_equal(mtct_rig_health(&rig).tiers[1].state, MTC_HEALTH_DOWN);
    mtct_mood_set(&rig.moods[0], MTC_VERB_READ, MTC_OK);
    mtct_rig_wait_up(&rig, 1);
    assert_int_equal(mtct_rig_get_below(&rig, "other"), MTC_OK);
    assert_int_equal(mtct_rig_get_below(&rig, "k"), MTC_E_UNAVAILABLE);
}

/* Holds the first removal back, carries it out, and refuses all others. */
static mtc_status hold_first_removal(mtct_script *script, mtc_verb verb,
                                     mtc_request *request)
{
    (void)request;
    if (verb != MTC_VERB_REMOVE)
        return MTC_OK;
    if (atomic_load(&script->removes) > 1)
        return MTC_E_UNAVAILABLE;
    mtct_wait_for(script->ctx, 1);
    return MTC_OK;
}

static void a_late_acknowledgement_pays_its_own_debt(void **state)
{
    (void)state;
    _Atomic uint64_t is_released = 0;
    rig.cache_clock = mtci_clock_boot;
    rig.tiers[1].deadline_ms = 30;
    rig.below[0]->hook = hold_first_removal;
    rig.below[0]->ctx = &is_released;
    mtct_rig_open(&rig);
    mtct_script_put(rig.below[0], "k", "old", MTC_TTL_MS_MAX);
    assert_int_equal(drop("k"), MTC_PENDING);
    assert_int_equal(mtct_rig_stats(&rig).tiers[1].debts, 1);
    assert_true(mtct_script_holds(rig.below[0], "k", "old"));
    atomic_store(&is_released, 1);
    mtct_rig_wait_paid(&rig, 1);
    mtct_rig_wait_up(&rig, 1);
    mtct_assert_get(rig.cache, "k", NULL);
}

/* -- the order of writes -------------------------------------------------- */

static mtct_mute *mute;
static mtc_cache *mute_cache;

static int mute_setup(void **state)
{
    (void)state;
    mute =
        mtct_mute_new(MTCT_MUTE(MTC_VERB_STORE) | MTCT_MUTE(MTC_VERB_REMOVE));
    mtc_tier_config tier = MTC_TIER_CONFIG_INIT;
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    tier.tier = &mute->tier;
    tier.deadline_ms = 600000;
    options.tier_configs = &tier;
    options.tier_count = 1;
    options.log_level = 5;
    return mtc_cache_open(&options, NULL, &mute_cache) == MTC_OK ? 0 : -1;
}

static int mute_teardown(void **state)
{
    (void)state;
    mtct_mute_answer(mute, MTC_OK);
    mtc_cache_close(&mute_cache);
    return 0;
}

static mtci_op *send_one(mtc_verb verb, uint64_t ticket, int32_t kind)
{
    mtci_lane *lane = &mute_cache->lanes[0];
    mtci_op *op = mtci_op_new(lane, verb, mtc_str("k"), 7);
    assert_non_null(op);
    op->request.facts.left_ms = 1000;
    op->request.facts.kind = kind;
    op->request.ticket = ticket;
    mtci_lane_submit(lane, &op, 1);
    return op;
}

/* The caller has no time any more. */
static void leave_one(mtci_op *op)
{
    bool has_left;
    mtci_lane_settle_early(&mute_cache->lanes[0], op, MTC_E_TIMEOUT, false,
                           &has_left);
    assert_true(has_left);
}

static void answer_one(mtci_op *op)
{
    mtct_mute_answer_one(mute, &op->request, MTC_OK);
    mtci_op_release(op);
}

static bool is_owed(void)
{
    return mtci_debts_has(&mute_cache->lanes[0].debts, mtc_str("k"), 7);
}

/* However long their callers waited. */
static void an_answer_pays_no_debt_of_what_was_sent_after_it(void **state)
{
    (void)state;
    mtci_op *first = send_one(MTC_VERB_STORE, 0, MTC_KIND_VALUE);
    mtci_op *second = send_one(MTC_VERB_STORE, 0, MTC_KIND_VALUE);
    mtci_op *removal = send_one(MTC_VERB_REMOVE, 0, MTC_KIND_VALUE);
    leave_one(second);
    leave_one(removal);
    leave_one(first);
    answer_one(first);
    answer_one(second);
    assert_true(is_owed());
    answer_one(removal);
    assert_false(is_owed());
}

/* The stale copy under the lease is still there. */
static void what_is_done_to_a_lease_pays_for_no_removal(void **state)
{
    (void)state;
    mtci_op *removal = send_one(MTC_VERB_REMOVE, 0, MTC_KIND_VALUE);
    leave_one(removal);
    answer_one(send_one(MTC_VERB_STORE, 5, MTC_KIND_LEASE));
    assert_true(is_owed());
    answer_one(send_one(MTC_VERB_REMOVE, 5, MTC_KIND_VALUE));
    assert_true(is_owed());
    answer_one(send_one(MTC_VERB_STORE, 5, MTC_KIND_VALUE));
    assert_false(is_owed());
    answer_one(removal);
}

int main(void)
{
#define TABLE_TEST(name)                                                       \
    cmocka_unit_test_setup_teardown(name, table_setup, table_teardown)
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define MUTE_TEST(name)                                                        \
    cmocka_unit_test_setup_teardown(name, mute_setup, mute_teardown)
    const struct CMUnitTest tests[] = {
        TABLE_TEST(a_debt_is_paid_by_what_left_after_it_only),
        TABLE_TEST(keys_of_one_hash_are_told_apart),
        TABLE_TEST(a_full_table_takes_no_other_key),
        TABLE_TEST(picking_goes_round_all_keys),
        TEST(what_a_tier_did_not_remove_is_not_read_there),
        TEST(the_keeper_pays_what_is_owed),
        TEST(a_set_that_failed_is_paid_by_the_next_one),
        TEST(a_loaded_value_that_is_stored_pays),
        TEST(an_expire_does_not_pay_for_a_removal),
        TEST(a_full_list_refuses_the_removal),
        TEST(a_tier_that_refuses_removals_is_read_for_other_keys),
        TEST(a_late_acknowledgement_pays_its_own_debt),
        MUTE_TEST(an_answer_pays_no_debt_of_what_was_sent_after_it),
        MUTE_TEST(what_is_done_to_a_lease_pays_for_no_removal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
