/*
 * URLs that name tiers.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/url.h"
#include "mtc/value.h"

typedef struct url_case {
    const char *text;
    const char *scheme, *user, *password, *host;
    int port;
    const char *path;
} url_case;

static void parts_are_split_and_decoded(void **state)
{
    static const url_case cases[] = {
        {"memory", "memory", "", "", "", 0, ""},
        {"memory?size=64MiB", "memory", "", "", "", 0, ""},
        {"noop:", "noop", "", "", "", 0, ""},
        {"disk:/var/cache", "disk", "", "", "", 0, "/var/cache"},
        {"disk:relative/x", "disk", "", "", "", 0, "relative/x"},
        {"disk:", "disk", "", "", "", 0, ""},
        {"disk:///a%20b", "disk", "", "", "", 0, "/a b"},
        {"REDIS://h", "redis", "", "", "h", 0, ""},
        {"redis://h:6379/3", "redis", "", "", "h", 6379, "/3"},
        {"redis://u:p%40ss@h/0", "redis", "u", "p@ss", "h", 0, "/0"},
        {"redis://:p:w@h", "redis", "", "p:w", "h", 0, ""},
        {"redis://a@b@h", "redis", "a@b", "", "h", 0, ""},
        {"redis://[::1]:7000", "redis", "", "", "::1", 7000, ""},
        {"redis://u:p@[fe80::1]", "redis", "u", "p", "fe80::1", 0, ""},
        {"redis+unix:///run/r.sock?db=1", "redis+unix", "", "", "", 0,
         "/run/r.sock"},
        {"redis://h:65535", "redis", "", "", "h", 65535, ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const url_case *wanted = &cases[i];
        mtci_url url;

        assert_int_equal(mtci_url_parse(wanted->text, NULL, &url), MTC_OK);
        assert_string_equal(url.scheme, wanted->scheme);
        assert_string_equal(url.user, wanted->user);
        assert_string_equal(url.password, wanted->password);
        assert_string_equal(url.host, wanted->host);
        assert_int_equal(url.port, wanted->port);
        assert_string_equal(url.path, wanted->path);
        mtci_url_fini(&url);
    }
}

static void parameters_are_split_and_decoded(void **state)
{
    mtci_url url;

    (void)state;
    assert_int_equal(mtci_url_parse("m?a=1&b&c%3D=x%26=y", NULL, &url), MTC_OK);
    assert_int_equal(url.param_count, 3);
    assert_string_equal(url.params[0].name, "a");
    assert_string_equal(url.params[0].value, "1");
    assert_string_equal(url.params[1].name, "b");
    assert_string_equal(url.params[1].value, "");
    assert_string_equal(url.params[2].name, "c=");
    assert_string_equal(url.params[2].value, "x&=y");
    mtci_url_fini(&url);
}

static void wrong_urls_are_refused_with_a_position(void **state)
{
    static const char *const texts[] = {
        "",
        "//host",
        "me mory",
        "memory/x",
        ":x",
        "redis://h:0",
        "redis://h:65536",
        "redis://h:99999999999999999999",
        "redis://h:",
        "redis://h:6x",
        "redis://::1",
        "redis://[::1",
        "redis://[]",
        "redis://[::1]6379",
        "disk:/a%",
        "disk:/a%2",
        "disk:/a%zz",
        "disk:/a%00b",
        "memory?=1",
        "memory?a=1&&b=2",
        "memory?a=1&a=2",
        "memory?a=%0",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        mtc_error error = {0};
        mtci_url url;

        assert_int_equal(mtci_url_parse(texts[i], &error, &url), MTC_E_INVALID);
        assert_int_equal(error.status, MTC_E_INVALID);
        assert_string_equal(error.part, "url");
        assert_non_null(strstr(error.text, "at byte"));
        assert_null(url.memory);
        mtci_url_fini(&url);
    }
}

static void a_parameter_beyond_the_limit_is_refused(void **state)
{
    char text[4 * MTCI_URL_PARAMS_MAX + 16] = "m?";
    mtci_url url;
    size_t size = 2;

    (void)state;
    for (int i = 0; i < MTCI_URL_PARAMS_MAX; i++) {
        size += (size_t)sprintf(text + size, "%sp%d", i ? "&" : "", i);
    }
    assert_int_equal(mtci_url_parse(text, NULL, &url), MTC_OK);
    assert_int_equal(url.param_count, MTCI_URL_PARAMS_MAX);
    mtci_url_fini(&url);
    strcpy(text + size, "&more");
    assert_int_equal(mtci_url_parse(text, NULL, &url), MTC_E_INVALID);
}

static void a_password_is_never_shown_however_it_is_mistyped(void **state)
{
    static const char *const texts[] = {
        "redis://u:S3CR3T@h:badport",
        "redis://u:S3CR3T%0a%@h",
        "redis://:S3CR3T",
        "redis://u:x/S3CR3T@h",
        "redis://u:x?S3CR3T@h",
        "redis://u:1/S3CR3T@h",
        "redis://u:@S3CR3T@h",
        "redis://u:x%S3CR3T@h:1",
        "redis://:1S3CR3T@h:0",
        "redis+unix:///s%?password=S3CR3T",
        "redis://[:S3CR3T@h",
        "redis://[::1]:S3CR3T",
        "redis://h:S3CR3T/0",
    };
    mtc_error error;
    mtci_url url;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        memset(&error, 0, sizeof(error));
        mtci_url_parse(texts[i], &error, &url);
        mtci_url_fini(&url);
        assert_null(strstr(error.text, "S3CR3T"));
    }
}

/* Any bytes: no crash, and what is accepted lies inside the memory. */
static void random_text_never_crashes(void **state)
{
    static const char letters[] = "redis:/?&=%@[]0:19aF.+%%//::@@";
    char text[40];

    (void)state;
    srand(7);
    for (int round = 0; round < 100000; round++) {
        size_t size = (size_t)rand() % sizeof(text);
        mtci_url url;

        for (size_t i = 0; i < size; i++) {
            text[i] = letters[(size_t)rand() % (sizeof(letters) - 1)];
        }
        text[size == sizeof(text) ? size - 1 : size] = '\0';
        if (mtci_url_parse(text, NULL, &url) == MTC_OK) {
            assert_true(strlen(url.path) <= strlen(text));
        }
        mtci_url_fini(&url);
    }
}

