/*
 * Keys that were chosen so that their hashes collide under another seed than
 * the cache's own: all are kept and found, as any other keys are.
 *
 * How to read it: the keys agree in the low bits, which choose the bucket, of
 * their hash under one seed. A cache that draws its seed is given them, and as
 * many ordinary keys; the times of both are printed, nothing is asserted of
 * them. Last, a cache with that very seed: slower, yet right.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <time.h>

#include "base/hash.h"
#include "mtc/cache.h"
#include "mtc/stats.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define KEYS 5000u
#else
#define KEYS 100000u
#endif

#define FEW       2000u /* of them, where the seed is known */
#define SEED      UINT64_C(1)
#define LOW_BITS  10
#define PASSES    3
#define KEY_BYTES sizeof(uint64_t)

static uint64_t colliding[KEYS];
static uint64_t ordinary[KEYS];

static mtc_slice key_of(const uint64_t *number)
{
    return mtc_bytes(number, KEY_BYTES);
}

static int find_keys(void **state)
{
    uint64_t number = 0;
    const uint64_t mask = (1u << LOW_BITS) - 1;
    (void)state;
    for (size_t i = 0; i < KEYS; i++) {
        while ((mtci_hash(key_of(&number), SEED) & mask) != 77)
            number++;
        colliding[i] = number++;
        ordinary[i] = i;
    }
    return 0;
}

static mtc_cache *open_cache(uint64_t seed)
{
    mtc_error error;
    mtc_cache *cache;
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    options.tiers = "memory?size=64MiB";
    options.hash_seed = seed;
    if (mtc_cache_open(&options, &error, &cache) != MTC_OK)
        fail_msg("%s", error.text);
    return cache;
}

static double now_s(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Sets and gets all of the keys; the time that it took. */
static double set_and_get(mtc_cache *cache, const uint64_t *keys, size_t count)
{
    mtc_value value;
    double begun_s = now_s();
    for (size_t i = 0; i < count; i++)
        assert_int_equal(mtc_cache_set(cache, key_of(&keys[i]),
                                       key_of(&keys[i]), NULL),
                         MTC_OK);
    for (size_t i = 0; i < count * PASSES; i++) {
        const uint64_t *key = &keys[i % count];
        assert_int_equal(mtc_cache_get(cache, key_of(key), &value), MTC_OK);
        assert_int_equal(value.size, KEY_BYTES);
        assert_memory_equal(value.data, key, KEY_BYTES);
        mtc_value_free(&value);
    }
    return now_s() - begun_s;
}

static uint64_t entries_of(mtc_cache *cache)
{
    mtc_stats stats = {.struct_size = sizeof(stats)};
    assert_int_equal(mtc_cache_stats(cache, &stats), MTC_OK);
    assert_int_equal(stats.tiers[0].usage.evicted_size, 0);
    return stats.tiers[0].usage.entries;
}

static void keys_that_collide_elsewhere_are_like_others(void **state)
{
    (void)state;
    mtc_cache *one = open_cache(0);
    mtc_cache *other = open_cache(0);
    double ordinary_s = set_and_get(one, ordinary, KEYS);
    double colliding_s = set_and_get(other, colliding, KEYS);
    assert_int_equal(entries_of(one), KEYS);
    assert_int_equal(entries_of(other), KEYS);
    print_message("%u keys: ordinary %.3f s, colliding %.3f s, ratio %.2f\n",
                  KEYS, ordinary_s, colliding_s, colliding_s / ordinary_s);
    assert_int_equal(mtc_cache_close(&one), MTC_OK);
    assert_int_equal(mtc_cache_close(&other), MTC_OK);
}

static void keys_that_do_collide_are_found(void **state)
{
    (void)state;
    mtc_cache *cache = open_cache(SEED);
    double colliding_s = set_and_get(cache, colliding, FEW);
    assert_int_equal(entries_of(cache), FEW);
    for (size_t i = 0; i < FEW; i += 2)
        assert_int_equal(mtc_cache_remove(cache, key_of(&colliding[i])),
                         MTC_OK);
    assert_int_equal(entries_of(cache), FEW / 2);
    for (size_t i = 0; i < FEW; i++) {
        mtc_value value;
        assert_int_equal(mtc_cache_get(cache, key_of(&colliding[i]), &value),
                         i % 2 ? MTC_OK : MTC_MISS);
        mtc_value_free(&value);
    }
    print_message("%u keys that collide: %.3f s\n", FEW, colliding_s);
    assert_int_equal(mtc_cache_close(&cache), MTC_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_that_collide_elsewhere_are_like_others),
        cmocka_unit_test(keys_that_do_collide_are_found),
    };
    return cmocka_run_group_tests(tests, find_keys, NULL);
}
