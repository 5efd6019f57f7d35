/*
 * The memory tier's own promises: the budget, values that are held, the end
 * of lives, and storms on few keys. labels: quick unit
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

#include "base/hash.h"
#include "mtc/tier.h"

#define SEED      99u
#define KEY_COUNT 512

static mtc_tier *open_tier(const char *url)
{
    mtc_tier_config config = MTC_TIER_CONFIG_INIT;
    mtc_error error = {0};
    mtc_status status = mtc_tier_open(url, &error, &config);
    if (status != MTC_OK)
        print_message("%s\n", error.text);
    assert_int_equal(status, MTC_OK);
    return config.tier;
}

static mtc_slice key_text(unsigned number, char text[16])
{
    snprintf(text, 16, "key%u", number);
    return mtc_str(text);
}

static void ignore_done(mtc_request *request)
{
    (void)request;
}

static mtc_request request_for(mtc_slice key, int64_t now_ms)
{
    return (mtc_request){
        .key = key,
        .hash = mtci_hash(key, SEED),
        .facts = {.left_ms = 60000, .ttl_ms = 60000},
        .sent_ms = now_ms,
        .deadline_ms = now_ms + 1000,
        .done = ignore_done,
    };
}

static mtc_status submit(mtc_tier *tier, mtc_verb verb, mtc_request *request)
{
    mtc_request *one = request;
    tier->ops->submit(tier, verb, &one, 1);
    assert_true(mtc_request_is_complete(request));
    return request->status;
}

static mtc_status store(mtc_tier *tier, mtc_slice key, mtc_slice bytes,
                        int64_t now_ms, int64_t life_ms)
{
    mtc_request request = request_for(key, now_ms);
    request.value = mtc_value_borrow(bytes);
    request.facts.left_ms = life_ms;
    request.facts.ttl_ms = life_ms;
    return submit(tier, MTC_VERB_STORE, &request);
}

static mtc_status find(mtc_tier *tier, mtc_slice key, int64_t now_ms,
                       mtc_value *value)
{
    *value = (mtc_value){0};
    return tier->ops->find(tier, key, mtci_hash(key, SEED), now_ms, value);
}

static mtc_status look(mtc_tier *tier, mtc_slice key, int64_t now_ms)
{
    mtc_value value;
    mtc_status status = find(tier, key, now_ms, &value);
    mtc_value_free(&value);
    return status;
}

static mtc_tier_usage usage_of(mtc_tier *tier)
{
    mtc_tier_usage usage;
    tier->ops->usage(tier, &usage);
    return usage;
}

/* A random number from a seed that is printed, so that a run can be had
 * again: MTC_TEST_SEED=N. */
static uint64_t seed_for(const char *test)
{
    const char *text = getenv("MTC_TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : mtci_seed();
    print_message("%s: MTC_TEST_SEED=%llu\n", test, (unsigned long long)seed);
    return seed | 1;
}

static uint32_t draw(uint64_t *seed, uint32_t below)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return (uint32_t)((*seed >> 24) % below);
}

static void the_budget_holds_under_random_sizes(void **state)
{
    static const char *const urls[] = {"memory?size=64KiB", "memory?size=1MiB",
                                       "memory?size=3MiB"};
    static char bytes[300000];
    char text[16];
    uint64_t seed = seed_for(__func__);
    (void)state;
    for (size_t u = 0; u < sizeof(urls) / sizeof(urls[0]); u++) {
        mtc_tier *tier = open_tier(urls[u]);
        for (int i = 0; i < 4000; i++) {
            size_t size = draw(&seed, 100) == 0 ? draw(&seed, sizeof(bytes))
                                                : draw(&seed, 4000);
            mtc_slice key = key_text(draw(&seed, 5000), text);
            store(tier, key, mtc_bytes(bytes, size), 0, 60000);
            mtc_tier_usage usage = usage_of(tier);
            assert_true(usage.bytes <= usage.bytes_max);
        }
        assert_true(usage_of(tier).entries > 0);
        assert_true(usage_of(tier).evicted_size > 0);
        tier->ops->close(tier);
    }
}

static void many_small_entries_fill_the_budget(void **state)
{
    (void)state;
    char text[16];
    mtc_tier *tier = open_tier("memory?size=8MiB");
    for (unsigned i = 0; i < 200000; i++) {
        store(tier, key_text(i, text), mtc_str("v"), 0, 60000);
        if (i % 97 == 0)
            assert_true(usage_of(tier).bytes <= usage_of(tier).bytes_max);
    }
    mtc_tier_usage usage = usage_of(tier);
    assert_true(usage.bytes > usage.bytes_max / 10 * 9);
    assert_int_equal(usage.entries + usage.evicted_size, 200000);
    tier->ops->close(tier);
}

