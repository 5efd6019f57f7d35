/*
 * labels: quick unit
 *
 * The breaker of a node with the time as the test says, then under threads.
 */
#include "redis/breaker.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "base/hash.h"

#define NOW_MS      5000
#define DEADLINE_MS 250
#define THREADS     4
#define ROUNDS      20000

static void a_new_one_is_closed_and_wants_nothing(void **state)
{
    mtci_breaker breaker = {0};
    (void)state;
    assert_false(breaker.is_open);
    assert_false(mtci_breaker_is_doubted(&breaker));
    assert_true(mtci_breaker_due_ms(&breaker) == INT64_MAX);
    assert_false(mtci_breaker_answer(&breaker));
}

static void a_failure_opens_it_once_and_an_answer_closes_it(void **state)
{
    mtci_breaker breaker = {0};
    (void)state;
    assert_true(mtci_breaker_fail(&breaker, NOW_MS));
    assert_false(mtci_breaker_fail(&breaker, NOW_MS + 1));
    assert_true(breaker.is_open && mtci_breaker_is_doubted(&breaker));
    assert_int_equal(breaker.opened_ms, NOW_MS);
    assert_true(mtci_breaker_answer(&breaker));
    assert_false(breaker.is_open || mtci_breaker_is_doubted(&breaker));
    assert_false(mtci_breaker_answer(&breaker));
}

static void a_command_without_an_answer_opens_it_at_its_deadline(void **state)
{
    mtci_breaker breaker = {0};
    (void)state;
    assert_true(mtci_breaker_miss(&breaker, NOW_MS, NOW_MS + DEADLINE_MS,
                                  NOW_MS + DEADLINE_MS));
    assert_true(breaker.is_open);
}

static void a_caller_in_a_hurry_opens_nothing(void **state)
{
    mtci_breaker breaker = {0};
    (void)state;
    assert_false(
        mtci_breaker_miss(&breaker, NOW_MS, NOW_MS + DEADLINE_MS, NOW_MS + 20));
    assert_false(breaker.is_open);
    assert_true(mtci_breaker_is_doubted(&breaker));
    /* Nor does one whose command had no more time than that. */
    assert_false(
        mtci_breaker_miss(&breaker, NOW_MS + 20, NOW_MS + 40, NOW_MS + 40));
    assert_false(breaker.is_open);
}

static void many_in_a_hurry_open_it_when_a_whole_deadline_is_over(void **state)
{
    mtci_breaker breaker = {0};
    (void)state;
    for (int ms = 0; ms < DEADLINE_MS - 10; ms += 10)
        assert_false(mtci_breaker_miss(&breaker, NOW_MS + ms,
                                       NOW_MS + ms + DEADLINE_MS,
                                       NOW_MS + ms + 10));
    assert_true(mtci_breaker_miss(&breaker, NOW_MS + DEADLINE_MS - 10,
                                  NOW_MS + 2 * DEADLINE_MS - 10,
                                  NOW_MS + DEADLINE_MS));
}

static void an_answer_begins_the_silence_anew(void **state)
{
    mtci_breaker breaker = {0};
    (void)state;
    mtci_breaker_miss(&breaker, NOW_MS, NOW_MS + DEADLINE_MS, NOW_MS + 10);
    assert_false(mtci_breaker_answer(&breaker));
    assert_false(mtci_breaker_is_doubted(&breaker));
    assert_false(mtci_breaker_miss(&breaker, NOW_MS + DEADLINE_MS - 10,
                                   NOW_MS + 2 * DEADLINE_MS - 10,
                                   NOW_MS + DEADLINE_MS));
    /* But not for a command that was sent before it and had all its time. */
    assert_true(mtci_breaker_miss(&breaker, NOW_MS, NOW_MS + DEADLINE_MS,
                                  NOW_MS + DEADLINE_MS));
}

static void the_first_probe_is_due_at_once_and_one_is_sent_at_a_time(void **s)
{
    mtci_breaker breaker = {0};
    (void)s;
    mtci_breaker_fail(&breaker, NOW_MS);
    assert_int_equal(mtci_breaker_due_ms(&breaker), NOW_MS);
    mtci_breaker_begin_probe(&breaker);
    assert_true(mtci_breaker_due_ms(&breaker) == INT64_MAX);
    mtci_breaker_end_probe(&breaker, NOW_MS + 7, 0);
    assert_int_equal(mtci_breaker_due_ms(&breaker), NOW_MS + 8);
}

