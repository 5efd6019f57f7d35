/*
 * Stale copies under load: sources that fail at random, loads that callers do
 * not wait for, keys that are removed and replaced meanwhile. What was removed
 * or replaced is never returned to a read that began later.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/callers.h"

#define KEYS    8
#define READERS 4
#define WRITERS 2
#define READS   6000
#define WRITES  1500

/* One key: what the source has, and what no later read may be older than. */
typedef struct truth {
    char key[8];
    _Atomic uint64_t version, floor;
} truth;

static truth truths[KEYS];
static mtc_cache *cache;
static _Atomic uint64_t wrong, statuses[4];

/* Often past its soft end, seldom past the hard one. */
static mtc_strategy brief(void)
{
    mtc_strategy strategy = MTC_STRATEGY_INIT(2);
    strategy.stale_ms = 200;
    strategy.throttle_ms = 1;
    strategy.absent_ms = 1;
    strategy.error_ms = 1;
    strategy.jitter_percent = 50;
    return strategy;
}

/* In one of several ways that callers need not wait for a load, or none. */
static mtc_strategy drawn(uint32_t chance)
{
    mtc_strategy strategy = brief();
    if (chance % 6 == 1)
        strategy.soft_ms = 0;
    if (chance % 6 == 2)
        strategy.soft_ms = 1;
    if (chance % 6 == 3)
        strategy.hard_ms = 1;
    if (chance % 6 == 4)
        strategy.refresh_percent = 60;
    if (chance % 6 == 5)
        strategy.refresh_beta = 1;
    return strategy;
}

static uint32_t draw(uint32_t *random)
{
    *random = *random * 1664525u + 1013904223u;
    return *random >> 8;
}

static mtc_status load(mtc_load *load, void *ctx)
{
    static _Thread_local uint32_t random = 7;
    const truth *source = ctx;
    char text[32];
    mtc_value stale;
    uint64_t version = atomic_load(&source->version);
    snprintf(text, sizeof text, "%llu", (unsigned long long)version);
    uint32_t chance = draw(&random) % 10;
    if (chance < 5)
        return MTC_E_UNAVAILABLE;
    if (chance < 6)
        return MTC_MISS;
    if (mtc_load_stale(load, &stale) == MTC_OK)
        mtc_value_free(&stale);
    return mtc_load_set_value(load, mtc_str(text));
}

/* What a read that began at the floor came to. */
static void judge(mtc_status status, mtc_value *value, uint64_t floor)
{
    char text[32] = "";
    if (status >= MTC_OK && status <= MTC_ABSENT)
        atomic_fetch_add(&statuses[status], 1);
    if ((status == MTC_OK || status == MTC_STALE) &&
        value->size < sizeof text) {
        memcpy(text, value->data, value->size);
        if (strtoull(text, NULL, 10) < floor)
            atomic_fetch_add(&wrong, 1);
    }
    mtc_value_free(value);
}

static void read_one(truth *source, uint32_t chance)
{
    mtc_value value;
    mtc_strategy strategy = drawn(chance);
    uint64_t floor = atomic_load(&source->floor);
    mtc_status status = mtc_cache_get_or_load(cache, mtc_str(source->key),
                                              &strategy, load, source, &value);
    judge(status, &value, floor);
}

static mtc_status load_all(mtc_bulk *bulk, void *ctx)
{
    mtc_status status = MTC_OK;
    (void)ctx;
    for (size_t i = 0; i < mtc_bulk_count(bulk); i++) {
        mtc_load *one = mtc_bulk_load(bulk, i);
        const char *key = mtc_load_key(one).data;
        status = load(one, &truths[key[1] - '0']);
        if (status < 0)
            mtc_load_set_failed(one, status);
    }
    return MTC_OK;
}

static void read_all(uint32_t chance)
{
    mtc_item items[KEYS];
    uint64_t floors[KEYS];
    mtc_strategy strategy = drawn(chance);
    for (int i = 0; i < KEYS; i++) {
        items[i] = (mtc_item){.key = mtc_str(truths[i].key)};
        floors[i] = atomic_load(&truths[i].floor);
    }
    mtc_cache_get_or_load_many(cache, items, KEYS, &strategy, load_all, NULL);
    for (int i = 0; i < KEYS; i++)
        judge(items[i].status, &items[i].value, floors[i]);
}

static void *read_many(void *ctx)
{
    uint32_t random = (uint32_t)(uintptr_t)ctx;
    for (int i = 0; i < READS; i++) {
        uint32_t chance = draw(&random);
        if (chance % 16 == 0)
            read_all(chance / 16);
        else
            read_one(&truths[chance % KEYS], chance / 16);
    }
    return NULL;
}

/* Each writer has keys of its own. */
static void *write_many(void *ctx)
{
    uint32_t random = (uint32_t)(uintptr_t)ctx;
    mtc_strategy strategy = brief();
    for (int i = 0; i < WRITES; i++) {
        size_t own = draw(&random) % (KEYS / WRITERS);
        truth *source = &truths[own * WRITERS + (uintptr_t)ctx % WRITERS];
        char text[32];
        uint64_t version = atomic_fetch_add(&source->version, 1) + 1;
        snprintf(text, sizeof text, "%llu", (unsigned long long)version);
        mtc_status status = i % 3 == 0
                                ? mtc_cache_set(cache, mtc_str(source->key),
                                                mtc_str(text), &strategy)
                                : mtc_cache_remove(cache, mtc_str(source->key));
        if (status >= 0)
            atomic_store(&source->floor, version);
    }
    return NULL;
}

static void storm(const char *tiers)
{
    pthread_t threads[READERS + WRITERS];
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    options.tiers = tiers;
    assert_int_equal(mtc_cache_open(&options, NULL, &cache), MTC_OK);
    for (int i = 0; i < KEYS; i++) {
        snprintf(truths[i].key, sizeof truths[i].key, "k%d", i);
        atomic_store(&truths[i].version, 1);
        atomic_store(&truths[i].floor, 0);
    }
    for (uintptr_t i = 0; i < READERS + WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL,
                                        i < READERS ? read_many : write_many,
                                        (void *)(i + 2)),
                         0);
    for (int i = 0; i < READERS + WRITERS; i++)
        pthread_join(threads[i], NULL);
    mtct_quiet_await(cache);
    assert_int_equal(mtc_cache_close(&cache), MTC_OK);
    assert_int_equal(atomic_load(&wrong), 0);
}

static void what_was_removed_is_not_fallen_back_on(void **state)
{
    (void)state;
    storm("memory?size=4MiB");
    print_message("ok %llu, stale %llu, absent %llu\n",
                  (unsigned long long)atomic_load(&statuses[MTC_OK]),
                  (unsigned long long)atomic_load(&statuses[MTC_STALE]),
                  (unsigned long long)atomic_load(&statuses[MTC_ABSENT]));
    assert_true(atomic_load(&statuses[MTC_STALE]) > 0);
}

static void nor_is_it_with_two_tiers(void **state)
{
    (void)state;
    storm("memory?size=4MiB memory?size=8MiB");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_removed_is_not_fallen_back_on),
        cmocka_unit_test(nor_is_it_with_two_tiers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
