/*
 * What the memory tier promises through the public calls: the listener, the
 * weigher, resizing, reading into a buffer, eviction that resists scans, and
 * values that stay whole while everything around them goes.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "mtc.h"

static const mtc_strategy kept = MTC_STRATEGY_INIT(3600000);

static mtc_cache *open_with(mtc_cache_options options, const char *tiers)
{
    mtc_cache *cache;
    mtc_error error = {0};
    options.tiers = tiers;
    options.hash_seed = 1;
    if (mtc_cache_open(&options, &error, &cache) != MTC_OK)
        fail_msg("%s", error.text);
    return cache;
}

static mtc_cache *open_cache(const char *tiers)
{
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    return open_with(options, tiers);
}

static mtc_tier_usage usage_of(mtc_cache *cache)
{
    mtc_stats stats = {.struct_size = sizeof(stats)};
    assert_int_equal(mtc_cache_stats(cache, &stats), MTC_OK);
    return stats.tiers[0].usage;
}

static mtc_slice key_of(uint64_t number, char text[24])
{
    snprintf(text, 24, "key:%llu", (unsigned long long)number);
    return mtc_str(text);
}

/* -- the listener ------------------------------------------------------- */

/* Told by the thread that changed memory, or by the cache's own. */
typedef struct heard {
    mtc_cache *cache; /* stays when the variable of the owner is cleared */
    atomic_uint refused;
    pthread_mutex_t mutex; /* guards what follows */
    unsigned causes[4];
    char last[4][48]; /* key=value */
} heard;

static void hear(void *ctx, mtc_slice key, mtc_slice value, mtc_eviction cause)
{
    heard *heard = ctx;
    mtc_value got;
    /* No lock is held: the same key may be asked for, and others set. */
    if (mtc_cache_get(heard->cache, key, &got) == MTC_OK)
        mtc_value_free(&got);
    mtc_status status =
        mtc_cache_set(heard->cache, mtc_str("by listener"), value, &kept);
    if (status != MTC_OK && status != MTC_E_CLOSED)
        atomic_fetch_add(&heard->refused, 1);
    pthread_mutex_lock(&heard->mutex);
    snprintf(heard->last[cause], sizeof(heard->last[cause]), "%.*s=%.*s",
             (int)key.size, (const char *)key.data, (int)value.size,
             (const char *)value.data);
    heard->causes[cause]++;
    pthread_mutex_unlock(&heard->mutex);
}

/* Waits until a cause was told so often, and checks the last time. */
static void expect_told(heard *heard, mtc_eviction cause, unsigned times,
                        const char *last)
{
    for (;;) {
        pthread_mutex_lock(&heard->mutex);
        bool is_told = heard->causes[cause] >= times;
        if (is_told && last)
            assert_string_equal(heard->last[cause], last);
        pthread_mutex_unlock(&heard->mutex);
        if (is_told)
            return;
        sched_yield();
    }
}

static void the_listener_is_told_each_cause_without_a_lock(void **state)
{
    (void)state;
    char text[24];
    static heard heard = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    options.evicted = hear;
    options.evicted_ctx = &heard;
    mtc_cache *cache = open_with(options, "memory?entries=100");
    heard.cache = cache;
    mtc_cache_set(cache, mtc_str("a"), mtc_str("one"), &kept);
    mtc_cache_set(cache, mtc_str("a"), mtc_str("two"), &kept);
    expect_told(&heard, MTC_EVICTED_REPLACED, 1, "a=one");
    mtc_cache_remove(cache, mtc_str("a"));
    expect_told(&heard, MTC_EVICTED_REMOVED, 1, "a=two");
    mtc_cache_set(cache, mtc_str("a"), mtc_str("three"), &kept);
    mtc_cache_expire(cache, mtc_str("a"));
    expect_told(&heard, MTC_EVICTED_EXPIRED, 1, "a=three");
    for (unsigned i = 0; i < 300; i++)
        mtc_cache_set(cache, key_of(i, text), mtc_str("v"), &kept);
    expect_told(&heard, MTC_EVICTED_SIZE, 100, NULL);
    mtc_cache_close(&cache);
    assert_int_equal(atomic_load(&heard.refused), 0);
}

/* -- limits ------------------------------------------------------------- */

static uint32_t weigh_size(void *ctx, mtc_slice key, mtc_slice value)
{
    (void)ctx;
    (void)key;
    return (uint32_t)value.size;
}

static void the_weight_of_what_is_kept_is_limited(void **state)
{
    (void)state;
    char text[24];
    static char bytes[2000];
    mtc_item items[2] = {{.key = mtc_str("x"), .bytes = mtc_bytes(bytes, 600)},
                         {.key = mtc_str("y"), .bytes = mtc_bytes(bytes, 600)}};
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    options.weigh = weigh_size;
    mtc_cache *cache = open_with(options, "memory?weight=1000&size=1MiB");
    for (unsigned i = 0; i < 100; i++)
        mtc_cache_set(cache, key_of(i, text), mtc_bytes(bytes, 100), &kept);
    assert_int_equal(usage_of(cache).entries, 10);
    assert_int_equal(mtc_cache_set(cache, mtc_str("heavy"),
                                   mtc_bytes(bytes, 2000), &kept),
                     MTC_PARTIAL);
    assert_int_equal(mtc_cache_set_many(cache, items, 2, &kept), MTC_OK);
    assert_true(usage_of(cache).entries <= 5);
    mtc_cache_close(&cache);
}

