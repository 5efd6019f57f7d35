/*
 * A read of the memory tier with a change after each of its instructions.
 *
 * How to read it: the processor's trap flag stops a find after its first,
 * second, third ... instruction, and there the handler of the trap, in the
 * same thread, replaces the key, removes it, gives its memory to another key,
 * or lets the table grow or shrink; then the find goes on. A find takes no
 * lock, so that the handler may. What it answers must have been so at some
 * moment, and must stay as it is while it is held. x86-64 without sanitizers;
 * elsewhere there are the storms. labels: unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <signal.h>
#include <stdatomic.h>
#include <ucontext.h>

#include "support/callers.h"
#include "support/stamp.h"
#include "support/tier_call.h"

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) &&                   \
    !defined(__SANITIZE_THREAD__)
#include <x86intrin.h>
#define CAN_STEP true
#else
#define CAN_STEP false
#endif

#define TRAP_FLAG 0x100u
#define STEPS_MAX 5000
#define CHAIN     16 /* keys of one bucket; a split takes every second one */
#define OTHERS    480
#define MORE      200 /* others, until that bucket is split */

/* A long way through the code is stopped at every so many instructions,
 * beginning at random: MTC_TEST_SEED, more often by MTC_TEST_ROUNDS. */
#define STRIDE 8

/* Entries of this size are freed at once when they have left a tier of 64
 * KiB. */
#define SIZE 1500

typedef void (*action)(void);

typedef struct scenario {
    const char *url;
    action prepare;
    action change;
    uint32_t key;
    size_t size;
    int64_t window_ms; /* with one, an entry is found the longer way */
    bool may_miss;
} scenario;

static struct {
    const scenario *scenario;
    mtc_tier *tier;
    uint32_t stamp; /* of the last store */
    uint64_t random;
    volatile int steps_left;
    volatile bool is_changed;
} stepper;

/* -- calls to the tier -------------------------------------------------- */

static uint64_t hash_of(uint32_t key)
{
    uint64_t low = key % 2 ? UINT64_C(0xffffffc5) : UINT64_C(0xffffff85);
    return ((uint64_t)key * 37 + 1) << 32 | low;
}

static void store(uint32_t key)
{
    char text[24];
    char bytes[SIZE];
    size_t size = stepper.scenario->size;
    mtc_request request = mtct_request_for(mtct_key(key, text), 0);
    mtct_stamp_write(bytes, size, key, ++stepper.stamp);
    request.value = mtc_value_borrow(mtc_bytes(bytes, size));
    request.hash = hash_of(key);
    request.facts.window_ms = stepper.scenario->window_ms;
    request.facts.left_ms += stepper.scenario->window_ms;
    assert_int_equal(mtct_tier_submit(stepper.tier, MTC_VERB_STORE, &request),
                     MTC_OK);
}

static void end(mtc_verb verb)
{
    char text[24];
    uint32_t key = stepper.scenario->key;
    mtc_request request = mtct_request_for(mtct_key(key, text), 0);
    request.hash = hash_of(key);
    assert_int_equal(mtct_tier_submit(stepper.tier, verb, &request), MTC_OK);
}

static void store_others(uint32_t from, uint32_t count)
{
    char text[24];
    for (uint32_t i = from; i < from + count; i++)
        assert_int_equal(mtct_tier_store(stepper.tier, mtct_key(i, text),
                                         mtc_str("other"), 0, MTCT_LIFE_MS),
                         MTC_OK);
}

static void remove_others(uint32_t from, uint32_t count)
{
    char text[24];
    for (uint32_t i = from; i < from + count; i++) {
        mtc_request request = mtct_request_for(mtct_key(i, text), 0);
        assert_int_equal(mtct_tier_submit(stepper.tier, MTC_VERB_REMOVE,
                                          &request),
                         MTC_OK);
    }
}

/* -- what happens before a find, and in its midst ----------------------- */

static void prepare_one(void)
{
    store(stepper.scenario->key);
}

/* The key is the last of a long chain. */
static void prepare_chain(void)
{
    for (uint32_t i = 0; i < CHAIN; i++) {
        if (i != stepper.scenario->key)
            store(i);
    }
    store_others(1000, OTHERS);
    store(stepper.scenario->key);
}

/* The same in a table that has grown. */
static void prepare_grown_chain(void)
{
    prepare_chain();
    store_others(2000, MORE);
}

static void replace_once(void)
{
    store(stepper.scenario->key);
}

static void replace(void)
{
    for (int i = 0; i < 3; i++)
        replace_once();
}

static void take_away(void)
{
    end(MTC_VERB_REMOVE);
}

static void take_away_and_back(void)
{
    end(MTC_VERB_REMOVE);
    store(stepper.scenario->key);
}

/* Another key gets the memory, and the place in the table. */
static void give_to_another(void)
{
    end(MTC_VERB_REMOVE);
    store(stepper.scenario->key + 2);
    store(stepper.scenario->key + 4);
}

/* In a tier for one entry this makes room. */
static void store_another(void)
{
    store(stepper.scenario->key + 2);
}

static void cut_and_tend(void)
{
    end(MTC_VERB_EXPIRE);
    stepper.tier->ops->tend(stepper.tier, 1);
}

static void grow(void)
{
    store_others(2000, MORE);
}

/* So many go that the table shrinks to what it was at first. */
static void shrink(void)
{
    remove_others(1000, OTHERS);
    remove_others(2000, MORE);
}

/* -- stepping ----------------------------------------------------------- */

#if CAN_STEP
static void trap_here(bool is_on)
{
    unsigned long long flags = __readeflags();
    atomic_signal_fence(memory_order_seq_cst);
    __writeeflags(is_on ? flags | TRAP_FLAG : flags & ~(uint64_t)TRAP_FLAG);
}

