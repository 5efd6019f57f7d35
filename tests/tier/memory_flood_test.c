/*
 * Keys that were chosen so that their hashes collide under another seed than
 * the cache's own, or under a hash without one: all are kept and found, as any
 * other keys are, and lie no deeper.
 *
 * How to read it: the keys agree in the low bits, which choose the bucket, of
 * their hash under one seed; or they are texts that have one and the same hash
 * where it is a sum of letters times powers of 31, as many languages have it. A
 * cache that draws its seed is given them, and as many ordinary keys. Counted
 * is how many buckets a look-up has to read; the times are printed, nothing is
 * asserted of them. Last, a cache with that very seed: slower, yet right.
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
#include "core/cache.h"
#include "mtc/stats.h"
#include "tier/memory/memory.h"

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

/* The longest chain of buckets, which have twelve places each and, before they
 * are split, up to sixteen entries on the average: one in 10^10 is longer. */
#define CHAIN_MAX 4u

#define PAIRS      16u /* "Aa" or "BB": 31 * 'A' + 'a' is 31 * 'B' + 'B' */
#define TEXT_BYTES ((size_t)2 * PAIRS)
#define TEXTS      (KEYS < (1u << PAIRS) ? KEYS : 1u << PAIRS)

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

/* -- how deep entries lie -------------------------------------------------- */

typedef struct depth {
    uint64_t entries;
    uint64_t reads; /* of buckets, to find each of the entries */
    uint32_t chain; /* the longest */
} depth;

static void count_bucket(const mtci_table *table, mtci_bucket *bucket,
                         depth *depth)
{
    uint32_t at = 0;
    for (; bucket; bucket = mtci_bucket_next(table, bucket)) {
        at++;
        for (unsigned i = 0; i < MTCI_BUCKET_ENTRIES; i++) {
            if (!atomic_load(&bucket->refs[i]))
                continue;
            depth->entries++;
            depth->reads += at;
        }
    }
    if (at > depth->chain)
        depth->chain = at;
}

/* Of a cache that nobody uses now. */
static depth depth_of(mtc_cache *cache)
{
    const mtci_memory *memory = (mtci_memory *)mtci_cache_tier_at(cache, 0);
    depth depth = {0};
    for (size_t i = 0; i < memory->shard_count; i++) {
        const mtci_table *table = &memory->shards[i].table;
        uint32_t count = (uint32_t)atomic_load(&table->shape);
        for (uint32_t at = 0; at < count; at++)
            count_bucket(table, mtci_table_bucket(table, at), &depth);
    }
    return depth;
}

/* No deeper than keys that nobody has chosen: a tenth more is chance. */
static void check_depth(mtc_cache *cache, size_t count)
{
    depth depth = depth_of(cache);
    assert_int_equal(depth.entries, count);
    assert_true(depth.chain <= CHAIN_MAX);
    mtc_cache *other = open_cache(0);
    set_and_get(other, ordinary, count);
    struct depth usual = depth_of(other);
    print_message("%zu keys: %llu reads of buckets, ordinary %llu; longest "
                  "chain %u, ordinary %u\n",
                  count, (unsigned long long)depth.reads,
                  (unsigned long long)usual.reads, depth.chain, usual.chain);
    assert_true(depth.reads <= usual.reads + usual.reads / 10);
    assert_int_equal(mtc_cache_close(&other), MTC_OK);
}

static void spell(uint32_t number, char text[TEXT_BYTES])
{
    for (unsigned i = 0; i < PAIRS; i++)
        memcpy(text + (size_t)2 * i, number >> i & 1 ? "BB" : "Aa", 2);
}

static uint32_t sum_of(const char text[TEXT_BYTES])
{
    uint32_t sum = 0;
    for (size_t i = 0; i < TEXT_BYTES; i++)
        sum = sum * 31 + (unsigned char)text[i];
    return sum;
}

static void texts_with_one_sum_lie_no_deeper_than_others(void **state)
{
    char text[TEXT_BYTES];
    mtc_cache *cache = open_cache(0);
    (void)state;
    spell(0, text);
    uint32_t sum = sum_of(text);
    for (uint32_t i = 0; i < TEXTS; i++) {
        spell(i, text);
        assert_int_equal(sum_of(text), sum);
        assert_int_equal(mtc_cache_set(cache, mtc_bytes(text, TEXT_BYTES),
                                       mtc_bytes(&i, sizeof(i)), NULL),
                         MTC_OK);
    }
    check_depth(cache, TEXTS);
    assert_int_equal(mtc_cache_close(&cache), MTC_OK);
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
    check_depth(other, KEYS);
    assert_int_equal(mtc_cache_close(&one), MTC_OK);
    assert_int_equal(mtc_cache_close(&other), MTC_OK);
}

static void keys_that_do_collide_are_found(void **state)
{
    (void)state;
    mtc_cache *cache = open_cache(SEED);
    double colliding_s = set_and_get(cache, colliding, FEW);
    assert_int_equal(entries_of(cache), FEW);
    /* What is counted is what collides. */
    assert_true(depth_of(cache).chain > CHAIN_MAX);
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
        cmocka_unit_test(texts_with_one_sum_lie_no_deeper_than_others),
        cmocka_unit_test(keys_that_collide_elsewhere_are_like_others),
        cmocka_unit_test(keys_that_do_collide_are_found),
    };
    return cmocka_run_group_tests(tests, find_keys, NULL);
}
