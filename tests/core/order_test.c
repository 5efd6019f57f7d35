/*
 * The order of writes: all tiers see the writes of a key in one order, and
 * what is read while a write is under way is not kept above it.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/cache.h"
#include "support/cache_fixture.h"
#include "support/callers.h"
#include "support/mute_tier.h"

/* Memory over a tier that the test chooses, over a scripted one. */
static mtc_cache *cache;
static mtct_script *bottom;
static mtct_clock clock_by_hand;

static void open_over(mtc_tier *middle)
{
    mtc_tier_config tiers[3] = {MTC_TIER_CONFIG_INIT, MTC_TIER_CONFIG_INIT,
                                MTC_TIER_CONFIG_INIT};
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    atomic_store(&clock_by_hand.now_ms, 1000000);
    bottom = mtct_script_new();
    assert_int_equal(mtc_tier_open("memory?size=4MiB", NULL, &tiers[0]),
                     MTC_OK);
    tiers[1].tier = middle;
    tiers[2].tier = &bottom->tier;
    tiers[1].deadline_ms = tiers[2].deadline_ms = 5000;
    options.tier_configs = tiers;
    options.tier_count = 3;
    options.log_level = 5;
    assert_int_equal(mtci_cache_open_at(&options, mtct_clock_of(&clock_by_hand),
                                        NULL, &cache),
                     MTC_OK);
}

static mtct_caller getting(void)
{
    return (mtct_caller){.cache = cache, .key = "k"};
}

/* -- a flight that begins and ends within a remove ---------------------- */

static mtc_status refuse_removal(mtct_script *script, mtc_verb verb,
                                 mtc_request *request)
{
    (void)script;
    (void)request;
    return verb == MTC_VERB_REMOVE ? MTC_E_UNAVAILABLE : MTC_OK;
}

static void *remove_main(void *ctx)
{
    *(mtc_status *)ctx = mtc_cache_remove(cache, mtc_str("k"));
    return NULL;
}

/* The bottom tier has refused the removal, so it still has the old value;
 * the middle one has not answered yet. */
static void a_read_within_a_remove_promotes_nothing(void **state)
{
    (void)state;
    mtc_status status = MTCT_NOT_YET;
    mtct_mute *middle = mtct_mute_new(MTCT_MUTE(MTC_VERB_REMOVE));
    open_over(&middle->tier);
    mtct_caller reader = getting();
    mtct_script_put(bottom, "k", "v1", MTC_TTL_MS_MAX);
    bottom->hook = refuse_removal;
    pthread_t remover = mtct_thread_start(remove_main, &status);
    mtct_wait_for(&bottom->removes, 1);
    mtct_caller_run(&reader);
    assert_string_equal(reader.text, "v1");
    mtct_mute_answer(middle, MTC_OK);
    pthread_join(remover, NULL);
    assert_int_equal(status, MTC_PENDING);
    mtct_caller_run(&reader);
    mtct_assert_all_got(&reader, 1, MTC_E_UNAVAILABLE, "");
    assert_int_equal(mtc_cache_close(&cache), MTC_OK);
}

/* -- two writers -------------------------------------------------------- */

typedef struct rival {
    pthread_barrier_t *line;
    unsigned rounds;
    char name;
} rival;

static void *rival_main(void *ctx)
{
    const rival *rival = ctx;
    char value[24];
    for (unsigned i = 0; i < rival->rounds; i++) {
        snprintf(value, sizeof(value), "%c%u", rival->name, i);
        pthread_barrier_wait(rival->line);
        mtc_cache_set(cache, mtc_str("k"), mtc_str(value), NULL);
        pthread_barrier_wait(rival->line);
    }
    return NULL;
}

static bool all_tiers_agree(mtct_script *middle)
{
    mtct_caller reader = getting();
    mtct_caller_run(&reader);
    return reader.status == MTC_OK &&
           mtct_script_holds(middle, "k", reader.text) &&
           mtct_script_holds(bottom, "k", reader.text);
}

static void after_two_writers_all_tiers_agree(void **state)
{
    (void)state;
    mtct_script *middle = mtct_script_new();
    open_over(&middle->tier);
    pthread_barrier_t line;
    unsigned rounds = mtct_rounds(1000);
    rival rivals[2] = {{&line, rounds, 'a'}, {&line, rounds, 'b'}};
    pthread_t threads[2];
    unsigned differing = 0;
    pthread_barrier_init(&line, NULL, 3);
    for (size_t i = 0; i < 2; i++)
        threads[i] = mtct_thread_start(rival_main, &rivals[i]);
    for (unsigned i = 0; i < rounds; i++) {
        pthread_barrier_wait(&line);
        pthread_barrier_wait(&line);
        differing += !all_tiers_agree(middle);
    }
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&line);
    assert_int_equal(differing, 0);
    assert_int_equal(middle->reads, 0);
    assert_int_equal(mtc_cache_close(&cache), MTC_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_read_within_a_remove_promotes_nothing),
        cmocka_unit_test(after_two_writers_all_tiers_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
