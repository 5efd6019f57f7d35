/*
 * What threads leave behind when they end: no records, no memory, and no pin
 * that a later thread could take for its own.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <malloc.h>
#include <stdlib.h>

#include "base/pin.h"
#include "support/cache_fixture.h"
#include "support/callers.h"

/* The sanitizers take long for each thread. */
#if defined __SANITIZE_THREAD__ || defined __SANITIZE_ADDRESS__
#define THREADS 2000
#else
#define THREADS 100000
#endif
#define AT_A_TIME 50
#define WARM_UP   1000
/* Of the whole process; a record is 1 KiB, a stripe of counters as much. */
#define GROWTH_BYTES_MAX ((size_t)64 * 1024)

static mtct_cache fixture;

static int setup(void **state)
{
    (void)state;
    mtct_cache_init(&fixture);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mtct_cache_fini(&fixture);
    return 0;
}

/* -- short lives ---------------------------------------------------------- */

static _Atomic uint32_t highest; /* of the indices of records */
static _Atomic unsigned wrong;

static void note_index(uint32_t index)
{
    uint32_t seen = atomic_load(&highest);
    while (index > seen &&
           !atomic_compare_exchange_weak(&highest, &seen, index))
        ;
}

static void *get_once(void *ctx)
{
    mtc_value value;
    (void)ctx;
    if (mtc_cache_get(fixture.cache, mtc_str("k"), &value) != MTC_OK)
        atomic_fetch_add(&wrong, 1);
    note_index(mtci_pins_here()->index);
    mtc_value_free(&value);
    return NULL;
}

static void run_threads(unsigned count)
{
    pthread_t threads[AT_A_TIME];
    for (unsigned done = 0; done < count; done += AT_A_TIME) {
        for (size_t i = 0; i < AT_A_TIME; i++)
            threads[i] = mtct_thread_start(get_once, NULL);
        for (size_t i = 0; i < AT_A_TIME; i++)
            pthread_join(threads[i], NULL);
    }
}

static size_t heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static uint64_t memory_bytes(void)
{
    mtc_stats stats = {.struct_size = sizeof(stats)};
    assert_int_equal(mtc_cache_stats(fixture.cache, &stats), MTC_OK);
    return stats.tiers[0].usage.bytes;
}

static void short_lived_threads_leave_no_record_and_no_memory(void **state)
{
    (void)state;
    assert_int_equal(mtc_cache_set(fixture.cache, mtc_str("k"), mtc_str("v"),
                                   NULL),
                     MTC_OK);
    run_threads(WARM_UP);
    uint32_t indices = atomic_load(&highest);
    size_t heap = heap_bytes();
    uint64_t memory = memory_bytes();
    run_threads(THREADS);
    assert_int_equal(wrong, 0);
    /* A record for each thread that ever lived beside others, and for the
     * few of the cache and of this program. */
    assert_in_range(indices, 0, AT_A_TIME + 8);
    assert_in_range(highest, 0, AT_A_TIME + 8);
    assert_true(heap_bytes() < heap + GROWTH_BYTES_MAX);
    assert_int_equal(memory_bytes(), memory);
}

/* -- the end of one -------------------------------------------------------- */

/* What a destructor of thread-specific data finds; its key is younger than
 * the library's, so that it runs after the library's own. */
typedef struct late {
    mtc_value value;
    mtci_pins *pins;   /* of the thread that ends */
    mtci_pins *others; /* of one that began meanwhile */
    mtc_status status; /* of a call within the destructor */
    bool is_whole;
} late;

static pthread_key_t late_key;

static void *begin_another(void *ctx)
{
    late *late = ctx;
    late->others = mtci_pins_here();
    return NULL;
}

static void give_back_late(void *ctx)
{
    late *late = ctx;
    pthread_join(mtct_thread_start(begin_another, late), NULL);
    late->is_whole =
        late->value.size == 5 && memcmp(late->value.data, "value", 5) == 0;
    mtc_value_free(&late->value);
}

static void *end_with_a_value(void *ctx)
{
    late *late = ctx;
    late->status = mtc_cache_get(fixture.cache, mtc_str("k"), &late->value);
    late->pins = mtci_pins_here();
    pthread_setspecific(late_key, late);
    return NULL;
}

static void set_value(void)
{
    assert_int_equal(mtc_cache_set(fixture.cache, mtc_str("k"),
                                   mtc_str("value"), NULL),
                     MTC_OK);
}

static void a_record_with_a_value_goes_to_no_other_thread(void **state)
{
    late late = {0};
    (void)state;
    set_value();
    assert_int_equal(pthread_key_create(&late_key, give_back_late), 0);
    pthread_join(mtct_thread_start(end_with_a_value, &late), NULL);
    pthread_key_delete(late_key);
    assert_int_equal(late.status, MTC_OK);
    assert_true(late.is_whole);
    assert_ptr_not_equal(late.others, late.pins);
    /* Now it does: nothing is in it any more. */
    assert_false(atomic_load(&late.pins->is_taken));
    assert_int_equal(late.pins->free & 0xff, 0xff);
}

static void call_late(void *ctx)
{
    late *late = ctx;
    late->status = mtc_cache_get(fixture.cache, mtc_str("k"), &late->value);
    late->is_whole = late->value.size == 5;
    mtc_value_free(&late->value);
    late->pins = mtci_pins_here();
}

static void *end_with_a_call(void *ctx)
{
    end_with_a_value(ctx);
    mtc_value_free(&((late *)ctx)->value);
    return NULL;
}

static void a_destructor_may_call_the_cache(void **state)
{
    late late = {0};
    (void)state;
    set_value();
    assert_int_equal(pthread_key_create(&late_key, call_late), 0);
    pthread_join(mtct_thread_start(end_with_a_call, &late), NULL);
    pthread_key_delete(late_key);
    assert_int_equal(late.status, MTC_OK);
    assert_true(late.is_whole);
    assert_false(atomic_load(&late.pins->is_taken));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(short_lived_threads_leave_no_record_and_no_memory),
        TEST(a_record_with_a_value_goes_to_no_other_thread),
        TEST(a_destructor_may_call_the_cache),
    };
    mallopt(M_ARENA_MAX, 1); /* the one that mallinfo2 tells of */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
