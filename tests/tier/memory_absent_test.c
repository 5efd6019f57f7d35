/*
 * Negative entries in the memory tier: a flood of keys that do not exist stays
 * within its share of the budget and leaves the values alone.
 *
 * How to read it: values are stored first, then ABSENT_KEYS negative entries;
 * what is still there is asked for by find. labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <pthread.h>

#include "support/callers.h"
#include "support/tier_call.h"

#define ABSENT_KEYS UINT64_C(100000)
#define ABSENT_AT   UINT64_C(1000000) /* the number of the first */
#define VALUE_SIZE  400u
#define THREADS     4u

/* Negative entries that any share here has room for. */
#define YOUNGEST 10u

/* A negative entry takes more than that. */
#define ABSENT_BYTES_MIN 64u

static char bytes[VALUE_SIZE];

static mtc_status store_value(mtc_tier *tier, uint64_t number)
{
    char text[24];
    return mtct_tier_store(tier, mtct_key(number, text),
                           mtc_bytes(bytes, sizeof(bytes)), 0, MTC_NO_END);
}

static mtc_status store_absent(mtc_tier *tier, uint64_t number)
{
    char text[24];
    mtc_request request = mtct_request_for(mtct_key(number, text), 0);
    request.facts.kind = MTC_KIND_ABSENT;
    return mtct_tier_submit(tier, MTC_VERB_STORE, &request);
}

static mtc_status find(mtc_tier *tier, uint64_t number)
{
    char text[24];
    mtc_value value;
    mtc_status status = mtct_tier_find(tier, mtct_key(number, text), 0, &value);
    mtc_value_free(&value);
    return status;
}

static uint64_t count_found(mtc_tier *tier, uint64_t first, uint64_t count,
                            mtc_status status)
{
    uint64_t found = 0;
    for (uint64_t i = 0; i < count; i++)
        found += find(tier, first + i) == status;
    return found;
}

static void check_budget(mtc_tier *tier)
{
    mtc_tier_usage usage = mtct_tier_usage(tier);
    assert_true(usage.bytes <= usage.bytes_max);
}

static void store_values(mtc_tier *tier, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        assert_int_equal(store_value(tier, i), MTC_OK);
}

static void flood(mtc_tier *tier)
{
    for (uint64_t i = 0; i < ABSENT_KEYS; i++) {
        assert_int_equal(store_absent(tier, ABSENT_AT + i), MTC_OK);
        assert_int_equal(find(tier, ABSENT_AT + i), MTC_ABSENT);
        if (i % 64 == 0)
            check_budget(tier);
    }
    check_budget(tier);
}

/* All entries that came are there or were counted as gone. */
static void check_account(mtc_tier *tier, uint64_t stored)
{
    mtc_tier_usage usage = mtct_tier_usage(tier);
    assert_int_equal(usage.entries + mtct_usage_gone(&usage), stored);
}

/* Values up to nine tenths of the budget, so that none has to leave, and then
 * the flood: none does. */
static void check_flood_spares_values(const char *url)
{
    uint64_t values = 0;
    mtc_tier *tier = mtct_tier_open(url);
    mtc_tier_usage usage = mtct_tier_usage(tier);
    for (; usage.bytes < usage.bytes_max / 10 * 9; values++) {
        assert_int_equal(store_value(tier, values), MTC_OK);
        usage = mtct_tier_usage(tier);
    }
    assert_int_equal(usage.evicted_size, 0);
    flood(tier);
    assert_int_equal(count_found(tier, 0, values, MTC_OK), values);
    assert_int_equal(count_found(tier, ABSENT_AT + ABSENT_KEYS - YOUNGEST,
                                 YOUNGEST, MTC_ABSENT),
                     YOUNGEST);
    usage = mtct_tier_usage(tier);
    assert_int_equal(usage.entries + usage.evicted_size, values + ABSENT_KEYS);
    tier->ops->close(tier);
}

