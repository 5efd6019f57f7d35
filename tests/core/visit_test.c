/*
 * Closing while a call is inside of a tier that answers at once: the tier
 * stays until the call is out again, whichever call it is and however often
 * its thread has called before.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "core/cache.h"
#include "mtc/stats.h"
#include "support/callers.h"

/* For a close that does not wait to get to the tier. */
#define TRAP_MS 20

static mtc_cache *cache;  /* closed by one thread */
static mtc_cache *inside; /* the same, for the calls */
static mtct_stop in_tier;
static bool is_trap; /* whoever comes into the tier stops there */
static _Atomic uint64_t closes, closed_too_soon;

/* -- a tier that answers at once, and has every key ------------------------ */

static void stay_inside(void)
{
    struct timespec trap = {0, TRAP_MS * 1000000};
    if (!is_trap)
        return;
    mtct_stop_here(&in_tier);
    nanosleep(&trap, NULL);
    atomic_fetch_add(&closed_too_soon, atomic_load(&closes));
}

static mtc_status find_slowly(mtc_tier *tier, mtc_slice key, uint64_t hash,
                              int64_t now_ms, mtc_value *out)
{
    (void)tier;
    (void)key;
    (void)hash;
    (void)now_ms;
    stay_inside();
    *out = mtc_value_borrow(mtc_str("v"));
    return MTC_OK;
}

static void write_slowly(mtc_tier *tier, mtc_verb verb,
                         mtc_request *const *requests, size_t count)
{
    (void)tier;
    (void)verb;
    stay_inside();
    for (size_t i = 0; i < count; i++)
        mtc_request_complete(requests[i], MTC_OK, NULL);
}

static void tell_usage_slowly(mtc_tier *tier, mtc_tier_usage *usage)
{
    (void)tier;
    (void)usage;
    stay_inside();
}

static void note_close(mtc_tier *tier)
{
    (void)tier;
    atomic_fetch_add(&closes, 1);
}

static const mtc_tier_ops slow_ops = {
    .struct_size = sizeof(mtc_tier_ops),
    .scheme = "slow",
    .key_size_max = 1024,
    .life_ms_max = MTC_TTL_MS_MAX,
    .life_step_ms = 1,
    .find = find_slowly,
    .submit = write_slowly,
    .usage = tell_usage_slowly,
    .close = note_close,
};

static mtc_tier slow = {.ops = &slow_ops};

static void open_slow(void)
{
    mtc_tier_config tier = MTC_TIER_CONFIG_INIT;
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    in_tier = (mtct_stop){0};
    closes = 0;
    closed_too_soon = 0;
    tier.tier = &slow;
    options.tier_configs = &tier;
    options.tier_count = 1;
    assert_int_equal(mtc_cache_open(&options, NULL, &cache), MTC_OK);
    inside = cache;
}

/* -- calls ----------------------------------------------------------------- */

static mtc_status load_nothing(mtc_load *load, void *ctx)
{
    (void)ctx;
    return mtc_load_answer(load, MTC_MISS);
}

static mtc_status get(void)
{
    mtc_value value;
    return mtc_cache_get(inside, mtc_str("k"), &value);
}

static mtc_status get_nameless(void)
{
    mtc_value value;
    return mtc_cache_get(inside, mtc_bytes(NULL, 0), &value);
}

static mtc_status get_with(void)
{
    mtc_value value;
    mtc_call call = MTC_CALL_INIT;
    return mtc_cache_get_with(inside, mtc_str("k"), &call, &value);
}

static mtc_status get_or_load(void)
{
    mtc_value value;
    return mtc_cache_get_or_load(inside, mtc_str("k"), NULL, load_nothing, NULL,
                                 &value);
}

static mtc_status get_or_load_with(void)
{
    mtc_value value;
    mtc_call call = MTC_CALL_INIT;
    return mtc_cache_get_or_load_with(inside, mtc_str("k"), &call, load_nothing,
                                      NULL, &value);
}

static mtc_status get_many(void)
{
    mtc_item items[2] = {{.key = mtc_str("a")}, {.key = mtc_str("b")}};
    return mtc_cache_get_many(inside, items, 2);
}

static mtc_status set(void)
{
    return mtc_cache_set(inside, mtc_str("k"), mtc_str("v"), NULL);
}

static mtc_status set_with(void)
{
    mtc_call call = MTC_CALL_INIT;
    return mtc_cache_set_with(inside, mtc_str("k"), mtc_str("v"), &call);
}

static mtc_status set_many(void)
{
    mtc_item items[2] = {{.key = mtc_str("a")}, {.key = mtc_str("b")}};
    return mtc_cache_set_many(inside, items, 2, NULL);
}

static mtc_status drop(void)
{
    return mtc_cache_remove(inside, mtc_str("k"));
}

static mtc_status stats(void)
{
    mtc_stats stats = {.struct_size = sizeof(stats)};
    return mtc_cache_stats(inside, &stats);
}

/* -- closing under them ---------------------------------------------------- */

typedef struct visitor {
    mtc_status (*call)(void);
    bool is_known; /* its thread has called before */
    mtct_stop at_call;
    mtc_status status;
} visitor;

static void *visit(void *ctx)
{
    visitor *visitor = ctx;
    if (visitor->is_known)
        visitor->call();
    mtct_stop_here(&visitor->at_call);
    visitor->status = visitor->call();
    return NULL;
}

static void *close_it(void *ctx)
{
    *(mtc_status *)ctx = mtc_cache_close(&cache);
    return NULL;
}

static void close_under(mtc_status (*call)(void), bool is_known)
{
    visitor visitor = {.call = call, .is_known = is_known};
    mtc_status closed = MTCT_NOT_YET;
    is_trap = false;
    open_slow();
    pthread_t caller = mtct_thread_start(visit, &visitor);
    mtct_stop_await(&visitor.at_call, 1);
    is_trap = true;
    mtct_stop_open(&visitor.at_call);
    mtct_stop_await(&in_tier, 1);
    pthread_t closer = mtct_thread_start(close_it, &closed);
    while (mtci_cache_gate(inside) == MTC_OK)
        sched_yield();
    mtct_stop_open(&in_tier);
    pthread_join(caller, NULL);
    pthread_join(closer, NULL);
    assert_int_equal(visitor.status, MTC_OK);
    assert_int_equal(closed, MTC_OK);
    assert_int_equal(closes, 1);
    assert_int_equal(closed_too_soon, 0);
}

static void close_waits_for(mtc_status (*call)(void))
{
    close_under(call, false);
    close_under(call, true);
}

#define TEST(call)                                                             \
    static void close_waits_for_##call(void **state)                           \
    {                                                                          \
        (void)state;                                                           \
        close_waits_for(call);                                                 \
    }

TEST(get)
TEST(get_nameless)
TEST(get_with)
TEST(get_or_load)
TEST(get_or_load_with)
TEST(get_many)
TEST(set)
TEST(set_with)
TEST(set_many)
TEST(drop)
TEST(stats)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(close_waits_for_get),
        cmocka_unit_test(close_waits_for_get_nameless),
        cmocka_unit_test(close_waits_for_get_with),
        cmocka_unit_test(close_waits_for_get_or_load),
        cmocka_unit_test(close_waits_for_get_or_load_with),
        cmocka_unit_test(close_waits_for_get_many),
        cmocka_unit_test(close_waits_for_set),
        cmocka_unit_test(close_waits_for_set_with),
        cmocka_unit_test(close_waits_for_set_many),
        cmocka_unit_test(close_waits_for_drop),
        cmocka_unit_test(close_waits_for_stats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
