/*
 * labels: quick server
 *
 * Values in a real Redis: plain, framed, compressed, checked; and what others
 * put there instead.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/compress.h"
#include "support/frame_rig.h"
#include "support/redis_pair.h"
#include "support/redis_rig.h"
#include "support/tier_call.h"

#define VALUE_SIZE_MAX 60000
#define ROUNDS         3000

static redis_pair pair;

static int start(void **state)
{
    (void)state;
    if (test_server_installed(TEST_REDIS))
        redis_pair_start(&pair, NULL, "");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    redis_pair_stop(&pair);
    return 0;
}

static bool is_framed(mtc_slice key)
{
    mtc_value stored = redis_pair_take(&pair, key);
    bool is_frame = mtc_frame_is(mtc_value_slice(&stored));
    mtc_value_free(&stored);
    return is_frame;
}

static size_t stored_size(mtc_slice key)
{
    mtc_value stored = redis_pair_take(&pair, key);
    size_t size = stored.size;
    mtc_value_free(&stored);
    return size;
}

/* -- compression ---------------------------------------------------------- */

static const char *some_method(void)
{
    if (mtci_compress_has(MTC_COMPRESSION_LZ4))
        return "?compress=lz4";
    if (mtci_compress_has(MTC_COMPRESSION_ZSTD))
        return "?compress=zstd";
    print_message("no compression in this build\n");
    skip();
    return NULL;
}

static void compresses(const char *params)
{
    static char bytes[VALUE_SIZE_MAX];
    mtc_slice key = mtc_str("large");
    mtc_slice value = mtc_bytes(bytes, sizeof bytes);
    mtc_tier *tier = redis_pair_tier(&pair, params);
    frame_rig_text(bytes, sizeof bytes);
    assert_int_equal(redis_pair_store(tier, key, value, NULL), MTC_OK);
    assert_true(stored_size(key) < sizeof bytes / 10);
    redis_pair_expect(tier, key, value);
    redis_pair_expect(pair.tier, key, value); /* without the parameter */
    /* Half of it noise: still sent by reference. */
    frame_rig_noise(bytes, sizeof bytes / 2, 7);
    assert_int_equal(redis_pair_store(tier, key, value, NULL), MTC_OK);
    assert_in_range(stored_size(key), sizeof bytes / 2, sizeof bytes * 7 / 8);
    redis_pair_expect(pair.tier, key, value);
    frame_rig_noise(bytes, sizeof bytes, 8);
    assert_int_equal(redis_pair_store(tier, key, value, NULL), MTC_OK);
    assert_false(is_framed(key));
    redis_pair_expect(tier, key, value);
    tier->ops->close(tier);
}

static void large_values_are_compressed_where_that_helps(void **state)
{
    (void)state;
    test_server_require(TEST_REDIS);
    some_method();
    if (mtci_compress_has(MTC_COMPRESSION_LZ4))
        compresses("?compress=lz4");
    if (mtci_compress_has(MTC_COMPRESSION_ZSTD))
        compresses("?compress=zstd");
}

static void small_values_stay_plain(void **state)
{
    static char bytes[1024];
    (void)state;
    test_server_require(TEST_REDIS);
    mtc_tier *tier = redis_pair_tier(&pair, some_method());
    mtc_slice key = mtc_str("small");
    frame_rig_text(bytes, sizeof bytes);
    mtc_slice value = mtc_bytes(bytes, sizeof bytes - 1);
    assert_int_equal(redis_pair_store(tier, key, value, NULL), MTC_OK);
    assert_false(is_framed(key));
    value.size++;
    assert_int_equal(redis_pair_store(tier, key, value, NULL), MTC_OK);
    assert_true(is_framed(key));
    redis_pair_expect(tier, key, value);
    tier->ops->close(tier);
}

