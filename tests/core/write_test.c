/*
 * Writes over several tiers: what one of them does to the others.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "support/chain_rig.h"

static mtct_rig rig;

static int setup(void **state)
{
    (void)state;
    mtct_rig_init(&rig, 2);
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

/* -- a pipeline: a tier that is driven ---------------------------------- */

#define QUEUED_MAX 16

/* Requests that wait for somebody to drive the third tier, and its own
 * submit. */
static pthread_mutex_t queue_mutex = PTHREAD_MUTEX_INITIALIZER;
static mtc_request *queued[QUEUED_MAX];
static mtc_verb queued_verbs[QUEUED_MAX];
static size_t queued_count;
static _Atomic uint64_t sent; /* by a drive that awaits nothing */
static pthread_t caller;      /* only the test itself drives, not the keeper */
static void (*carry_out)(mtc_tier *tier, mtc_verb verb,
                         mtc_request *const *requests, size_t count);

static void queue_only(mtc_tier *tier, mtc_verb verb,
                       mtc_request *const *requests, size_t count)
{
    (void)tier;
    pthread_mutex_lock(&queue_mutex);
    for (size_t i = 0; i < count && queued_count < QUEUED_MAX; i++) {
        queued[queued_count] = requests[i];
        queued_verbs[queued_count++] = verb;
    }
    pthread_mutex_unlock(&queue_mutex);
}

/* Without an awaited request all is sent, and the answers come later: whoever
 * drives for one of them carries out everything. */
static void drive_all(mtc_tier *tier, const mtc_request *awaited,
                      int64_t until_ms)
{
    (void)until_ms;
    mtc_request *request = NULL;
    mtc_verb verb = MTC_VERB_READ;
    if (!pthread_equal(pthread_self(), caller))
        return;
    if (!awaited) {
        pthread_mutex_lock(&queue_mutex);
        atomic_fetch_add(&sent, queued_count);
        pthread_mutex_unlock(&queue_mutex);
        return;
    }
    do {
        pthread_mutex_lock(&queue_mutex);
        request = queued_count > 0 ? queued[0] : NULL;
        if (request) {
            verb = queued_verbs[0];
            queued_count--;
            memmove(queued, queued + 1, queued_count * sizeof(*queued));
            memmove(queued_verbs, queued_verbs + 1,
                    queued_count * sizeof(*queued_verbs));
        }
        pthread_mutex_unlock(&queue_mutex);
        if (request)
            carry_out(tier, verb, &request, 1);
    } while (request);
}

static void drive_third_tier(void)
{
    atomic_store(&sent, 0);
    caller = pthread_self();
    carry_out = rig.ops[1].submit;
    rig.ops[1].submit = queue_only;
    rig.ops[1].drive = drive_all;
    rig.ops[1].abilities &= ~MTC_TIER_BLOCKS;
}

/* The second tier answers once the third has been told. */
static mtc_status wait_for_third(mtct_script *script, mtc_verb verb,
                                 mtc_request *request)
{
    (void)request;
    if (script == rig.below[0] && verb == MTC_VERB_STORE)
        mtct_wait_for(&sent, 1);
    if (script == rig.below[0] && verb == MTC_VERB_REMOVE)
        mtct_wait_for(&sent, 2);
    return MTC_OK;
}

static void every_tier_is_told_before_any_is_waited_for(void **state)
{
    (void)state;
    mtc_item item = {.key = mtc_str("k"), .bytes = mtc_str("v")};
    drive_third_tier();
    rig.below[0]->hook = wait_for_third;
    mtct_rig_open(&rig);
    assert_int_equal(mtc_cache_set_many(rig.cache, &item, 1, NULL), MTC_OK);
    assert_int_equal(mtc_cache_remove(rig.cache, mtc_str("k")), MTC_OK);
}

static void a_tier_that_hangs_is_not_taken_for_the_next_one(void **state)
{
    (void)state;
    rig.cache_clock = mtci_clock_boot;
    rig.tiers[1].deadline_ms = rig.tiers[2].deadline_ms = 30;
    drive_third_tier();
    mtct_rig_open(&rig);
    mtct_mood_hold(&rig.moods[0], MTC_VERB_STORE, true);
    assert_int_equal(set("k", "v"), MTC_PARTIAL);
    mtc_stats stats = mtct_rig_stats(&rig);
    assert_int_equal(stats.tiers[1].debts, 1);
    assert_true(stats.tiers[1].timeouts >= 1);
    assert_int_equal(stats.tiers[2].debts, 0);
    assert_int_equal(stats.tiers[2].timeouts, 0);
    assert_true(mtct_script_holds(rig.below[1], "k", "v"));
    mtct_mood_hold(&rig.moods[0], MTC_VERB_STORE, false);
    mtct_rig_wait_paid(&rig, 1);
}

/* -- a tier of a stranger's that answers at once ------------------------ */

static mtc_status find_in_script(mtc_tier *tier, mtc_slice key, uint64_t hash,
                                 int64_t now_ms, mtc_value *out)
{
    mtc_request request = {.key = key, .hash = hash, .sent_ms = now_ms};
    mtct_script *script = (mtct_script *)tier;
    mtc_status status = MTC_MISS;
    pthread_mutex_lock(&script->mutex);
    for (size_t i = 0; i < script->count; i++) {
        if (script->entries[i].key_size == request.key.size &&
            memcmp(script->entries[i].key, key.data, key.size) == 0 &&
            script->entries[i].value.ops)
            status = mtc_value_share(&script->entries[i].value, out);
    }
    pthread_mutex_unlock(&script->mutex);
    return status;
}

static void a_tier_that_cannot_take_the_new_value_loses_the_old_one(void **s)
{
    (void)s;
    rig.ops[0].find = find_in_script;
    rig.ops[0].abilities &= ~MTC_TIER_BLOCKS;
    mtct_rig_open(&rig);
    assert_int_equal(set("k", "old"), MTC_OK);
    assert_true(mtct_script_holds(rig.below[0], "k", "old"));
    mtct_mood_set(&rig.moods[0], MTC_VERB_STORE, MTC_E_NO_MEMORY);
    assert_int_equal(set("k", "new"), MTC_PARTIAL);
    assert_true(mtct_script_holds(rig.below[0], "k", NULL));
    mtct_assert_get(rig.cache, "k", "new");
    assert_int_equal(mtct_rig_stats(&rig).tiers[1].debts, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(every_tier_is_told_before_any_is_waited_for),
        TEST(a_tier_that_hangs_is_not_taken_for_the_next_one),
        TEST(a_tier_that_cannot_take_the_new_value_loses_the_old_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
