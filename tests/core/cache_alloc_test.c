/*
 * Allocation sweep: the n-th allocation of each public call fails, alone or
 * with all that follow, for n = 1, 2, … until the call needs no more. No
 * wrong value, no leak (under asan), and the cache works afterwards.
 *
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mtc/key.h"
#include "mtc/memoize.h"
#include "support/chain_rig.h"
#include "support/failing_alloc.h"

/* -- what a call did ---------------------------------------------------- */

static mtct_rig rig;
static mtc_value value;
static mtc_item items[3];

/* What may be under "k" after a call, "old" having been there before. */
typedef enum { OLD, NOT_OLD, EITHER } legacy;

typedef struct scenario {
    const char *name;
    mtc_status (*call)(void);
    legacy (*check)(mtc_status status);
} scenario;

static void assert_value(const mtc_value *got, const char *text)
{
    assert_int_equal(got->size, strlen(text));
    assert_memory_equal(got->data, text, got->size);
}

/* A key that a call may not touch still has its value, or an error. */
static void assert_no_other(const char *key, const char *text)
{
    mtc_value got;
    if (mtc_cache_get(rig.cache, mtc_str(key), &got) == MTC_OK)
        assert_value(&got, text);
    mtc_value_free(&got);
}

static void check_legacy(legacy expected)
{
    mtc_value got;
    mtc_status status = mtc_cache_get(rig.cache, mtc_str("k"), &got);
    bool is_old =
        status == MTC_OK && got.size == 3 && memcmp(got.data, "old", 3) == 0;
    if (expected != EITHER)
        assert_int_equal(is_old, expected == OLD);
    mtc_value_free(&got);
}

/* -- the calls ---------------------------------------------------------- */

static mtc_status call_hit(void)
{
    return mtc_cache_get(rig.cache, mtc_str("k"), &value);
}

static legacy check_hit(mtc_status status)
{
    assert_int_equal(status, MTC_OK);
    assert_value(&value, "old");
    return OLD;
}

static mtc_status call_hit_below(void)
{
    return mtc_cache_get(rig.cache, mtc_str("below"), &value);
}

static legacy check_hit_below(mtc_status status)
{
    if (status == MTC_OK)
        assert_value(&value, "b");
    else
        assert_int_equal(status, MTC_E_NO_MEMORY);
    return OLD;
}

static mtc_status call_miss(void)
{
    return mtc_cache_get(rig.cache, mtc_str("nowhere"), &value);
}

static legacy check_miss(mtc_status status)
{
    assert_true(status == MTC_MISS || status == MTC_E_NO_MEMORY);
    assert_null(value.data);
    return OLD;
}

static mtc_status call_set(void)
{
    return mtc_cache_set(rig.cache, mtc_str("k"), mtc_str("new"), NULL);
}

static legacy check_write(mtc_status status)
{
    if (status == MTC_E_NO_MEMORY)
        return OLD;
    if (status == MTC_E_BUSY)
        return EITHER;
    assert_true(status == MTC_OK || status == MTC_PARTIAL ||
                status == MTC_PENDING);
    return NOT_OLD;
}

static mtc_status call_remove(void)
{
    return mtc_cache_remove(rig.cache, mtc_str("k"));
}

static mtc_status call_expire(void)
{
    return mtc_cache_expire(rig.cache, mtc_str("k"));
}

static mtc_status load_new(mtc_load *load, void *ctx)
{
    (void)ctx;
    return mtc_load_set_value(load, mtc_str("loaded"));
}

static mtc_status call_load(void)
{
    return mtc_cache_get_or_load(rig.cache, mtc_str("nowhere"), NULL, load_new,
                                 NULL, &value);
}

static legacy check_load(mtc_status status)
{
    if (status == MTC_OK)
        assert_value(&value, "loaded");
    else
        assert_int_equal(status, MTC_E_NO_MEMORY);
    assert_no_other("nowhere", "loaded");
    return OLD;
}

static mtc_status call_get_many(void)
{
    return mtc_cache_get_many(rig.cache, items, 3);
}

