/*
 * The tier contract, part one: what is stored is read, and nothing else.
 */
#include "support/contract.h"

#include <stdio.h>
#include <stdlib.h>

#define KEY_SIZE_MAX 65536u

static void a_stored_value_is_read(void **state)
{
    trial *trial = *state;
    mtc_slice key = trial_key(trial, "a");
    assert_int_equal(trial_store(trial, key, mtc_str("value")), MTC_OK);
    trial_expect(trial, key, mtc_str("value"));
    trial_expect(trial, key, mtc_str("value"));
}

static void an_unknown_key_is_a_miss(void **state)
{
    trial *trial = *state;
    ask ask;
    ask_init(&ask, trial, trial_key(trial, "unknown"));
    assert_int_equal(trial_call(trial, MTC_VERB_READ, &ask), MTC_MISS);
    assert_int_equal(ask.request.value.size, 0);
    assert_null(ask.request.value.ops);
}

static void a_removed_key_is_a_miss(void **state)
{
    trial *trial = *state;
    mtc_slice key = trial_key(trial, "a");
    mtc_slice other = trial_key(trial, "b");
    trial_store(trial, key, mtc_str("value"));
    trial_store(trial, other, mtc_str("other"));
    assert_int_equal(trial_remove(trial, key), MTC_OK);
    assert_int_equal(trial_look(trial, key), MTC_MISS);
    trial_expect(trial, other, mtc_str("other"));
}

static void removing_or_expiring_nothing_is_done(void **state)
{
    trial *trial = *state;
    mtc_slice key = trial_key(trial, "nothing");
    assert_int_equal(trial_remove(trial, key), MTC_OK);
    ask ask;
    ask_init(&ask, trial, key);
    assert_int_equal(trial_call(trial, MTC_VERB_EXPIRE, &ask), MTC_OK);
    assert_int_equal(trial_look(trial, key), MTC_MISS);
}

static void an_empty_value_is_not_a_miss(void **state)
{
    trial *trial = *state;
    mtc_slice key = trial_key(trial, "empty");
    assert_int_equal(trial_store(trial, key, mtc_bytes(NULL, 0)), MTC_OK);
    trial_expect(trial, key, mtc_bytes("", 0));
}

static void an_empty_key_is_a_key(void **state)
{
    trial *trial = *state;
    mtc_slice key = mtc_bytes("", 0);
    assert_int_equal(trial_store(trial, key, mtc_str("of no key")), MTC_OK);
    trial_expect(trial, key, mtc_str("of no key"));
    assert_int_equal(trial_remove(trial, key), MTC_OK);
    assert_int_equal(trial_look(trial, key), MTC_MISS);
}

static void values_of_any_bytes_come_back(void **state)
{
    trial *trial = *state;
    unsigned char bytes[512];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(i * 7 + i / 256);
    memcpy(bytes, "\r\n\0$-1\r\nEND\r\n", 14);
    mtc_slice key = trial_key(trial, "binary");
    for (size_t size = 1; size <= sizeof(bytes); size += 73) {
        trial_store(trial, key, mtc_bytes(bytes, size));
        trial_expect(trial, key, mtc_bytes(bytes, size));
    }
}

static void a_value_that_looks_like_a_frame_comes_back(void **state)
{
    trial *trial = *state;
    unsigned char bytes[128];
    mtc_frame frame = {.facts = {.left_ms = MTC_NO_END, .ttl_ms = 5},
                       .key = mtc_str("some key"),
                       .value = mtc_str("inner")};
    assert_in_range(mtc_frame_size(&frame), 1, sizeof(bytes));
    size_t size = mtc_frame_write(&frame, bytes);
    mtc_slice key = trial_key(trial, "framed");
    trial_store(trial, key, mtc_bytes(bytes, size));
    trial_expect(trial, key, mtc_bytes(bytes, size));
    trial_store(trial, key, mtc_bytes(bytes, size / 2));
    trial_expect(trial, key, mtc_bytes(bytes, size / 2));
}

/* Keys that differ in their last byte, at a length at which tiers change
 * ways: two of plain bytes, two that a text protocol would stumble over. */
static void keys_differ(trial *trial, size_t size)
{
    static const char endings[] = {'a', 'b', '\0', '\n'};
    mtc_slice keys[sizeof(endings)];
    mtc_slice name = trial_key(trial, "");
    for (size_t i = 0; i < sizeof(endings); i++) {
        char *key = malloc(size);
        assert_non_null(key);
        memset(key, 'k', size);
        memcpy(key, name.data, name.size < size ? name.size : size - 1);
        key[size - 1] = endings[i];
        keys[i] = mtc_bytes(key, size);
        assert_int_equal(trial_store(trial, keys[i], mtc_bytes(&endings[i], 1)),
                         MTC_OK);
    }
    for (size_t i = 0; i < sizeof(endings); i++)
        trial_expect(trial, keys[i], mtc_bytes(&endings[i], 1));
    for (size_t i = 0; i < sizeof(endings); i++) {
        assert_int_equal(trial_remove(trial, keys[i]), MTC_OK);
        assert_int_equal(trial_look(trial, keys[i]), MTC_MISS);
        for (size_t j = i + 1; j < sizeof(endings); j++)
            trial_expect(trial, keys[j], mtc_bytes(&endings[j], 1));
        free((void *)(uintptr_t)keys[i].data);
    }
}

