/*
 * Opening tiers by URL, the list of options, and the no-op tier.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "mtc/tier.h"

static mtc_status url_open(const char *url, mtc_error *error,
                           mtc_tier_config *config)
{
    *config = (mtc_tier_config)MTC_TIER_CONFIG_INIT;
    return mtc_tier_open(url, error, config);
}

static void a_tier_opens_with_its_defaults(void **state)
{
    mtc_tier_config config;

    (void)state;
    assert_int_equal(url_open("noop:", NULL, &config), MTC_OK);
    assert_string_equal(config.tier->ops->scheme, "noop");
    assert_int_equal(config.promote_one_in, 1);
    assert_true(config.ttl_scale == 1.0);
    assert_int_equal(config.ttl_ms_max, 0);
    assert_int_equal(config.deadline_ms, 250);
    assert_string_equal(config.prefix, "");
    assert_int_equal(config.struct_size, sizeof(config));
    mtc_tier_close(config.tier);
    mtc_tier_close(NULL);
}

static void what_the_cache_acts_on_goes_into_the_configuration(void **state)
{
    mtc_tier_config config;

    (void)state;
    assert_int_equal(url_open("noop?ttl_scale=0.5&ttl_max=5m&promote=1/8&"
                              "deadline=1s&prefix=app%3A",
                              NULL, &config),
                     MTC_OK);
    assert_int_equal(config.promote_one_in, 8);
    assert_true(config.ttl_scale == 0.5);
    assert_int_equal(config.ttl_ms_max, 300000);
    assert_int_equal(config.deadline_ms, 1000);
    assert_string_equal(config.prefix, "app:");
    mtc_tier_close(config.tier);
}

static void several_hosts_are_refused_where_one_is_meant(void **state)
{
    mtc_tier_config config;
    mtc_error error;

    (void)state;
    assert_int_equal(url_open("redis://a:1,b:2", &error, &config),
                     MTC_E_INVALID);
    assert_string_equal(error.text,
                        "redis: one host only, not several with commas");
}

static void a_wrong_parameter_is_named_with_its_range(void **state)
{
    static const char *const cases[][2] = {
        {"noop?deadline=11m", "deadline=11m"},
        {"noop?deadline=0s", "1ms to 10m"},
        {"noop?ttl_scale=0", "0.001 to 1000"},
        {"noop?promote=2", "promote=2"},
        {"noop?promote=1/1000001", "1000000"},
        {"memory?size=x", "size=x"},
    };
    mtc_tier_config config;
    mtc_error error;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        assert_int_equal(url_open(cases[i][0], &error, &config), MTC_E_INVALID);
        assert_non_null(strstr(error.text, cases[i][1]));
        assert_null(config.tier);
    }
}

static void a_prefix_of_255_bytes_is_the_longest(void **state)
{
    char url[300];
    mtc_tier_config config;

    (void)state;
    memset(url, 'p', sizeof(url));
    memcpy(url, "noop?prefix=", 12);
    url[12 + 255] = '\0';
    assert_int_equal(url_open(url, NULL, &config), MTC_OK);
    assert_int_equal(strlen(config.prefix), 255);
    mtc_tier_close(config.tier);
    url[12 + 255] = 'p';
    url[12 + 256] = '\0';
    assert_int_equal(url_open(url, NULL, &config), MTC_E_INVALID);
}

static void an_unknown_parameter_is_named_and_the_others_listed(void **state)
{
    mtc_tier_config config;
    mtc_error error;

    (void)state;
    assert_int_equal(url_open("memory?sise=1", &error, &config), MTC_E_INVALID);
    assert_non_null(strstr(error.text, "'sise'"));
    assert_non_null(strstr(error.text, " size"));
    assert_non_null(strstr(error.text, " deadline"));
}

static void an_unknown_scheme_is_unsupported_and_the_others_listed(void **state)
{
    mtc_tier_config config;
    mtc_error error;

    (void)state;
    assert_int_equal(url_open("gopher://u:S3CR3T@h", &error, &config),
                     MTC_E_UNSUPPORTED);
    assert_non_null(strstr(error.text, "'gopher'"));
    assert_non_null(strstr(error.text, "memory disk redis"));
    assert_null(strstr(error.text, "S3CR3T"));
    /* a part of a scheme is none */
    assert_int_equal(url_open("mem", NULL, &config), MTC_E_UNSUPPORTED);
    assert_int_equal(url_open("memoryy", NULL, &config), MTC_E_UNSUPPORTED);
}

