/*
 * JSON values while jansson runs out of memory: a status, and nothing is lost.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "mtc/json.h"

/* One thread; the n-th allocation from now on fails, and maybe the rest. */
static struct {
    long left;
    int goes_on;
    int has_failed;
    long live;
} fuse;

static mtc_cache *cache;
static json_t *object;

static void *fused_malloc(size_t size)
{
    void *made = NULL;
    if (fuse.left > 0 && --fuse.left == 0)
        fuse.has_failed = 1;
    else if (!fuse.has_failed || !fuse.goes_on)
        made = malloc(size);
    fuse.live += made != NULL;
    return made;
}

static void fused_free(void *made)
{
    fuse.live -= made != NULL;
    free(made);
}

static mtc_status load(mtc_load *load, void *ctx, json_t **json)
{
    (void)load;
    (void)ctx;
    *json = json_pack("[[i,i],f,n,[b]]", 1, 2, 3.5, 1);
    return *json ? MTC_OK : MTC_E_NO_MEMORY;
}

/* -- the calls: each leaves what it got in *json -------------------------- */

static mtc_status call_get(json_t **json)
{
    return mtc_json_get(cache, mtc_str("k"), json);
}

static mtc_status call_set(json_t **json)
{
    *json = NULL;
    return mtc_json_set(cache, mtc_str("k"), object, NULL);
}

static mtc_status call_hit(json_t **json)
{
    return mtc_json_get_or_load(cache, mtc_str("k"), NULL, load, NULL, json);
}

static mtc_status call_load(json_t **json)
{
    assert_int_equal(mtc_cache_remove(cache, mtc_str("n")), MTC_OK);
    return mtc_json_get_or_load(cache, mtc_str("n"), NULL, load, NULL, json);
}

static void assert_kept(void)
{
    json_t *json;
    assert_int_equal(mtc_json_get(cache, mtc_str("k"), &json), MTC_OK);
    assert_true(json_equal(json, object));
    json_decref(json);
}

/* jansson does not say why it cannot write a value. */
static int is_failure(mtc_status (*call)(json_t **json), mtc_status status)
{
    return status == MTC_E_NO_MEMORY ||
           (status == MTC_E_INVALID && (call == call_set || call == call_load));
}

/* Whether an allocation failed. */
static int sweep_once(mtc_status (*call)(json_t **json), long n, int goes_on)
{
    json_t *json = NULL;
    long before = fuse.live;
    fuse.left = n;
    fuse.goes_on = goes_on;
    fuse.has_failed = 0;
    mtc_status status = call(&json);
    int has_failed = fuse.has_failed;
    fuse.left = 0;
    fuse.has_failed = 0;
    if (status != MTC_OK)
        assert_true(has_failed && is_failure(call, status) && !json);
    if (json)
        assert_true(json_equal(json, object));
    json_decref(json);
    assert_kept();
    assert_int_equal(fuse.live, before);
    return has_failed;
}

static void every_failed_allocation_is_a_status(void **state)
{
    mtc_status (*const calls[])(json_t * *json) = {call_get, call_set, call_hit,
                                                   call_load};
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    (void)state;
    options.tiers = "memory";
    assert_int_equal(mtc_cache_open(&options, NULL, &cache), MTC_OK);
    assert_int_equal(load(NULL, NULL, &object), MTC_OK);
    assert_int_equal(mtc_json_set(cache, mtc_str("k"), object, NULL), MTC_OK);
    for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
        for (int goes_on = 0; goes_on < 2; goes_on++) {
            long n = 1;
            while (sweep_once(calls[i], n, goes_on))
                n++;
            assert_true(n > 1);
        }
    }
    json_decref(object);
    assert_int_equal(mtc_cache_close(&cache), MTC_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_failed_allocation_is_a_status),
    };
    json_set_alloc_funcs(fused_malloc, fused_free);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