static void a_compressed_entry_keeps_its_facts_and_its_window(void **state)
{
    static char bytes[2000];
    (void)state;
    test_server_require(TEST_REDIS);
    mtc_tier *tier = redis_pair_tier(&pair, some_method());
    mtc_slice key = mtc_str("facts");
    mtc_facts facts = {.left_ms = 50000,
                       .ttl_ms = 30000,
                       .window_ms = 20000,
                       .etag = mtc_str("W/\"1\"")};
    frame_rig_text(bytes, sizeof bytes);
    assert_int_equal(redis_pair_store(tier, key, mtc_bytes(bytes, sizeof bytes),
                                      &facts),
                     MTC_OK);
    redis_asked asked = redis_pair_ask(tier, MTC_VERB_EXPIRE, key);
    assert_int_equal(asked.request.status, MTC_OK);
    asked = redis_pair_ask(pair.tier, MTC_VERB_READ, key);
    assert_int_equal(asked.request.status, MTC_OK);
    assert_in_range(asked.request.facts.left_ms, 10000, 20000);
    assert_int_equal(asked.request.facts.ttl_ms, 30000);
    assert_int_equal(asked.request.facts.etag.size, 5);
    assert_memory_equal(asked.request.facts.etag.data, "W/\"1\"", 5);
    mtc_value_free(&asked.request.value);
    tier->ops->close(tier);
}

static void what_is_too_large_uncompressed_is_an_error_of_that_key(void **s)
{
    static char bytes[2000];
    mtc_value bomb;
    mtc_slice key = mtc_str("bomb");
    mtc_frame frame = {.value = mtc_bytes(bytes, sizeof bytes)};
    (void)s;
    test_server_require(TEST_REDIS);
    some_method();
    frame_rig_text(bytes, sizeof bytes);
    mtc_compression method = mtci_compress_has(MTC_COMPRESSION_LZ4)
                                 ? MTC_COMPRESSION_LZ4
                                 : MTC_COMPRESSION_ZSTD;
    assert_int_equal(mtc_frame_compress(&frame, method, &bomb), MTC_OK);
    unsigned char *at = (unsigned char *)(uintptr_t)bomb.data;
    at[24] = 0x10; /* the true size is 0x10...: 256 MiB and more */
    frame_rig_mend(at, bomb.size);
    redis_pair_put(&pair, key, mtc_value_slice(&bomb));
    redis_asked asked = redis_pair_ask(pair.tier, MTC_VERB_READ, key);
    assert_int_equal(asked.request.status, MTC_E_TOO_LARGE);
    assert_non_null(strstr(asked.failure, "over the limit of 67108864"));
    mtc_value_free(&bomb);
}

/* -- checksum ------------------------------------------------------------- */

static void with_checksums_every_damaged_byte_is_a_miss(void **state)
{
    (void)state;
    test_server_require(TEST_REDIS);
    mtc_tier *tier = redis_pair_tier(&pair, "?checksum=1");
    mtc_slice key = mtc_str("checked");
    assert_int_equal(redis_pair_store(tier, key, mtc_str("a value"), NULL),
                     MTC_OK);
    redis_pair_expect(tier, key, mtc_str("a value"));
    redis_pair_expect(pair.tier, key, mtc_str("a value"));
    mtc_value stored = redis_pair_take(&pair, key);
    unsigned char *bytes = (unsigned char *)(uintptr_t)stored.data;
    uint64_t before = redis_pair_damaged(tier);
    for (size_t i = 0; i < stored.size; i++) {
        bytes[i] ^= 0x20;
        redis_pair_put(&pair, key, mtc_value_slice(&stored));
        assert_int_equal(redis_pair_look(tier, key), MTC_MISS);
        bytes[i] ^= 0x20;
        redis_pair_put(&pair, key, mtc_bytes(bytes, i));
        assert_int_equal(redis_pair_look(tier, key), MTC_MISS);
    }
    /* All of them, but another version is no damage. */
    assert_int_equal(redis_pair_damaged(tier) - before, 2 * stored.size - 1);
    mtc_value_free(&stored);
    tier->ops->close(tier);
}

static void with_checksums_a_plain_value_is_not_believed(void **state)
{
    (void)state;
    test_server_require(TEST_REDIS);
    mtc_tier *tier = redis_pair_tier(&pair, "?checksum=on");
    redis_pair_put(&pair, mtc_str("plain"), mtc_str("theirs"));
    assert_int_equal(redis_pair_look(tier, mtc_str("plain")), MTC_MISS);
    assert_int_equal(redis_pair_damaged(tier), 1);
    redis_pair_expect(pair.tier, mtc_str("plain"), mtc_str("theirs"));
    tier->ops->close(tier);
}

/* -- any value, any form -------------------------------------------------- */

