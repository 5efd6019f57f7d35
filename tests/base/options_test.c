/*
 * Parsing options.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/options.h"
#include "mtc/value.h"

typedef struct target {
    int64_t size, wait_ms, count, share;
    double ratio;
    bool is_on;
    char name[8];
} target;

static const mtci_option rows[] = {
    {
        .name = "size",
        .kind = MTCI_OPTION_SIZE,
        .offset = offsetof(target, size),
        .min = 1024,
        .max = 1048576,
        .fallback = "64KiB",
        .range = "1KiB to 1MiB",
    },
    {
        .name = "wait",
        .kind = MTCI_OPTION_DURATION,
        .offset = offsetof(target, wait_ms),
        .min = 1,
        .max = 60000,
        .range = "1ms to 1m",
    },
    {
        .name = "count",
        .kind = MTCI_OPTION_COUNT,
        .offset = offsetof(target, count),
    },
    {
        .name = "share",
        .kind = MTCI_OPTION_SHARE,
        .offset = offsetof(target, share),
        .min = 1,
        .max = 100,
        .fallback = "1/4",
    },
    {
        .name = "ratio",
        .kind = MTCI_OPTION_RATIO,
        .offset = offsetof(target, ratio),
        .min = 0.5,
        .max = 2,
        .fallback = "1.25",
    },
    {
        .name = "on",
        .kind = MTCI_OPTION_BOOL,
        .offset = offsetof(target, is_on),
        .fallback = "yes",
    },
    {
        .name = "name",
        .kind = MTCI_OPTION_TEXT,
        .offset = offsetof(target, name),
        .size = sizeof(((target *)NULL)->name),
        .fallback = "seven_7",
    },
};

static const mtci_option_table table = {
    .scope = "test",
    .options = rows,
    .count = sizeof(rows) / sizeof(*rows),
};

static mtc_status set(target *target, const char *name, const char *value)
{
    mtci_url_param param = {name, value};
    mtc_error error = {0};
    bool is_known;
    mtc_status status =
        mtci_options_set(&table, &param, &error, target, &is_known);

    assert_true(is_known);
    if (status != MTC_OK) {
        assert_int_equal(status, MTC_E_INVALID);
        assert_non_null(strstr(error.text, name));
        assert_non_null(strstr(error.text, value));
    }
    return status;
}

static void defaults_fill_the_fields(void **state)
{
    target target = {0};

    (void)state;
    mtci_options_default(&table, &target);
    assert_int_equal(target.size, 65536);
    assert_int_equal(target.wait_ms, 0);
    assert_int_equal(target.share, 4);
    assert_true(target.ratio == 1.25);
    assert_true(target.is_on);
    assert_string_equal(target.name, "seven_7");
}

static void sizes_have_binary_units_or_none(void **state)
{
    static const struct {
        const char *text;
        int64_t bytes;
    } cases[] = {
        {"0", 0},
        {"1000", 1000},
        {"7B", 7},
        {"512KiB", 524288},
        {"64MiB", 67108864},
        {"2GiB", INT64_C(2147483648)},
        {"1TiB", INT64_C(1099511627776)},
        {"9223372036854775807", INT64_MAX},
        {"8388607TiB", INT64_C(8388607) << 40},
    };
    static const char *const wrong[] = {
        "",
        "MiB",
        "-1",
        "+1",
        " 1",
        "1 MiB",
        "1k",
        "1KB",
        "1mib",
        "1.5GiB",
        "0x10",
        "8388608TiB",
        "9223372036854775808",
        "99999999999999999999999999",
    };
    int64_t bytes;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        assert_true(mtci_parse_size(cases[i].text, &bytes));
        assert_true(bytes == cases[i].bytes);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        assert_false(mtci_parse_size(wrong[i], &bytes));
    }
}

static void durations_always_have_a_unit(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"250ms", 250},   {"10s", 10000},    {"5m", 300000},
        {"3h", 10800000}, {"2d", 172800000}, {"0s", 0},
    };
    static const char *const wrong[] = {
        "",      "10",   "s",
        "10S",   "1.5s", "-1s",
        "1h30m", "5min", "9223372036854775807s",
    };
    int64_t ms;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        assert_true(mtci_parse_duration(cases[i].text, &ms));
        assert_true(ms == cases[i].ms);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        assert_false(mtci_parse_duration(wrong[i], &ms));
    }
}

static void ranges_are_inclusive_and_a_refusal_changes_nothing(void **state)
{
    target target = {.size = 77};

    (void)state;
    assert_int_equal(set(&target, "size", "1023"), MTC_E_INVALID);
    assert_int_equal(set(&target, "size", "1025KiB"), MTC_E_INVALID);
    assert_int_equal(target.size, 77);
    assert_int_equal(set(&target, "size", "1024"), MTC_OK);
    assert_int_equal(set(&target, "size", "1MiB"), MTC_OK);
    assert_int_equal(target.size, 1048576);
    assert_int_equal(set(&target, "count", "0"), MTC_OK);
    assert_int_equal(set(&target, "count", "9223372036854775807"), MTC_OK);
    assert_int_equal(set(&target, "count", "-1"), MTC_E_INVALID);
    assert_int_equal(set(&target, "count", "1KiB"), MTC_E_INVALID);
}

static void ratios_have_a_point_whatever_the_locale(void **state)
{
    static const char *const wrong[] = {
        "",
        ".",
        "1.",
        ".5",
        "1,5",
        "1e0",
        "nan",
        "inf",
        "-1",
        "1.2.3",
        "0.49",
        "2.01",
        "1.0000000000000000000",
    };
    target target = {0};

    (void)state;
    assert_int_equal(set(&target, "ratio", "0.5"), MTC_OK);
    assert_true(target.ratio == 0.5);
    assert_int_equal(set(&target, "ratio", "2"), MTC_OK);
    assert_true(target.ratio == 2);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        assert_int_equal(set(&target, "ratio", wrong[i]), MTC_E_INVALID);
    }
}

static void shares_and_switches_have_words(void **state)
{
    target target = {0};

    (void)state;
    assert_int_equal(set(&target, "share", "on"), MTC_OK);
    assert_int_equal(target.share, 1);
    assert_int_equal(set(&target, "share", "off"), MTC_OK);
    assert_int_equal(target.share, -1);
    assert_int_equal(set(&target, "share", "1/100"), MTC_OK);
    assert_int_equal(target.share, 100);
    assert_int_equal(set(&target, "share", "1/101"), MTC_E_INVALID);
    assert_int_equal(set(&target, "share", "1/0"), MTC_E_INVALID);
    assert_int_equal(set(&target, "share", "2/3"), MTC_E_INVALID);
    assert_int_equal(set(&target, "on", "true"), MTC_OK);
    assert_true(target.is_on);
    assert_int_equal(set(&target, "on", "0"), MTC_OK);
    assert_false(target.is_on);
    assert_int_equal(set(&target, "on", "maybe"), MTC_E_INVALID);
    assert_int_equal(set(&target, "on", ""), MTC_E_INVALID);
}

static void text_that_is_too_long_is_refused_not_cut(void **state)
{
    target target = {.name = "before"};

    (void)state;
    assert_int_equal(set(&target, "name", "12345678"), MTC_E_INVALID);
    assert_string_equal(target.name, "before");
    assert_int_equal(set(&target, "name", "1234567"), MTC_OK);
    assert_string_equal(target.name, "1234567");
    assert_int_equal(set(&target, "name", ""), MTC_OK);
}

static void a_message_names_option_value_and_range(void **state)
{
    target target = {0};
    mtc_error error;

    (void)state;
    mtci_option_parse(&rows[0], "7", &error, &target);
    assert_string_equal(error.text, "size=7: must be a size such as 64MiB or "
                                    "1000, range 1KiB to 1MiB");
}

static void an_unknown_name_is_left_to_the_caller(void **state)
{
    mtci_url_param param = {"siz", "1"};
    bool is_known = true;

    (void)state;
    assert_int_equal(mtci_options_set(&table, &param, NULL, NULL, &is_known),
                     MTC_OK);
    assert_false(is_known);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_fill_the_fields),
        cmocka_unit_test(sizes_have_binary_units_or_none),
        cmocka_unit_test(durations_always_have_a_unit),
        cmocka_unit_test(ranges_are_inclusive_and_a_refusal_changes_nothing),
        cmocka_unit_test(ratios_have_a_point_whatever_the_locale),
        cmocka_unit_test(shares_and_switches_have_words),
        cmocka_unit_test(text_that_is_too_long_is_refused_not_cut),
        cmocka_unit_test(a_message_names_option_value_and_range),
        cmocka_unit_test(an_unknown_name_is_left_to_the_caller),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