static void a_flood_of_absent_keys_spares_the_values(void **state)
{
    (void)state;
    check_flood_spares_values("memory?size=4MiB");
    check_flood_spares_values("memory?size=16MiB");
    check_flood_spares_values("memory?size=1MiB&policy=lru");
    check_flood_spares_values("memory?size=1MiB&policy=s3fifo");
    check_flood_spares_values("memory?size=1MiB&policy=tinylfu");
}

/* In a cache without any room left values give way, once: the share, and what
 * their half-empty spans keep. Another flood takes no more. */
static void in_a_full_cache_a_flood_takes_its_share_and_no_more(void **state)
{
    (void)state;
    const uint64_t values = 20000;
    mtc_tier *tier = mtct_tier_open("memory?size=4MiB");
    store_values(tier, values);
    assert_true(mtct_tier_usage(tier).evicted_size > 0);
    uint64_t before = count_found(tier, 0, values, MTC_OK);
    flood(tier);
    uint64_t after = count_found(tier, 0, values, MTC_OK);
    uint64_t absent = count_found(tier, ABSENT_AT, ABSENT_KEYS, MTC_ABSENT);
    print_message("%d values before, %d after, %d absent\n", (int)before,
                  (int)after, (int)absent);
    assert_true(after >= before / 100 * 85);
    assert_true(absent * ABSENT_BYTES_MIN <= ((uint64_t)4 << 20) / 20);
    assert_true(absent >= 1000);
    check_account(tier, values + ABSENT_KEYS);
    flood(tier);
    assert_int_equal(count_found(tier, 0, values, MTC_OK), after);
    tier->ops->close(tier);
}

static void the_share_is_an_option(void **state)
{
    (void)state;
    mtc_tier *small = mtct_tier_open("memory?size=4MiB&absent_share=1");
    mtc_tier *large = mtct_tier_open("memory?size=4MiB&absent_share=50");
    flood(small);
    flood(large);
    uint64_t few = mtct_tier_usage(small).entries;
    uint64_t many = mtct_tier_usage(large).entries;
    assert_true(many >= 30 * few);
    assert_true(many <= 70 * few);
    small->ops->close(small);
    large->ops->close(large);
}

static void a_limit_of_entries_is_shared_alike(void **state)
{
    (void)state;
    mtc_tier *tier = mtct_tier_open("memory?entries=1000");
    store_values(tier, 700);
    flood(tier);
    assert_true(mtct_tier_usage(tier).entries <= 750);
    assert_int_equal(count_found(tier, 0, 700, MTC_OK), 700);
    tier->ops->close(tier);
}

static void a_smaller_budget_is_a_smaller_share(void **state)
{
    (void)state;
    mtc_tier *tier = mtct_tier_open("memory?size=16MiB&absent_share=50");
    flood(tier);
    uint64_t before = mtct_tier_usage(tier).entries;
    assert_int_equal(tier->ops->resize(tier, 4 << 20), MTC_OK);
    check_budget(tier);
    flood(tier);
    assert_true(mtct_tier_usage(tier).entries <= before / 3);
    tier->ops->close(tier);
}

static void values_get_the_room_of_absent_keys_alone(void **state)
{
    (void)state;
    mtc_tier *tier = mtct_tier_open("memory?size=1MiB&absent_share=100");
    flood(tier);
    for (uint64_t i = 0; i < 10000; i++) {
        assert_int_equal(store_value(tier, i), MTC_OK);
        assert_int_equal(find(tier, i), MTC_OK);
    }
    check_account(tier, ABSENT_KEYS + 10000);
    tier->ops->close(tier);
}

/* A key that is a value, absent, and a value again, under each policy. */
static void a_key_may_turn_absent_and_back(void **state)
{
    static const char *const urls[] = {"memory?size=1MiB",
                                       "memory?entries=100&policy=lru",
                                       "memory?entries=100&policy=s3fifo",
                                       "memory?entries=100&policy=tinylfu"};
    (void)state;
    uint64_t seed = mtct_seed(__func__);
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        mtc_tier *tier = mtct_tier_open(urls[i]);
        for (unsigned n = 0; n < 50000; n++) {
            char text[24];
            uint64_t key = mtct_draw(&seed, 300);
            bool is_absent = mtct_draw(&seed, 2);
            assert_int_equal(is_absent ? store_absent(tier, key)
                                       : store_value(tier, key),
                             MTC_OK);
            assert_int_equal(find(tier, key), is_absent ? MTC_ABSENT : MTC_OK);
            if (mtct_draw(&seed, 4) == 0)
                mtct_tier_end(tier, MTC_VERB_REMOVE, mtct_key(key, text), 0);
        }
        check_account(tier, 50000);
        tier->ops->close(tier);
    }
}

