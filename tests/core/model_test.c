/*
 * Model: random operations and steps of the clock on a cache of memory over a
 * scripted tier that now and then fails, against a reference of a few lines.
 *
 * The reference knows for each key the value that a read may answer and until
 * when: never a removed, replaced or expired one, whatever the tier below does.
 * MTC_MODEL_SEED and MTC_MODEL_STEPS repeat or lengthen a run.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "support/chain_rig.h"

#define KEYS        12
#define STEPS       20000
#define TTL_MS_MAX  5000
#define TEXT_SIZE   24
#define CLOCK_TICKS 2 /* lives are rounded down by the clocks' ticks */

/* What a read of a key may answer. */
typedef struct fact {
    bool is_there;
    int64_t end_ms;
    char text[TEXT_SIZE];
} fact;

static mtct_rig rig;
static fact facts[KEYS];
static char keys[KEYS][8];
static uint64_t random_state;
static uint64_t seed;
static int step;
static uint64_t serial;

static uint32_t draw(uint32_t below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % below;
}

static int64_t now_ms(void)
{
    return atomic_load(&rig.clock.now_ms);
}

#define check(condition)                                                       \
    do {                                                                       \
        if (!(condition))                                                      \
            complain(#condition, __LINE__);                                    \
    } while (0)

static void complain(const char *what, int line)
{
    fail_msg("seed %llu, step %d, line %d: not so: %s",
             (unsigned long long)seed, step, line, what);
}

/* -- the reference ------------------------------------------------------ */

static void now_there(fact *fact, const char *text, int64_t ttl_ms)
{
    fact->is_there = true;
    fact->end_ms = now_ms() + ttl_ms;
    snprintf(fact->text, sizeof(fact->text), "%s", text);
}

/* What a read answered is what the reference allows; one that asks memory
 * finds what is there. */
static void check_read(const fact *fact, bool asks_memory, mtc_status status,
                       const mtc_value *value)
{
    int64_t left_ms = fact->is_there ? fact->end_ms - now_ms() : 0;
    if (status == MTC_OK) {
        check(left_ms > 0);
        check(value->size == strlen(fact->text));
        check(memcmp(value->data, fact->text, value->size) == 0);
        return;
    }
    check(left_ms <= CLOCK_TICKS || !asks_memory);
    check(value->data == NULL);
    check(status == MTC_MISS || status == MTC_E_UNAVAILABLE ||
          status == MTC_E_CORRUPT);
}

/* -- operations --------------------------------------------------------- */

static void new_text(char *text)
{
    snprintf(text, TEXT_SIZE, "%llu", (unsigned long long)++serial);
}

static void do_get(size_t i)
{
    mtc_value value;
    mtc_call call = MTC_CALL_INIT;
    call.flags = draw(3) == 0 ? MTC_CALL_SKIP_MEMORY : 0;
    mtc_status status =
        mtc_cache_get_with(rig.cache, mtc_str(keys[i]), &call, &value);
    check_read(&facts[i], !(call.flags & MTC_CALL_SKIP_MEMORY), status, &value);
    mtc_value_free(&value);
}

static void do_set(size_t i)
{
    char text[TEXT_SIZE];
    mtc_strategy strategy = MTC_STRATEGY_INIT(1 + draw(TTL_MS_MAX));
    new_text(text);
    mtc_status status =
        mtc_cache_set(rig.cache, mtc_str(keys[i]), mtc_str(text), &strategy);
    check(status == MTC_OK || status == MTC_PARTIAL);
    now_there(&facts[i], text, strategy.ttl_ms);
}

static void do_remove(size_t i)
{
    bool expires = draw(3) == 0;
    mtc_status status = expires ? mtc_cache_expire(rig.cache, mtc_str(keys[i]))
                                : mtc_cache_remove(rig.cache, mtc_str(keys[i]));
    check(status == MTC_OK || status == MTC_PENDING);
    facts[i].is_there = false;
}

static mtc_status load_text(mtc_load *load, void *ctx)
{
    return mtc_load_set_value(load, mtc_str(ctx));
}

static void do_load(size_t i)
{
    char text[TEXT_SIZE];
    mtc_value value;
    mtc_strategy strategy = MTC_STRATEGY_INIT(1 + draw(TTL_MS_MAX));
    new_text(text);
    mtc_status status =
        mtc_cache_get_or_load(rig.cache, mtc_str(keys[i]), &strategy, load_text,
                              text, &value);
    check(status == MTC_OK);
    bool is_loaded =
        value.size == strlen(text) && memcmp(value.data, text, value.size) == 0;
    if (is_loaded)
        now_there(&facts[i], text, strategy.ttl_ms);
    else
        check_read(&facts[i], true, status, &value);
    mtc_value_free(&value);
}

static void do_many(size_t i)
{
    mtc_item items[3];
    memset(items, 0, sizeof(items));
    for (size_t j = 0; j < 3; j++)
        items[j].key = mtc_str(keys[(i + j) % KEYS]);
    if (draw(2) == 0) {
        mtc_cache_remove_many(rig.cache, items, 3);
        for (size_t j = 0; j < 3; j++)
            facts[(i + j) % KEYS].is_there = false;
        return;
    }
    mtc_cache_get_many(rig.cache, items, 3);
    for (size_t j = 0; j < 3; j++) {
        check_read(&facts[(i + j) % KEYS], true, items[j].status,
                   &items[j].value);
        mtc_value_free(&items[j].value);
    }
}

static void do_time(size_t i)
{
    (void)i;
    int64_t ms = draw(3) == 0 ? draw(TTL_MS_MAX) : draw(20);
    atomic_fetch_add(&rig.clock.now_ms, ms);
}

/* Another status for a verb of the tier below, often none. A tier that fell
 * is not waited for each time: that is in the keeper's own time. */
static void do_mood(size_t i)
{
    static const mtc_status sick[] = {MTC_E_CORRUPT, MTC_E_BUSY,
                                      MTC_E_UNAVAILABLE};
    mtc_verb verb = (mtc_verb)draw(4);
    mtc_status status = draw(5) == 0 ? sick[draw(3)] : MTC_OK;
    (void)i;
    if (verb == MTC_VERB_READ && status != MTC_OK)
        status = draw(10) == 0 ? MTC_E_UNAVAILABLE : MTC_E_CORRUPT;
    mtct_mood_set(&rig.moods[0], verb, status);
    if (verb == MTC_VERB_READ && status == MTC_OK && draw(8) == 0)
        mtct_rig_wait_up(&rig, 1);
}

typedef void (*operation)(size_t i);

static const operation operations[] = {do_get,  do_get,    do_get,  do_set,
                                       do_set,  do_remove, do_load, do_load,
                                       do_many, do_time,   do_time, do_mood};

/* -- the run ------------------------------------------------------------ */

static uint64_t number_from(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void a_cache_does_what_its_model_does(void **state)
{
    (void)state;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    seed = number_from("MTC_MODEL_SEED", (uint64_t)now.tv_nsec);
    int steps = (int)number_from("MTC_MODEL_STEPS", STEPS);
    random_state = seed;
    mtct_rig_init(&rig, 1);
    mtct_rig_open(&rig);
    for (size_t i = 0; i < KEYS; i++)
        snprintf(keys[i], sizeof(keys[i]), "key%zu", i);
    for (step = 0; step < steps; step++)
        operations[draw(sizeof(operations) / sizeof(*operations))](draw(KEYS));
    mtc_stats stats = mtct_rig_stats(&rig);
    check(stats.in_flight == 0);
    check(stats.tiers[0].hits > 0 && stats.tiers[1].hits > 0);
    mtct_rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cache_does_what_its_model_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