static void a_value_that_can_never_fit_is_gone_and_evicts_nothing(void **state)
{
    (void)state;
    char text[16];
    char *large = calloc(1, 300000);
    assert_non_null(large);
    mtc_tier *tier = open_tier("memory?size=256KiB");
    for (unsigned i = 0; i < 10; i++)
        store(tier, key_text(i, text), mtc_str("small"), 0, 60000);
    mtc_slice key = key_text(3, text);
    assert_int_equal(store(tier, key, mtc_bytes(large, 300000), 0, 60000),
                     MTC_PARTIAL);
    assert_int_equal(look(tier, key, 0), MTC_MISS);
    assert_int_equal(usage_of(tier).entries, 9);
    assert_int_equal(store(tier, key, mtc_bytes(large, 200000), 0, 60000),
                     MTC_OK);
    assert_int_equal(look(tier, key, 0), MTC_OK);
    tier->ops->close(tier);
    free(large);
}

static void held_values_count_until_they_are_given_back(void **state)
{
    (void)state;
    char text[16];
    static char bytes[40000];
    mtc_value held;
    mtc_tier *tier = open_tier("memory?size=64KiB");
    memset(bytes, 'h', sizeof(bytes));
    mtc_slice key = key_text(1, text);
    store(tier, key, mtc_bytes(bytes, sizeof(bytes)), 0, 60000);
    assert_int_equal(find(tier, key, 0, &held), MTC_OK);
    mtc_request remove = request_for(key, 0);
    submit(tier, MTC_VERB_REMOVE, &remove);
    assert_int_equal(usage_of(tier).entries, 0);
    assert_true(usage_of(tier).bytes > sizeof(bytes));
    assert_int_equal(store(tier, key, mtc_bytes(bytes, sizeof(bytes)), 0,
                           60000),
                     MTC_PARTIAL);
    assert_memory_equal(held.data, bytes, sizeof(bytes));
    mtc_value_free(&held);
    assert_int_equal(store(tier, key, mtc_bytes(bytes, sizeof(bytes)), 0,
                           60000),
                     MTC_OK);
    tier->ops->close(tier);
}

static void held_values_survive_eviction_replacement_and_close(void **state)
{
    (void)state;
    static char filler[128 * 1024];
    size_t size = sizeof(filler);
    mtc_value evicted, replaced, removed, shared;
    mtc_tier *tier = open_tier("memory?size=128KiB");
    store(tier, mtc_str("evicted"), mtc_str("one"), 0, 60000);
    store(tier, mtc_str("replaced"), mtc_str("two"), 0, 60000);
    store(tier, mtc_str("removed"), mtc_str("three"), 0, 60000);
    find(tier, mtc_str("evicted"), 0, &evicted);
    find(tier, mtc_str("replaced"), 0, &replaced);
    find(tier, mtc_str("removed"), 0, &removed);
    store(tier, mtc_str("replaced"), mtc_str("newer"), 0, 60000);
    mtc_request remove = request_for(mtc_str("removed"), 0);
    submit(tier, MTC_VERB_REMOVE, &remove);
    /* The largest value that there is room for drives out all else. */
    while (store(tier, mtc_str("large"), mtc_bytes(filler, size), 0, 60000) !=
           MTC_OK)
        size -= 512;
    assert_int_equal(look(tier, mtc_str("evicted"), 0), MTC_MISS);
    assert_int_equal(mtc_value_share(&evicted, &shared), MTC_OK);
    tier->ops->close(tier);
    assert_memory_equal(evicted.data, "one", 3);
    assert_memory_equal(replaced.data, "two", 3);
    assert_memory_equal(removed.data, "three", 5);
    mtc_value_free(&evicted);
    mtc_value_free(&replaced);
    mtc_value_free(&removed);
    assert_memory_equal(shared.data, "one", 3);
    mtc_value_free(&shared);
}

static void a_hit_copies_nothing(void **state)
{
    (void)state;
    mtc_value first, second;
    mtc_tier *tier = open_tier("memory");
    store(tier, mtc_str("a"), mtc_str("value"), 0, 60000);
    find(tier, mtc_str("a"), 0, &first);
    find(tier, mtc_str("a"), 0, &second);
    assert_ptr_equal(first.data, second.data);
    assert_int_equal((uintptr_t)first.data % 8, 0);
    mtc_value_free(&first);
    mtc_value_free(&second);
    tier->ops->close(tier);
}