static legacy check_get_many(mtc_status status)
{
    const char *const texts[] = {"old", "b", NULL};
    assert_true(status == MTC_PARTIAL || status == MTC_E_NO_MEMORY);
    for (int i = 0; i < 3; i++) {
        if (items[i].status == MTC_OK)
            assert_value(&items[i].value, texts[i]);
        else if (items[i].status != MTC_E_NO_MEMORY)
            assert_true(items[i].status == MTC_MISS && i == 2);
        mtc_value_free(&items[i].value);
    }
    return OLD;
}

static mtc_status call_set_many(void)
{
    return mtc_cache_set_many(rig.cache, items, 3, NULL);
}

static legacy check_write_many(mtc_status status)
{
    if (status == MTC_E_NO_MEMORY)
        return OLD;
    assert_true(status == MTC_OK || status == MTC_PARTIAL);
    return check_write(items[0].status);
}

static mtc_status call_remove_many(void)
{
    return mtc_cache_remove_many(rig.cache, items, 3);
}

static mtc_status call_stats(void)
{
    mtc_stats stats = {.struct_size = sizeof(stats)};
    mtc_health health = {.struct_size = sizeof(health)};
    assert_int_equal(mtc_cache_stats(rig.cache, &stats), MTC_OK);
    return mtc_cache_health(rig.cache, &health);
}

static mtc_status call_ping(void)
{
    mtc_health health = {.struct_size = sizeof(health)};
    return mtc_cache_ping(rig.cache, &health);
}

static legacy check_done(mtc_status status)
{
    assert_int_equal(status, MTC_OK);
    return OLD;
}

static mtc_status write_twice(const mtc_slice *arguments, size_t count,
                              void *ctx, mtc_writer *result)
{
    (void)ctx;
    (void)count;
    mtc_writer_add(result, arguments[0]);
    return mtc_writer_add(result, arguments[0]);
}

static mtc_status call_memoize(void)
{
    static char big[MTC_KEY_INLINE_SIZE];
    const mtc_function twice = MTC_FUNCTION_INIT("f", write_twice, NULL, NULL);
    const mtc_slice arguments[] = {mtc_str("ab"), mtc_bytes(big, sizeof(big))};
    return mtc_memoize(rig.cache, &twice, arguments, 2, &value);
}

/* Its key is too long for the tier below, which holds 64 bytes. */
static legacy check_memoize(mtc_status status)
{
    if (status == MTC_OK)
        assert_value(&value, "abab");
    else
        assert_int_equal(status, MTC_E_NO_MEMORY);
    return OLD;
}

static mtc_status encode_text(const void *object, void *ctx, mtc_writer *writer)
{
    (void)ctx;
    return mtc_writer_add(writer, mtc_str(object));
}

static mtc_status decode_text(mtc_slice bytes, void *ctx, void *object)
{
    (void)ctx;
    *(char **)object = strndup(bytes.data, bytes.size);
    return *(char **)object ? MTC_OK : MTC_E_NO_MEMORY;
}

static mtc_status call_set_object(void)
{
    const mtc_codec codec =
        MTC_CODEC_INIT(encode_text, decode_text, NULL, NULL);
    return mtc_cache_set_object(rig.cache, mtc_str("k"), &codec, "new", NULL);
}

static const scenario scenarios[] = {
    {"get, hit in memory", call_hit, check_hit},
    {"get, hit below", call_hit_below, check_hit_below},
    {"get, miss", call_miss, check_miss},
    {"set", call_set, check_write},
    {"remove", call_remove, check_write},
    {"expire", call_expire, check_write},
    {"get_or_load", call_load, check_load},
    {"get_many", call_get_many, check_get_many},
    {"set_many", call_set_many, check_write_many},
    {"remove_many", call_remove_many, check_write_many},
    {"stats and health", call_stats, check_done},
    {"ping", call_ping, check_done},
    {"memoize", call_memoize, check_memoize},
    {"set_object", call_set_object, check_write},
};

/* -- the sweep ---------------------------------------------------------- */