static void keys_of_all_sizes_stay_apart(void **state)
{
    static const size_t sizes[] = {32, 249, 250, 251, 252, 1024, 4096};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        keys_differ(*state, sizes[i]);
}

static void keys_of_any_bytes_stay_apart(void **state)
{
    trial *trial = *state;
    char keys[256][4];
    char values[256][16];
    for (int i = 0; i < 256; i++) {
        memcpy(keys[i], (char[]){'k', (char)i, (char)i, 'k'}, 4);
        snprintf(values[i], sizeof(values[i]), "%d", i);
        trial_store(trial, mtc_bytes(keys[i], 4), mtc_str(values[i]));
    }
    for (int i = 0; i < 256; i++)
        trial_expect(trial, mtc_bytes(keys[i], 4), mtc_str(values[i]));
    assert_int_equal(trial_look(trial, mtc_bytes(keys[0], 2)), MTC_MISS);
    assert_int_equal(trial_look(trial, mtc_bytes(keys[32], 1)), MTC_MISS);
}

static void a_key_at_the_limit_is_kept_whole(void **state)
{
    trial *trial = *state;
    size_t size = trial->tier->ops->key_size_max;
    if (size == 0 || size > KEY_SIZE_MAX)
        size = KEY_SIZE_MAX;
    keys_differ(trial, size - 1);
    keys_differ(trial, size);
}

static void a_large_value_is_kept_and_a_too_large_one_is_not(void **state)
{
    trial *trial = *state;
    size_t kept = trial->contract->value_size_kept;
    size_t refused = trial->contract->value_size_refused;
    if (refused == 0)
        skip();
    char *bytes = malloc(refused);
    assert_non_null(bytes);
    for (size_t i = 0; i < refused; i++)
        bytes[i] = (char)(i * 31 + i / 251);
    mtc_slice key = trial_key(trial, "large");
    assert_int_equal(trial_store(trial, key, mtc_bytes(bytes, kept)), MTC_OK);
    trial_expect(trial, key, mtc_bytes(bytes, kept));
    assert_int_equal(trial_store(trial, key, mtc_bytes(bytes, refused)),
                     MTC_PARTIAL);
    assert_int_equal(trial_look(trial, key), MTC_MISS);
    free(bytes);
}

static void a_store_replaces_the_value(void **state)
{
    trial *trial = *state;
    mtc_slice key = trial_key(trial, "a");
    static const char *const values[] = {"first", "a second, longer one", "3",
                                         ""};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        assert_int_equal(trial_store(trial, key, mtc_str(values[i])), MTC_OK);
        trial_expect(trial, key, mtc_str(values[i]));
    }
}

static void a_value_is_the_readers_while_its_key_changes(void **state)
{
    trial *trial = *state;
    mtc_slice key = trial_key(trial, "a");
    ask ask;
    trial_store(trial, key, mtc_str("as it was"));
    ask_init(&ask, trial, key);
    trial_call(trial, MTC_VERB_READ, &ask);
    trial_store(trial, key, mtc_str("something else"));
    ask_expect(trial, &ask, mtc_str("as it was"));
    trial_remove(trial, key);
    ask_expect(trial, &ask, mtc_str("as it was"));
    ask_fini(&ask);
}

static void another_tier_on_the_same_storage_sees_the_entries(void **state)
{
    trial *trial = *state;
    trial_require(trial, MTC_TIER_SHARED);
    mtc_slice key = trial_key(trial, "shared");
    mtc_tier *first = trial->tier;
    trial_store(trial, key, mtc_str("value"));
    trial->tier = trial_open_second(trial);
    trial_expect(trial, key, mtc_str("value"));
    assert_int_equal(trial_remove(trial, key), MTC_OK);
    trial_close(trial);
    trial->tier = first;
    assert_int_equal(trial_look(trial, key), MTC_MISS);
}

static void entries_outlive_a_tier_that_persists(void **state)
{
    trial *trial = *state;
    trial_require(trial, MTC_TIER_PERSISTS);
    mtc_slice key = trial_key(trial, "lasting");
    trial_store(trial, key, mtc_str("value"));
    trial_close(trial);
    trial->tier = trial_open_second(trial);
    trial_expect(trial, key, mtc_str("value"));
}

const struct CMUnitTest contract_entry_tests[] = {
    cmocka_unit_test(a_stored_value_is_read),
    cmocka_unit_test(an_unknown_key_is_a_miss),
    cmocka_unit_test(a_removed_key_is_a_miss),
    cmocka_unit_test(removing_or_expiring_nothing_is_done),
    cmocka_unit_test(an_empty_value_is_not_a_miss),
    cmocka_unit_test(an_empty_key_is_a_key),
    cmocka_unit_test(values_of_any_bytes_come_back),
    cmocka_unit_test(a_value_that_looks_like_a_frame_comes_back),
    cmocka_unit_test(keys_of_all_sizes_stay_apart),
    cmocka_unit_test(keys_of_any_bytes_stay_apart),
    cmocka_unit_test(a_key_at_the_limit_is_kept_whole),
    cmocka_unit_test(a_large_value_is_kept_and_a_too_large_one_is_not),
    cmocka_unit_test(a_store_replaces_the_value),
    cmocka_unit_test(a_value_is_the_readers_while_its_key_changes),
    cmocka_unit_test(another_tier_on_the_same_storage_sees_the_entries),
    cmocka_unit_test(entries_outlive_a_tier_that_persists),
};

const size_t contract_entry_test_count =
    sizeof(contract_entry_tests) / sizeof(contract_entry_tests[0]);