static void what_is_no_url_or_no_configuration_is_refused(void **state)
{
    mtc_tier_config config = MTC_TIER_CONFIG_INIT;

    (void)state;
    assert_int_equal(mtc_tier_open(NULL, NULL, &config), MTC_E_INVALID);
    assert_int_equal(mtc_tier_open("noop:", NULL, NULL), MTC_E_INVALID);
    assert_int_equal(mtc_tier_open("", NULL, &config), MTC_E_INVALID);
    assert_int_equal(mtc_tier_open("noop://host", NULL, &config),
                     MTC_E_INVALID);
    config.struct_size = 0;
    assert_int_equal(mtc_tier_open("noop:", NULL, &config), MTC_E_INVALID);
    assert_null(config.tier);
}

static void every_option_is_described(void **state)
{
    bool has_any = false, has_memory = false;
    mtc_option_info info;
    size_t index = 0;

    (void)state;
    while (mtc_option_get(index, &info) == MTC_OK) {
        assert_true(strlen(info.scope) > 0);
        assert_true(strlen(info.name) > 0);
        assert_true(strlen(info.kind) > 0);
        assert_true(strlen(info.text) > 0);
        assert_non_null(info.fallback);
        assert_non_null(info.range);
        has_any |=
            strcmp(info.scope, "any") == 0 && strcmp(info.name, "prefix") == 0;
        has_memory |=
            strcmp(info.scope, "memory") == 0 && strcmp(info.name, "size") == 0;
        index++;
    }
    assert_true(has_any && has_memory);
    assert_int_equal(mtc_option_get(index + 1, &info), MTC_MISS);
    assert_int_equal(mtc_option_get(SIZE_MAX, &info), MTC_MISS);
    assert_int_equal(mtc_option_get(0, NULL), MTC_E_INVALID);
}

static int done_count;

static void request_note(mtc_request *request)
{
    (void)request;
    done_count++;
}

static void the_noop_tier_misses_reads_and_forgets_writes(void **state)
{
    mtc_request requests[2] = {{.done = request_note}, {.done = request_note}};
    mtc_request *const pointers[2] = {&requests[0], &requests[1]};
    mtc_tier_config config;

    (void)state;
    assert_int_equal(url_open("noop:", NULL, &config), MTC_OK);
    for (int verb = MTC_VERB_READ; verb <= MTC_VERB_EXPIRE; verb++) {
        done_count = 0;
        memset(requests, 0, sizeof(requests));
        requests[0].done = requests[1].done = request_note;
        config.tier->ops->submit(config.tier, (mtc_verb)verb, pointers, 2);
        assert_int_equal(done_count, 2);
        for (int i = 0; i < 2; i++) {
            assert_true(mtc_request_is_complete(&requests[i]));
            assert_int_equal(requests[i].status,
                             verb == MTC_VERB_READ ? MTC_MISS : MTC_OK);
        }
    }
    mtc_tier_close(config.tier);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tier_opens_with_its_defaults),
        cmocka_unit_test(what_the_cache_acts_on_goes_into_the_configuration),
        cmocka_unit_test(several_hosts_are_refused_where_one_is_meant),
        cmocka_unit_test(a_wrong_parameter_is_named_with_its_range),
        cmocka_unit_test(a_prefix_of_255_bytes_is_the_longest),
        cmocka_unit_test(an_unknown_parameter_is_named_and_the_others_listed),
        cmocka_unit_test(
            an_unknown_scheme_is_unsupported_and_the_others_listed),
        cmocka_unit_test(what_is_no_url_or_no_configuration_is_refused),
        cmocka_unit_test(every_option_is_described),
        cmocka_unit_test(the_noop_tier_misses_reads_and_forgets_writes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
