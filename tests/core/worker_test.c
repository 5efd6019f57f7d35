/*
 * Workers of a tier that blocks: bounded queues, order per key, housekeeping.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/cache.h"
#include "support/chain_rig.h"

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

/* Sends one operation to the lane of the scripted tier. */
static mtci_op *submit(mtc_verb verb, const char *key, uint64_t hash,
                       const char *value)
{
    mtci_lane *lane = &rig.cache->lanes[1];
    mtci_op *op = mtci_op_new(lane, verb, mtc_str(key), hash);
    assert_non_null(op);
    if (value)
        assert_int_equal(mtc_value_copy(mtc_str(value), &op->request.value),
                         MTC_OK);
    mtci_lane_submit(lane, &op, 1);
    return op;
}

/* Holds every worker inside the tier, with a read that nobody waits for. */
static void hold_workers(void)
{
    mtct_mood_hold(&rig.moods[0], MTC_VERB_READ, true);
    for (uint64_t i = 0; i < MTCI_WORKERS; i++)
        mtci_lane_leave(&rig.cache->lanes[1],
                        submit(MTC_VERB_READ, "held", i, NULL));
    mtct_wait_for(&rig.moods[0].holding, MTCI_WORKERS);
}

static void a_full_queue_answers_busy(void **state)
{
    (void)state;
    mtc_value value;
    mtct_rig_open(&rig);
    hold_workers();
    for (uint64_t i = 0; i < MTCI_WORKERS * MTCI_WORKER_QUEUE_MAX; i++)
        mtci_lane_leave(&rig.cache->lanes[1],
                        submit(MTC_VERB_READ, "queued", i, NULL));
    assert_int_equal(mtc_cache_get(rig.cache, mtc_str("k"), &value),
                     MTC_E_BUSY);
    assert_int_equal(mtc_cache_set(rig.cache, mtc_str("k"), mtc_str("v"), NULL),
                     MTC_PARTIAL);
    assert_int_equal(mtc_cache_remove(rig.cache, mtc_str("k")), MTC_PENDING);
    assert_int_equal(mtct_rig_stats(&rig).tiers[1].debts, 1);
    assert_int_equal(mtct_rig_health(&rig).tiers[1].state, MTC_HEALTH_UP);
    mtct_mood_hold(&rig.moods[0], MTC_VERB_READ, false);
    mtct_wait_for(&rig.below[0]->reads,
                  MTCI_WORKERS * (MTCI_WORKER_QUEUE_MAX + 1));
    mtct_rig_wait_paid(&rig, 1);
    mtct_assert_get(rig.cache, "k", NULL);
}

/* Queues a random run of stores and removes of one key; tells what is last. */
static const char *queue_writes(const char *key, uint64_t hash)
{
    static const char *const values[] = {"a", "b", "c", "d"};
    const char *last = NULL;
    for (int i = 0; i < 100; i++) {
        bool is_store = rand() % 3 > 0;
        last = is_store ? values[rand() % 4] : NULL;
        mtci_lane_leave(&rig.cache->lanes[1],
                        submit(is_store ? MTC_VERB_STORE : MTC_VERB_REMOVE, key,
                               hash, last));
    }
    return last;
}

static void writes_of_a_key_keep_their_order_in_the_queue(void **state)
{
    (void)state;
    char keys[16][8];
    const char *last[16];
    mtct_rig_open(&rig);
    hold_workers();
    for (unsigned i = 0; i < 16; i++) {
        snprintf(keys[i], sizeof(keys[i]), "key%u", i);
        last[i] = queue_writes(keys[i], i);
    }
    mtct_mood_hold(&rig.moods[0], MTC_VERB_READ, false);
    mtct_wait_for(&rig.moods[0].answered, MTCI_WORKERS + 16 * 100);
    for (uint64_t i = 0; i < 16; i++) {
        mtci_op *read = submit(MTC_VERB_READ, keys[i], i, NULL);
        mtci_lane_wait(&rig.cache->lanes[1], read, MTC_NO_END);
        mtci_op_release(read);
        assert_true(mtct_script_holds(rig.below[0], keys[i], last[i]));
    }
}

static void a_read_waits_for_writes_of_its_own_key_alone(void **state)
{
    (void)state;
    mtci_lane *lane;
    mtct_rig_open(&rig);
    lane = &rig.cache->lanes[1];
    hold_workers();
    mtct_mood_hold(&rig.moods[0], MTC_VERB_STORE, true);
    mtci_lane_leave(lane, submit(MTC_VERB_STORE, "a", 0, "new"));
    mtci_op *same = submit(MTC_VERB_READ, "a", 0, NULL);
    mtci_op *other = submit(MTC_VERB_READ, "b", MTCI_WORKERS, NULL);
    mtct_mood_hold(&rig.moods[0], MTC_VERB_READ, false);
    assert_int_equal(mtci_lane_wait(lane, other, MTC_NO_END), MTC_MISS);
    assert_false(mtc_request_is_complete(&same->request));
    mtct_mood_hold(&rig.moods[0], MTC_VERB_STORE, false);
    assert_int_equal(mtci_lane_wait(lane, same, MTC_NO_END), MTC_OK);
    assert_memory_equal(same->request.value.data, "new", 3);
    mtci_op_release(same);
    mtci_op_release(other);
}

/* What waits longer than its deadline is not begun. */
static void what_is_late_in_the_queue_is_not_sent(void **state)
{
    (void)state;
    mtct_rig_open(&rig);
    hold_workers();
    mtci_op *op = submit(MTC_VERB_STORE, "k", 0, "v");
    atomic_fetch_add(&rig.clock.now_ms, 60000);
    mtct_mood_hold(&rig.moods[0], MTC_VERB_READ, false);
    while (!mtc_request_is_complete(&op->request))
        ;
    assert_int_equal(op->request.status, MTC_E_TIMEOUT);
    assert_int_equal(rig.below[0]->stores, 0);
    mtci_op_release(op);
}

static _Atomic uint64_t tended;

static void count_tending(mtc_tier *tier, int64_t now_ms)
{
    (void)tier;
    assert_int_equal(now_ms, 1000000);
    atomic_fetch_add(&tended, 1);
}

static void a_worker_tends_a_tier_that_blocks(void **state)
{
    (void)state;
    atomic_store(&tended, 0);
    rig.ops[0].tend = count_tending;
    mtct_rig_open(&rig);
    mtct_wait_for(&tended, 2);
}

static void the_keeper_tends_a_tier_that_does_not(void **state)
{
    (void)state;
    atomic_store(&tended, 0);
    rig.ops[0].tend = count_tending;
    rig.ops[0].abilities &= ~MTC_TIER_BLOCKS;
    mtct_rig_open(&rig);
    assert_null(rig.cache->lanes[1].workers);
    mtct_wait_for(&tended, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_full_queue_answers_busy),
        TEST(writes_of_a_key_keep_their_order_in_the_queue),
        TEST(a_read_waits_for_writes_of_its_own_key_alone),
        TEST(what_is_late_in_the_queue_is_not_sent),
        TEST(a_worker_tends_a_tier_that_blocks),
        TEST(the_keeper_tends_a_tier_that_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
