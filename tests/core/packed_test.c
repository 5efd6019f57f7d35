/*
 * Frames with a compressed value: what is written is read, it is smaller, and
 * no bytes from outside make it larger than they may.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/compress.h"
#include "support/frame_rig.h"
#include "support/tier_call.h"

#define ANY_SIZE   ((size_t)1 << 30)
#define LARGE_SIZE 300000
#define ROUNDS     20000

/* Where the field lies in a frame without other facts: tag, size, content;
 * and the value behind it. */
#define METHOD_AT    20
#define TRUE_SIZE_AT 21
#define VALUE_AT     32

/* Calls a test with each method that the build has. */
static void with_each(void (*run)(mtc_compression method))
{
    static const mtc_compression METHODS[] = {MTC_COMPRESSION_LZ4,
                                              MTC_COMPRESSION_ZSTD};
    for (size_t i = 0; i < 2; i++) {
        if (mtci_compress_has((int)METHODS[i]))
            run(METHODS[i]);
        else
            print_message("compression %d is not in this build\n", METHODS[i]);
    }
}

static char *make_bytes(size_t size)
{
    char *bytes = malloc(size);
    assert_non_null(bytes);
    frame_rig_text(bytes, size);
    return bytes;
}

/* A compressed frame of text, as a value of its own. */
static mtc_value make_packed(mtc_compression method, size_t size)
{
    char *bytes = make_bytes(size);
    mtc_frame frame = {.value = mtc_bytes(bytes, size)};
    mtc_value packed;
    assert_int_equal(mtc_frame_compress(&frame, method, &packed), MTC_OK);
    free(bytes);
    return packed;
}

static unsigned char *bytes_of(const mtc_value *value)
{
    return (unsigned char *)(uintptr_t)value->data;
}

static void put_number(unsigned char *at, uint64_t number)
{
    for (int i = 0; i < 8; i++)
        at[i] = (unsigned char)(number >> (8 * i));
}

static mtc_status open_copy(mtc_slice bytes, size_t size_max, size_t *size)
{
    mtc_value value;
    mtc_frame frame;
    assert_int_equal(mtc_value_copy(bytes, &value), MTC_OK);
    mtc_status status = mtc_frame_open(&value, size_max, &frame);
    if (status != MTC_OK) {
        assert_null(frame.value.data);
        assert_int_equal(value.size, bytes.size);
    }
    *size = value.size;
    mtc_value_free(&value);
    return status;
}

static mtc_status open_bytes(const mtc_value *value, size_t size_max)
{
    size_t size;
    return open_copy(mtc_value_slice(value), size_max, &size);
}

/* -- what is written ------------------------------------------------------ */

static void check_size(mtc_compression method, size_t size)
{
    char *bytes = make_bytes(size);
    mtc_frame in = {
        .facts = {.ttl_ms = 10, .window_ms = 20, .etag = mtc_str("W/\"7\"")},
        .key = mtc_bytes("\0key", 4),
        .value = mtc_bytes(bytes, size),
    };
    mtc_frame out;
    mtc_value value;
    assert_int_equal(mtc_frame_compress(&in, method, &value), MTC_OK);
    assert_true(value.size <= size - size / 8);
    assert_int_equal(mtc_frame_open(&value, size, &out), MTC_OK);
    assert_int_equal(value.size, size);
    assert_memory_equal(value.data, bytes, size);
    assert_ptr_equal(out.value.data, value.data);
    assert_int_equal(out.facts.ttl_ms, 10);
    assert_int_equal(out.facts.window_ms, 20);
    assert_int_equal(out.facts.etag.size, 5);
    assert_memory_equal(out.facts.etag.data, "W/\"7\"", 5);
    assert_int_equal(out.key.size, 4);
    assert_memory_equal(out.key.data, "\0key", 4);
    mtc_value_free(&value);
    free(bytes);
}

static void round_trips(mtc_compression method)
{
    for (size_t size = 512; size < 1100; size++)
        check_size(method, size);
    check_size(method, LARGE_SIZE);
    check_size(method, (size_t)9 << 20);
}

static void what_was_compressed_comes_back_with_its_facts(void **state)
{
    (void)state;
    with_each(round_trips);
}

