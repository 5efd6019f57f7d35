/*
 * Asynchronous writes, calls for many keys, and calls that loads make, with a
 * tier below that the test answers, and a clock that it steps.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/cache.h"
#include "support/queue_rig.h"

#define MANY 40

static mtct_queue_rig rig;
static mtct_heard heard, other, third;
static mtc_load *left; /* by a loader that answers later */

static int setup(void **state)
{
    (void)state;
    mtct_queue_rig_init(&rig);
    heard = other = third = (mtct_heard){0};
    left = NULL;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mtct_queue_rig_fini(&rig);
    return 0;
}

static mtc_slice the_key(void)
{
    return mtc_str("k");
}

static mtc_status load_later(mtc_load *load, void *ctx)
{
    (void)ctx;
    left = load;
    return MTC_PENDING;
}

static mtc_status load_with(mtc_loader loader, const mtc_call *call,
                            mtct_heard *who)
{
    return mtc_cache_get_or_load_async(rig.queue, the_key(), call, loader, NULL,
                                       mtct_hear, who);
}

static void step_clock(int64_t ms)
{
    atomic_fetch_add(&rig.now.now_ms, ms);
}

static uint64_t flights(void)
{
    mtc_stats stats = {.struct_size = sizeof(stats)};
    assert_int_equal(mtc_cache_stats(rig.cache, &stats), MTC_OK);
    return stats.in_flight;
}

static void *answer_left(void *ctx)
{
    mtc_load_set_value(left, mtc_str(ctx));
    mtc_load_answer(left, MTC_OK);
    return NULL;
}

/* -- writing --------------------------------------------------------------- */

static void a_set_is_seen_at_once_and_told_when_all_tiers_have_it(void **state)
{
    (void)state;
    rig.mute->kept_verbs = MTCT_MUTE(MTC_VERB_STORE);
    assert_int_equal(mtc_cache_set_async(rig.queue, the_key(), mtc_str("v"),
                                         NULL, mtct_hear, &heard),
                     MTC_PENDING);
    mtct_assert_get(rig.cache, "k", "v");
    mtct_drain_all(rig.queue);
    assert_int_equal(heard.count, 0);
    mtct_queue_rig_answer(&rig, MTC_OK);
    mtct_assert_heard(&heard, MTC_OK, "");
}

static void a_remove_that_is_not_acknowledged_is_owed(void **state)
{
    (void)state;
    rig.mute->kept_verbs = MTCT_MUTE(MTC_VERB_REMOVE);
    mtc_cache_remove_async(rig.queue, the_key(), NULL, mtct_hear, &heard);
    mtct_drain_all(rig.queue);
    step_clock(MTCI_DEADLINE_MS);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&heard, MTC_PENDING, "");
}

static void an_expire_is_told_as_well(void **state)
{
    (void)state;
    mtc_cache_expire_async(rig.queue, the_key(), NULL, mtct_hear, &heard);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&heard, MTC_OK, "");
}

static void a_cancelled_write_is_finished_all_the_same(void **state)
{
    (void)state;
    rig.mute->kept_verbs = MTCT_MUTE(MTC_VERB_REMOVE);
    mtc_cache_remove_async(rig.queue, the_key(), NULL, mtct_hear, &heard);
    mtct_drain_all(rig.queue);
    mtc_queue_cancel(rig.queue, &heard);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&heard, MTC_PENDING, "");
    mtct_mute_answer(rig.mute, MTC_OK);
}

/* -- many ------------------------------------------------------------------ */

static mtc_item items[MANY];
static char names[MANY][8];

static void name_items(void)
{
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof(names[i]), "m%d", i);
        items[i] = (mtc_item){.key = mtc_str(names[i]), .bytes = mtc_str("v")};
    }
}

static void many_keys_are_asked_for_together(void **state)
{
    (void)state;
    name_items();
    mtc_cache_set(rig.cache, mtc_str("m3"), mtc_str("three"), NULL);
    assert_int_equal(mtc_cache_get_many_async(rig.queue, items, MANY, NULL,
                                              mtct_hear_many, &heard),
                     MTC_PENDING);
    mtct_drain_all(rig.queue);
    assert_int_equal(rig.mute->counts[MTC_VERB_READ], MANY - 1);
    assert_int_equal(heard.count, 0);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    mtct_assert_heard(&heard, MTC_PARTIAL, NULL);
    assert_int_equal(items[2].status, MTC_MISS);
    assert_int_equal(items[3].status, MTC_OK);
    assert_memory_equal(items[3].value.data, "three", 5);
    mtc_value_free(&items[3].value);
}

