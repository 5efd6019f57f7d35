/*
 * Entries of the memory tier whose life has ended are reclaimed without being
 * asked for: a million in the same second, lives of all lengths, and after a
 * long sleep of the machine.
 *
 * How to read it: the clock is an argument, and tend is called as a cache
 * calls it, a bounded number of times. With MTC_TEST_TIMES set, the longest
 * get and set of a second thread meanwhile are printed, and the longest tend;
 * nothing is asserted of them. labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <time.h>

#include "support/callers.h"
#include "support/stamp.h"
#include "support/tier_call.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define ENTRIES 100000u
#else
#define ENTRIES 1000000u
#endif

#define MIB       ((uint64_t)1 << 20)
#define TENDS_MAX 100 /* ten seconds of a cache */
#define OTHERS    100

typedef struct second {
    mtc_tier *tier;
    _Atomic bool is_over;
    _Atomic uint32_t wrong;
    int64_t get_ns_max;
    int64_t set_ns_max;
} second;

static int64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void note_time(int64_t *max, int64_t since_ns)
{
    int64_t ns = now_ns() - since_ns;
    if (ns > *max)
        *max = ns;
}

/* -- the second thread -------------------------------------------------- */

static bool second_set(second *second, uint32_t key)
{
    char text[24];
    char bytes[64];
    mtct_stamp_write(bytes, sizeof(bytes), key, key);
    int64_t begun_ns = now_ns();
    mtc_status status =
        mtct_tier_store(second->tier, mtct_key(ENTRIES + key, text),
                        mtc_bytes(bytes, sizeof(bytes)), 0, MTC_NO_END);
    note_time(&second->set_ns_max, begun_ns);
    return status == MTC_OK;
}

static bool second_get(second *second, uint32_t key)
{
    char text[24];
    mtc_value value;
    int64_t begun_ns = now_ns();
    mtc_status status =
        mtct_tier_find(second->tier, mtct_key(ENTRIES + key, text), 0, &value);
    note_time(&second->get_ns_max, begun_ns);
    bool is_right =
        status == MTC_OK && mtct_stamp_is(mtc_value_slice(&value), key, key);
    mtc_value_free(&value);
    return is_right;
}

static void *second_main(void *ctx)
{
    second *second = ctx;
    for (uint32_t i = 0; !atomic_load(&second->is_over); i++) {
        uint32_t key = i % OTHERS;
        bool is_right = i < OTHERS || i % 4 == 0 ? second_set(second, key)
                                                 : second_get(second, key);
        if (!is_right)
            atomic_fetch_add(&second->wrong, 1);
    }
    return NULL;
}

/* -- a million at once -------------------------------------------------- */

static void store_all(mtc_tier *tier)
{
    char text[24];
    for (unsigned i = 0; i < ENTRIES; i++) {
        int64_t life_ms = 9000 + i % 1000;
        assert_int_equal(mtct_tier_store(tier, mtct_key(i, text),
                                         mtc_str("value"), 1000, life_ms),
                         MTC_OK);
    }
}

/* Calls tend until nothing that ends is left; how often that was. */
static int tend_all(mtc_tier *tier, uint64_t left, int64_t now_ms,
                    int64_t *longest_ns)
{
    int count = 0;
    while (mtct_tier_usage(tier).entries > left && count < TENDS_MAX) {
        int64_t begun_ns = now_ns();
        tier->ops->tend(tier, now_ms + 100 * count);
        note_time(longest_ns, begun_ns);
        count++;
    }
    return count;
}

static void print_times(const second *second, int64_t tend_ns_max)
{
    if (getenv("MTC_TEST_TIMES"))
        print_message("longest get %.3f ms, set %.3f ms, tend %.3f ms\n",
                      (double)second->get_ns_max / 1e6,
                      (double)second->set_ns_max / 1e6,
                      (double)tend_ns_max / 1e6);
}

