/*
 * Pins: what a reader pinned in time is seen by whoever frees, slots come and
 * go, records of ended threads are used again. labels: quick unit alone
 *
 * The first test is the litmus test of the whole scheme: reader and reclaimer
 * each write and then look at what the other one wrote, many times at once;
 * without the fences both overlook the other. Both have a processor and spin,
 * so that whatever else runs there makes it long.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/membarrier.h>

#include "base/pin.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define ROUNDS 5000u
#else
#define ROUNDS 40000u
#endif

/* -- the litmus test ---------------------------------------------------- */

typedef struct litmus {
    /* In one cache line: the reader has both at hand when a round begins. */
    _Alignas(64) _Atomic uint32_t round;  /* that has begun */
    _Atomic bool is_gone;                 /* the object, in this round */
    _Alignas(64) _Atomic uint32_t looked; /* rounds the reader has seen */
    _Atomic bool has_found;               /* the reader, in this round */
    char object;
} litmus;

static void await(_Atomic uint32_t *counter, uint32_t value)
{
    for (unsigned i = 0; atomic_load(counter) != value; i++) {
        if (i % 1024 == 1023)
            sched_yield();
    }
}

/* Each on a processor of its own, if there are two: else nothing happens at
 * once. */
static void stay_on(unsigned processor)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

/* Each round: pins the object, and looks whether it is still there. */
static void *litmus_reader(void *ctx)
{
    litmus *litmus = ctx;
    mtci_pins *pins = mtci_pins_here();
    unsigned slot = 0;
    if (!pins || !mtci_pins_slot(pins, &slot))
        return NULL;
    stay_on(1);
    for (uint32_t i = 1; i <= ROUNDS; i++) {
        await(&litmus->round, i);
        mtci_pin_set(pins, slot, &litmus->object);
        bool is_gone =
            atomic_load_explicit(&litmus->is_gone, memory_order_seq_cst);
        atomic_store(&litmus->has_found, !is_gone);
        atomic_store(&litmus->looked, i);
        await(&litmus->round, i + ROUNDS);
        mtci_pin_clear(pins, slot);
        atomic_store(&litmus->looked, i + ROUNDS);
    }
    return pins;
}

static void see_object(void *ctx, void *object)
{
    void **wanted = ctx;
    if (object == *wanted)
        *wanted = NULL;
}

static bool is_pinned(void *object)
{
    void *wanted = object;
    mtci_pins_each(see_object, &wanted);
    return wanted == NULL;
}

/* One round; true: both have overlooked the other. */
static bool litmus_round(litmus *litmus, uint32_t i)
{
    atomic_store(&litmus->is_gone, false);
    /* Takes the line of the slot away from the reader, whose store to it
     * takes time then. */
    bool was_pinned = is_pinned(&litmus->object);
    atomic_store(&litmus->round, i);
    for (volatile unsigned wait = i % 512; wait > 0; wait--)
        ;
    atomic_store_explicit(&litmus->is_gone, true, memory_order_release);
    mtci_pins_fence();
    bool has_seen = is_pinned(&litmus->object);
    await(&litmus->looked, i);
    bool has_found = atomic_load(&litmus->has_found);
    atomic_store(&litmus->round, i + ROUNDS);
    await(&litmus->looked, i + ROUNDS);
    return was_pinned || (has_found && !has_seen);
}

static void a_pin_is_seen_or_the_object_is_found_gone(void **state)
{
    static litmus litmus;
    pthread_t reader;
    void *result;
    cpu_set_t before;
    uint32_t both_overlooked = 0;
    (void)state;
    pthread_getaffinity_np(pthread_self(), sizeof(before), &before);
    stay_on(0);
    assert_int_equal(pthread_create(&reader, NULL, litmus_reader, &litmus), 0);
    for (uint32_t i = 1; i <= ROUNDS; i++)
        both_overlooked += litmus_round(&litmus, i);
    assert_int_equal(pthread_join(reader, &result), 0);
    pthread_setaffinity_np(pthread_self(), sizeof(before), &before);
    assert_non_null(result);
    assert_int_equal(both_overlooked, 0);
}

