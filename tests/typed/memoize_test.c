/*
 * Memoising over a memory tier.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>

#include "mtc/memoize.h"

typedef struct fixture {
    mtc_cache *cache;
    int calls;
    mtc_status status;
} fixture;

/* The arguments in a row, each in brackets. */
static mtc_status brackets_call(const mtc_slice *arguments, size_t count,
                                void *ctx, mtc_writer *result)
{
    fixture *fixture = ctx;

    fixture->calls++;
    for (size_t i = 0; i < count; i++) {
        mtc_writer_add(result, mtc_str("["));
        mtc_writer_add(result, arguments[i]);
        mtc_writer_add(result, mtc_str("]"));
    }
    return fixture->status;
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

static mtc_function brackets_of(fixture *fixture)
{
    mtc_function function =
        MTC_FUNCTION_INIT("brackets", brackets_call, fixture, &MTC_SHORT_TERM);

    return function;
}

static void assert_result(fixture *fixture, const mtc_slice *arguments,
                          size_t count, const char *text)
{
    mtc_function function = brackets_of(fixture);
    mtc_value result;

    assert_int_equal(mtc_memoize(fixture->cache, &function, arguments, count,
                                 &result),
                     MTC_OK);
    assert_int_equal(result.size, strlen(text));
    if (result.size > 0) {
        assert_memory_equal(result.data, text, result.size);
    }
    mtc_value_free(&result);
}

static void a_function_is_called_once_per_arguments(void **state)
{
    mtc_slice arguments[] = {mtc_str("a"), mtc_str(":b")};
    fixture *fixture = *state;

    for (int i = 0; i < 3; i++) {
        assert_result(fixture, arguments, 2, "[a][:b]");
    }
    assert_int_equal(fixture->calls, 1);
    assert_result(fixture, arguments, 1, "[a]");
    assert_result(fixture, NULL, 0, "");
    assert_result(fixture, NULL, 0, "");
    assert_int_equal(fixture->calls, 3);
}

static void the_split_of_the_arguments_counts(void **state)
{
    mtc_slice one[] = {mtc_str("a:b"), mtc_str("c")};
    mtc_slice other[] = {mtc_str("a"), mtc_str("b:c")};
    mtc_slice empty[] = {mtc_str(""), mtc_str("")};
    fixture *fixture = *state;

    assert_result(fixture, one, 2, "[a:b][c]");
    assert_result(fixture, other, 2, "[a][b:c]");
    assert_result(fixture, empty, 2, "[][]");
    assert_result(fixture, empty, 1, "[]");
    assert_int_equal(fixture->calls, 4);
}

static void functions_of_other_names_are_apart(void **state)
{
    mtc_slice argument = mtc_str("a");
    fixture *fixture = *state;
    mtc_function function = brackets_of(fixture);
    mtc_value result;

    assert_result(fixture, &argument, 1, "[a]");
    function.name = "others";
    assert_int_equal(mtc_memoize(fixture->cache, &function, &argument, 1,
                                 &result),
                     MTC_OK);
    mtc_value_free(&result);
    assert_int_equal(fixture->calls, 2);
}

static void the_key_is_that_of_name_and_arguments(void **state)
{
    mtc_slice arguments[] = {mtc_str("a"), mtc_str("b")};
    fixture *fixture = *state;
    mtc_value value;

    assert_result(fixture, arguments, 2, "[a][b]");
    assert_int_equal(mtc_cache_get(fixture->cache, mtc_str("brackets:a:b"),
                                   &value),
                     MTC_OK);
    mtc_value_free(&value);
}

static void a_failure_is_told_and_not_kept(void **state)
{
    static const mtc_status cases[][2] = {
        {MTC_MISS, MTC_MISS},
        {MTC_E_UNAVAILABLE, MTC_E_UNAVAILABLE},
        {MTC_PENDING, MTC_E_INVALID},
    };
    mtc_slice argument = mtc_str("a");
    fixture *fixture = *state;
    mtc_function function = brackets_of(fixture);
    mtc_value result;

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        fixture->status = cases[i][0];
        assert_int_equal(mtc_memoize(fixture->cache, &function, &argument, 1,
                                     &result),
                         cases[i][1]);
        assert_null(result.data);
    }
    fixture->status = MTC_OK;
    assert_result(fixture, &argument, 1, "[a]");
    assert_int_equal(fixture->calls, 4);
}

static void wrong_functions_and_arguments_are_refused(void **state)
{
    static char large[MTC_KEY_SIZE_MAX];
    mtc_slice argument = mtc_bytes(large, sizeof(large));
    fixture *fixture = *state;
    mtc_function function = brackets_of(fixture);
    mtc_value result;

    assert_int_equal(mtc_memoize(fixture->cache, &function, &argument, 1,
                                 &result),
                     MTC_E_TOO_LARGE);
    assert_int_equal(mtc_memoize(fixture->cache, &function, NULL, 1, &result),
                     MTC_E_INVALID);
    assert_int_equal(mtc_memoize(fixture->cache, &function, NULL, 0, NULL),
                     MTC_E_INVALID);
    assert_int_equal(mtc_memoize(fixture->cache, NULL, NULL, 0, &result),
                     MTC_E_INVALID);
    function.name = "";
    memset(&result, 0xee, sizeof(result));
    assert_int_equal(mtc_memoize(fixture->cache, &function, NULL, 0, &result),
                     MTC_E_INVALID);
    assert_null(result.data);
    function = brackets_of(fixture);
    function.call = NULL;
    assert_int_equal(mtc_memoize(fixture->cache, &function, NULL, 0, &result),
                     MTC_E_INVALID);
    assert_int_equal(fixture->calls, 0);
}

/* Ends its thread with bytes in the writer and a key on the heap. */
static mtc_status ending_call(const mtc_slice *arguments, size_t count,
                              void *ctx, mtc_writer *result)
{
    (void)ctx;
    (void)count;
    mtc_writer_add(result, arguments[0]);
    pthread_exit(NULL);
}

static void *ending_run(void *ctx)
{
    char large[1000] = {0};
    mtc_slice argument = mtc_bytes(large, sizeof(large));
    mtc_function function =
        MTC_FUNCTION_INIT("ending", ending_call, NULL, NULL);
    mtc_value result;

    mtc_memoize(ctx, &function, &argument, 1, &result);
    return ctx;
}

static void a_function_that_ends_its_thread_leaks_nothing(void **state)
{
    fixture *fixture = *state;
    void *returned = fixture;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, ending_run, fixture->cache),
                     0);
    assert_int_equal(pthread_join(thread, &returned), 0);
    assert_null(returned);
}

#define cache_test(name)                                                       \
    cmocka_unit_test_setup_teardown(name, cache_open, cache_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cache_test(a_function_is_called_once_per_arguments),
        cache_test(the_split_of_the_arguments_counts),
        cache_test(functions_of_other_names_are_apart),
        cache_test(the_key_is_that_of_name_and_arguments),
        cache_test(a_failure_is_told_and_not_kept),
        cache_test(wrong_functions_and_arguments_are_refused),
        cache_test(a_function_that_ends_its_thread_leaks_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
