/*
 * Counting under load: what threads saw is what the statistics say, with a
 * tier that fails and dawdles and loaders that fail and vanish.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <sched.h>

#include "support/cache_fixture.h"
#include "support/callers.h"

#define THREADS 8
#define CALLS   300 /* of each thread */
#define KEYS    16
#define BULK    4

static mtct_cache fixture;
static char keys[KEYS][4];
static _Atomic uint64_t chances;
static _Atomic uint64_t loads;
static _Atomic uint64_t failed_loads;

/* What the threads saw; each adds its own at its end. */
typedef struct tally {
    _Atomic uint64_t found; /* hit, miss or loaded */
    _Atomic uint64_t misses;
    _Atomic uint64_t errors;
} tally;

static tally seen;

static bool by_chance(unsigned n)
{
    uint64_t x = atomic_fetch_add(&chances, 1) * UINT64_C(0x9e3779b97f4a7c15);
    return (x >> 40) % n == 0;
}

static mtc_status play(mtct_script *script, mtc_verb verb, mtc_request *request)
{
    (void)script;
    (void)request;
    for (int i = 0; by_chance(2) && i < 20; i++)
        sched_yield();
    if (verb == MTC_VERB_READ && by_chance(5))
        return MTC_E_CORRUPT;
    return verb != MTC_VERB_READ && by_chance(10) ? MTC_E_UNAVAILABLE : MTC_OK;
}

static mtc_status load_somehow(mtc_load *load, void *ctx)
{
    (void)ctx;
    atomic_fetch_add(&loads, 1);
    sched_yield();
    if (by_chance(4))
        return MTC_MISS;
    if (by_chance(2))
        return mtc_load_set_value(load, mtc_str("value"));
    atomic_fetch_add(&failed_loads, 1);
    if (by_chance(2))
        return MTC_E_UNAVAILABLE;
    mtc_load_drop(load);
    return MTC_PENDING;
}

static void note(tally *mine, mtc_status status)
{
    if (status < 0)
        mine->errors++;
    else if (status == MTC_MISS)
        mine->misses++;
    else
        mine->found++;
}

static void bulk(tally *mine, size_t first)
{
    mtc_item items[BULK] = {{.key = {0}}};
    for (size_t i = 0; i < BULK; i++)
        items[i].key = mtc_str(keys[(first + i * i) % KEYS]);
    mtc_cache_get_many(fixture.cache, items, BULK);
    for (size_t i = 0; i < BULK; i++) {
        note(mine, items[i].status);
        mtc_value_free(&items[i].value);
    }
}

static void one(tally *mine, size_t i)
{
    mtct_caller caller = {.cache = fixture.cache, .key = keys[i % KEYS]};
    if (by_chance(2))
        caller.loader = load_somehow;
    if (by_chance(4)) {
        caller.call.deadline_ms = 1;
        atomic_fetch_add(&fixture.clock.now_ms, 1);
    }
    mtct_caller_run(&caller);
    note(mine, caller.status);
}

static void *thread_main(void *ctx)
{
    tally mine = {0};
    size_t at = (uintptr_t)ctx;
    for (size_t i = 0; i < CALLS; i++) {
        if (i % 10 == 9)
            bulk(&mine, i + at);
        else
            one(&mine, i * 7 + at);
        if (i % 4 == 0)
            mtc_cache_remove(fixture.cache, mtc_str(keys[i % KEYS]));
    }
    atomic_fetch_add(&seen.found, mine.found);
    atomic_fetch_add(&seen.misses, mine.misses);
    atomic_fetch_add(&seen.errors, mine.errors);
    return NULL;
}

static void what_callers_saw_is_what_was_counted(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (size_t i = 0; i < KEYS; i++)
        snprintf(keys[i], sizeof(keys[i]), "k%zu", i);
    mtct_cache_init(&fixture);
    fixture.below->hook = play;
    for (uintptr_t i = 0; i < THREADS; i++)
        threads[i] = mtct_thread_start(thread_main, (void *)i);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    mtct_quiet_await(fixture.cache);
    mtc_stats stats = {.struct_size = sizeof(stats)};
    assert_int_equal(mtc_cache_stats(fixture.cache, &stats), MTC_OK);
    assert_int_equal(stats.requests,
                     THREADS * (CALLS / 10 * BULK + CALLS * 9 / 10));
    assert_int_equal(stats.requests, stats.hits + stats.misses + stats.errors);
    assert_int_equal(stats.requests, seen.found + seen.misses + seen.errors);
    assert_int_equal(stats.errors, seen.errors);
    assert_int_equal(stats.loads, loads);
    assert_int_equal(stats.load_errors, failed_loads);
    assert_int_equal(stats.hits, stats.tiers[0].hits + stats.tiers[1].hits);
    assert_true(stats.misses >= seen.misses);
    assert_true(stats.followers <= stats.requests);
    assert_int_equal(stats.in_flight, 0);
    mtct_cache_fini(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_callers_saw_is_what_was_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
