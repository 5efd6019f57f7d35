/*
 * Asynchronous calls without memory: each allocation fails once, and the call
 * is refused, or called back with a status.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/cache_fixture.h"
#include "support/callers.h"
#include "support/failing_alloc.h"
#include "support/queue_rig.h"

static mtct_cache fixture;
static mtc_queue *queue;
static mtct_heard heard;
static mtc_item items[2];

static int setup(void **state)
{
    (void)state;
    mtct_cache_init(&fixture);
    assert_int_equal(mtc_queue_open(fixture.cache, &queue), MTC_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mtc_queue_close(&queue);
    mtct_cache_fini(&fixture);
    return 0;
}

static mtc_status load(mtc_load *load, void *ctx)
{
    (void)ctx;
    return mtc_load_set_value(load, mtc_str("v"));
}

static mtc_status begin_load(void)
{
    mtc_cache_remove(fixture.cache, mtc_str("k"));
    return mtc_cache_get_or_load_async(queue, mtc_str("k"), NULL, load, NULL,
                                       mtct_hear, &heard);
}

static mtc_status begin_hit(void)
{
    mtc_cache_set(fixture.cache, mtc_str("h"), mtc_str("v"), NULL);
    return mtc_cache_get_async(queue, mtc_str("h"), NULL, mtct_hear, &heard);
}

static mtc_status begin_set(void)
{
    return mtc_cache_set_async(queue, mtc_str("s"), mtc_str("v"), NULL,
                               mtct_hear, &heard);
}

static mtc_status begin_many(void)
{
    items[0] = (mtc_item){.key = mtc_str("a")};
    items[1] = (mtc_item){.key = mtc_str("b")};
    return mtc_cache_get_many_async(queue, items, 2, NULL, mtct_hear_many,
                                    &heard);
}

static mtc_status load_bulk(mtc_bulk *bulk, void *ctx)
{
    (void)ctx;
    for (size_t i = 0; i < mtc_bulk_count(bulk); i++)
        mtc_load_set_value(mtc_bulk_load(bulk, i), mtc_str("v"));
    return MTC_OK;
}

static mtc_status begin_load_many(void)
{
    items[0] = (mtc_item){.key = mtc_str("la")};
    items[1] = (mtc_item){.key = mtc_str("lb")};
    return mtc_cache_get_or_load_many_async(queue, items, 2, NULL, load_bulk,
                                            NULL, mtct_hear_many, &heard);
}

static mtc_status begin_set_many(void)
{
    items[0] = (mtc_item){.key = mtc_str("a"), .bytes = mtc_str("v")};
    items[1] = (mtc_item){.key = mtc_str("b"), .bytes = mtc_str("v")};
    return mtc_cache_set_many_async(queue, items, 2, NULL, mtct_hear_many,
                                    &heard);
}

/* Fails the n-th allocation of a call for n = 1, 2, and so on. */
static void sweep(mtc_status (*begin)(void))
{
    bool has_failed = true;
    for (long n = 1; has_failed; n++) {
        heard = (mtct_heard){0};
        mtct_alloc_arm(n, false);
        mtc_status status = begin();
        if (status == MTC_PENDING)
            mtct_drain_until(queue, &heard);
        else
            assert_int_equal(status, MTC_E_NO_MEMORY);
        has_failed = mtct_alloc_disarm();
        mtct_drain_all(queue);
        assert_int_equal(heard.count, status == MTC_PENDING);
        for (int i = 0; i < 2; i++)
            mtc_value_free(&items[i].value);
        mtct_quiet_await(fixture.cache);
    }
    assert_true(heard.status >= 0);
}

static void a_load_without_memory_is_told(void **state)
{
    (void)state;
    sweep(begin_load);
}

static void a_hit_without_memory_is_told(void **state)
{
    (void)state;
    sweep(begin_hit);
}

static void a_set_without_memory_is_told(void **state)
{
    (void)state;
    sweep(begin_set);
}

static void many_keys_without_memory_are_told(void **state)
{
    (void)state;
    sweep(begin_many);
    sweep(begin_load_many);
    sweep(begin_set_many);
}

static void a_queue_without_memory_is_refused(void **state)
{
    mtc_queue *more = queue;
    (void)state;
    mtct_alloc_arm(1, false);
    assert_int_equal(mtc_queue_open(fixture.cache, &more), MTC_E_NO_MEMORY);
    mtct_alloc_disarm();
    assert_null(more);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_load_without_memory_is_told),
        TEST(a_hit_without_memory_is_told),
        TEST(a_set_without_memory_is_told),
        TEST(many_keys_without_memory_are_told),
        TEST(a_queue_without_memory_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
