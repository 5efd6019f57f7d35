/*
 * Waiting on a word, the clock, and hashing.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/sync.h"

static void a_changed_word_is_not_waited_for(void **state)
{
    _Atomic uint32_t word = 1;

    (void)state;
    assert_true(mtci_word_wait(&word, 0, MTCI_FOREVER));
    assert_true(mtci_word_wait(&word, 0, 0));
    assert_true(mtci_word_wait(&word, 0, -1));
}

static void a_wait_ends_with_its_time(void **state)
{
    _Atomic uint32_t word = 0;
    int64_t begin_ms = mtci_boot_ms();

    (void)state;
    assert_false(mtci_word_wait(&word, 0, 0));
    assert_false(mtci_word_wait(&word, 0, INT64_MIN));
    while (mtci_word_wait(&word, 0, 3)) {
        /* woken early, which is allowed */
    }
    assert_true(mtci_boot_ms() - begin_ms >= 2);
}

typedef struct doorway {
    _Atomic uint32_t word;
    atomic_int waiting;
} doorway;

static void *waiter_run(void *ctx)
{
    doorway *doorway = ctx;

    atomic_fetch_add(&doorway->waiting, 1);
    while (atomic_load(&doorway->word) == 0) {
        mtci_word_wait(&doorway->word, 0, MTCI_FOREVER);
    }
    return NULL;
}

static void a_wake_reaches_every_waiter(void **state)
{
    static doorway doorway;
    pthread_t threads[8];

    (void)state;
    for (int i = 0; i < 8; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, waiter_run,
                                        &doorway),
                         0);
    }
    /* Most are asleep then; whoever is not sees the new word instead. */
    for (int i = 0; i < 1000 || atomic_load(&doorway.waiting) < 8; i++) {
        sched_yield();
    }
    atomic_store(&doorway.word, 1);
    mtci_word_wake(&doorway.word);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
}

typedef struct sleeper {
    _Atomic uint32_t *word;
    uint32_t bits;
    atomic_bool has_woken;
} sleeper;

static void *sleeper_run(void *ctx)
{
    sleeper *sleeper = ctx;
    while (!mtci_word_wait_as(sleeper->word, 0, 3600000, sleeper->bits))
        continue;
    atomic_store(&sleeper->has_woken, true);
    return NULL;
}

static void wake_until_woken(_Atomic uint32_t *word, uint32_t bits,
                             const sleeper *sleeper)
{
    while (!atomic_load(&sleeper->has_woken)) {
        mtci_word_wake_bits(word, bits);
        sched_yield();
    }
}

static void a_wake_for_some_leaves_the_others_asleep(void **state)
{
    static _Atomic uint32_t word;
    sleeper sleepers[3] = {{.word = &word, .bits = 1},
                           {.word = &word, .bits = 4},
                           {.word = &word, .bits = 0x80000000u}};
    pthread_t threads[3];
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, sleeper_run,
                                        &sleepers[i]),
                         0);
    wake_until_woken(&word, 5, &sleepers[0]);
    wake_until_woken(&word, 4, &sleepers[1]);
    assert_false(atomic_load(&sleepers[2].has_woken));
    wake_until_woken(&word, UINT32_MAX, &sleepers[2]);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void a_wait_for_bits_ends_with_its_time(void **state)
{
    _Atomic uint32_t word = 0;
    int64_t begin_ms = mtci_boot_ms();
    (void)state;
    assert_true(mtci_word_wait_as(&word, 1, MTCI_FOREVER, 1));
    assert_false(mtci_word_wait_as(&word, 0, 0, 1));
    while (mtci_word_wait_as(&word, 0, 3, 1))
        continue;
    assert_true(mtci_boot_ms() - begin_ms >= 2);
}

static void boot_time_never_goes_back(void **state)
{
    int64_t last_us = mtci_boot_us();

    (void)state;
    for (int i = 0; i < 1000; i++) {
        int64_t now_us = mtci_boot_us();

        assert_true(now_us >= last_us);
        last_us = now_us;
    }
    assert_true(mtci_clock_ms(&mtci_clock_boot) >= last_us / 1000);
}

static void a_hash_depends_on_every_byte_and_on_the_seed(void **state)
{
    char bytes[300] = {0};

    (void)state;
    for (size_t size = 0; size <= sizeof(bytes); size += 20) {
        uint64_t hash = mtci_hash(mtc_bytes(bytes, size), 1);

        assert_true(hash == mtci_hash(mtc_bytes(bytes, size), 1));
        assert_true(hash != mtci_hash(mtc_bytes(bytes, size), 2));
        for (size_t i = 0; i < size; i++) {
            bytes[i] = 1;
            assert_true(hash != mtci_hash(mtc_bytes(bytes, size), 1));
            bytes[i] = 0;
        }
    }
    assert_true(mtci_hash(mtc_bytes(NULL, 0), 5) ==
                mtci_hash(mtc_bytes("", 0), 5));
}

static void seeds_differ(void **state)
{
    (void)state;
    assert_true(mtci_seed() != mtci_seed());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_changed_word_is_not_waited_for),
        cmocka_unit_test(a_wait_ends_with_its_time),
        cmocka_unit_test(a_wake_reaches_every_waiter),
        cmocka_unit_test(a_wake_for_some_leaves_the_others_asleep),
        cmocka_unit_test(a_wait_for_bits_ends_with_its_time),
        cmocka_unit_test(boot_time_never_goes_back),
        cmocka_unit_test(a_hash_depends_on_every_byte_and_on_the_seed),
        cmocka_unit_test(seeds_differ),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
