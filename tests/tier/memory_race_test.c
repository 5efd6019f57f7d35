/*
 * A read of the memory tier against one change at a time, driven hard: the
 * table that grows and shrinks under it, and the entry that is replaced and
 * used again under it.
 *
 * How to read it: some threads do nothing but read, so that whatever the
 * change leaves open for a moment is met by one of them. Longer with
 * MTC_TEST_ROUNDS. labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "support/callers.h"
#include "support/stamp.h"
#include "support/tier_call.h"

#define READERS  2
#define CHAIN    40 /* keys that share a bucket however far the table grows */
#define OTHERS   6000
#define REPLACES 60000
#define SIZE     1500

typedef struct race {
    mtc_tier *tier;
    _Atomic bool is_over;
    _Atomic uint32_t missed;
    _Atomic uint32_t torn;
} race;

static void count(_Atomic uint32_t *counter, bool is_so)
{
    if (is_so)
        atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* The hash that the tier is given for key i of the chain. */
static uint64_t chain_hash(uint32_t i)
{
    return ((uint64_t)i * 37 + 1) << 32 | UINT64_C(0xabcdefc5);
}

static mtc_status store_stamped(mtc_tier *tier, uint32_t key, uint32_t stamp,
                                size_t size)
{
    char text[24];
    char bytes[SIZE];
    mtc_request request = mtct_request_for(mtct_key(key, text), 0);
    mtct_stamp_write(bytes, size, key, stamp);
    request.value = mtc_value_borrow(mtc_bytes(bytes, size));
    request.hash = chain_hash(key);
    return mtct_tier_submit(tier, MTC_VERB_STORE, &request);
}

static void find_stamped(race *race, uint32_t key)
{
    char text[24];
    uint32_t stamp;
    mtc_value value = {0};
    mtc_status status = race->tier->ops->find(race->tier, mtct_key(key, text),
                                              chain_hash(key), 0, &value);
    count(&race->missed, status != MTC_OK);
    if (status == MTC_OK)
        count(&race->torn,
              !mtct_stamp_read(mtc_value_slice(&value), key, &stamp));
    mtc_value_free(&value);
}

static void run_race(race *race, void *(*reader)(void *ctx),
                     void (*change)(mtc_tier *tier))
{
    pthread_t threads[READERS];
    for (int i = 0; i < READERS; i++)
        threads[i] = mtct_thread_start(reader, race);
    change(race->tier);
    atomic_store(&race->is_over, true);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(mtct_tier_usage(race->tier).evicted_size, 0);
    assert_int_equal(race->missed, 0);
    assert_int_equal(race->torn, 0);
}

/* -- growth ------------------------------------------------------------- */

static void *chain_reader(void *ctx)
{
    race *race = ctx;
    while (!atomic_load_explicit(&race->is_over, memory_order_relaxed)) {
        for (uint32_t i = 0; i < CHAIN; i++)
            find_stamped(race, i);
    }
    return NULL;
}

/* Others come, and some go again: all of the table is split several times. */
static void grow(mtc_tier *tier)
{
    char text[24];
    for (uint32_t i = 0; i < OTHERS; i++) {
        mtc_slice key = mtct_key(CHAIN + i, text);
        assert_int_equal(mtct_tier_store(tier, key, mtc_str("other"), 0,
                                         MTCT_LIFE_MS),
                         MTC_OK);
        if (i % 4 == 0)
            mtct_tier_end(tier, MTC_VERB_REMOVE, key, 0);
    }
}

/* Most of the others go: buckets are joined until few are left, and split
 * again. */
static void shrink_and_grow(mtc_tier *tier)
{
    char text[24];
    grow(tier);
    for (uint32_t i = 0; i < OTHERS; i++)
        mtct_tier_end(tier, MTC_VERB_REMOVE, mtct_key(CHAIN + i, text), 0);
    grow(tier);
}

static void a_key_is_found_while_its_bucket_is_joined(void **state)
{
    (void)state;
    for (unsigned round = 0; round < mtct_rounds(40); round++) {
        race race = {.tier = mtct_tier_open("memory?size=4MiB")};
        for (uint32_t i = 0; i < CHAIN; i++)
            assert_int_equal(store_stamped(race.tier, i, 1, 40), MTC_OK);
        run_race(&race, chain_reader, shrink_and_grow);
        race.tier->ops->close(race.tier);
    }
}

static void a_key_is_found_while_its_bucket_is_split(void **state)
{
    (void)state;
    for (unsigned round = 0; round < mtct_rounds(40); round++) {
        race race = {.tier = mtct_tier_open("memory?size=4MiB")};
        for (uint32_t i = 0; i < CHAIN; i++)
            assert_int_equal(store_stamped(race.tier, i, 1, 40), MTC_OK);
        run_race(&race, chain_reader, grow);
        race.tier->ops->close(race.tier);
    }
}

/* -- replacement -------------------------------------------------------- */

static void *one_reader(void *ctx)
{
    race *race = ctx;
    while (!atomic_load_explicit(&race->is_over, memory_order_relaxed))
        find_stamped(race, 7);
    return NULL;
}

static void replace(mtc_tier *tier)
{
    unsigned count = REPLACES / 4 * mtct_rounds(4);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(store_stamped(tier, 7, i, SIZE), MTC_OK);
}

static void a_value_is_whole_while_its_key_is_replaced(void **state)
{
    (void)state;
    race race = {.tier = mtct_tier_open("memory?size=64KiB")};
    assert_int_equal(store_stamped(race.tier, 7, 0, SIZE), MTC_OK);
    run_race(&race, one_reader, replace);
    race.tier->ops->close(race.tier);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_found_while_its_bucket_is_split),
        cmocka_unit_test(a_key_is_found_while_its_bucket_is_joined),
        cmocka_unit_test(a_value_is_whole_while_its_key_is_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