static void a_budget_can_be_changed_while_it_is_used(void **state)
{
    (void)state;
    char text[24];
    static char bytes[1000];
    mtc_cache *cache = open_cache("memory?size=8MiB");
    for (unsigned i = 0; i < 20000; i++)
        mtc_cache_set(cache, key_of(i, text), mtc_bytes(bytes, 1000), &kept);
    uint64_t full = usage_of(cache).entries;
    assert_int_equal(mtc_cache_resize(cache, 0, 2 << 20), MTC_OK);
    assert_true(usage_of(cache).bytes <= 2 << 20);
    assert_true(usage_of(cache).entries < full / 3);
    assert_int_equal(mtc_cache_resize(cache, 0, 16 << 20), MTC_OK);
    for (unsigned i = 0; i < 40000; i++)
        mtc_cache_set(cache, key_of(i, text), mtc_bytes(bytes, 1000), &kept);
    assert_true(usage_of(cache).entries > full * 3 / 2);
    assert_int_equal(mtc_cache_resize(cache, 0, UINT64_C(1) << 50),
                     MTC_E_TOO_LARGE);
    assert_int_equal(mtc_cache_resize(cache, 0, 1), MTC_E_INVALID);
    assert_int_equal(mtc_cache_resize(cache, 1, 1 << 20), MTC_E_INVALID);
    mtc_cache_close(&cache);
}

static void a_value_can_be_read_into_a_buffer(void **state)
{
    (void)state;
    char buffer[8];
    size_t size = 99;
    mtc_cache *cache = open_cache("memory");
    mtc_cache_set(cache, mtc_str("a"), mtc_str("12345678"), &kept);
    assert_int_equal(mtc_cache_read(cache, mtc_str("a"), buffer, 8, &size),
                     MTC_OK);
    assert_int_equal(size, 8);
    assert_memory_equal(buffer, "12345678", 8);
    assert_int_equal(mtc_cache_read(cache, mtc_str("a"), buffer, 7, &size),
                     MTC_E_TOO_LARGE);
    assert_int_equal(size, 8);
    assert_int_equal(mtc_cache_read(cache, mtc_str("b"), buffer, 8, &size),
                     MTC_MISS);
    assert_int_equal(size, 0);
    mtc_cache_close(&cache);
}

/* -- who stays ---------------------------------------------------------- */

/* A request: a get, on a miss a set. True: a hit. */
static bool ask(mtc_cache *cache, uint64_t number)
{
    char text[24];
    mtc_value value;
    mtc_slice key = key_of(number, text);
    if (mtc_cache_get(cache, key, &value) == MTC_OK) {
        mtc_value_free(&value);
        return true;
    }
    mtc_cache_set(cache, key, mtc_str("v"), &kept);
    return false;
}

#ifdef __SANITIZE_THREAD__
#define SCAN 100000u
#else
#define SCAN 1000000u
#endif

static void a_hot_set_survives_a_scan(void **state)
{
    (void)state;
    unsigned hits = 0;
    mtc_cache *cache = open_cache("memory?entries=2000");
    for (unsigned i = 0; i < 20000; i++)
        ask(cache, i % 1000);
    for (unsigned i = 0; i < SCAN; i++) {
        ask(cache, 1000000 + i);
        hits += ask(cache, i * 7919 % 1000);
    }
    print_message("hits of the hot set: %.4f\n", (double)hits / SCAN);
    assert_true(hits > SCAN / 100 * 95);
    mtc_cache_close(&cache);
}

static void a_shift_is_relearned_within_five_sizes(void **state)
{
    (void)state;
    unsigned hits = 0;
    mtc_cache *cache = open_cache("memory?entries=2000");
    for (unsigned i = 0; i < 100000; i++)
        ask(cache, i * 7919 % 1500);
    for (unsigned i = 0; i < 10000; i++)
        ask(cache, 50000 + i * 7919 % 1500);
    for (unsigned i = 0; i < 10000; i++)
        hits += ask(cache, 50000 + i * 7919 % 1500);
    print_message("hits after the shift: %.4f\n", hits / 10000.0);
    assert_true(hits > 9500);
    mtc_cache_close(&cache);
}

/* -- storms ------------------------------------------------------------- */

#define KEYS    40u
#define HELD    100u
#define READERS 3u

static atomic_bool is_over;