static void expired_entries_are_reclaimed_by_tend(void **state)
{
    (void)state;
    char text[16];
    mtc_tier *tier = open_tier("memory?size=4MiB");
    for (unsigned i = 0; i < 2000; i++)
        store(tier, key_text(i, text), mtc_str("v"), 1000, i % 2 ? 500 : 900);
    uint64_t full = usage_of(tier).bytes;
    for (int i = 0; i < 4; i++)
        tier->ops->tend(tier, 1600);
    assert_int_equal(usage_of(tier).entries, 1000);
    assert_int_equal(usage_of(tier).evicted_expired, 1000);
    for (int i = 0; i < 4; i++)
        tier->ops->tend(tier, 2000);
    assert_int_equal(usage_of(tier).entries, 0);
    /* Pages stay committed until they are wanted; the entries are free. */
    for (unsigned i = 0; i < 2000; i++)
        store(tier, key_text(i, text), mtc_str("v"), 2000, 60000);
    assert_true(usage_of(tier).bytes <= full);
    tier->ops->close(tier);
}

static void evictions_are_counted_by_cause(void **state)
{
    (void)state;
    mtc_tier *tier = open_tier("memory?entries=2");
    store(tier, mtc_str("a"), mtc_str("1"), 0, 60000);
    store(tier, mtc_str("a"), mtc_str("2"), 0, 60000);
    assert_int_equal(usage_of(tier).evicted_replaced, 1);
    mtc_request remove = request_for(mtc_str("a"), 0);
    submit(tier, MTC_VERB_REMOVE, &remove);
    assert_int_equal(usage_of(tier).evicted_removed, 1);
    store(tier, mtc_str("a"), mtc_str("1"), 0, 100);
    assert_int_equal(look(tier, mtc_str("a"), 100), MTC_MISS);
    tier->ops->tend(tier, 200);
    assert_int_equal(usage_of(tier).evicted_expired, 1);
    store(tier, mtc_str("a"), mtc_str("1"), 0, 60000);
    store(tier, mtc_str("b"), mtc_str("1"), 0, 60000);
    store(tier, mtc_str("c"), mtc_str("1"), 0, 60000);
    assert_int_equal(usage_of(tier).evicted_size, 1);
    assert_int_equal(usage_of(tier).entries, 2);
    tier->ops->close(tier);
}

static void entries_limit_is_never_passed_and_is_reached(void **state)
{
    (void)state;
    char text[16];
    mtc_tier *tier = open_tier("memory?entries=1000");
    for (unsigned i = 0; i < 5000; i++) {
        store(tier, key_text(i, text), mtc_str("v"), 0, 60000);
        assert_true(usage_of(tier).entries <= 1000);
    }
    assert_int_equal(usage_of(tier).entries, 1000);
    for (unsigned i = 4500; i < 5000; i++)
        store(tier, key_text(i, text), mtc_str("again"), 0, 60000);
    assert_true(usage_of(tier).entries >= 999);
    tier->ops->close(tier);
}

static void entries_that_are_asked_for_stay(void **state)
{
    (void)state;
    char text[16];
    unsigned hot = 0;
    mtc_tier *tier = open_tier("memory?entries=1000");
    for (unsigned i = 0; i < 100; i++)
        store(tier, key_text(i, text), mtc_str("hot"), 0, 60000);
    for (unsigned i = 1000; i < 9000; i++) {
        look(tier, key_text(i % 100, text), 0);
        store(tier, key_text(i, text), mtc_str("once"), 0, 60000);
    }
    for (unsigned i = 0; i < 100; i++)
        hot += look(tier, key_text(i, text), 0) == MTC_OK;
    assert_true(hot > 90);
    tier->ops->close(tier);
}

static void a_small_tier_keeps_the_newest_entries(void **state)
{
    (void)state;
    char text[16];
    mtc_tier *tier = open_tier("memory?entries=10&policy=lru");
    for (unsigned i = 0; i < 200; i++)
        store(tier, key_text(i, text), mtc_str("v"), 0, 60000);
    for (unsigned i = 190; i < 200; i++)
        assert_int_equal(look(tier, key_text(i, text), 0), MTC_OK);
    tier->ops->close(tier);
}

