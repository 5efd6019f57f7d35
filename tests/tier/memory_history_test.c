/*
 * Model of the memory tier, several threads: each notes what it did to a few
 * keys and what it saw, and a judge decides from the history of each key
 * whether every result was possible.
 *
 * How to read it: a setting says which tier, how many keys and how long lives
 * are; one thread more may fill the tier with other keys meanwhile, so that
 * its tables grow. The first tests show that the judge refuses what it should.
 * A run is had again with MTC_TEST_SEED (as nearly as threads allow), and
 * repeated with MTC_TEST_ROUNDS. labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <sched.h>

#include "support/callers.h"
#include "support/history.h"
#include "support/stamp.h"
#include "support/tier_call.h"

#define THREADS  4
#define CALLS    2500 /* of each thread */
#define KEYS_MAX 64
#define FILLING  40000 /* entries beside the keys */

typedef struct setting {
    const char *url;
    unsigned keys;
    uint32_t life_ms_max;
    uint32_t size_max; /* of a value */
    bool may_forget;
    bool is_filled; /* by one thread more */
} setting;

typedef struct play {
    const setting *setting;
    mtc_tier *tier;
    uint64_t seed;
    _Atomic uint64_t now; /* orders beginnings and ends of calls */
    _Atomic int64_t now_ms;
    _Atomic uint32_t stamp;
    _Atomic uint32_t number;   /* of threads begun */
    _Atomic uint32_t torn;     /* values that nobody can have written */
    _Atomic uint32_t failed;   /* calls that failed, or were not noted */
    _Atomic uint32_t too_much; /* moments when the budget was passed */
    mtct_history histories[KEYS_MAX];
} play;

typedef struct player {
    play *play;
    uint64_t state;
    char bytes[8192];
} player;

static uint64_t tick(play *play)
{
    return atomic_fetch_add(&play->now, 1) + 1;
}

