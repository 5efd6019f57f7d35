/*
 * The default policy on made-up workloads, through the public calls: on each
 * it comes near the best of the others, of which each fails on some; where the
 * workload changes it is better than all.
 * labels: unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "mtc.h"

#define CAPACITY ((size_t)1000)

/* How far above the best of the others the default is at least, in points:
 * where one policy suits all along, and where no single one does. */
#define NEAR   (-3.0)
#define BEYOND 10.0

static const mtc_strategy kept = MTC_STRATEGY_INIT(3600000);

/* -- a workload --------------------------------------------------------- */

/* Requests to come: numbers of keys. */
typedef struct workload {
    uint64_t *keys;
    size_t count;
    size_t room;
    uint64_t fresh; /* the next number that was never used */
    uint64_t random;
} workload;

static workload workload_of(size_t room)
{
    workload made = {.room = room, .fresh = 1u << 30, .random = 1};
    made.keys = calloc(room, sizeof(*made.keys));
    assert_non_null(made.keys);
    return made;
}

static void add(workload *workload, uint64_t key)
{
    assert_true(workload->count < workload->room);
    workload->keys[workload->count++] = key;
}

static uint64_t draw(workload *workload, uint64_t below)
{
    uint64_t x = workload->random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    workload->random = x;
    return (x * UINT64_C(2685821657736338717) >> 33) % below;
}

/* The shares of ranks in Zipf order, each with those before it. */
typedef struct ranks {
    double *sums;
    size_t count;
} ranks;

static ranks ranks_of(size_t count, double exponent)
{
    ranks made = {calloc(count, sizeof(*made.sums)), count};
    double sum = 0;
    assert_non_null(made.sums);
    for (size_t i = 0; i < count; i++) {
        sum += pow((double)(i + 1), -exponent);
        made.sums[i] = sum;
    }
    return made;
}

static size_t draw_rank(workload *workload, const ranks *ranks)
{
    double share = (double)draw(workload, UINT64_C(1) << 31) / 0x1p31;
    double wanted = share * ranks->sums[ranks->count - 1];
    size_t low = 0, high = ranks->count - 1;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (ranks->sums[middle] < wanted)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* -- kinds of requests -------------------------------------------------- */

/* A loop over more keys than there is room for. */
static void add_loop(workload *workload, size_t count)
{
    for (size_t i = 0; i < count; i++)
        add(workload, i % (CAPACITY + CAPACITY / 2));
}

/* Each key two or three times within a short while, then never again. */
static void add_two_touch(workload *workload, size_t count)
{
    enum { SOON = 500 };
    uint64_t due[SOON] = {0}; /* keys to come; 0: a fresh one */
    for (size_t i = 0; i < count; i++) {
        uint64_t key = due[i % SOON];
        due[i % SOON] = 0;
        if (key == 0) {
            key = workload->fresh++;
            due[draw(workload, SOON)] = key;
            due[draw(workload, SOON)] = key;
        }
        add(workload, key);
    }
}

static void add_fresh(workload *workload, size_t count)
{
    for (size_t i = 0; i < count; i++)
        add(workload, workload->fresh++);
}

/* A shop: few things are asked for often. After so many requests another rank
 * goes to a fresh key, the first, the second and so on; 0: never. */
static void add_shop(workload *workload, size_t count, size_t drift_every)
{
    ranks ranks = ranks_of(CAPACITY * 10, 0.9);
    size_t moves = 0; /* of all ranks together */
    for (size_t i = 1; i <= count; i++) {
        size_t rank = draw_rank(workload, &ranks);
        size_t moved = (moves + ranks.count - 1 - rank) / ranks.count;
        add(workload, (1u << 20) + rank + moved * ranks.count);
        if (drift_every > 0 && i % drift_every == 0)
            moves++;
    }
    free(ranks.sums);
}

/* -- replaying ---------------------------------------------------------- */

static mtc_cache *open_cache(size_t entries, const char *policy)
{
    char tiers[80];
    mtc_cache *cache;
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    snprintf(tiers, sizeof(tiers), "memory?entries=%zu%s%s", entries,
             policy ? "&policy=" : "", policy ? policy : "");
    options.tiers = tiers;
    options.hash_seed = 1;
    assert_int_equal(mtc_cache_open(&options, NULL, &cache), MTC_OK);
    return cache;
}

/* A request: a get, on a miss a set. True: a hit. */
static bool ask(mtc_cache *cache, uint64_t number)
{
    mtc_value value;
    mtc_slice key = mtc_bytes(&number, sizeof(number));
    mtc_status status = mtc_cache_get(cache, key, &value);
    mtc_value_free(&value);
    if (status == MTC_MISS)
        assert_int_equal(mtc_cache_set(cache, key, mtc_str("v"), &kept),
                         MTC_OK);
    return status == MTC_OK;
}

/* Hits in percent; policy NULL: the default. */
static double percent(const workload *workload, const char *policy)
{
    size_t hits = 0;
    mtc_cache *cache = open_cache(CAPACITY, policy);
    for (size_t i = 0; i < workload->count; i++)
        hits += ask(cache, workload->keys[i]);
    mtc_cache_close(&cache);
    return 100.0 * (double)hits / (double)workload->count;
}

/* Ends the workload. */
static void check(const char *what, workload *workload, double ahead)
{
    static const char *const others[] = {"lru", "s3fifo", "tinylfu"};
    double best = 0;
    double ours = percent(workload, NULL);
    print_message("  %s: default %.1f", what, ours);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        double other = percent(workload, others[i]);
        best = fmax(best, other);
        print_message(", %s %.1f", others[i], other);
    }
    print_message("\n");
    free(workload->keys);
    assert_true(ours >= best + ahead);
}