static void info_tells_tier_age_and_what_is_left(void **state)
{
    (void)state;
    mtc_tier *tier = open_tier("memory");
    mtc_tier_host host = {.struct_size = sizeof(host), .index = 2};
    mtc_value value;
    mtc_value_info info = MTC_VALUE_INFO_INIT;
    assert_int_equal(tier->ops->attach(tier, &host), MTC_OK);
    mtc_request request = request_for(mtc_str("a"), 5000);
    request.value = mtc_value_borrow(mtc_str("v"));
    request.facts = (mtc_facts){.left_ms = 800,
                                .ttl_ms = 700,
                                .window_ms = 300,
                                .etag = mtc_str("tag")};
    submit(tier, MTC_VERB_STORE, &request);
    assert_int_equal(find(tier, mtc_str("a"), 5000, &value), MTC_OK);
    value.ops->info(&value, 5100, &info);
    assert_int_equal(info.tier, 2);
    assert_int_equal(info.left_ms, 699);
    assert_int_equal(info.age_ms, 300);
    assert_false(info.is_stale);
    assert_int_equal(info.etag.size, 3);
    value.ops->info(&value, 5600, &info);
    assert_true(info.is_stale);
    value.ops->info(&value, 9000, &info);
    assert_int_equal(info.left_ms, 0);
    mtc_value_free(&value);
    tier->ops->close(tier);
}

static void a_negative_entry_is_found_as_absent(void **state)
{
    (void)state;
    mtc_tier *tier = open_tier("memory");
    mtc_value value;
    mtc_request request = request_for(mtc_str("none"), 0);
    request.facts.kind = MTC_KIND_ABSENT;
    submit(tier, MTC_VERB_STORE, &request);
    assert_int_equal(find(tier, mtc_str("none"), 10, &value), MTC_ABSENT);
    assert_int_equal(value.size, 0);
    mtc_value_free(&value);
    assert_int_equal(look(tier, mtc_str("none"), 60000), MTC_MISS);
    tier->ops->close(tier);
}

static void wrong_options_are_refused(void **state)
{
    static const char *const urls[] = {"memory?size=0",    "memory?size=1KiB",
                                       "memory?size=much", "memory?entries=0",
                                       "memory?shards=4",  "memory://host",
                                       "memory:/path"};
    (void)state;
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        mtc_tier_config config = MTC_TIER_CONFIG_INIT;
        mtc_error error = {0};
        assert_int_equal(mtc_tier_open(urls[i], &error, &config),
                         MTC_E_INVALID);
        assert_true(error.text[0] != '\0');
    }
}

/* The trivial reference: what each key was last given. */
typedef struct model {
    bool is_there[KEY_COUNT];
    uint32_t value[KEY_COUNT];
    int64_t end_ms[KEY_COUNT];
} model;

static void model_write(mtc_tier *tier, model *model, unsigned key,
                        uint64_t *seed, int64_t now_ms)
{
    char text[16];
    mtc_slice name = key_text(key, text);
    int64_t life_ms = 2 + draw(seed, 200);
    uint32_t value = draw(seed, UINT32_MAX);
    mtc_slice bytes = mtc_bytes(&value, sizeof(value));
    assert_int_equal(store(tier, name, bytes, now_ms, life_ms), MTC_OK);
    model->is_there[key] = true;
    model->value[key] = value;
    model->end_ms[key] = now_ms + life_ms - 1;
}

static void model_end(mtc_tier *tier, model *model, unsigned key, mtc_verb verb,
                      int64_t now_ms)
{
    char text[16];
    mtc_request request = request_for(key_text(key, text), now_ms);
    assert_int_equal(submit(tier, verb, &request), MTC_OK);
    model->is_there[key] = false;
}

static void model_read(mtc_tier *tier, const model *model, unsigned key,
                       int64_t now_ms)
{
    char text[16];
    mtc_value value;
    bool is_live = model->is_there[key] && now_ms < model->end_ms[key];
    mtc_status status = find(tier, key_text(key, text), now_ms, &value);
    assert_int_equal(status, is_live ? MTC_OK : MTC_MISS);
    if (is_live)
        assert_memory_equal(value.data, &model->value[key], sizeof(uint32_t));
    mtc_value_free(&value);
}