static void many_keys_follow_whoever_leads(void **state)
{
    (void)state;
    name_items();
    items[1].key = the_key();
    items[2].key = items[0].key;
    load_with(load_later, NULL, &other);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    mtc_cache_get_many_async(rig.queue, items, 3, NULL, mtct_hear_many, &heard);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    assert_int_equal(heard.count, 0);
    answer_left("late");
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&heard, MTC_PARTIAL, NULL);
    assert_int_equal(items[0].status, MTC_MISS);
    assert_int_equal(items[1].status, MTC_OK);
    assert_int_equal(items[2].status, MTC_MISS);
    mtc_value_free(&items[1].value);
}

static void many_keys_may_be_cancelled(void **state)
{
    (void)state;
    name_items();
    mtc_cache_get_many_async(rig.queue, items, MANY, NULL, mtct_hear_many,
                             &heard);
    mtct_drain_all(rig.queue);
    mtc_queue_cancel(rig.queue, &heard);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&heard, MTC_E_CANCELLED, NULL);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(items[i].status, MTC_E_CANCELLED);
    assert_int_equal(flights(), 0);
}

static void many_keys_are_written_together(void **state)
{
    (void)state;
    name_items();
    mtc_cache_set_many_async(rig.queue, items, MANY, NULL, mtct_hear_many,
                             &heard);
    mtct_assert_get(rig.cache, "m7", "v");
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&heard, MTC_OK, NULL);
    mtc_cache_remove_many_async(rig.queue, items, MANY, NULL, mtct_hear_many,
                                &other);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&other, MTC_OK, NULL);
    assert_int_equal(mtc_cache_remove_many_async(rig.queue, NULL, 0, NULL,
                                                 mtct_hear_many, &third),
                     MTC_PENDING);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&third, MTC_OK, NULL);
}

/* -- circles --------------------------------------------------------------- */

static mtc_load *of_a, *of_b;

static mtc_status keep_a(mtc_load *load, void *ctx)
{
    (void)ctx;
    of_a = load;
    return MTC_PENDING;
}

static mtc_status keep_b(mtc_load *load, void *ctx)
{
    (void)ctx;
    of_b = load;
    return MTC_PENDING;
}

static void ask_for(const char *key, mtc_load *parent, mtc_loader loader,
                    mtct_heard *who)
{
    mtc_call call = MTC_CALL_INIT;
    call.parent = parent;
    assert_int_equal(mtc_cache_get_or_load_async(rig.queue, mtc_str(key), &call,
                                                 loader, NULL, mtct_hear, who),
                     MTC_PENDING);
}

static void a_load_that_would_wait_for_itself_is_told(void **state)
{
    (void)state;
    ask_for("a", NULL, keep_a, &heard);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    ask_for("a", of_a, keep_a, &other);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&other, MTC_E_DEADLOCK, "");
    mtc_load_answer(of_a, MTC_E_DENIED);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&heard, MTC_E_DENIED, "");
}

static void two_loads_that_would_wait_for_each_other_are_told(void **state)
{
    mtct_heard last = {0};
    (void)state;
    ask_for("a", NULL, keep_a, &heard);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    ask_for("b", of_a, keep_b, &other);
    mtct_queue_rig_answer(&rig, MTC_MISS);
    ask_for("a", of_b, keep_a, &third);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&third, MTC_E_DEADLOCK, "");
    /* One who is in no circle waits. */
    ask_for("b", NULL, keep_b, &last);
    mtct_drain_all(rig.queue);
    assert_int_equal(other.count + last.count, 0);
    mtc_load_set_value(of_b, mtc_str("b"));
    mtc_load_answer(of_b, MTC_OK);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&other, MTC_OK, "b");
    mtct_assert_heard(&last, MTC_OK, "b");
    mtc_load_answer(of_a, MTC_E_DENIED);
    mtct_drain_all(rig.queue);
    mtct_assert_heard(&heard, MTC_E_DENIED, "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_set_is_seen_at_once_and_told_when_all_tiers_have_it),
        TEST(a_remove_that_is_not_acknowledged_is_owed),
        TEST(an_expire_is_told_as_well),
        TEST(a_cancelled_write_is_finished_all_the_same),
        TEST(many_keys_are_asked_for_together),
        TEST(many_keys_follow_whoever_leads),
        TEST(many_keys_may_be_cancelled),
        TEST(many_keys_are_written_together),
        TEST(a_load_that_would_wait_for_itself_is_told),
        TEST(two_loads_that_would_wait_for_each_other_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
