/*
 * The fence: what was removed or replaced while it was being loaded, promoted
 * or stored does not come back.
 * labels: quick unit
 *
 * All of it is repeated MTC_TEST_ROUNDS times.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "base/hash.h"
#include "core/cache.h"
#include "support/cache_fixture.h"
#include "support/callers.h"

static mtct_cache fixture;
static mtct_stop at_loader;
static mtct_stop at_verb[4];         /* what the tier below is asked ... */
static const char *held_key[4];      /* ... of this key; NULL: nothing stops */
static _Atomic uint64_t refusals[4]; /* so many fail, once they went on */

static int setup(void **state)
{
    (void)state;
    mtct_cache_init(&fixture);
    at_loader = (mtct_stop){0};
    for (size_t i = 0; i < 4; i++) {
        at_verb[i] = (mtct_stop){0};
        held_key[i] = NULL;
        refusals[i] = 0;
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mtct_cache_fini(&fixture);
    return 0;
}

static mtc_status play(mtct_script *script, mtc_verb verb, mtc_request *request)
{
    (void)script;
    const char *held = held_key[verb];
    if (held && mtci_slices_equal(mtc_str(held), request->key))
        mtct_stop_here(&at_verb[verb]);
    uint64_t left = atomic_load(&refusals[verb]);
    if (left == 0)
        return MTC_OK;
    atomic_store(&refusals[verb], left - 1);
    return MTC_E_UNAVAILABLE;
}

static void hold(mtc_verb verb, const char *key)
{
    held_key[verb] = key;
    fixture.below->hook = play;
}

static mtc_status load_when_let(mtc_load *load, void *ctx)
{
    mtct_stop_here(&at_loader);
    return mtc_load_set_value(load, mtc_str(ctx));
}

static mtc_status load_value(mtc_load *load, void *ctx)
{
    return mtc_load_set_value(load, mtc_str(ctx));
}

static mtct_caller caller(mtc_loader loader, const char *value)
{
    return (mtct_caller){.cache = fixture.cache,
                         .key = "k",
                         .loader = loader,
                         .ctx = (void *)(uintptr_t)value};
}

static mtc_status set(const char *key, const char *value)
{
    return mtc_cache_set(fixture.cache, mtc_str(key), mtc_str(value), NULL);
}

static mtc_status remove_key(const char *key)
{
    return mtc_cache_remove(fixture.cache, mtc_str(key));
}

/* A write in a thread of its own, with a deadline if it has one. */
typedef struct writer {
    const char *value; /* NULL: removes */
    int64_t deadline_ms;
    mtc_status status;
    pthread_t thread;
} writer;

static void *writer_main(void *ctx)
{
    writer *writer = ctx;
    mtc_call call = MTC_CALL_INIT;
    mtc_slice key = mtc_str("k");
    call.deadline_ms = writer->deadline_ms;
    writer->status = writer->value
                         ? mtc_cache_set_with(fixture.cache, key,
                                              mtc_str(writer->value), &call)
                         : mtc_cache_remove_with(fixture.cache, key, &call);
    return NULL;
}

static void writer_start(writer *writer)
{
    writer->thread = mtct_thread_start(writer_main, writer);
}

static mtc_status writer_join(writer *writer)
{
    assert_int_equal(pthread_join(writer->thread, NULL), 0);
    return writer->status;
}

/* Waits until a write of k is under way. */
static void mark_await(void)
{
    mtc_cache *cache = fixture.cache;
    uint64_t hash = mtci_hash(mtc_str("k"), cache->seed);
    mtci_slot *slot = mtci_slot_of(&cache->slots, hash);
    bool is_marked = false;
    for (int i = 0; i < 10000 && !is_marked; i++) {
        struct timespec nap = {0, 1000000};
        pthread_mutex_lock(&slot->mutex);
        is_marked = slot->marks != NULL;
        pthread_mutex_unlock(&slot->mutex);
        if (!is_marked)
            nanosleep(&nap, NULL);
    }
    assert_true(is_marked);
}

/* -- during a load ------------------------------------------------------ */

static void what_is_removed_while_it_is_loaded_is_not_kept(void **state)
{
    (void)state;
    mtct_caller leader = caller(load_when_let, "v1");
    mtct_caller_start(&leader);
    mtct_stop_await(&at_loader, 1);
    assert_int_equal(remove_key("k"), MTC_OK);
    mtct_stop_open(&at_loader);
    mtct_caller_join(&leader);
    mtct_assert_all_got(&leader, 1, MTC_OK, "v1");
    mtct_quiet_await(fixture.cache);
    assert_true(mtct_script_holds(fixture.below, "k", NULL));
    mtct_assert_get(fixture.cache, "k", NULL);
}

static void what_expires_while_it_is_loaded_is_not_kept(void **state)
{
    (void)state;
    mtct_caller leader = caller(load_when_let, "v1");
    mtct_caller_start(&leader);
    mtct_stop_await(&at_loader, 1);
    assert_int_equal(mtc_cache_expire(fixture.cache, mtc_str("k")), MTC_OK);
    mtct_stop_open(&at_loader);
    mtct_caller_join(&leader);
    mtct_quiet_await(fixture.cache);
    assert_true(mtct_script_holds(fixture.below, "k", NULL));
    mtct_assert_get(fixture.cache, "k", NULL);
}

static void who_comes_after_the_remove_does_not_join_the_old_load(void **state)
{
    (void)state;
    mtct_caller before = caller(load_when_let, "v1");
    mtct_caller after = caller(load_value, "v2");
    mtct_caller_start(&before);
    mtct_stop_await(&at_loader, 1);
    assert_int_equal(remove_key("k"), MTC_OK);
    mtct_caller_start(&after);
    mtct_caller_join(&after);
    mtct_assert_all_got(&after, 1, MTC_OK, "v2");
    mtct_stop_open(&at_loader);
    mtct_caller_join(&before);
    mtct_assert_all_got(&before, 1, MTC_OK, "v1");
    mtct_quiet_await(fixture.cache);
    mtct_assert_get(fixture.cache, "k", "v2");
    assert_true(mtct_script_holds(fixture.below, "k", "v2"));
}

static void what_is_set_while_an_older_value_is_loaded_stays(void **state)
{
    (void)state;
    mtct_caller leader = caller(load_when_let, "v1");
    mtct_caller_start(&leader);
    mtct_stop_await(&at_loader, 1);
    assert_int_equal(set("k", "v2"), MTC_OK);
    mtct_assert_get(fixture.cache, "k", "v2");
    mtct_stop_open(&at_loader);
    mtct_caller_join(&leader);
    mtct_quiet_await(fixture.cache);
    mtct_assert_get(fixture.cache, "k", "v2");
    assert_true(mtct_script_holds(fixture.below, "k", "v2"));
}

static void a_load_that_ends_within_a_remove_stores_nothing(void **state)
{
    (void)state;
    writer remover = {0};
    mtct_caller leader = caller(load_when_let, "v1");
    hold(MTC_VERB_REMOVE, "k");
    mtct_caller_start(&leader);
    mtct_stop_await(&at_loader, 1);
    writer_start(&remover);
    mark_await();
    mtct_stop_open(&at_loader);
    mtct_caller_join(&leader);
    mtct_stop_open(&at_verb[MTC_VERB_REMOVE]);
    assert_int_equal(writer_join(&remover), MTC_OK);
    mtct_quiet_await(fixture.cache);
    assert_true(mtct_script_holds(fixture.below, "k", NULL));
    mtct_assert_get(fixture.cache, "k", NULL);
}

/* -- during a promotion ------------------------------------------------- */

/* A key that another worker serves than it serves k. */
static const char *key_beside(void)
{
    static char key[24];
    uint64_t seed = fixture.cache->seed;
    uint64_t worker = mtci_hash(mtc_str("k"), seed) % MTCI_WORKERS;
    for (int i = 0;; i++) {
        snprintf(key, sizeof(key), "beside%d", i);
        if (mtci_hash(mtc_str(key), seed) % MTCI_WORKERS != worker)
            return key;
    }
}

/* A bulk get holds k, read below, while it waits for another key. */
typedef struct bulk {
    mtc_item items[2];
    pthread_t thread;
} bulk;

static void *bulk_main(void *ctx)
{
    bulk *bulk = ctx;
    mtc_cache_get_many(fixture.cache, bulk->items, 2);
    return NULL;
}

static void bulk_start(bulk *bulk)
{
    const char *beside = key_beside();
    *bulk = (struct bulk){{{.key = mtc_str("k")}, {.key = mtc_str(beside)}}, 0};
    mtct_script_put(fixture.below, "k", "v1", MTC_TTL_MS_MAX);
    hold(MTC_VERB_READ, beside);
    bulk->thread = mtct_thread_start(bulk_main, bulk);
    mtct_wait_for(&fixture.below->reads, 2);
    mtct_stop_await(&at_verb[MTC_VERB_READ], 1);
}

static void bulk_end(bulk *bulk)
{
    mtct_stop_open(&at_verb[MTC_VERB_READ]);
    assert_int_equal(pthread_join(bulk->thread, NULL), 0);
    assert_int_equal(bulk->items[0].status, MTC_OK);
    assert_memory_equal(bulk->items[0].value.data, "v1", 2);
    mtc_value_free(&bulk->items[0].value);
    mtct_quiet_await(fixture.cache);
}

static void what_is_removed_while_it_is_promoted_is_not_kept(void **state)
{
    (void)state;
    bulk bulk;
    bulk_start(&bulk);
    assert_int_equal(remove_key("k"), MTC_OK);
    bulk_end(&bulk);
    mtct_assert_get(fixture.cache, "k", NULL);
}

static void what_is_set_while_an_older_value_is_promoted_stays(void **state)
{
    (void)state;
    bulk bulk;
    bulk_start(&bulk);
    assert_int_equal(set("k", "v2"), MTC_OK);
    bulk_end(&bulk);
    mtct_assert_get(fixture.cache, "k", "v2");
    assert_true(mtct_script_holds(fixture.below, "k", "v2"));
}

/* -- between the mark and the removal below ----------------------------- */

/* The removal fails below, so that a read right behind it finds the old
 * value while the remove is still under way. */
static void an_old_value_read_during_a_remove_is_not_kept(void **state)
{
    (void)state;
    writer remover = {0};
    mtct_caller reader = caller(NULL, NULL);
    mtct_script_put(fixture.below, "k", "v1", MTC_TTL_MS_MAX);
    /* What is owed may be asked for before the reader is served: it is refused
     * until he is. */
    refusals[MTC_VERB_REMOVE] = UINT64_MAX;
    hold(MTC_VERB_READ, "k");
    hold(MTC_VERB_REMOVE, "k");
    writer_start(&remover);
    mtct_stop_await(&at_verb[MTC_VERB_REMOVE], 1);
    mtct_caller_start(&reader);
    mtct_asked_await(fixture.cache, 2);
    mtct_stop_open(&at_verb[MTC_VERB_REMOVE]);
    assert_int_equal(writer_join(&remover), MTC_PENDING);
    mtct_stop_await(&at_verb[MTC_VERB_READ], 1);
    /* Who comes now does not join the reader, and does not ask below. */
    mtct_caller late = caller(NULL, NULL);
    mtct_caller_run(&late);
    mtct_assert_all_got(&late, 1, MTC_E_UNAVAILABLE, "");
    refusals[MTC_VERB_REMOVE] = 0;
    mtct_stop_open(&at_verb[MTC_VERB_READ]);
    mtct_caller_join(&reader);
    mtct_assert_all_got(&reader, 1, MTC_OK, "v1");
    mtct_quiet_await(fixture.cache);
    mtct_assert_get(fixture.cache, "k", NULL);
}

/* -- stores that are late ----------------------------------------------- */

static void a_late_store_before_a_remove_does_not_resurrect(void **state)
{
    (void)state;
    writer remover = {0};
    mtct_caller leader = caller(load_value, "v1");
    hold(MTC_VERB_STORE, "k");
    mtct_caller_run(&leader);
    mtct_stop_await(&at_verb[MTC_VERB_STORE], 1);
    writer_start(&remover);
    mark_await();
    mtct_stop_open(&at_verb[MTC_VERB_STORE]);
    assert_int_equal(writer_join(&remover), MTC_OK);
    mtct_assert_get(fixture.cache, "k", NULL);
    assert_true(mtct_script_holds(fixture.below, "k", NULL));
}

static void a_store_that_outlasts_a_remove_does_not_resurrect(void **state)
{
    (void)state;
    writer remover = {.deadline_ms = 20};
    mtct_caller leader = caller(load_value, "v1");
    mtct_caller reader = caller(NULL, NULL);
    hold(MTC_VERB_STORE, "k");
    mtct_caller_run(&leader);
    mtct_stop_await(&at_verb[MTC_VERB_STORE], 1);
    writer_start(&remover);
    mark_await();
    atomic_fetch_add(&fixture.clock.now_ms, 20);
    assert_int_equal(writer_join(&remover), MTC_PENDING);
    mtct_caller_run(&reader);
    mtct_assert_all_got(&reader, 1, MTC_E_UNAVAILABLE, "");
    mtct_stop_open(&at_verb[MTC_VERB_STORE]);
    mtct_quiet_await(fixture.cache);
    mtct_assert_get(fixture.cache, "k", NULL);
    assert_true(mtct_script_holds(fixture.below, "k", NULL));
}

/* Has no time to read one key, and gives a ticket for the others. */
static mtc_status give_tickets(mtct_script *script, mtc_verb verb,
                               mtc_request *request)
{
    (void)script;
    if (verb == MTC_VERB_READ && mtci_slices_equal(request->key, mtc_str("k")))
        return MTC_E_BUSY;
    if (verb == MTC_VERB_READ)
        request->ticket = 7;
    return MTC_OK;
}

static void load_plainly(const char *key)
{
    mtc_value value;
    assert_int_equal(mtc_cache_get_or_load(fixture.cache, mtc_str(key), NULL,
                                           load_value, "loaded", &value),
                     MTC_OK);
    mtc_value_free(&value);
    mtct_quiet_await(fixture.cache);
}

static void without_a_ticket_a_tier_that_keeps_them_gets_no_fill(void **state)
{
    (void)state;
    static mtc_tier_ops ops;
    ops = *fixture.below->tier.ops;
    ops.abilities |= MTC_TIER_ATOMIC_FILL;
    fixture.cache->lanes[1].ops = &ops;
    fixture.below->hook = give_tickets;
    load_plainly("k");
    assert_true(mtct_script_holds(fixture.below, "k", NULL));
    load_plainly("l");
    assert_true(mtct_script_holds(fixture.below, "l", "loaded"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_removed_while_it_is_loaded_is_not_kept),
        TEST(what_expires_while_it_is_loaded_is_not_kept),
        TEST(who_comes_after_the_remove_does_not_join_the_old_load),
        TEST(what_is_set_while_an_older_value_is_loaded_stays),
        TEST(a_load_that_ends_within_a_remove_stores_nothing),
        TEST(what_is_removed_while_it_is_promoted_is_not_kept),
        TEST(what_is_set_while_an_older_value_is_promoted_stays),
        TEST(an_old_value_read_during_a_remove_is_not_kept),
        TEST(a_late_store_before_a_remove_does_not_resurrect),
        TEST(a_store_that_outlasts_a_remove_does_not_resurrect),
        TEST(without_a_ticket_a_tier_that_keeps_them_gets_no_fill),
    };
    int failures = 0;
    for (unsigned i = 0; i < mtct_rounds(50) && failures == 0; i++)
        failures = cmocka_run_group_tests(tests, NULL, NULL);
    return failures;
}