static const char *const FORMS[] = {
    "",
    "?checksum=1",
    "?compress=lz4&compress_min=64",
    "?compress=zstd&compress_min=64",
    "?compress=lz4&compress_min=200&checksum=1",
    "?compress=zstd&checksum=1",
};
#define FORM_COUNT (sizeof FORMS / sizeof *FORMS)

static bool is_checked(size_t form)
{
    return strstr(FORMS[form], "checksum") != NULL;
}

/* Text, noise, or both, and now and then the beginning of a frame. */
static mtc_slice draw_value(uint64_t *seed, char *bytes)
{
    uint32_t size_max = mtct_draw(seed, 8) == 0 ? VALUE_SIZE_MAX : 700;
    size_t size = mtct_draw(seed, size_max);
    size_t noise = mtct_draw(seed, 2) * mtct_draw(seed, (uint32_t)size + 1);
    frame_rig_text(bytes, size);
    frame_rig_noise(bytes, noise, *seed);
    if (size >= 16 && mtct_draw(seed, 4) == 0)
        memcpy(bytes, "\xf7MT\0\1\0\0\0", 4 + mtct_draw(seed, 5));
    return mtc_bytes(bytes, size);
}

static mtc_facts draw_facts(uint64_t *seed)
{
    mtc_facts facts = {.left_ms = 100000};
    if (mtct_draw(seed, 2))
        facts.window_ms = 1 + mtct_draw(seed, 50000);
    if (mtct_draw(seed, 2))
        facts.ttl_ms = facts.left_ms - facts.window_ms;
    if (mtct_draw(seed, 2))
        facts.etag = mtc_bytes("0123456789abcdef", 1 + mtct_draw(seed, 16));
    return facts;
}

static void check_found(const redis_asked *asked, mtc_slice value,
                        const mtc_facts *facts)
{
    const mtc_facts *found = &asked->request.facts;
    assert_int_equal(asked->request.status, MTC_OK);
    assert_int_equal(asked->request.value.size, value.size);
    if (value.size > 0)
        assert_memory_equal(asked->request.value.data, value.data, value.size);
    assert_int_equal(found->window_ms, facts->window_ms);
    /* A plain value has no place for it. */
    if (facts->window_ms > 0 || facts->etag.size > 0 || found->ttl_ms != 0)
        assert_int_equal(found->ttl_ms, facts->ttl_ms);
    assert_in_range(found->left_ms, 1, facts->left_ms);
    assert_int_equal(found->etag.size, facts->etag.size);
    if (facts->etag.size > 0)
        assert_memory_equal(found->etag.data, facts->etag.data,
                            facts->etag.size);
}

static void any_value_of_any_form_is_read_by_every_other(void **state)
{
    static char bytes[VALUE_SIZE_MAX];
    mtc_tier *tiers[FORM_COUNT];
    uint64_t seed = mtct_seed("any value");
    (void)state;
    test_server_require(TEST_REDIS);
    if (!mtci_compress_has(MTC_COMPRESSION_LZ4) ||
        !mtci_compress_has(MTC_COMPRESSION_ZSTD))
        skip();
    for (size_t i = 0; i < FORM_COUNT; i++)
        tiers[i] = redis_pair_tier(&pair, FORMS[i]);
    for (int round = 0; round < ROUNDS; round++) {
        mtc_slice key = mtc_bytes(&round, 1 + mtct_draw(&seed, 4));
        mtc_slice value = draw_value(&seed, bytes);
        mtc_facts facts = draw_facts(&seed);
        size_t writer = mtct_draw(&seed, FORM_COUNT);
        size_t reader = mtct_draw(&seed, FORM_COUNT);
        if (is_checked(reader) && !is_checked(writer))
            reader = writer;
        assert_int_equal(redis_pair_store(tiers[writer], key, value, &facts),
                         MTC_OK);
        redis_asked asked = redis_pair_ask(tiers[reader], MTC_VERB_READ, key);
        check_found(&asked, value, &facts);
        mtc_value_free(&asked.request.value);
    }
    for (size_t i = 0; i < FORM_COUNT; i++) {
        assert_int_equal(redis_pair_damaged(tiers[i]), 0);
        tiers[i]->ops->close(tiers[i]);
    }
}

/* -- what others put there ------------------------------------------------ */

