/*
 * What the memory tier makes of its budget: how much of it is keys and values,
 * that neither its own account nor the process passes it, and that a value
 * which is held keeps itself alone.
 *
 * How to read it: the reference is the size of each key's last value; what is
 * still there is asked for by find. Longer with MTC_TEST_ROUNDS, one again by
 * MTC_TEST_SEED. labels: unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <unistd.h>

#include "support/callers.h"
#include "support/tier_call.h"

#define BUDGET     ((uint64_t)64 << 20)
#define SMALLER    ((uint64_t)16 << 20)
#define MIB        ((size_t)1 << 20)
#define KEYS       4000u
#define STORES     20000u
#define SAMPLE     3000u
#define RSS_BEYOND (12 * MIB) /* of the process, beside the budget */

/* Entries of a table that grows, and what is left of them. */
#define MANY 200000u
#define FEW  1000u

/* What an entry may take beside key and value. */
#define OVERHEAD 64u

static unsigned char bytes[MIB];
static uint64_t seed;

static size_t resident(void)
{
    unsigned long long total = 0;
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%llu %llu", &total, &pages), 2);
    fclose(file);
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void check_bytes(mtc_tier *tier)
{
    mtc_tier_usage usage = mtct_tier_usage(tier);
    assert_true(usage.bytes <= usage.bytes_max);
}

static mtc_status store(mtc_tier *tier, uint64_t key, size_t size)
{
    char text[24];
    return mtct_tier_store(tier, mtct_key(key, text), mtc_bytes(bytes, size), 0,
                           MTC_NO_END);
}

/* Bytes of key and value under a key; 0: it is not there. */
static size_t payload_of(mtc_tier *tier, uint64_t number)
{
    char text[24];
    mtc_value value;
    mtc_slice key = mtct_key(number, text);
    if (mtct_tier_find(tier, key, 0, &value) != MTC_OK)
        return 0;
    size_t size = key.size + value.size;
    mtc_value_free(&value);
    return size;
}

/* -- sizes of all kinds ------------------------------------------------- */

/* 1 byte to 1 MiB, as many between 1 and 2 as between 2 and 4. */
static size_t mixed_size(void)
{
    uint32_t top = UINT32_C(1) << (1 + mtct_draw(&seed, 20));
    return top / 2 + mtct_draw(&seed, top / 2);
}

static double payload_part(mtc_tier *tier, unsigned keys)
{
    size_t sum = 0;
    for (unsigned key = 0; key < keys; key++)
        sum += payload_of(tier, key);
    return (double)sum / (double)BUDGET;
}

static void sizes_of_all_kinds_fill_the_budget(void **state)
{
    (void)state;
    double least = 1;
    seed = mtct_seed(__func__);
    memset(bytes, 'v', sizeof(bytes));
    size_t before = resident();
    mtc_tier *tier = mtct_tier_open("memory?size=64MiB");
    for (unsigned i = 0; i < STORES * mtct_rounds(1); i++) {
        assert_int_equal(store(tier, mtct_draw(&seed, KEYS), mixed_size()),
                         MTC_OK);
        check_bytes(tier);
        if (i < SAMPLE || i % SAMPLE != 0)
            continue;
        double part = payload_part(tier, KEYS);
        least = part < least ? part : least;
        assert_true(resident() - before <= BUDGET + RSS_BEYOND);
    }
    print_message("least share of keys and values: %.3f\n", least);
    tier->ops->close(tier);
    assert_true(least >= 0.85);
    assert_true(resident() - before <= RSS_BEYOND);
}

/* -- all sizes change --------------------------------------------------- */

/* Stores three budgets' worth of new keys of one size. */
static uint64_t store_budgets(mtc_tier *tier, size_t size, uint64_t next)
{
    uint64_t count = 3 * SMALLER / (size + OVERHEAD);
    for (uint64_t i = 0; i < count; i++) {
        assert_int_equal(store(tier, next++, size), MTC_OK);
        if (i % 256 == 0)
            check_bytes(tier);
    }
    return next;
}

/* What the budget holds then: keys, values, and what each entry may take
 * beside them. */
static double filled_part(mtc_tier *tier, uint64_t next)
{
    uint64_t sum = 0;
    for (uint64_t key = 0; key < next; key++) {
        size_t payload = payload_of(tier, key);
        sum += payload > 0 ? payload + OVERHEAD : 0;
    }
    return (double)sum / (double)SMALLER;
}

static void a_complete_change_of_sizes_is_overcome(void **state)
{
    static const size_t sizes[] = {100, 1000, 40, 6144, 200, 50000, 10};
    (void)state;
    uint64_t next = 0;
    bool is_good = true;
    mtc_tier *tier = mtct_tier_open("memory?size=16MiB");
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        next = store_budgets(tier, sizes[i], next);
        double part = filled_part(tier, next);
        print_message("values of %zu bytes: %.3f of the budget\n", sizes[i],
                      part);
        is_good = is_good && part >= 0.75;
    }
    tier->ops->close(tier);
    assert_true(is_good);
}

