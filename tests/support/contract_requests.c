/*
 * The tier contract, part three: order, completion, abandon, close.
 */
#include "support/contract.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

#define BULK_COUNT 100

typedef struct bulk {
    ask asks[BULK_COUNT];
    char keys[BULK_COUNT][32];
    char values[BULK_COUNT][32];
} bulk;

static bulk *bulk_new(trial *trial)
{
    bulk *bulk = calloc(1, sizeof(*bulk));
    assert_non_null(bulk);
    for (int i = 0; i < BULK_COUNT; i++) {
        snprintf(bulk->keys[i], sizeof(bulk->keys[i]), "bulk:%u:%d",
                 trial->number, i);
        snprintf(bulk->values[i], sizeof(bulk->values[i]), "value %d", i);
        ask_init(&bulk->asks[i], trial, mtc_str(bulk->keys[i]));
    }
    return bulk;
}

static void bulk_store(trial *trial, bulk *bulk, size_t count)
{
    for (size_t i = 0; i < count; i++)
        bulk->asks[i].request.value =
            mtc_value_borrow(mtc_str(bulk->values[i]));
    trial_submit(trial, MTC_VERB_STORE, bulk->asks, count);
    trial_settle(trial, bulk->asks, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(bulk->asks[i].request.status, MTC_OK);
    for (size_t i = 0; i < BULK_COUNT; i++)
        ask_init(&bulk->asks[i], trial, mtc_str(bulk->keys[i]));
}

static void bulk_free(bulk *bulk)
{
    for (size_t i = 0; i < BULK_COUNT; i++)
        ask_fini(&bulk->asks[i]);
    free(bulk);
}

static void a_hundred_keys_go_in_one_submit(void **state)
{
    trial *trial = *state;
    bulk *bulk = bulk_new(trial);
    bulk_store(trial, bulk, BULK_COUNT / 2);
    trial_submit(trial, MTC_VERB_READ, bulk->asks, BULK_COUNT);
    trial_settle(trial, bulk->asks, BULK_COUNT);
    for (size_t i = 0; i < BULK_COUNT / 2; i++)
        ask_expect(trial, &bulk->asks[i], mtc_str(bulk->values[i]));
    for (size_t i = BULK_COUNT / 2; i < BULK_COUNT; i++)
        assert_int_equal(bulk->asks[i].request.status, MTC_MISS);
    bulk_free(bulk);
}

static void a_hundred_removes_go_in_one_submit(void **state)
{
    trial *trial = *state;
    bulk *bulk = bulk_new(trial);
    bulk_store(trial, bulk, BULK_COUNT);
    trial_submit(trial, MTC_VERB_REMOVE, bulk->asks, BULK_COUNT);
    trial_settle(trial, bulk->asks, BULK_COUNT);
    for (size_t i = 0; i < BULK_COUNT; i++) {
        assert_int_equal(bulk->asks[i].request.status, MTC_OK);
        assert_int_equal(trial_look(trial, mtc_str(bulk->keys[i])), MTC_MISS);
    }
    bulk_free(bulk);
}

static void the_last_of_one_key_in_a_submit_counts(void **state)
{
    trial *trial = *state;
    mtc_slice key = trial_key(trial, "twice");
    ask asks[3];
    static const char *const values[] = {"first", "second", "third"};
    for (int i = 0; i < 3; i++) {
        ask_init(&asks[i], trial, key);
        asks[i].request.value = mtc_value_borrow(mtc_str(values[i]));
    }
    trial_submit(trial, MTC_VERB_STORE, asks, 3);
    trial_settle(trial, asks, 3);
    trial_expect(trial, key, mtc_str("third"));
}

static void requests_for_a_key_take_effect_in_order(void **state)
{
    trial *trial = *state;
    mtc_slice key = trial_key(trial, "ordered");
    static const struct {
        mtc_verb verb;
        const char *value; /* to store, or to be found; NULL: a miss */
    } steps[] = {
        {MTC_VERB_STORE, "one"},   {MTC_VERB_READ, "one"},
        {MTC_VERB_STORE, "two"},   {MTC_VERB_READ, "two"},
        {MTC_VERB_REMOVE, NULL},   {MTC_VERB_READ, NULL},
        {MTC_VERB_STORE, "three"}, {MTC_VERB_EXPIRE, NULL},
        {MTC_VERB_READ, NULL},     {MTC_VERB_STORE, "four"},
        {MTC_VERB_READ, "four"},
    };
    enum { STEP_COUNT = sizeof(steps) / sizeof(steps[0]) };
    ask asks[STEP_COUNT];
    for (size_t i = 0; i < STEP_COUNT; i++) {
        ask_init(&asks[i], trial, key);
        if (steps[i].verb == MTC_VERB_STORE)
            asks[i].request.value = mtc_value_borrow(mtc_str(steps[i].value));
        trial_submit(trial, steps[i].verb, &asks[i], 1);
    }
    trial_settle(trial, asks, STEP_COUNT);
    for (size_t i = 0; i < STEP_COUNT; i++) {
        bool is_read = steps[i].verb == MTC_VERB_READ;
        if (is_read && steps[i].value)
            ask_expect(trial, &asks[i], mtc_str(steps[i].value));
        else
            assert_int_equal(asks[i].request.status,
                             is_read ? MTC_MISS : MTC_OK);
        ask_fini(&asks[i]);
    }
}

static void an_abandoned_request_is_completed_once(void **state)
{
    trial *trial = *state;
    const mtc_tier_ops *ops = trial->tier->ops;
    if (!ops->abandon || !ops->drive)
        skip();
    bulk *bulk = bulk_new(trial);
    bulk_store(trial, bulk, BULK_COUNT);
    trial_submit(trial, MTC_VERB_READ, bulk->asks, BULK_COUNT);
    for (size_t i = 0; i < BULK_COUNT; i += 2) {
        if (!mtc_request_is_complete(&bulk->asks[i].request))
            ops->abandon(trial->tier, &bulk->asks[i].request);
    }
    trial_settle(trial, bulk->asks, BULK_COUNT);
    for (size_t i = 0; i < BULK_COUNT; i++) {
        const mtc_request *request = &bulk->asks[i].request;
        if (request->status != MTC_E_CANCELLED || i % 2 == 1)
            ask_expect(trial, &bulk->asks[i], mtc_str(bulk->values[i]));
    }
    trial_expect(trial, mtc_str(bulk->keys[0]), mtc_str(bulk->values[0]));
    bulk_free(bulk);
}

static void close_completes_what_is_open(void **state)
{
    trial *trial = *state;
    bulk *bulk = bulk_new(trial);
    trial_submit(trial, MTC_VERB_READ, bulk->asks, BULK_COUNT);
    trial_close(trial);
    for (size_t i = 0; i < BULK_COUNT; i++) {
        const mtc_request *request = &bulk->asks[i].request;
        assert_true(mtc_request_is_complete(request));
        assert_int_equal(atomic_load(&bulk->asks[i].done_count), 1);
        assert_true(request->status == MTC_E_CLOSED ||
                    request->status == MTC_MISS);
    }
    bulk_free(bulk);
}

static void values_outlive_the_tier(void **state)
{
    trial *trial = *state;
    trial_require(trial, 0);
    mtc_slice key = trial_key(trial, "outliving");
    mtc_value shared;
    mtc_value_info info = MTC_VALUE_INFO_INIT;
    ask ask;
    trial_store(trial, key, mtc_str("still here"));
    ask_init(&ask, trial, key);
    trial_call(trial, MTC_VERB_READ, &ask);
    trial_close(trial);
    ask_expect(trial, &ask, mtc_str("still here"));
    assert_int_equal(mtc_value_share(&ask.request.value, &shared), MTC_OK);
    ask_fini(&ask);
    assert_int_equal(mtc_value_info_get(&shared, &info), MTC_OK);
    assert_memory_equal(shared.data, "still here", 10);
    mtc_value_free(&shared);
}

static void driving_without_work_returns(void **state)
{
    trial *trial = *state;
    const mtc_tier_ops *ops = trial->tier->ops;
    if (!ops->drive)
        skip();
    int64_t now_ms = mtci_boot_ms();
    ops->drive(trial->tier, NULL, now_ms - 1);
    ops->drive(trial->tier, NULL, now_ms + 20);
    assert_int_equal(trial_look(trial, trial_key(trial, "a")), MTC_MISS);
}

static void usage_stays_within_its_limit(void **state)
{
    trial *trial = *state;
    const mtc_tier_ops *ops = trial->tier->ops;
    if (!ops->usage)
        skip();
    bulk *bulk = bulk_new(trial);
    mtc_tier_usage usage = {0};
    bulk_store(trial, bulk, BULK_COUNT);
    if (ops->tend)
        ops->tend(trial->tier, trial_now_ms(trial));
    ops->usage(trial->tier, &usage);
    if (usage.bytes_max > 0)
        assert_true(usage.bytes <= usage.bytes_max);
    bulk_free(bulk);
}

const struct CMUnitTest contract_request_tests[] = {
    cmocka_unit_test(a_hundred_keys_go_in_one_submit),
    cmocka_unit_test(a_hundred_removes_go_in_one_submit),
    cmocka_unit_test(the_last_of_one_key_in_a_submit_counts),
    cmocka_unit_test(requests_for_a_key_take_effect_in_order),
    cmocka_unit_test(an_abandoned_request_is_completed_once),
    cmocka_unit_test(close_completes_what_is_open),
    cmocka_unit_test(values_outlive_the_tier),
    cmocka_unit_test(driving_without_work_returns),
    cmocka_unit_test(usage_stays_within_its_limit),
};

const size_t contract_request_test_count =
    sizeof(contract_request_tests) / sizeof(contract_request_tests[0]);
