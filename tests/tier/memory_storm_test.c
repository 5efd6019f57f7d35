/*
 * Storms on small memory tiers: threads store, replace, remove, expire and
 * find few keys while everything is evicted and expires, and check key, size
 * and checksum of every value that they get.
 *
 * How to read it: each thread has a bag of values that it goes on holding,
 * more than it has pins, and a shelf where values lie that it gave to the
 * others. A value is checked when it is found, and again before it is given
 * back: after eviction, replacement and removal, and after the tier was
 * closed. A storm has several generations of threads, so that records of
 * threads are used again. Rounds by MTC_TEST_ROUNDS, one again by
 * MTC_TEST_SEED. labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/callers.h"
#include "support/stamp.h"
#include "support/tier_call.h"

#define THREADS     4
#define GENERATIONS 3
#define CALLS       3000 /* of each thread */
#define BAG         150  /* values held by a thread; pins are 64 */
#define SHELF       16
#define LARGEST     20000u

typedef struct setting {
    const char *url;
    unsigned keys;
    uint32_t size_max; /* of a value */
    uint32_t life_ms_max;
    uint64_t resize_max; /* 0: the budget stays */
} setting;

/* A value and what it must be. */
typedef struct held {
    mtc_value value;
    uint32_t key;
    uint32_t stamp;
    size_t size;
} held;

typedef struct storm {
    const setting *setting;
    mtc_tier *tier;
    uint64_t seed;
    bool is_last; /* generation: the tier is closed while values are held */
    pthread_barrier_t before_close;
    pthread_barrier_t after_close;
    _Atomic(held *) shelf[SHELF];
    _Atomic int64_t now_ms;
    _Atomic uint32_t stamp;
    _Atomic uint32_t number;   /* of threads begun */
    _Atomic uint32_t found;    /* hits */
    _Atomic uint32_t torn;     /* hits of what nobody can have written */
    _Atomic uint32_t changed;  /* values that changed while they were held */
    _Atomic uint32_t failed;   /* calls that may not fail */
    _Atomic uint32_t too_much; /* moments when the budget was passed */
} storm;

typedef struct thread {
    storm *storm;
    uint64_t state;
    bool is_first;
    unsigned bag_count;
    held bag[BAG];
    char bytes[LARGEST];
} thread;

