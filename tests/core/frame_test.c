/*
 * Frames: what is written is read, and what is damaged is never believed.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "mtc/tier.h"
#include "support/frame_rig.h"

static void slices_assert_equal(mtc_slice left, mtc_slice right)
{
    assert_int_equal(left.size, right.size);
    if (left.size > 0) {
        assert_memory_equal(left.data, right.data, left.size);
    }
}

static void frames_assert_equal(const mtc_frame *left, const mtc_frame *right)
{
    assert_int_equal(left->facts.kind, right->facts.kind);
    assert_int_equal(left->facts.load_ms, right->facts.load_ms);
    assert_int_equal(left->facts.ttl_ms, right->facts.ttl_ms);
    assert_int_equal(left->facts.window_ms, right->facts.window_ms);
    assert_int_equal(left->time_ms, right->time_ms);
    slices_assert_equal(left->facts.etag, right->facts.etag);
    slices_assert_equal(left->key, right->key);
    slices_assert_equal(left->value, right->value);
}

/* A frame of every shape: each bit of shape is one field. */
static mtc_frame frame_make(unsigned shape)
{
    mtc_frame frame = {
        .facts = {.left_ms = MTC_NO_END},
        .value = mtc_str("the value"),
    };

    frame.facts.kind = shape & 1 ? MTC_KIND_ABSENT : MTC_KIND_VALUE;
    frame.facts.ttl_ms = shape & 2 ? INT64_C(0x123456789) : 0;
    frame.facts.window_ms = shape & 4 ? 1 : 0;
    frame.facts.load_ms = shape & 8 ? INT32_MAX : 0;
    frame.facts.etag = shape & 16 ? mtc_str("W/\"abc\"") : mtc_str("");
    frame.key = shape & 32 ? mtc_bytes("\0key", 4) : mtc_str("");
    frame.time_ms = shape & 64 ? -5 : 0;
    frame.value = shape & 128 ? mtc_str("") : frame.value;
    return frame;
}

static size_t frame_put(const mtc_frame *frame, unsigned char **bytes)
{
    size_t size = mtc_frame_size(frame);

    /* Exactly as large, so that the sanitizers see a byte too many. */
    *bytes = malloc(size);
    assert_non_null(*bytes);
    assert_int_equal(mtc_frame_write(frame, *bytes), size);
    return size;
}

static void every_shape_is_read_as_it_was_written(void **state)
{
    (void)state;
    for (unsigned shape = 0; shape < 256; shape++) {
        mtc_frame in = frame_make(shape);
        mtc_frame out;
        unsigned char *bytes;
        size_t size = frame_put(&in, &bytes);

        assert_true(mtc_frame_is(mtc_bytes(bytes, size)));
        assert_int_equal(mtc_frame_read(mtc_bytes(bytes, size), &out), MTC_OK);
        frames_assert_equal(&out, &in);
        assert_true(out.facts.left_ms == MTC_NO_END);
        assert_int_equal(((const unsigned char *)out.value.data - bytes) % 8,
                         0);
        free(bytes);
    }
}

static void the_layout_is_the_documented_one(void **state)
{
    static const unsigned char wanted[] = {
        0xf7, 'M',  'T',  0,    1,    16,   0,    0,    /* head */
        0x68, 0xcc, 0xae, 0xf9, 0x5c, 0x0c, 0x55, 0xae, /* checksum */
        2,    8,    0,    0,    0x10, 0x27, 0,    0,
        0,    0,    0,    0,               /* ttl 10000 */
        0,    0,    0,    0,    'h',  'i', /* filling, value */
    };
    mtc_frame frame = {.facts = {.ttl_ms = 10000}, .value = mtc_str("hi")};
    unsigned char *bytes;
    size_t size = frame_put(&frame, &bytes);

    (void)state;
    assert_int_equal(size, sizeof(wanted));
    assert_memory_equal(bytes, wanted, size);
    free(bytes);
}

static void the_checksum_of_a_lease_leaves_its_value_out(void **state)
{
    mtc_frame in = {
        .facts = {.kind = MTC_KIND_LEASE},
        .value = mtc_str("two numbers, and an entry"),
        .ticket = UINT64_C(0xfedcba9876543210),
    };
    mtc_frame out;
    unsigned char *bytes;
    size_t size = frame_put(&in, &bytes);

    (void)state;
    assert_int_equal(size, 40 + in.value.size);
    bytes[40] ^= 1;
    for (size_t cut = size; cut >= 40; cut--) {
        assert_int_equal(mtc_frame_read(mtc_bytes(bytes, cut), &out), MTC_OK);
        assert_int_equal(out.facts.kind, MTC_KIND_LEASE);
        assert_true(out.ticket == in.ticket);
        assert_int_equal(out.value.size, cut - 40);
    }
    for (size_t i = 0; i < 40; i++) {
        bytes[i] ^= 1;
        assert_true(mtc_frame_read(mtc_bytes(bytes, size), &out) != MTC_OK);
        bytes[i] ^= 1;
    }
    free(bytes);
}