/* A value tells its key, its length and its checksum. */
static size_t compose(unsigned char *bytes, uint32_t key, uint32_t size)
{
    uint32_t sum = key * 31 + size;
    memcpy(bytes, &key, 4);
    memcpy(bytes + 4, &size, 4);
    for (uint32_t i = 12; i < size; i++) {
        bytes[i] = (unsigned char)(key + i);
        sum = sum * 31 + bytes[i];
    }
    memcpy(bytes + 8, &sum, 4);
    return size;
}

static bool is_whole(const mtc_value *value, uint32_t key)
{
    uint32_t head[3];
    const unsigned char *bytes = value->data;
    if (value->size < 12)
        return false;
    memcpy(head, bytes, 12);
    uint32_t sum = head[0] * 31 + head[1];
    for (size_t i = 12; i < value->size; i++)
        sum = sum * 31 + bytes[i];
    return head[0] == key && head[1] == value->size && head[2] == sum;
}

static void *write_storm(void *ctx)
{
    static _Thread_local unsigned char bytes[5000];
    mtc_cache *cache = ctx;
    char text[24];
    static const mtc_strategy brief = MTC_STRATEGY_INIT(2);
    for (uint32_t i = 0; !atomic_load(&is_over); i++) {
        uint32_t key = i * 7 % KEYS;
        uint32_t size = 12 + i * 37 % 4900;
        mtc_slice value = mtc_bytes(bytes, compose(bytes, key, size));
        if (i % 11 == 0)
            mtc_cache_remove(cache, key_of(key, text));
        else
            mtc_cache_set(cache, key_of(key, text), value,
                          i % 3 ? &kept : &brief);
    }
    return NULL;
}

static void *read_storm(void *ctx)
{
    mtc_cache *cache = ctx;
    char text[24];
    static _Thread_local mtc_value held[HELD];
    static _Thread_local uint32_t keys[HELD];
    uintptr_t torn = 0;
    for (uint32_t i = 0; !atomic_load(&is_over); i++) {
        uint32_t at = i % HELD;
        if (held[at].data && !is_whole(&held[at], keys[at]))
            torn++;
        mtc_value_free(&held[at]);
        keys[at] = i * 13 % KEYS;
        if (mtc_cache_get(cache, key_of(keys[at], text), &held[at]) == MTC_OK &&
            !is_whole(&held[at], keys[at]))
            torn++;
        if (i % 17 == 0 && mtc_value_detach(&held[at]) != MTC_OK)
            torn++;
    }
    for (uint32_t at = 0; at < HELD; at++)
        mtc_value_free(&held[at]);
    return (void *)torn;
}

static void values_stay_whole_in_a_storm(void **state)
{
    (void)state;
    const char *rounds = getenv("MTC_TEST_ROUNDS");
    int left = rounds ? atoi(rounds) : 2;
    for (; left > 0; left--) {
        pthread_t threads[READERS + 2];
        mtc_cache *cache = open_cache("memory?size=128KiB");
        atomic_store(&is_over, false);
        for (unsigned i = 0; i < READERS + 2; i++)
            pthread_create(&threads[i], NULL, i < 2 ? write_storm : read_storm,
                           cache);
        struct timespec nap = {0, 300000000};
        nanosleep(&nap, NULL);
        atomic_store(&is_over, true);
        for (unsigned i = 0; i < READERS + 2; i++) {
            void *torn;
            pthread_join(threads[i], &torn);
            assert_null(torn);
        }
        assert_true(usage_of(cache).bytes <= 128 << 10);
        mtc_cache_close(&cache);
    }
}

static void a_pin_keeps_one_entry(void **state)
{
    (void)state;
    static unsigned char bytes[1000];
    char text[24];
    mtc_value held;
    mtc_cache *cache = open_cache("memory?size=256KiB");
    compose(bytes, 7, 1000);
    mtc_cache_set(cache, key_of(7, text), mtc_bytes(bytes, 1000), &kept);
    assert_int_equal(mtc_cache_get(cache, key_of(7, text), &held), MTC_OK);
    uint64_t entries = 0;
    for (uint32_t i = 0; i < 5000; i++) {
        mtc_slice value = mtc_bytes(bytes, compose(bytes, i % 300, 1000));
        assert_int_equal(mtc_cache_set(cache, key_of(i % 300, text), value,
                                       &kept),
                         MTC_OK);
        entries = usage_of(cache).entries;
    }
    assert_true(entries > 130);
    assert_true(is_whole(&held, 7));
    mtc_cache_close(&cache);
    assert_true(is_whole(&held, 7));
    mtc_value_free(&held);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_listener_is_told_each_cause_without_a_lock),
        cmocka_unit_test(the_weight_of_what_is_kept_is_limited),
        cmocka_unit_test(a_budget_can_be_changed_while_it_is_used),
        cmocka_unit_test(a_value_can_be_read_into_a_buffer),
        cmocka_unit_test(a_hot_set_survives_a_scan),
        cmocka_unit_test(a_shift_is_relearned_within_five_sizes),
        cmocka_unit_test(values_stay_whole_in_a_storm),
        cmocka_unit_test(a_pin_keeps_one_entry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