static void random_operations_agree_with_a_trivial_reference(void **state)
{
    static model model;
    int64_t now_ms = 1000;
    uint64_t seed = seed_for(__func__);
    mtc_tier *tier = open_tier("memory?size=16MiB");
    (void)state;
    for (int i = 0; i < 60000; i++) {
        unsigned key = draw(&seed, KEY_COUNT);
        uint32_t what = draw(&seed, 100);
        if (what < 40)
            model_write(tier, &model, key, &seed, now_ms);
        else if (what < 85)
            model_read(tier, &model, key, now_ms);
        else if (what < 90)
            model_end(tier, &model, key, MTC_VERB_REMOVE, now_ms);
        else if (what < 95)
            model_end(tier, &model, key, MTC_VERB_EXPIRE, now_ms);
        else if (what < 99)
            now_ms += draw(&seed, 20);
        else
            tier->ops->tend(tier, now_ms);
    }
    assert_int_equal(usage_of(tier).evicted_size, 0);
    tier->ops->close(tier);
}

typedef struct storm {
    mtc_tier *tier;
    _Atomic uint32_t wrong;
    _Atomic uint32_t over_budget;
    _Atomic bool is_over;
} storm;

#define STORM_WORDS 64

static void storm_write(storm *storm, uint64_t key, uint64_t number)
{
    char text[16];
    uint64_t words[STORM_WORDS];
    size_t count = 2 + number % (STORM_WORDS - 2);
    for (size_t i = 1; i < count; i++)
        words[i] = number * 31 + key + i;
    words[0] = mtci_hash(mtc_bytes(words + 1, (count - 1) * 8), key);
    store(storm->tier, key_text((unsigned)key, text),
          mtc_bytes(words, count * 8), 0, 60000);
}

static void storm_read(storm *storm, uint64_t key)
{
    char text[16];
    mtc_value value;
    uint64_t checksum;
    if (find(storm->tier, key_text((unsigned)key, text), 0, &value) != MTC_OK)
        return;
    memcpy(&checksum, value.data, 8);
    mtc_slice rest = mtc_bytes((const char *)value.data + 8, value.size - 8);
    if (checksum != mtci_hash(rest, key))
        atomic_fetch_add(&storm->wrong, 1);
    mtc_value_free(&value);
}

static void *storm_thread(void *ctx)
{
    storm *storm = ctx;
    for (uint64_t i = 0; i < 4000; i++) {
        char text[16];
        storm_read(storm, i % 2);
        if (i % 3 == 0)
            storm_write(storm, i % 2, i);
        if (i % 17 == 0) {
            mtc_request remove =
                request_for(key_text((unsigned)(i % 2), text), 0);
            mtc_request *one = &remove;
            storm->tier->ops->submit(storm->tier, MTC_VERB_REMOVE, &one, 1);
        }
        storm_write(storm, 100 + i % 300, i);
        mtc_tier_usage usage = usage_of(storm->tier);
        if (usage.bytes > usage.bytes_max || usage.entries > 200)
            atomic_fetch_add(&storm->over_budget, 1);
    }
    return NULL;
}

static void *storm_tend(void *ctx)
{
    storm *storm = ctx;
    while (!atomic_load(&storm->is_over))
        storm->tier->ops->tend(storm->tier, 0);
    return NULL;
}

static void a_storm_on_two_keys_tears_nothing(void **state)
{
    (void)state;
    storm storm = {.tier = open_tier("memory?size=2MiB&entries=200")};
    pthread_t threads[4], tender;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, storm_thread,
                                        &storm),
                         0);
    assert_int_equal(pthread_create(&tender, NULL, storm_tend, &storm), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&storm.is_over, true);
    pthread_join(tender, NULL);
    assert_int_equal(storm.wrong, 0);
    assert_int_equal(storm.over_budget, 0);
    storm.tier->ops->close(storm.tier);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_budget_holds_under_random_sizes),
        cmocka_unit_test(many_small_entries_fill_the_budget),
        cmocka_unit_test(a_value_that_can_never_fit_is_gone_and_evicts_nothing),
        cmocka_unit_test(held_values_count_until_they_are_given_back),
        cmocka_unit_test(held_values_survive_eviction_replacement_and_close),
        cmocka_unit_test(a_hit_copies_nothing),
        cmocka_unit_test(expired_entries_are_reclaimed_by_tend),
        cmocka_unit_test(evictions_are_counted_by_cause),
        cmocka_unit_test(entries_limit_is_never_passed_and_is_reached),
        cmocka_unit_test(entries_that_are_asked_for_stay),
        cmocka_unit_test(a_small_tier_keeps_the_newest_entries),
        cmocka_unit_test(info_tells_tier_age_and_what_is_left),
        cmocka_unit_test(a_negative_entry_is_found_as_absent),
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(random_operations_agree_with_a_trivial_reference),
        cmocka_unit_test(a_storm_on_two_keys_tears_nothing),
    };
    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