static mtc_status look_at_field(unsigned char tag)
{
    unsigned char bytes[33] = {0xf7, 'M', 'T', 0, 1, 16, 0, 0};
    bytes[16] = tag;
    bytes[17] = 8; /* its size */
    bytes[32] = 'v';
    frame_rig_mend(bytes, sizeof bytes);
    redis_pair_put(&pair, mtc_str("field"), mtc_bytes(bytes, sizeof bytes));
    return redis_pair_look(pair.tier, mtc_str("field"));
}

static void later_fields_are_skipped_or_make_a_miss_but_are_no_damage(void **s)
{
    (void)s;
    test_server_require(TEST_REDIS);
    uint64_t before = redis_pair_damaged(pair.tier);
    for (unsigned number = 10; number < 128; number++) {
        assert_int_equal(look_at_field((unsigned char)number), MTC_OK);
        assert_int_equal(look_at_field((unsigned char)(number | 128)),
                         MTC_MISS);
    }
    assert_int_equal(redis_pair_damaged(pair.tier), before);
}

static void whatever_stands_there_is_a_value_a_miss_or_an_error(void **state)
{
    char bytes[256];
    char frame[256];
    uint64_t seed = mtct_seed("whatever");
    mtc_frame in = {
        .facts = {.ttl_ms = 5, .window_ms = 9, .etag = mtc_str("tag")},
        .value = mtc_str("the value"),
    };
    size_t size = mtc_frame_write(&in, frame);
    (void)state;
    test_server_require(TEST_REDIS);
    for (int round = 0; round < ROUNDS; round++) {
        memcpy(bytes, frame, size);
        for (uint32_t flips = 1 + mtct_draw(&seed, 3); flips > 0; flips--)
            bytes[4 + mtct_draw(&seed, (uint32_t)size - 4)] =
                (char)mtct_draw(&seed, 256);
        if (round % 2)
            frame_rig_mend((unsigned char *)bytes, size);
        redis_pair_put(&pair, mtc_str("w"), mtc_bytes(bytes, size));
        mtc_status status = redis_pair_look(pair.tier, mtc_str("w"));
        assert_true(status == MTC_OK || status == MTC_MISS ||
                    status == MTC_E_TOO_LARGE);
        redis_pair_ask(pair.tier, MTC_VERB_EXPIRE, mtc_str("w"));
    }
}

static void wrong_parameters_are_refused(void **state)
{
    static const char *const URLS[] = {
        "redis://h?compress=gzip",       "redis://h?compress=",
        "redis://h?compress=lz4andmore", "redis://h?compress_min=63",
        "redis://h?compress_min=1TiB",   "redis://h?checksum=maybe",
    };
    (void)state;
    for (size_t i = 0; i < sizeof URLS / sizeof *URLS; i++) {
        mtc_error error = {.status = MTC_OK};
        assert_null(redis_rig_tier(URLS[i], &error));
        assert_int_equal(error.status, MTC_E_INVALID);
        assert_true(strlen(error.text) > 0);
    }
}

static void a_method_that_is_not_in_the_build_is_said_so(void **state)
{
    static const char *const URLS[] = {"redis://h?compress=lz4",
                                       "redis://h?compress=zstd"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        mtc_error error = {.status = MTC_OK};
        mtc_tier *tier = redis_rig_tier(URLS[i], &error);
        assert_int_equal(tier != NULL, mtci_compress_has(i + 1));
        if (tier)
            tier->ops->close(tier);
        else
            assert_int_equal(error.status, MTC_E_UNSUPPORTED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_values_are_compressed_where_that_helps),
        cmocka_unit_test(small_values_stay_plain),
        cmocka_unit_test(a_compressed_entry_keeps_its_facts_and_its_window),
        cmocka_unit_test(
            what_is_too_large_uncompressed_is_an_error_of_that_key),
        cmocka_unit_test(with_checksums_every_damaged_byte_is_a_miss),
        cmocka_unit_test(with_checksums_a_plain_value_is_not_believed),
        cmocka_unit_test(any_value_of_any_form_is_read_by_every_other),
        cmocka_unit_test(
            later_fields_are_skipped_or_make_a_miss_but_are_no_damage),
        cmocka_unit_test(whatever_stands_there_is_a_value_a_miss_or_an_error),
        cmocka_unit_test(wrong_parameters_are_refused),
        cmocka_unit_test(a_method_that_is_not_in_the_build_is_said_so),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