static void trapped(int number, siginfo_t *info, void *context)
{
    ucontext_t *at = context;
    (void)number;
    (void)info;
    if (--stepper.steps_left > 0)
        return;
    at->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
    stepper.is_changed = true;
    stepper.scenario->change();
}
#else
static void trap_here(bool is_on)
{
    (void)is_on;
}

static void trapped(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    (void)context;
}
#endif

static mtc_status find(int steps, mtc_value *value)
{
    char text[24];
    uint32_t key = stepper.scenario->key;
    mtc_slice name = mtct_key(key, text);
    mtc_tier *tier = stepper.tier;
    *value = (mtc_value){0};
    stepper.steps_left = steps;
    stepper.is_changed = false;
    trap_here(true);
    mtc_status status = tier->ops->find(tier, name, hash_of(key), 0, value);
    trap_here(false);
    return status;
}

/* The value is one that the key had meanwhile, and stays that. */
static void check_value(uint32_t before, mtc_value *value)
{
    uint32_t key = stepper.scenario->key;
    uint32_t stamp = 0;
    assert_true(mtct_stamp_read(mtc_value_slice(value), key, &stamp));
    assert_in_range(stamp, before, stepper.stamp);
    replace();
    give_to_another();
    assert_true(mtct_stamp_is(mtc_value_slice(value), key, stamp));
    mtc_value_free(value);
}

/* False: the find had fewer instructions. */
static bool one_step(int steps)
{
    mtc_value value;
    stepper.tier = mtct_tier_open(stepper.scenario->url);
    stepper.scenario->prepare();
    uint32_t before = stepper.stamp;
    mtc_status status = find(steps, &value);
    if (status == MTC_OK || status == MTC_STALE)
        check_value(before, &value);
    else if (status != MTC_MISS || !stepper.scenario->may_miss)
        fail_msg("step %d: %s", steps, mtc_status_name(status));
    stepper.tier->ops->close(stepper.tier);
    return stepper.is_changed;
}

static void step_through(const scenario *scenario, bool is_long)
{
    struct sigaction before;
    struct sigaction action = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO};
    int stride = is_long ? STRIDE : 1;
    int steps = 1 + (int)mtct_draw(&stepper.random, (uint32_t)stride);
    if (!CAN_STEP)
        skip();
    stepper.scenario = scenario;
    assert_int_equal(sigaction(SIGTRAP, &action, &before), 0);
    while (one_step(steps) && steps < STEPS_MAX)
        steps += stride;
    assert_int_equal(sigaction(SIGTRAP, &before, NULL), 0);
    assert_in_range(steps, 20, STEPS_MAX - 1);
}

static void step_both_ways(scenario scenario)
{
    bool is_long = scenario.prepare == prepare_chain ||
                   scenario.prepare == prepare_grown_chain;
    step_through(&scenario, is_long);
    scenario.window_ms = 1000;
    for (unsigned i = 0; i < mtct_rounds(1); i++)
        step_through(&scenario, true);
}

/* -- the tests ---------------------------------------------------------- */

static void the_key_is_replaced(void **state)
{
    (void)state;
    step_both_ways((scenario){"memory?size=64KiB", prepare_one, replace_once, 7,
                              SIZE, 0, false});
    step_both_ways((scenario){"memory?size=64KiB", prepare_one, replace, 7,
                              SIZE, 0, false});
}

static void the_key_is_removed(void **state)
{
    (void)state;
    step_both_ways((scenario){"memory?size=64KiB", prepare_one, take_away, 7,
                              SIZE, 0, true});
    step_both_ways((scenario){"memory?size=64KiB", prepare_one,
                              take_away_and_back, 7, SIZE, 0, true});
}

static void the_memory_goes_to_another_key(void **state)
{
    (void)state;
    step_both_ways((scenario){"memory?size=64KiB", prepare_one, give_to_another,
                              7, SIZE, 0, true});
}

static void the_key_makes_room(void **state)
{
    (void)state;
    step_both_ways((scenario){"memory?entries=1", prepare_one, store_another, 7,
                              100, 0, true});
}

static void the_life_is_cut(void **state)
{
    (void)state;
    step_both_ways((scenario){"memory?size=64KiB", prepare_one, cut_and_tend, 7,
                              SIZE, 0, true});
}

static void the_bucket_is_split_and_the_key_moves(void **state)
{
    (void)state;
    step_both_ways(
        (scenario){"memory?size=4MiB", prepare_chain, grow, 7, 20, 0, false});
}

static void the_bucket_is_split_and_the_key_moves_up(void **state)
{
    (void)state;
    step_both_ways(
        (scenario){"memory?size=4MiB", prepare_chain, grow, 8, 20, 0, false});
}

static void the_buckets_are_joined_and_the_key_moves_back(void **state)
{
    (void)state;
    step_both_ways((scenario){"memory?size=4MiB", prepare_grown_chain, shrink,
                              7, 20, 0, false});
}

static void the_buckets_are_joined_and_the_key_stays(void **state)
{
    (void)state;
    step_both_ways((scenario){"memory?size=4MiB", prepare_grown_chain, shrink,
                              8, 20, 0, false});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_key_is_replaced),
        cmocka_unit_test(the_key_is_removed),
        cmocka_unit_test(the_memory_goes_to_another_key),
        cmocka_unit_test(the_key_makes_room),
        cmocka_unit_test(the_life_is_cut),
        cmocka_unit_test(the_bucket_is_split_and_the_key_moves),
        cmocka_unit_test(the_bucket_is_split_and_the_key_moves_up),
        cmocka_unit_test(the_buckets_are_joined_and_the_key_moves_back),
        cmocka_unit_test(the_buckets_are_joined_and_the_key_stays),
    };
    stepper.random = mtct_seed("memory_step_test");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