/* -- near the best ------------------------------------------------------ */

static void a_loop_longer_than_the_cache(void **state)
{
    (void)state;
    workload workload = workload_of(200 * CAPACITY);
    add_loop(&workload, workload.room);
    check("loop", &workload, NEAR);
}

static void keys_read_two_or_three_times(void **state)
{
    (void)state;
    workload workload = workload_of(100 * CAPACITY);
    add_two_touch(&workload, workload.room);
    check("two-touch", &workload, NEAR);
}

static void a_shop_that_drifts(void **state)
{
    (void)state;
    workload workload = workload_of(200 * CAPACITY);
    add_shop(&workload, workload.room, 5);
    check("drift", &workload, NEAR);
}

static void a_shop_that_is_scanned(void **state)
{
    (void)state;
    workload workload = workload_of(200 * CAPACITY);
    while (workload.count < workload.room) {
        add_shop(&workload, 8 * CAPACITY, 0);
        add_fresh(&workload, 2 * CAPACITY);
    }
    check("scans", &workload, NEAR);
}

static void phases_that_want_different_policies(void **state)
{
    (void)state;
    workload workload = workload_of(360 * CAPACITY);
    while (workload.count < workload.room) {
        add_loop(&workload, 60 * CAPACITY);
        add_two_touch(&workload, 60 * CAPACITY);
        add_shop(&workload, 60 * CAPACITY, 0);
    }
    check("spliced", &workload, BEYOND);
}

/* -- a flood ------------------------------------------------------------ */

#define HOT 1000u

/* How many of the hot keys are hits, each asked for once. */
static unsigned hot_hits(mtc_cache *cache)
{
    unsigned hits = 0;
    for (unsigned i = 0; i < HOT; i++)
        hits += ask(cache, i);
    return hits;
}

/* Nobody asks for the hot keys while the flood lasts. */
static void a_flood_leaves_the_hot_set(void **state)
{
    (void)state;
    size_t entries = 2 * HOT;
    mtc_cache *cache = open_cache(entries, NULL);
    for (unsigned round = 0; round < 10; round++)
        hot_hits(cache);
    for (uint64_t i = 0; i < 50 * entries; i++)
        assert_false(ask(cache, HOT + i));
    unsigned hits = hot_hits(cache);
    print_message("  %u of %u are left\n", hits, HOT);
    assert_true(hits > HOT / 100 * 95);
    mtc_cache_close(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loop_longer_than_the_cache),
        cmocka_unit_test(keys_read_two_or_three_times),
        cmocka_unit_test(a_shop_that_drifts),
        cmocka_unit_test(a_shop_that_is_scanned),
        cmocka_unit_test(phases_that_want_different_policies),
        cmocka_unit_test(a_flood_leaves_the_hot_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