static void noise_is_left_alone(mtc_compression method)
{
    static char bytes[4096];
    mtc_value value;
    mtc_frame frame = {.value = mtc_bytes(bytes, sizeof bytes)};
    uint64_t seed = mtct_seed("noise");
    frame_rig_noise(bytes, sizeof bytes, seed);
    assert_int_equal(mtc_frame_compress(&frame, method, &value),
                     MTC_E_TOO_LARGE);
    assert_null(value.ops);
    /* More and more of it is text: what is taken always saves an eighth. */
    bool is_taken = false;
    for (size_t text = 0; text <= sizeof bytes; text += 16) {
        frame_rig_text(bytes, text);
        if (mtc_frame_compress(&frame, method, &value) == MTC_OK) {
            assert_true(value.size <= sizeof bytes - sizeof bytes / 8);
            is_taken = true;
        }
        mtc_value_free(&value);
    }
    assert_true(is_taken);
    frame.value = mtc_bytes(bytes, 20);
    assert_int_equal(mtc_frame_compress(&frame, method, &value),
                     MTC_E_TOO_LARGE);
    frame.value = mtc_bytes(NULL, 0);
    assert_int_equal(mtc_frame_compress(&frame, method, &value),
                     MTC_E_TOO_LARGE);
}

static void what_would_not_save_an_eighth_is_not_compressed(void **state)
{
    (void)state;
    with_each(noise_is_left_alone);
}

static void has_the_layout(mtc_compression method)
{
    static const unsigned char WANTED[] = {
        0xf7, 'M', 'T', 0, 1, 16, 0, 0, /* head, then the checksum */
    };
    mtc_value value = make_packed(method, 0x10203);
    const unsigned char *bytes = value.data;
    const unsigned char field[] = {
        0x88, 9, 0, 0, (unsigned char)method, 3, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0,
    };
    assert_memory_equal(bytes, WANTED, sizeof WANTED);
    assert_memory_equal(bytes + 16, field, sizeof field);
    mtc_value_free(&value);
}

static void the_field_is_the_documented_one(void **state)
{
    (void)state;
    with_each(has_the_layout);
}

static void reads_as_a_miss(mtc_compression method)
{
    mtc_frame frame;
    mtc_value value = make_packed(method, 2000);
    assert_int_equal(mtc_frame_read(mtc_value_slice(&value), &frame), MTC_MISS);
    assert_null(frame.value.data);
    mtc_value_free(&value);
}

static void a_reader_that_cannot_decompress_finds_a_miss(void **state)
{
    (void)state;
    with_each(reads_as_a_miss);
}

static void an_unknown_method_is_unsupported(void **state)
{
    mtc_value value;
    mtc_frame frame = {.value = mtc_str("value")};
    (void)state;
    assert_int_equal(mtc_frame_compress(&frame, (mtc_compression)3, &value),
                     MTC_E_UNSUPPORTED);
    assert_int_equal(mtc_frame_compress(&frame, MTC_COMPRESSION_NONE, &value),
                     MTC_E_UNSUPPORTED);
}

static void a_frame_without_compression_is_opened_in_place(void **state)
{
    char bytes[64];
    mtc_frame frame = {.facts = {.ttl_ms = 5}, .value = mtc_str("in place")};
    mtc_value value;
    size_t size = mtc_frame_write(&frame, bytes);
    (void)state;
    assert_int_equal(mtc_value_copy(mtc_bytes(bytes, size), &value), MTC_OK);
    const char *first = value.data;
    assert_int_equal(mtc_frame_open(&value, 1, &frame), MTC_OK);
    assert_int_equal((const char *)value.data - first, 32);
    assert_int_equal(value.size, 8);
    assert_int_equal(frame.facts.ttl_ms, 5);
    mtc_value_free(&value);
}

/* -- what comes from outside ---------------------------------------------- */

/* Had it been allocated before it was compared, that would have failed. */
static void bomb_is_refused(mtc_compression method)
{
    mtc_value value = make_packed(method, 2000);
    unsigned char *bytes = bytes_of(&value);
    assert_int_equal(open_bytes(&value, 1999), MTC_E_TOO_LARGE);
    put_number(bytes + TRUE_SIZE_AT, UINT64_C(1) << 60);
    frame_rig_mend(bytes, value.size);
    assert_int_equal(open_bytes(&value, ANY_SIZE), MTC_E_TOO_LARGE);
    mtc_value_free(&value);
    /* A small frame that really holds much. */
    value = make_packed(method, 50000000);
    assert_true(value.size < 500000);
    assert_int_equal(open_bytes(&value, 49999999), MTC_E_TOO_LARGE);
    put_number(bytes_of(&value) + TRUE_SIZE_AT, 1000);
    frame_rig_mend(bytes_of(&value), value.size);
    assert_int_equal(open_bytes(&value, 1000), MTC_E_CORRUPT);
    mtc_value_free(&value);
}

static void a_bomb_is_refused_before_anything_is_allocated(void **state)
{
    (void)state;
    with_each(bomb_is_refused);
}