static void prepare(void)
{
    mtct_rig_init(&rig, 1);
    mtct_rig_open(&rig);
    assert_int_equal(mtc_cache_set(rig.cache, mtc_str("k"), mtc_str("old"),
                                   NULL),
                     MTC_OK);
    mtct_script_put(rig.below[0], "below", "b", MTC_TTL_MS_MAX);
    memset(items, 0, sizeof(items));
    const char *const keys[] = {"k", "below", "nowhere"};
    for (int i = 0; i < 3; i++) {
        items[i].key = mtc_str(keys[i]);
        items[i].bytes = mtc_str("new");
    }
}

/* Whatever failed, the cache works on as if nothing had been. */
static void assert_usable(void)
{
    mtct_rig_wait_paid(&rig, 1);
    assert_int_equal(mtc_cache_set(rig.cache, mtc_str("after"), mtc_str("v"),
                                   NULL),
                     MTC_OK);
    mtct_assert_get(rig.cache, "after", "v");
    assert_int_equal(mtct_rig_get_below(&rig, "after"), MTC_OK);
    assert_int_equal(mtct_rig_stats(&rig).in_flight, 0);
}

/* Runs a call whose n-th allocation fails; false when it had fewer. */
static bool sweep_once(const scenario *scenario, long n, bool goes_on)
{
    prepare();
    mtct_alloc_arm(n, goes_on);
    mtc_status status = scenario->call();
    bool was_hit = mtct_alloc_disarm();
    check_legacy(scenario->check(status));
    mtc_value_free(&value);
    assert_usable();
    mtct_rig_fini(&rig);
    return was_hit;
}

static void no_failed_allocation_makes_a_wrong_value(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(*scenarios); i++) {
        for (int mode = 0; mode < 2; mode++) {
            long n = 1;
            while (sweep_once(&scenarios[i], n, mode == 1))
                n++;
            assert_true(n < 100);
            if (i == 0)
                assert_int_equal(n, 1); /* a hit allocates nothing */
        }
    }
}

/* Opens a cache while the n-th allocation fails; false when none did. */
static bool open_once(long n, bool goes_on)
{
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    mtc_cache *cache;
    mtc_error error;
    options.tiers = "memory noop: memory?size=1MiB";
    mtct_alloc_arm(n, goes_on);
    mtc_status status = mtc_cache_open(&options, &error, &cache);
    bool has_failed = mtct_alloc_disarm();
    assert_int_equal(status, has_failed ? MTC_E_NO_MEMORY : MTC_OK);
    assert_int_equal(error.status, status);
    if (cache)
        assert_int_equal(mtc_cache_close(&cache), MTC_OK);
    return has_failed;
}

static void a_bulk_get_that_cannot_go_on_says_so(void **state)
{
    (void)state;
    prepare();
    mtct_alloc_arm(1, true);
    mtc_status status = mtc_cache_get_many(rig.cache, items, 3);
    mtct_alloc_disarm();
    /* What memory has needs no memory. */
    assert_int_equal(status, MTC_PARTIAL);
    size_t refused = 0;
    for (int i = 0; i < 3; i++) {
        refused += items[i].status == MTC_E_NO_MEMORY;
        mtc_value_free(&items[i].value);
    }
    assert_true(refused > 0);
    mtct_rig_fini(&rig);
}

static void a_cache_that_cannot_open_leaves_nothing(void **state)
{
    (void)state;
    for (int mode = 0; mode < 2; mode++) {
        long n = 1;
        while (open_once(n, mode == 1))
            n++;
        assert_true(n > 10);
    }
}

static void closing_needs_no_memory(void **state)
{
    (void)state;
    prepare();
    mtct_alloc_arm(1, true);
    assert_int_equal(mtc_cache_close(&rig.cache), MTC_OK);
    assert_false(mtct_alloc_disarm());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_failed_allocation_makes_a_wrong_value),
        cmocka_unit_test(a_bulk_get_that_cannot_go_on_says_so),
        cmocka_unit_test(a_cache_that_cannot_open_leaves_nothing),
        cmocka_unit_test(closing_needs_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