static void a_million_that_end_at_once_are_reclaimed(void **state)
{
    (void)state;
    int64_t tend_ns_max = 0;
    second second = {.tier = mtct_tier_open("memory?size=256MiB")};
    mtc_tier *tier = second.tier;
    store_all(tier);
    uint64_t full = mtct_tier_usage(tier).bytes;
    tier->ops->tend(tier, 9999);
    assert_int_equal(mtct_tier_usage(tier).entries, ENTRIES);
    pthread_t thread = mtct_thread_start(second_main, &second);
    int tends = tend_all(tier, OTHERS, 11100, &tend_ns_max);
    atomic_store(&second.is_over, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    mtc_tier_usage usage = mtct_tier_usage(tier);
    print_message("%d calls of tend, %.1f MiB to %.1f MiB\n", tends,
                  (double)full / (double)MIB,
                  (double)usage.bytes / (double)MIB);
    print_times(&second, tend_ns_max);
    assert_true(usage.entries <= OTHERS);
    assert_int_equal(usage.evicted_expired, ENTRIES);
    assert_int_equal(usage.evicted_size, 0);
    assert_int_equal(second.wrong, 0);
    tier->ops->close(tier);
}

/* What they took serves others. */
static void their_memory_serves_others(void **state)
{
    (void)state;
    char text[24];
    static char bytes[100000];
    int64_t tend_ns_max = 0;
    mtc_tier *tier = mtct_tier_open("memory?size=16MiB");
    for (unsigned i = 0; i < 40000; i++)
        assert_int_equal(mtct_tier_store(tier, mtct_key(i, text),
                                         mtc_bytes(bytes, 200), 0, 1000),
                         MTC_OK);
    tend_all(tier, 0, 2000, &tend_ns_max);
    assert_int_equal(mtct_tier_usage(tier).entries, 0);
    for (unsigned i = 0; i < 130; i++)
        assert_int_equal(mtct_tier_store(tier, mtct_key(i, text),
                                         mtc_bytes(bytes, sizeof(bytes)), 2000,
                                         60000),
                         MTC_OK);
    assert_int_equal(mtct_tier_usage(tier).evicted_size, 0);
    assert_int_equal(mtct_tier_usage(tier).entries, 130);
    tier->ops->close(tier);
}

/* -- lives of all lengths ----------------------------------------------- */

#define KEYS    2000
#define LATE_MS 1000 /* the least accurate that reclaiming may be */
#define STEPS   400

static int64_t end_ms_of[KEYS];

/* Between 2 ms and some years, as many between 2 and 4 as between 4 and 8. */
static int64_t mixed_life_ms(uint64_t *seed)
{
    int64_t top = INT64_C(1) << (2 + mtct_draw(seed, 36));
    return top / 2 +
           (int64_t)(mtct_draw(seed, 1000000) / 1e6 * (double)top / 2);
}

/* As many steps of one length as of twice that. */
static int64_t mixed_step_ms(uint64_t *seed)
{
    return 1 + (INT64_C(1) << mtct_draw(seed, 31));
}

static void store_for(mtc_tier *tier, unsigned key, int64_t now_ms,
                      uint64_t *seed)
{
    char text[24];
    int64_t life_ms = mixed_life_ms(seed);
    assert_int_equal(mtct_tier_store(tier, mtct_key(key, text), mtc_str("v"),
                                     now_ms, life_ms),
                     MTC_OK);
    end_ms_of[key] = now_ms + life_ms;
}

/* What lives is found, and little else is still there. */
static void check_lives(mtc_tier *tier, int64_t now_ms)
{
    unsigned living = 0;
    unsigned late = 0;
    for (unsigned key = 0; key < KEYS; key++) {
        char text[24];
        mtc_value value;
        mtc_status status =
            mtct_tier_find(tier, mtct_key(key, text), now_ms, &value);
        mtc_value_free(&value);
        living += status == MTC_OK;
        late += status != MTC_OK && end_ms_of[key] > now_ms - LATE_MS;
        if (status != MTC_OK)
            assert_true(end_ms_of[key] <= now_ms + 2);
        else
            assert_true(end_ms_of[key] > now_ms);
    }
    mtc_tier_usage usage = mtct_tier_usage(tier);
    assert_true(usage.entries >= living);
    assert_true(usage.entries <= living + late);
}

static void lives_of_all_lengths_end_in_time(void **state)
{
    (void)state;
    uint64_t seed = mtct_seed(__func__);
    int64_t now_ms = 123456789;
    mtc_tier *tier = mtct_tier_open("memory?size=8MiB");
    for (unsigned key = 0; key < KEYS; key++)
        store_for(tier, key, now_ms, &seed);
    for (int i = 0; i < STEPS; i++) {
        now_ms += mixed_step_ms(&seed);
        for (int j = 0; j < 10; j++)
            tier->ops->tend(tier, now_ms);
        check_lives(tier, now_ms);
        for (unsigned key = 0; key < KEYS; key += 1 + mtct_draw(&seed, 100)) {
            if (end_ms_of[key] <= now_ms)
                store_for(tier, key, now_ms, &seed);
        }
    }
    assert_int_equal(mtct_tier_usage(tier).evicted_size, 0);
    tier->ops->close(tier);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_million_that_end_at_once_are_reclaimed),
        cmocka_unit_test(their_memory_serves_others),
        cmocka_unit_test(lives_of_all_lengths_end_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
