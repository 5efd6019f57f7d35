/*
 * JSON values over a memory tier, through the shared libraries.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "mtc/json.h"

typedef struct fixture {
    mtc_cache *cache;
    int loads;
    mtc_status status;
    const char *text; /* what the loader answers; NULL: nothing */
} fixture;

static json_t *json_of(const char *text)
{
    json_error_t error;

    return json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
}

static int cache_open(void **state)
{
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    fixture *fixture = calloc(1, sizeof(*fixture));

    options.tiers = "memory";
    *state = fixture;
    return fixture == NULL ||
           mtc_cache_open(&options, NULL, &fixture->cache) != MTC_OK;
}

static int cache_close(void **state)
{
    fixture *fixture = *state;
    int failed = mtc_cache_close(&fixture->cache) != MTC_OK;

    free(fixture);
    return failed;
}

static mtc_status json_load(mtc_load *load, void *ctx, json_t **json)
{
    fixture *fixture = ctx;

    fixture->loads++;
    assert_true(mtc_load_key(load).size == 1);
    if (fixture->text != NULL) {
        *json = json_of(fixture->text);
    }
    return fixture->status;
}

static mtc_status get_or_load(fixture *fixture, json_t **json)
{
    return mtc_json_get_or_load(fixture->cache, mtc_str("k"), NULL, json_load,
                                fixture, json);
}

static void any_json_comes_back_equal(void **state)
{
    static const char *const texts[] = {
        "{\"id\":7,\"name\":\"pen\",\"tags\":[true,null,1.5]}",
        "[]",
        "\"a\\u0000b\"",
        "-3",
        "null",
    };
    fixture *fixture = *state;

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        json_t *in = json_of(texts[i]), *out;

        assert_int_equal(mtc_json_set(fixture->cache, mtc_str("k"), in,
                                      &MTC_SHORT_TERM),
                         MTC_OK);
        assert_int_equal(mtc_json_get(fixture->cache, mtc_str("k"), &out),
                         MTC_OK);
        assert_true(json_equal(in, out));
        json_decref(in);
        json_decref(out);
    }
}

static void it_is_stored_as_compact_text(void **state)
{
    fixture *fixture = *state;
    json_t *json = json_of("{ \"a\" : [ 1, 2 ] }");
    mtc_value value;

    assert_int_equal(mtc_json_set(fixture->cache, mtc_str("k"), json, NULL),
                     MTC_OK);
    json_decref(json);
    assert_int_equal(mtc_cache_get(fixture->cache, mtc_str("k"), &value),
                     MTC_OK);
    assert_int_equal(value.size, 11);
    assert_memory_equal(value.data, "{\"a\":[1,2]}", 11);
    mtc_value_free(&value);
}

static void a_miss_and_what_is_no_json_give_nothing(void **state)
{
    static const char *const texts[] = {"", "{", "{} {}", "nul", "\xff"};
    fixture *fixture = *state;
    json_t *json;

    assert_int_equal(mtc_json_get(fixture->cache, mtc_str("k"), &json),
                     MTC_MISS);
    assert_null(json);
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        assert_int_equal(mtc_cache_set(fixture->cache, mtc_str("k"),
                                       mtc_str(texts[i]), NULL),
                         MTC_OK);
        assert_int_equal(mtc_json_get(fixture->cache, mtc_str("k"), &json),
                         MTC_E_CORRUPT);
        assert_null(json);
    }
}

static void deep_nesting_is_refused_not_followed(void **state)
{
    enum { DEPTH = 1000000 };
    fixture *fixture = *state;
    char *text = malloc(DEPTH);
    json_t *json;

    assert_non_null(text);
    memset(text, '[', DEPTH);
    assert_int_equal(mtc_cache_set(fixture->cache, mtc_str("k"),
                                   mtc_bytes(text, DEPTH), NULL),
                     MTC_OK);
    assert_int_equal(mtc_json_get(fixture->cache, mtc_str("k"), &json),
                     MTC_E_CORRUPT);
    free(text);
}

static void each_caller_has_a_tree_of_his_own(void **state)
{
    fixture *fixture = *state;
    json_t *one, *other;

    fixture->text = "{\"n\":1}";
    assert_int_equal(get_or_load(fixture, &one), MTC_OK);
    json_object_set_new(one, "n", json_integer(2));
    assert_int_equal(get_or_load(fixture, &other), MTC_OK);
    assert_int_equal(json_integer_value(json_object_get(other, "n")), 1);
    assert_int_equal(fixture->loads, 1);
    json_decref(one);
    json_decref(other);
}

static void what_is_no_json_is_loaded_again(void **state)
{
    fixture *fixture = *state;
    json_t *json;

    fixture->text = "[1]";
    assert_int_equal(mtc_cache_set(fixture->cache, mtc_str("k"), mtc_str("{"),
                                   NULL),
                     MTC_OK);
    assert_int_equal(get_or_load(fixture, &json), MTC_OK);
    assert_int_equal(json_array_size(json), 1);
    assert_int_equal(fixture->loads, 1);
    json_decref(json);
}

static void a_load_that_fails_gives_its_status_and_no_json(void **state)
{
    fixture *fixture = *state;
    json_t *json;

    fixture->status = MTC_E_DENIED;
    assert_int_equal(get_or_load(fixture, &json), MTC_E_DENIED);
    assert_null(json);
    fixture->status = MTC_OK; /* and sets nothing */
    assert_int_equal(get_or_load(fixture, &json), MTC_E_LOAD_FAILED);
    assert_null(json);
}

static void wrong_arguments_are_refused(void **state)
{
    fixture *fixture = *state;
    json_t *json;

    assert_int_equal(mtc_json_get(fixture->cache, mtc_str("k"), NULL),
                     MTC_E_INVALID);
    assert_int_equal(mtc_json_set(fixture->cache, mtc_str("k"), NULL, NULL),
                     MTC_E_INVALID);
    assert_int_equal(mtc_json_get_or_load(fixture->cache, mtc_str("k"), NULL,
                                          NULL, NULL, &json),
                     MTC_E_INVALID);
    assert_int_equal(get_or_load(fixture, NULL), MTC_E_INVALID);
}

#define cache_test(name)                                                       \
    cmocka_unit_test_setup_teardown(name, cache_open, cache_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cache_test(any_json_comes_back_equal),
        cache_test(it_is_stored_as_compact_text),
        cache_test(a_miss_and_what_is_no_json_give_nothing),
        cache_test(deep_nesting_is_refused_not_followed),
        cache_test(each_caller_has_a_tree_of_his_own),
        cache_test(what_is_no_json_is_loaded_again),
        cache_test(a_load_that_fails_gives_its_status_and_no_json),
        cache_test(wrong_arguments_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