static void count(_Atomic uint32_t *counter, bool is_so)
{
    if (is_so)
        atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static void note(play *play, unsigned key, mtct_event event)
{
    event.ended = tick(play);
    count(&play->failed, !mtct_history_note(&play->histories[key], event));
}

/* -- what threads do ---------------------------------------------------- */

static void write_one(player *player, unsigned key)
{
    char text[24];
    play *play = player->play;
    uint32_t size = MTCT_STAMP_SIZE_MIN +
                    mtct_draw(&player->state, play->setting->size_max);
    int64_t life_ms = 3 + mtct_draw(&player->state, play->setting->life_ms_max);
    mtct_event event = {.kind = MTCT_WROTE};
    event.stamp = atomic_fetch_add(&play->stamp, 1) + 1;
    mtct_stamp_write(player->bytes, size, key, event.stamp);
    event.begun = tick(play);
    int64_t now_ms = atomic_load(&play->now_ms);
    event.end_ms = now_ms + life_ms;
    mtc_status status =
        mtct_tier_store(play->tier, mtct_key(key, text),
                        mtc_bytes(player->bytes, size), now_ms, life_ms);
    if (status != MTC_OK)
        event.kind = MTCT_REMOVED;
    note(play, key, event);
    count(&play->failed, status != MTC_OK);
}

static void end_one(player *player, unsigned key)
{
    char text[24];
    play *play = player->play;
    mtct_event event = {.kind = MTCT_REMOVED, .begun = tick(play)};
    mtc_verb verb =
        mtct_draw(&player->state, 4) ? MTC_VERB_REMOVE : MTC_VERB_EXPIRE;
    mtc_status status = mtct_tier_end(play->tier, verb, mtct_key(key, text),
                                      atomic_load(&play->now_ms));
    note(play, key, event);
    count(&play->failed, status != MTC_OK);
}

static void read_one(player *player, unsigned key)
{
    char text[24];
    mtc_value value;
    play *play = player->play;
    mtct_event event = {.kind = MTCT_MISSED, .begun = tick(play)};
    event.now_ms = atomic_load(&play->now_ms);
    mtc_status status =
        mtct_tier_find(play->tier, mtct_key(key, text), event.now_ms, &value);
    if (status == MTC_OK) {
        event.kind = MTCT_HIT;
        count(&play->torn,
              !mtct_stamp_read(mtc_value_slice(&value), key, &event.stamp));
    }
    note(play, key, event);
    count(&play->failed, status != MTC_OK && status != MTC_MISS);
    mtc_value_free(&value);
}

static void watch(play *play)
{
    mtc_tier_usage usage = mtct_tier_usage(play->tier);
    count(&play->too_much, usage.bytes > usage.bytes_max);
}

/* One thread at a time calls tend, as a cache does. */
static void pass(player *player, bool is_first)
{
    play *play = player->play;
    int64_t now_ms = atomic_fetch_add(&play->now_ms, 1) + 1;
    if (is_first)
        play->tier->ops->tend(play->tier, now_ms);
    watch(play);
}

static void *player_main(void *ctx)
{
    player player = {.play = ctx};
    uint32_t number = atomic_fetch_add(&player.play->number, 1);
    player.state = player.play->seed + number * UINT64_C(1000003);
    for (int i = 0; i < CALLS; i++) {
        unsigned key = mtct_draw(&player.state, player.play->setting->keys);
        uint32_t what = mtct_draw(&player.state, 100);
        if (what < 20)
            write_one(&player, key);
        else if (what < 28)
            end_one(&player, key);
        else if (what < 98)
            read_one(&player, key);
        else
            pass(&player, number == 0);
    }
    return NULL;
}

/* Other keys come, and half of them go again. */
static void *filler_main(void *ctx)
{
    play *play = ctx;
    char text[24];
    for (unsigned i = 0; i < FILLING; i++) {
        mtc_slice key = mtct_key(KEYS_MAX + i, text);
        mtc_status status =
            mtct_tier_store(play->tier, key, mtc_str("filling"), 0, MTC_NO_END);
        count(&play->failed, status != MTC_OK);
        if (i % 2 == 0)
            continue;
        key = mtct_key(KEYS_MAX + i / 2, text);
        mtct_tier_end(play->tier, MTC_VERB_REMOVE, key, 0);
    }
    return NULL;
}

/* -- a play and its judge ----------------------------------------------- */

static void run_threads(play *play)
{
    pthread_t threads[THREADS];
    pthread_t filler = 0;
    if (play->setting->is_filled)
        filler = mtct_thread_start(filler_main, play);
    for (int i = 0; i < THREADS; i++)
        threads[i] = mtct_thread_start(player_main, play);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    if (play->setting->is_filled)
        assert_int_equal(pthread_join(filler, NULL), 0);
}

static void judge_key(const play *play, unsigned key)
{
    mtct_event wrong = {0};
    const char *what = mtct_history_judge(&play->histories[key],
                                          play->setting->may_forget, &wrong);
    if (what)
        fail_msg("key %u, stamp %u, events %llu to %llu: %s; "
                 "MTC_TEST_SEED=%llu",
                 key, wrong.stamp, (unsigned long long)wrong.begun,
                 (unsigned long long)wrong.ended, what,
                 (unsigned long long)play->seed);
}

static void judge_play(play *play)
{
    mtc_tier_usage usage = mtct_tier_usage(play->tier);
    assert_int_equal(play->torn, 0);
    assert_int_equal(play->failed, 0);
    assert_int_equal(play->too_much, 0);
    if (!play->setting->may_forget)
        assert_int_equal(usage.evicted_size, 0);
    assert_int_equal(usage.entries + mtct_usage_gone(&usage),
                     play->stamp + (play->setting->is_filled ? FILLING : 0));
    for (unsigned key = 0; key < play->setting->keys; key++)
        judge_key(play, key);
}

static void run_one(const setting *setting, uint64_t seed)
{
    static play play;
    play = (struct play){.setting = setting, .seed = seed, .now_ms = 1000};
    for (unsigned key = 0; key < setting->keys; key++)
        assert_true(mtct_history_init(&play.histories[key], THREADS * CALLS));
    play.tier = mtct_tier_open(setting->url);
    run_threads(&play);
    judge_play(&play);
    play.tier->ops->close(play.tier);
    for (unsigned key = 0; key < setting->keys; key++)
        mtct_history_fini(&play.histories[key]);
}

static void run(const char *test, setting setting)
{
    uint64_t seed = mtct_seed(test);
    for (unsigned i = 0; i < mtct_rounds(3); i++)
        run_one(&setting, seed + i);
}

static void one_key_holds_what_was_written_last(void **state)
{
    (void)state;
    run(__func__, (setting){.url = "memory?size=16MiB",
                            .keys = 1,
                            .life_ms_max = 1000000,
                            .size_max = 500});
}

static void lives_end_for_all_threads(void **state)
{
    (void)state;
    run(__func__, (setting){.url = "memory?size=16MiB",
                            .keys = 4,
                            .life_ms_max = 10,
                            .size_max = 500});
}

static void nothing_is_missed_while_tables_grow(void **state)
{
    (void)state;
    run(__func__, (setting){.url = "memory?size=64MiB",
                            .keys = 16,
                            .life_ms_max = 1000000,
                            .size_max = 100,
                            .is_filled = true});
}

static void two_slots_for_five_keys(void **state)
{
    (void)state;
    run(__func__, (setting){.url = "memory?entries=2",
                            .keys = 5,
                            .life_ms_max = 1000,
                            .size_max = 500,
                            .may_forget = true});
}

static void a_budget_that_is_always_full(void **state)
{
    (void)state;
    /* Large enough for what all threads hold and write at the same time, which
     * nobody can evict: a smaller tier would rightly refuse. */
    run(__func__, (setting){.url = "memory?size=256KiB",
                            .keys = 64,
                            .life_ms_max = 1000,
                            .size_max = 8000,
                            .may_forget = true});
}

static void a_budget_that_others_fill(void **state)
{
    (void)state;
    run(__func__, (setting){.url = "memory?size=1MiB",
                            .keys = 16,
                            .life_ms_max = 1000,
                            .size_max = 1000,
                            .may_forget = true,
                            .is_filled = true});
}

/* -- the judge ---------------------------------------------------------- */

#define WROTE(s, b, e)                                                         \
    {                                                                          \
        MTCT_WROTE, (s), (b), (e), 100, 0                                      \
    }
#define REMOVED(b, e)                                                          \
    {                                                                          \
        MTCT_REMOVED, 0, (b), (e), 0, 0                                        \
    }
#define HIT(s, b, e)                                                           \
    {                                                                          \
        MTCT_HIT, (s), (b), (e), 0, 50                                         \
    }
#define MISSED(b, e)                                                           \
    {                                                                          \
        MTCT_MISSED, 0, (b), (e), 0, 50                                        \
    }

static const struct {
    bool is_possible;
    bool may_forget;
    mtct_event events[4];
} cases[] = {
    {true, false, {WROTE(1, 1, 2), HIT(1, 3, 4), HIT(1, 5, 6), HIT(1, 7, 8)}},
    {true, false, {WROTE(1, 1, 9), HIT(1, 2, 3), MISSED(1, 2), HIT(1, 5, 6)}},
    {true, false, {WROTE(1, 1, 2), WROTE(2, 3, 9), HIT(1, 4, 5), HIT(2, 6, 7)}},
    {true, false, {WROTE(1, 1, 2), REMOVED(3, 6), HIT(1, 4, 5), MISSED(7, 8)}},
    {true, true, {WROTE(1, 1, 2), HIT(1, 3, 4), MISSED(5, 6), MISSED(7, 8)}},
    {false, false, {WROTE(1, 1, 2), HIT(1, 3, 4), HIT(2, 5, 6), HIT(1, 7, 8)}},
    {false, false, {HIT(1, 1, 2), WROTE(1, 3, 4), HIT(1, 5, 6), HIT(1, 7, 8)}},
    {false, true, {WROTE(1, 1, 2), WROTE(2, 3, 4), HIT(1, 5, 6), HIT(2, 7, 8)}},
    {false, true, {WROTE(1, 1, 2), WROTE(2, 3, 9), HIT(2, 4, 5), HIT(1, 6, 7)}},
    {false, true, {WROTE(1, 1, 2), REMOVED(3, 4), HIT(1, 5, 6), MISSED(7, 8)}},
    {false, true, {WROTE(1, 1, 2), MISSED(3, 4), HIT(1, 5, 6), HIT(1, 7, 8)}},
    {false, false, {WROTE(1, 1, 2), HIT(1, 3, 4), MISSED(5, 6), MISSED(7, 8)}},
    {false, false, {REMOVED(1, 2), WROTE(1, 3, 4), MISSED(5, 6), MISSED(7, 8)}},
    {false,
     true,
     {WROTE(1, 1, 2), {MTCT_HIT, 1, 3, 4, 0, 100}, HIT(1, 5, 6), HIT(1, 7, 8)}},
};

static void the_judge_knows_what_is_possible(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        mtct_event wrong;
        mtct_history history;
        assert_true(mtct_history_init(&history, 4));
        for (int j = 0; j < 4; j++)
            assert_true(mtct_history_note(&history, cases[i].events[j]));
        const char *what =
            mtct_history_judge(&history, cases[i].may_forget, &wrong);
        if ((what == NULL) != cases[i].is_possible)
            fail_msg("case %zu: %s", i, what ? what : "was let pass");
        mtct_history_fini(&history);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_judge_knows_what_is_possible),
        cmocka_unit_test(one_key_holds_what_was_written_last),
        cmocka_unit_test(lives_end_for_all_threads),
        cmocka_unit_test(nothing_is_missed_while_tables_grow),
        cmocka_unit_test(two_slots_for_five_keys),
        cmocka_unit_test(a_budget_that_is_always_full),
        cmocka_unit_test(a_budget_that_others_fill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