static mtc_status open_with(mtc_value *value, size_t at, unsigned char byte)
{
    unsigned char *bytes = bytes_of(value);
    unsigned char before = bytes[at];
    bytes[at] = byte;
    frame_rig_mend(bytes, value->size);
    mtc_status status = open_bytes(value, ANY_SIZE);
    bytes[at] = before;
    frame_rig_mend(bytes, value->size);
    return status;
}

static void field_is_judged(mtc_compression method)
{
    mtc_value value = make_packed(method, 2000); /* 0x7d0 */
    assert_int_equal(open_with(&value, TRUE_SIZE_AT, 0xcf), MTC_E_CORRUPT);
    assert_int_equal(open_with(&value, TRUE_SIZE_AT, 0xd1), MTC_E_CORRUPT);
    assert_int_equal(open_with(&value, TRUE_SIZE_AT + 7, 0x80), MTC_E_CORRUPT);
    assert_int_equal(open_with(&value, METHOD_AT, 0), MTC_E_CORRUPT);
    assert_int_equal(open_with(&value, METHOD_AT, 3), MTC_MISS);
    assert_int_equal(open_with(&value, METHOD_AT, 255), MTC_MISS);
    assert_int_equal(open_with(&value, 17, 8), MTC_E_CORRUPT); /* its size */
    assert_int_equal(open_with(&value, 16, 0x8c), MTC_MISS);   /* its tag */
    put_number(bytes_of(&value) + TRUE_SIZE_AT, 0);
    frame_rig_mend(bytes_of(&value), value.size);
    assert_int_equal(open_bytes(&value, ANY_SIZE), MTC_E_CORRUPT);
    mtc_value_free(&value);
}

static void a_false_size_and_an_unknown_method_are_told_apart(void **state)
{
    (void)state;
    with_each(field_is_judged);
}

static void damage_is_noticed(mtc_compression method)
{
    size_t unused;
    mtc_value value = make_packed(method, 1000);
    unsigned char *bytes = bytes_of(&value);
    assert_true(value.size < 300);
    for (size_t i = 0; i < value.size; i++) {
        mtc_slice cut = mtc_bytes(bytes, i);
        assert_int_equal(open_copy(cut, ANY_SIZE, &unused), MTC_E_CORRUPT);
        for (unsigned flip = 1; flip < 256; flip++) {
            bytes[i] ^= (unsigned char)flip;
            assert_int_equal(open_bytes(&value, ANY_SIZE),
                             i == 4 ? MTC_MISS : MTC_E_CORRUPT);
            bytes[i] ^= (unsigned char)flip;
        }
    }
    mtc_value_free(&value);
}

static void every_flipped_byte_and_every_truncation_is_noticed(void **state)
{
    (void)state;
    with_each(damage_is_noticed);
}

/* Whoever can compute a checksum can put anything behind it. */
static void forgery_is_bounded(mtc_compression method)
{
    uint64_t seed = mtct_seed("forgery");
    mtc_value value = make_packed(method, 3000);
    unsigned char *forged = malloc(value.size);
    assert_non_null(forged);
    for (int round = 0; round < ROUNDS; round++) {
        size_t size = value.size;
        size_t found;
        memcpy(forged, value.data, size);
        for (uint32_t flips = 1 + mtct_draw(&seed, 4); flips > 0; flips--) {
            uint32_t room = (uint32_t)size - VALUE_AT;
            forged[VALUE_AT + mtct_draw(&seed, room)] =
                (unsigned char)mtct_draw(&seed, 256);
        }
        if (round % 4 == 0)
            size = VALUE_AT + mtct_draw(&seed, (uint32_t)size - VALUE_AT);
        frame_rig_mend(forged, size);
        mtc_status status = open_copy(mtc_bytes(forged, size), 3000, &found);
        assert_true(status == MTC_E_CORRUPT ||
                    (status == MTC_OK && found == 3000));
    }
    free(forged);
    mtc_value_free(&value);
}

static void forged_bytes_under_a_right_checksum_never_crash(void **state)
{
    (void)state;
    with_each(forgery_is_bounded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_compressed_comes_back_with_its_facts),
        cmocka_unit_test(what_would_not_save_an_eighth_is_not_compressed),
        cmocka_unit_test(the_field_is_the_documented_one),
        cmocka_unit_test(a_reader_that_cannot_decompress_finds_a_miss),
        cmocka_unit_test(an_unknown_method_is_unsupported),
        cmocka_unit_test(a_frame_without_compression_is_opened_in_place),
        cmocka_unit_test(a_bomb_is_refused_before_anything_is_allocated),
        cmocka_unit_test(a_false_size_and_an_unknown_method_are_told_apart),
        cmocka_unit_test(every_flipped_byte_and_every_truncation_is_noticed),
        cmocka_unit_test(forged_bytes_under_a_right_checksum_never_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