/* -- a value that is held ----------------------------------------------- */

/* Entries that the tier holds after several budgets' worth of stores, every
 * one of which succeeds. */
static uint64_t entries_after(mtc_tier *tier, size_t size)
{
    uint64_t count = 5 * 8 * MIB / size;
    for (uint64_t i = 0; i < count; i++) {
        assert_int_equal(store(tier, 10 + i, size), MTC_OK);
        check_bytes(tier);
    }
    return mtct_tier_usage(tier).entries;
}

static void a_value_that_is_held_keeps_itself_alone(void **state)
{
    static const size_t sizes[] = {100, 1000, 20000};
    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        char text[24];
        mtc_value held;
        mtc_tier *tier = mtct_tier_open("memory?size=8MiB");
        uint64_t free_entries = entries_after(tier, sizes[i]);
        tier->ops->close(tier);
        tier = mtct_tier_open("memory?size=8MiB");
        assert_int_equal(store(tier, 1, sizes[i]), MTC_OK);
        assert_int_equal(mtct_tier_find(tier, mtct_key(1, text), 0, &held),
                         MTC_OK);
        uint64_t entries = entries_after(tier, sizes[i]);
        assert_true(entries >= free_entries - free_entries / 50);
        assert_memory_equal(held.data, bytes, sizes[i]);
        mtc_value_free(&held);
        tier->ops->close(tier);
    }
}

static void one_key_that_is_replaced_keeps_no_old_values(void **state)
{
    (void)state;
    char text[24];
    mtc_value held;
    mtc_tier *tier = mtct_tier_open("memory?size=8MiB");
    assert_int_equal(store(tier, 1, 100000), MTC_OK);
    assert_int_equal(mtct_tier_find(tier, mtct_key(1, text), 0, &held), MTC_OK);
    for (unsigned i = 0; i < 2000; i++) {
        assert_int_equal(store(tier, 1, 100000), MTC_OK);
        assert_true(mtct_tier_usage(tier).bytes < 2 * MIB);
        assert_int_equal(mtct_tier_usage(tier).entries, 1);
    }
    mtc_value_free(&held);
    tier->ops->close(tier);
}

/* -- entries ------------------------------------------------------------ */

static void entries_are_limited_exactly(void **state)
{
    static const unsigned limits[] = {1, 2, 63, 64, 65, 1000, 2000, 4097};
    (void)state;
    for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
        char url[64];
        snprintf(url, sizeof(url), "memory?entries=%u", limits[i]);
        mtc_tier *tier = mtct_tier_open(url);
        for (unsigned key = 0; key < 5 * limits[i]; key++) {
            assert_int_equal(store(tier, key, 10), MTC_OK);
            assert_true(mtct_tier_usage(tier).entries <= limits[i]);
            if (limits[i] <= 65)
                assert_int_equal(mtct_tier_usage(tier).entries,
                                 key < limits[i] ? key + 1 : limits[i]);
        }
        mtc_tier_usage usage = mtct_tier_usage(tier);
        assert_int_equal(usage.entries, limits[i]);
        assert_int_equal(usage.evicted_size, 4 * limits[i]);
        tier->ops->close(tier);
    }
}

static void a_table_shrinks_with_its_entries(void **state)
{
    (void)state;
    char text[24];
    mtc_tier *tier = mtct_tier_open("memory?size=64MiB");
    for (uint64_t key = 0; key < MANY; key++)
        assert_int_equal(store(tier, key, 1), MTC_OK);
    uint64_t full = mtct_tier_usage(tier).bytes;
    for (uint64_t key = FEW; key < MANY; key++) {
        mtc_request remove = mtct_request_for(mtct_key(key, text), 0);
        assert_int_equal(mtct_tier_submit(tier, MTC_VERB_REMOVE, &remove),
                         MTC_OK);
    }
    for (uint64_t key = 0; key < FEW; key++)
        assert_true(payload_of(tier, key) > 0);

    assert_int_equal(tier->ops->resize(tier, MIB), MTC_OK);
    mtc_tier_usage usage = mtct_tier_usage(tier);
    print_message("%u entries took %llu bytes; %u of them take %llu\n", MANY,
                  (unsigned long long)full, FEW,
                  (unsigned long long)usage.bytes);

    assert_true(usage.bytes <= MIB);
    assert_int_equal(usage.entries, FEW);
    for (uint64_t key = 0; key < MANY / 2; key++)
        store(tier, key, 1);
    check_bytes(tier);
    tier->ops->close(tier);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_of_all_kinds_fill_the_budget),
        cmocka_unit_test(a_complete_change_of_sizes_is_overcome),
        cmocka_unit_test(a_value_that_is_held_keeps_itself_alone),
        cmocka_unit_test(one_key_that_is_replaced_keeps_no_old_values),
        cmocka_unit_test(entries_are_limited_exactly),
        cmocka_unit_test(a_table_shrinks_with_its_entries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