/* The longest pause after so many probes in vain. */
static int64_t longest_pause_ms(mtci_breaker *breaker)
{
    mtci_breaker_begin_probe(breaker);
    unsigned failed = breaker->probes_failed;
    int64_t longest_ms = 0;
    for (uint64_t random = 0; random < 3000; random++) {
        breaker->probes_failed = failed;
        mtci_breaker_end_probe(breaker, NOW_MS, random);
        int64_t pause_ms = mtci_breaker_due_ms(breaker) - NOW_MS;
        assert_true(pause_ms >= 1);
        if (pause_ms > longest_ms)
            longest_ms = pause_ms;
    }
    return longest_ms;
}

static void pauses_grow_to_a_second_and_begin_anew(void **state)
{
    static const int64_t BOUNDS_MS[] = {100, 200, 400, 800, 1000, 1000};
    mtci_breaker breaker = {0};
    (void)state;
    for (int i = 0; i < 2; i++) {
        mtci_breaker_fail(&breaker, NOW_MS);
        for (size_t j = 0; j < sizeof BOUNDS_MS / sizeof *BOUNDS_MS; j++)
            assert_int_equal(longest_pause_ms(&breaker), BOUNDS_MS[j]);
        assert_true(mtci_breaker_answer(&breaker));
    }
}

/* -- threads --------------------------------------------------------------- */

/* As a cluster has it: a lock, and a look without it. */
static mtci_breaker shared;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int opened, closed, probes;
static _Atomic int64_t now_ms;

static void probe_locked(uint64_t random)
{
    if (mtci_breaker_due_ms(&shared) > now_ms)
        return;
    probes++;
    mtci_breaker_begin_probe(&shared);
    assert_true(mtci_breaker_due_ms(&shared) == INT64_MAX);
    pthread_mutex_unlock(&mutex);
    now_ms++;
    pthread_mutex_lock(&mutex);
    assert_true(shared.is_probing); /* nobody else's has ended it */
    mtci_breaker_end_probe(&shared, now_ms, random);
}

static void answer(void)
{
    if (!mtci_breaker_is_doubted(&shared))
        return;
    pthread_mutex_lock(&mutex);
    closed += mtci_breaker_answer(&shared);
    pthread_mutex_unlock(&mutex);
}

static void *use(void *ctx)
{
    uint64_t random = *(uint64_t *)ctx;
    for (int i = 0; i < ROUNDS; i++) {
        int64_t at_ms = now_ms++;
        uint64_t choice = mtci_random(&random) % 8;
        if (choice == 0) {
            answer();
            continue;
        }
        pthread_mutex_lock(&mutex);
        if (choice == 1)
            opened += mtci_breaker_fail(&shared, at_ms);
        else if (choice == 2)
            opened += mtci_breaker_miss(&shared, at_ms, at_ms + 50, at_ms + 60);
        else
            probe_locked(random);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static void threads_open_and_close_it_by_turns(void **state)
{
    pthread_t threads[THREADS];
    uint64_t seeds[THREADS];
    (void)state;
    now_ms = NOW_MS;
    for (size_t i = 0; i < THREADS; i++) {
        seeds[i] = i + 1;
        assert_int_equal(pthread_create(&threads[i], NULL, use, &seeds[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_true(opened > 0 && probes > 0);
    assert_int_equal(opened - closed, shared.is_open);
    assert_false(shared.is_probing);
    answer();
    assert_int_equal(opened, closed);
    assert_false(mtci_breaker_is_doubted(&shared));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_one_is_closed_and_wants_nothing),
        cmocka_unit_test(a_failure_opens_it_once_and_an_answer_closes_it),
        cmocka_unit_test(a_command_without_an_answer_opens_it_at_its_deadline),
        cmocka_unit_test(a_caller_in_a_hurry_opens_nothing),
        cmocka_unit_test(many_in_a_hurry_open_it_when_a_whole_deadline_is_over),
        cmocka_unit_test(an_answer_begins_the_silence_anew),
        cmocka_unit_test(
            the_first_probe_is_due_at_once_and_one_is_sent_at_a_time),
        cmocka_unit_test(pauses_grow_to_a_second_and_begin_anew),
        cmocka_unit_test(threads_open_and_close_it_by_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