static void absent_keys_that_expired_leave_the_queue(void **state)
{
    (void)state;
    mtc_tier *tier = mtct_tier_open("memory?size=4MiB");
    flood(tier);
    for (int64_t now_ms = MTCT_LIFE_MS; now_ms < 2 * MTCT_LIFE_MS;
         now_ms += 1000)
        tier->ops->tend(tier, now_ms);
    assert_int_equal(mtct_tier_usage(tier).entries, 0);
    flood(tier);
    check_account(tier, 2 * ABSENT_KEYS);
    tier->ops->close(tier);
}

/* -- many threads ------------------------------------------------------- */

typedef struct storer {
    mtc_tier *tier;
    uint64_t seed;
    uint64_t failed;
} storer;

static void *store_some(void *ctx)
{
    storer *own = ctx;
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t key = mtct_draw(&own->seed, 30000);
        bool is_value = mtct_draw(&own->seed, 4) == 0;
        mtc_status status = is_value ? store_value(own->tier, key)
                                     : store_absent(own->tier, key);
        own->failed += status != MTC_OK;
        find(own->tier, mtct_draw(&own->seed, 30000));
    }
    return NULL;
}

static void threads_store_at_the_same_time(void **state)
{
    storer storers[THREADS];
    pthread_t threads[THREADS];
    (void)state;
    mtc_tier *tier = mtct_tier_open("memory?size=8MiB&policy=lru");
    for (unsigned i = 0; i < THREADS; i++) {
        storers[i] = (storer){.tier = tier, .seed = i + 1};
        threads[i] = mtct_thread_start(store_some, &storers[i]);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(storers[i].failed, 0);
    }
    check_budget(tier);
    check_account(tier, THREADS * UINT64_C(20000));
    tier->ops->close(tier);
}

static void *flood_some(void *ctx)
{
    storer *own = ctx;
    for (uint64_t i = 0; i < ABSENT_KEYS / 2; i++)
        own->failed += store_absent(own->tier, own->seed + i) != MTC_OK;
    return NULL;
}

/* Each thread keeps a little of what it evicted: less values than above. */
static void a_flood_from_many_threads_spares_the_values(void **state)
{
    const uint64_t values = 16000;
    storer storers[THREADS];
    pthread_t threads[THREADS];
    (void)state;
    mtc_tier *tier = mtct_tier_open("memory?size=10MiB");
    store_values(tier, values);
    assert_int_equal(mtct_tier_usage(tier).evicted_size, 0);
    for (unsigned i = 0; i < THREADS; i++) {
        storers[i] = (storer){.tier = tier, .seed = ABSENT_AT * (i + 1)};
        threads[i] = mtct_thread_start(flood_some, &storers[i]);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(storers[i].failed, 0);
    }
    check_budget(tier);
    check_account(tier, values + THREADS * ABSENT_KEYS / 2);
    assert_int_equal(count_found(tier, 0, values, MTC_OK), values);
    tier->ops->close(tier);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flood_of_absent_keys_spares_the_values),
        cmocka_unit_test(in_a_full_cache_a_flood_takes_its_share_and_no_more),
        cmocka_unit_test(the_share_is_an_option),
        cmocka_unit_test(a_limit_of_entries_is_shared_alike),
        cmocka_unit_test(a_smaller_budget_is_a_smaller_share),
        cmocka_unit_test(values_get_the_room_of_absent_keys_alone),
        cmocka_unit_test(a_key_may_turn_absent_and_back),
        cmocka_unit_test(absent_keys_that_expired_leave_the_queue),
        cmocka_unit_test(threads_store_at_the_same_time),
        cmocka_unit_test(a_flood_from_many_threads_spares_the_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