static void count(_Atomic uint32_t *counter, bool is_so)
{
    if (is_so)
        atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static uint32_t draw(thread *thread, uint32_t below)
{
    return mtct_draw(&thread->state, below);
}

/* -- values that are held ----------------------------------------------- */

static void give_back(storm *storm, held *held)
{
    uint32_t stamp = 0;
    bool is_whole =
        mtct_stamp_read(mtc_value_slice(&held->value), held->key, &stamp);
    count(&storm->changed,
          !is_whole || stamp != held->stamp || held->value.size != held->size);
    mtc_value_free(&held->value);
}

/* Into the bag; if that is full, in place of another one. */
static void keep(thread *thread, held one)
{
    unsigned at = thread->bag_count;
    if (at == BAG) {
        at = draw(thread, BAG);
        give_back(thread->storm, &thread->bag[at]);
    } else {
        thread->bag_count++;
    }
    thread->bag[at] = one;
}

static void empty_bag(thread *thread)
{
    while (thread->bag_count > 0)
        give_back(thread->storm, &thread->bag[--thread->bag_count]);
}

static void take_from_shelf(thread *thread, _Atomic(held *) *place, held *put)
{
    held *got = atomic_exchange_explicit(place, put, memory_order_acq_rel);
    if (!got)
        return;
    if (draw(thread, 2))
        give_back(thread->storm, got);
    else
        keep(thread, *got);
    free(got);
}

/* Detaches a value and gives it to whoever comes by. */
static void put_on_shelf(thread *thread)
{
    held *gift = malloc(sizeof(*gift));
    if (!gift || thread->bag_count == 0) {
        free(gift);
        return;
    }
    *gift = thread->bag[--thread->bag_count];
    mtc_status status = mtc_value_detach(&gift->value);
    count(&thread->storm->failed, status != MTC_OK);
    take_from_shelf(thread, &thread->storm->shelf[draw(thread, SHELF)], gift);
}

static void share_one(thread *thread)
{
    if (thread->bag_count == 0)
        return;
    held other = thread->bag[draw(thread, thread->bag_count)];
    mtc_value from = other.value;
    mtc_status status = mtc_value_share(&from, &other.value);
    count(&thread->storm->failed, status != MTC_OK);
    if (status == MTC_OK)
        keep(thread, other);
}

/* -- calls to the tier -------------------------------------------------- */

static void find_one(thread *thread)
{
    char text[24];
    storm *storm = thread->storm;
    held one = {.key = draw(thread, storm->setting->keys)};
    mtc_status status = mtct_tier_find(storm->tier, mtct_key(one.key, text),
                                       atomic_load(&storm->now_ms), &one.value);
    count(&storm->failed, status != MTC_OK && status != MTC_MISS);
    if (status != MTC_OK)
        return;
    one.size = one.value.size;
    bool is_whole =
        mtct_stamp_read(mtc_value_slice(&one.value), one.key, &one.stamp);
    count(&storm->found, true);
    count(&storm->torn, !is_whole || one.stamp > atomic_load(&storm->stamp));
    if (draw(thread, 3))
        mtc_value_free(&one.value);
    else
        keep(thread, one);
}

/* Without room, as long as much is held, a store is refused. */
static void store_one(thread *thread)
{
    char text[24];
    storm *storm = thread->storm;
    uint32_t key = draw(thread, storm->setting->keys);
    uint32_t size_max = draw(thread, 4) ? 200 : storm->setting->size_max;
    uint32_t size = MTCT_STAMP_SIZE_MIN + draw(thread, size_max);
    uint32_t stamp = atomic_fetch_add(&storm->stamp, 1) + 1;
    int64_t life_ms = 2 + draw(thread, storm->setting->life_ms_max);
    mtct_stamp_write(thread->bytes, size, key, stamp);
    mtc_status status = mtct_tier_store(storm->tier, mtct_key(key, text),
                                        mtc_bytes(thread->bytes, size),
                                        atomic_load(&storm->now_ms), life_ms);
    count(&storm->failed, status != MTC_OK && status != MTC_PARTIAL);
}

static void end_one(thread *thread)
{
    char text[24];
    storm *storm = thread->storm;
    mtc_slice key = mtct_key(draw(thread, storm->setting->keys), text);
    mtc_verb verb = draw(thread, 2) ? MTC_VERB_REMOVE : MTC_VERB_EXPIRE;
    mtc_status status =
        mtct_tier_end(storm->tier, verb, key, atomic_load(&storm->now_ms));
    count(&storm->failed, status != MTC_OK);
}

static void resize(thread *thread)
{
    storm *storm = thread->storm;
    uint64_t step = storm->setting->resize_max / 4;
    mtc_status status =
        storm->tier->ops->resize(storm->tier, step * (1 + draw(thread, 4)));
    count(&storm->failed, status != MTC_OK);
}

/* The clock goes on, and one thread keeps house. */
static void pass(thread *thread)
{
    storm *storm = thread->storm;
    int64_t now_ms = atomic_fetch_add(&storm->now_ms, 1) + 1;
    if (thread->is_first)
        storm->tier->ops->tend(storm->tier, now_ms);
    if (thread->is_first && storm->setting->resize_max)
        resize(thread);
    mtc_tier_usage usage = mtct_tier_usage(storm->tier);
    count(&storm->too_much,
          !storm->setting->resize_max && usage.bytes > usage.bytes_max);
}

static void do_something(thread *thread)
{
    uint32_t what = draw(thread, 100);
    if (what < 30)
        store_one(thread);
    else if (what < 36)
        end_one(thread);
    else if (what < 42)
        put_on_shelf(thread);
    else if (what < 45)
        share_one(thread);
    else if (what < 48)
        pass(thread);
    else
        find_one(thread);
}

static void *thread_main(void *ctx)
{
    storm *storm = ctx;
    thread *self = calloc(1, sizeof(*self));
    count(&storm->failed, !self);
    if (!self)
        return NULL;
    uint32_t number = atomic_fetch_add(&storm->number, 1);
    *self = (thread){.storm = storm, .state = storm->seed + number * 1000003u};
    self->is_first = number % THREADS == 0;
    for (int i = 0; i < CALLS; i++)
        do_something(self);
    if (storm->is_last) {
        pthread_barrier_wait(&storm->before_close);
        pthread_barrier_wait(&storm->after_close);
    }
    empty_bag(self);
    free(self);
    return NULL;
}

/* -- storms ------------------------------------------------------------- */

static void generation(storm *storm, bool is_last)
{
    pthread_t threads[THREADS];
    storm->is_last = is_last;
    for (int i = 0; i < THREADS; i++)
        threads[i] = mtct_thread_start(thread_main, storm);
    if (is_last) {
        pthread_barrier_wait(&storm->before_close);
        storm->tier->ops->close(storm->tier);
        pthread_barrier_wait(&storm->after_close);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void clear_shelf(storm *storm)
{
    for (int i = 0; i < SHELF; i++) {
        held *left = atomic_exchange(&storm->shelf[i], NULL);
        if (left)
            give_back(storm, left);
        free(left);
    }
}

static void run_one(const setting *setting, uint64_t seed)
{
    static storm storm;
    storm = (struct storm){.setting = setting, .seed = seed, .now_ms = 1000};
    assert_int_equal(pthread_barrier_init(&storm.before_close, NULL,
                                          THREADS + 1),
                     0);
    assert_int_equal(pthread_barrier_init(&storm.after_close, NULL,
                                          THREADS + 1),
                     0);
    storm.tier = mtct_tier_open(setting->url);
    for (int i = 1; i <= GENERATIONS; i++)
        generation(&storm, i == GENERATIONS);
    clear_shelf(&storm);
    pthread_barrier_destroy(&storm.before_close);
    pthread_barrier_destroy(&storm.after_close);
    assert_int_equal(storm.torn, 0);
    assert_int_equal(storm.changed, 0);
    assert_int_equal(storm.failed, 0);
    assert_int_equal(storm.too_much, 0);
    assert_true(storm.found > 0);
}

static void run(const char *test, setting setting)
{
    uint64_t seed = mtct_seed(test);
    for (unsigned i = 0; i < mtct_rounds(3); i++)
        run_one(&setting, seed + i);
}

static void two_slots(void **state)
{
    (void)state;
    run(__func__, (setting){.url = "memory?entries=2",
                            .keys = 3,
                            .size_max = 1000,
                            .life_ms_max = 1000});
}

static void one_key_that_is_always_replaced(void **state)
{
    (void)state;
    run(__func__, (setting){.url = "memory?size=16MiB",
                            .keys = 1,
                            .size_max = 1000,
                            .life_ms_max = 1000});
}

static void the_smallest_budget(void **state)
{
    (void)state;
    run(__func__, (setting){.url = "memory?size=64KiB",
                            .keys = 40,
                            .size_max = 8000,
                            .life_ms_max = 1000});
}

static void lives_of_a_few_milliseconds(void **state)
{
    (void)state;
    run(__func__, (setting){.url = "memory?size=8MiB",
                            .keys = 500,
                            .size_max = 1000,
                            .life_ms_max = 4});
}

static void large_and_small_values(void **state)
{
    (void)state;
    run(__func__, (setting){.url = "memory?size=1MiB",
                            .keys = 300,
                            .size_max = LARGEST - MTCT_STAMP_SIZE_MIN,
                            .life_ms_max = 100});
}

static void an_order_that_every_hit_changes(void **state)
{
    (void)state;
    run(__func__, (setting){.url = "memory?entries=10&policy=lru",
                            .keys = 20,
                            .size_max = 500,
                            .life_ms_max = 100});
}

static void a_budget_that_is_changed(void **state)
{
    (void)state;
    run(__func__, (setting){.url = "memory?size=1MiB",
                            .keys = 500,
                            .size_max = 4000,
                            .life_ms_max = 1000,
                            .resize_max = 1048576});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_slots),
        cmocka_unit_test(one_key_that_is_always_replaced),
        cmocka_unit_test(the_smallest_budget),
        cmocka_unit_test(lives_of_a_few_milliseconds),
        cmocka_unit_test(large_and_small_values),
        cmocka_unit_test(an_order_that_every_hit_changes),
        cmocka_unit_test(a_budget_that_is_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