static void several_hosts_are_separated_by_commas(void **state)
{
    mtci_url url;

    (void)state;
    assert_int_equal(mtci_url_parse("redis+cluster://u:p,w@a:1,[::1]:2,c/0",
                                    NULL, &url),
                     MTC_OK);
    assert_string_equal(url.password, "p,w");
    assert_int_equal(url.host_count, 3);
    assert_string_equal(url.hosts[0].name, "a");
    assert_int_equal(url.hosts[0].port, 1);
    assert_string_equal(url.hosts[1].name, "::1");
    assert_int_equal(url.hosts[1].port, 2);
    assert_string_equal(url.hosts[2].name, "c");
    assert_int_equal(url.hosts[2].port, 0);
    assert_string_equal(url.host, "a");
    assert_int_equal(url.port, 1);
    assert_string_equal(url.path, "/0");
    mtci_url_fini(&url);
    assert_int_equal(mtci_url_parse("redis+unix:///a", NULL, &url), MTC_OK);
    assert_int_equal(url.host_count, 0);
    mtci_url_fini(&url);
}

static void too_many_or_empty_hosts_are_refused(void **state)
{
    static const char *const wrong[] = {"r://a,", "r://,a", "r://a,,b", "r://,",
                                        "r://a:1,b:0"};
    char text[200] = "r://a";
    mtci_url url;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(mtci_url_parse(wrong[i], NULL, &url), MTC_E_INVALID);
    for (size_t i = 1; i < MTCI_URL_HOSTS_MAX; i++)
        strcat(text, ",a");
    assert_int_equal(mtci_url_parse(text, NULL, &url), MTC_OK);
    assert_int_equal(url.host_count, MTCI_URL_HOSTS_MAX);
    mtci_url_fini(&url);
    strcat(text, ",a");
    assert_int_equal(mtci_url_parse(text, NULL, &url), MTC_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_split_and_decoded),
        cmocka_unit_test(parameters_are_split_and_decoded),
        cmocka_unit_test(wrong_urls_are_refused_with_a_position),
        cmocka_unit_test(a_parameter_beyond_the_limit_is_refused),
        cmocka_unit_test(a_password_is_never_shown_however_it_is_mistyped),
        cmocka_unit_test(several_hosts_are_separated_by_commas),
        cmocka_unit_test(too_many_or_empty_hosts_are_refused),
        cmocka_unit_test(random_text_never_crashes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