static void lengths_that_tell_nothing_are_left_out(void **state)
{
    mtc_frame in = {
        .facts = {.ttl_ms = MTC_NO_END, .window_ms = -1, .load_ms = -1},
    };
    mtc_frame out;
    unsigned char *bytes;
    size_t size = frame_put(&in, &bytes);

    (void)state;
    assert_int_equal(size, 16);
    assert_int_equal(mtc_frame_read(mtc_bytes(bytes, size), &out), MTC_OK);
    assert_int_equal(out.facts.ttl_ms, 0);
    assert_int_equal(out.facts.window_ms, 0);
    assert_int_equal(out.facts.load_ms, 0);
    free(bytes);
}

static void a_window_without_end_stays_a_length(void **state)
{
    mtc_frame in = {.facts = {.window_ms = INT64_MAX}};
    mtc_frame out;
    unsigned char *bytes;
    size_t size = frame_put(&in, &bytes);

    (void)state;
    assert_int_equal(mtc_frame_read(mtc_bytes(bytes, size), &out), MTC_OK);
    assert_true(out.facts.window_ms == INT64_MAX / 4);
    free(bytes);
}

/* Reads a copy of exactly that size. */
static mtc_status read_copy(const unsigned char *bytes, size_t size)
{
    unsigned char *copy = malloc(size + 1);
    mtc_frame out;
    mtc_status status;

    assert_non_null(copy);
    memcpy(copy + 1, bytes, size);
    status = mtc_frame_read(mtc_bytes(copy + 1, size), &out);
    if (status != MTC_OK) {
        assert_null(out.value.data);
        assert_null(out.key.data);
    }
    free(copy);
    return status;
}

static void every_flipped_byte_is_noticed(void **state)
{
    (void)state;
    for (unsigned shape = 0; shape < 256; shape += 17) {
        mtc_frame in = frame_make(shape);
        unsigned char *bytes;
        size_t size = frame_put(&in, &bytes);

        for (size_t i = 0; i < size; i++) {
            for (unsigned flip = 1; flip < 256; flip++) {
                bytes[i] ^= (unsigned char)flip;
                assert_int_equal(read_copy(bytes, size),
                                 i == 4 ? MTC_MISS : MTC_E_CORRUPT);
                bytes[i] ^= (unsigned char)flip;
            }
        }
        free(bytes);
    }
}

static void every_truncation_and_every_tail_is_noticed(void **state)
{
    (void)state;
    for (unsigned shape = 0; shape < 256; shape++) {
        mtc_frame in = frame_make(shape);
        unsigned char *bytes;
        size_t size = frame_put(&in, &bytes);
        unsigned char *longer = calloc(1, size + 8);

        assert_non_null(longer);
        memcpy(longer, bytes, size);
        for (size_t cut = 0; cut < size; cut++) {
            assert_int_equal(read_copy(bytes, cut), MTC_E_CORRUPT);
        }
        for (size_t more = 1; more <= 8; more++) {
            assert_int_equal(read_copy(longer, size + more), MTC_E_CORRUPT);
        }
        free(longer);
        free(bytes);
    }
}

/* A frame of the given fields, filled up to 8, and the value "v". */
static mtc_status fields_read(const void *fields, size_t size)
{
    unsigned char bytes[256] = {0xf7, 'M', 'T', 0, 1};
    size_t filled = (size + 7) & ~(size_t)7;

    bytes[5] = (unsigned char)filled;
    memcpy(bytes + 16, fields, size);
    bytes[16 + filled] = 'v';
    frame_rig_mend(bytes, 16 + filled + 1);
    return read_copy(bytes, 16 + filled + 1);
}

static void unknown_optional_fields_are_skipped(void **state)
{
    (void)state;
    assert_int_equal(fields_read("\x0c\x02\0\0xy", 6), MTC_OK);
    assert_int_equal(fields_read("\x02\x08\0\0\1\0\0\0\0\0\0\0\x7f\0\0\0", 16),
                     MTC_OK);
}

static void unknown_required_fields_make_a_miss(void **state)
{
    (void)state;
    assert_int_equal(fields_read("\x8c\x02\0\0xy", 6), MTC_MISS);
    assert_int_equal(fields_read("\x81\x01\0\0\x07", 5), MTC_MISS);
    /* known fields, required the other way round */
    assert_int_equal(fields_read("\x82\0\0\0", 4), MTC_MISS);
}