/* Plain stores need a kernel that has membarrier, and no tsan. */
static void stores_are_plain_where_the_kernel_fences(void **state)
{
    (void)state;
    bool has_fence =
        syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0,
                0) == 0;
#ifdef __SANITIZE_THREAD__
    has_fence = false;
#endif
    assert_int_equal(mtci_pins_here()->is_plain, has_fence);
}

/* -- slots -------------------------------------------------------------- */

static void a_thread_has_so_many_pins_and_no_more(void **state)
{
    static char objects[MTCI_PINS];
    unsigned slots[MTCI_PINS];
    unsigned one = 0;
    mtci_pins *pins = mtci_pins_here();
    (void)state;
    assert_non_null(pins);
    for (unsigned i = 0; i < MTCI_PINS; i++) {
        assert_true(mtci_pins_slot(pins, &slots[i]));
        mtci_pin_set(pins, slots[i], &objects[i]);
        mtci_pin_keep(pins);
    }
    assert_false(mtci_pins_slot(pins, &one));
    for (unsigned i = 0; i < MTCI_PINS; i++)
        assert_true(is_pinned(&objects[i]));
    mtci_pin_drop(&pins->at[slots[20]]);
    assert_false(is_pinned(&objects[20]));
    assert_true(mtci_pins_slot(pins, &one));
    assert_int_equal(one, slots[20]);
    for (unsigned i = 0; i < MTCI_PINS; i++) {
        if (i != 20)
            mtci_pin_drop(&pins->at[slots[i]]);
        assert_false(is_pinned(&objects[i]));
    }
}

/* -- threads ------------------------------------------------------------ */

static void *register_here(void *ctx)
{
    mtci_pins **pins = ctx;
    *pins = mtci_pins_here();
    return NULL;
}

static void a_record_is_used_again_by_a_later_thread(void **state)
{
    mtci_pins *first = NULL;
    (void)state;
    for (int i = 0; i < 50; i++) {
        mtci_pins *pins = NULL;
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, register_here, &pins),
                         0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        if (!first)
            first = pins;
        assert_ptr_equal(pins, first);
    }
    assert_ptr_not_equal(first, mtci_pins_here());
}

/* -- waiting ------------------------------------------------------------ */

typedef struct wait {
    mtci_waiter waiter;
    void *object;
    unsigned tries;
    bool has_ended;
} wait;

static bool try_end(mtci_waiter *waiter)
{
    wait *self = (wait *)waiter;
    self->tries++;
    self->has_ended = !is_pinned(self->object);
    return self->has_ended;
}

static void who_waits_for_a_pin_is_called_when_it_is_given_back(void **state)
{
    static char object;
    unsigned slot = 0;
    wait one = {.waiter.try_end = try_end, .object = &object};
    wait other = {.waiter.try_end = try_end, .object = &one};
    mtci_pins *pins = mtci_pins_here();
    (void)state;
    assert_non_null(pins);
    assert_true(mtci_pins_slot(pins, &slot));
    mtci_pin_set(pins, slot, &object);
    mtci_pin_keep(pins);
    mtci_pins_await(&one.waiter);
    assert_false(one.has_ended);
    mtci_pins_await(&other.waiter);
    assert_true(other.has_ended);
    mtci_pin_drop(&pins->at[slot]);
    assert_true(one.has_ended);
    unsigned tries = one.tries;
    assert_true(mtci_pins_slot(pins, &slot));
    mtci_pin_set(pins, slot, &object);
    mtci_pin_keep(pins);
    mtci_pin_drop(&pins->at[slot]);
    assert_int_equal(one.tries, tries);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pin_is_seen_or_the_object_is_found_gone),
        cmocka_unit_test(stores_are_plain_where_the_kernel_fences),
        cmocka_unit_test(a_thread_has_so_many_pins_and_no_more),
        cmocka_unit_test(a_record_is_used_again_by_a_later_thread),
        cmocka_unit_test(who_waits_for_a_pin_is_called_when_it_is_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
