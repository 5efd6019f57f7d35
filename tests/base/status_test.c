/*
 * Statuses in words, errors, and the version.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

#define LOWEST  MTC_E_FORKED
#define HIGHEST MTC_EXISTS

static void every_status_has_a_name_and_a_text_of_its_own(void **state)
{
    (void)state;
    for (int one = LOWEST; one <= HIGHEST; one++) {
        const char *name = mtc_status_name((mtc_status)one);
        const char *text = mtc_status_text((mtc_status)one);

        assert_string_not_equal(name, "UNKNOWN");
        assert_string_not_equal(text, "unknown status");
        assert_int_equal(strncmp(name, "E_", 2) == 0, one < 0);
        for (int other = LOWEST; other < one; other++) {
            assert_string_not_equal(name, mtc_status_name((mtc_status)other));
            assert_string_not_equal(text, mtc_status_text((mtc_status)other));
        }
    }
}

static void names_are_spelt_as_in_c(void **state)
{
    (void)state;
    assert_string_equal(mtc_status_name(MTC_MISS), "MISS");
    assert_string_equal(mtc_status_name(MTC_E_FORKED), "E_FORKED");
    assert_string_equal(mtc_status_text(MTC_MISS), "the key is in no tier");
}

static void a_number_that_is_no_status_is_named_unknown(void **state)
{
    (void)state;
    assert_string_equal(mtc_status_name((mtc_status)(LOWEST - 1)), "UNKNOWN");
    assert_string_equal(mtc_status_name((mtc_status)(HIGHEST + 1)), "UNKNOWN");
    assert_string_equal(mtc_status_text((mtc_status)1000), "unknown status");
}

static void the_version_is_that_of_the_headers(void **state)
{
    char wanted[32];

    (void)state;
    snprintf(wanted, sizeof(wanted), "%d.%d.%d", MTC_VERSION_MAJOR,
             MTC_VERSION_MINOR, MTC_VERSION_PATCH);
    assert_string_equal(mtc_version(), wanted);
}

static void a_failure_is_noted_whole(void **state)
{
    mtc_error error;

    (void)state;
    errno = EACCES;
    assert_int_equal(mtci_fail(&error, MTC_E_DENIED, "disk", "no %s", "way"),
                     MTC_E_DENIED);
    assert_int_equal(error.status, MTC_E_DENIED);
    assert_int_equal(error.system_error, EACCES);
    assert_string_equal(error.part, "disk");
    assert_string_equal(error.text, "no way");
}

static void errno_is_noted_only_where_a_system_call_failed(void **state)
{
    mtc_error error;

    (void)state;
    errno = ENOENT;
    mtci_fail(&error, MTC_E_INVALID, "url", "wrong");
    assert_int_equal(error.system_error, 0);
}

static void a_long_failure_is_cut_and_none_is_needed(void **state)
{
    char text[1000];
    mtc_error error;

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    mtci_fail(&error, MTC_E_INVALID, text, "%s", text);
    assert_int_equal(strlen(error.part), sizeof(error.part) - 1);
    assert_int_equal(strlen(error.text), sizeof(error.text) - 1);
    assert_int_equal(mtci_fail(NULL, MTC_E_BUSY, "x", "y"), MTC_E_BUSY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_a_name_and_a_text_of_its_own),
        cmocka_unit_test(names_are_spelt_as_in_c),
        cmocka_unit_test(a_number_that_is_no_status_is_named_unknown),
        cmocka_unit_test(the_version_is_that_of_the_headers),
        cmocka_unit_test(a_failure_is_noted_whole),
        cmocka_unit_test(errno_is_noted_only_where_a_system_call_failed),
        cmocka_unit_test(a_long_failure_is_cut_and_none_is_needed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