static void malformed_fields_are_damage_under_a_right_checksum(void **state)
{
    static const struct {
        const char *fields;
        size_t size;
    } cases[] = {
        {"\x05\x01\0\0a\x05\x01\0\0a", 10},        /* twice */
        {"\x05\x01\0\0a\x04\x04\0\0\1\0\0\0", 13}, /* out of order */
        {"\x05\xff\0\0a", 5},                      /* beyond the fields */
        {"\x05\xff\xff\xff"
         "a",
         5},
        {"\x05\0\0\0", 4},                      /* empty etag */
        {"\x02\x04\0\0\1\0\0\0", 8},            /* ttl of 4 bytes */
        {"\x02\x08\0\0\0\0\0\0\0\0\0\0", 12},   /* ttl 0 */
        {"\x02\x08\0\0\0\0\0\0\0\0\0\x80", 12}, /* ttl negative */
        {"\x83\x08\0\0\0\0\0\0\0\0\0\x7f", 12}, /* window too long */
        {"\x04\x04\0\0\0\0\0\x80", 8},          /* load beyond int32 */
        {"\x81\x01\0\0\0", 5},                  /* kind of a value */
        {"\x81\x02\0\0\1\1", 6},                /* kind of 2 bytes */
        {"\x07\x08\0\0\0\0\0\0\0\0\0\0", 12},   /* time 0 */
        {"\x86\0\0\0", 4},                      /* empty key */
        {"\0\0\0\0\0\1", 6},                    /* filling not zero */
        {"\0\0\0\0\0\0\0\0", 8},                /* filling too long */
        {"\x0c\x01\0\0a\x01\0\0", 8},           /* head of a field cut */
        {"\x8c\0\0\0\x05\0\0\0", 8},            /* damage behind unknown */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        assert_int_equal(fields_read(cases[i].fields, cases[i].size),
                         MTC_E_CORRUPT);
    }
}

static void fields_that_end_off_a_multiple_of_8_are_damage(void **state)
{
    unsigned char bytes[] = {0xf7, 'M', 'T', 0, 1, 5, 0, 0, 0, 0,  0,
                             0,    0,   0,   0, 0, 5, 1, 0, 0, 'a'};

    (void)state;
    frame_rig_mend(bytes, sizeof(bytes));
    assert_int_equal(read_copy(bytes, sizeof(bytes)), MTC_E_CORRUPT);
}

static void random_fields_under_a_right_checksum_never_crash(void **state)
{
    mtc_frame in = frame_make(127);
    unsigned char *bytes;
    size_t size = frame_put(&in, &bytes);
    unsigned char *damaged = malloc(size);

    (void)state;
    assert_non_null(damaged);
    srand(11);
    for (int round = 0; round < 200000; round++) {
        memcpy(damaged, bytes, size);
        for (int flips = 1 + rand() % 4; flips > 0; flips--) {
            damaged[5 + (size_t)rand() % (size - 5)] = (unsigned char)rand();
        }
        if (round % 2 == 0) {
            frame_rig_mend(damaged, size);
        }
        read_copy(damaged, size - (round % 3 == 0 ? (size_t)rand() % size : 0));
    }
    free(damaged);
    free(bytes);
}

static void text_is_no_frame(void **state)
{
    (void)state;
    assert_false(mtc_frame_is(mtc_str("")));
    assert_false(mtc_frame_is(mtc_str("{\"a\":1}")));
    assert_false(mtc_frame_is(mtc_bytes("\xf7MT", 3)));
    assert_true(mtc_frame_is(mtc_bytes("\xf7MT\0", 4)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_is_read_as_it_was_written),
        cmocka_unit_test(the_layout_is_the_documented_one),
        cmocka_unit_test(the_checksum_of_a_lease_leaves_its_value_out),
        cmocka_unit_test(lengths_that_tell_nothing_are_left_out),
        cmocka_unit_test(a_window_without_end_stays_a_length),
        cmocka_unit_test(every_flipped_byte_is_noticed),
        cmocka_unit_test(every_truncation_and_every_tail_is_noticed),
        cmocka_unit_test(unknown_optional_fields_are_skipped),
        cmocka_unit_test(unknown_required_fields_make_a_miss),
        cmocka_unit_test(malformed_fields_are_damage_under_a_right_checksum),
        cmocka_unit_test(fields_that_end_off_a_multiple_of_8_are_damage),
        cmocka_unit_test(random_fields_under_a_right_checksum_never_crash),
        cmocka_unit_test(text_is_no_frame),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
