/*
 * labels: server
 *
 * A real Redis that stands still while threads read: memory goes on, the tier
 * is closed off, nobody waits long, and nobody gets the value of another.
 *
 * It stands still for three seconds; MTC_TEST_FULL=1: for ten. The bounds that
 * are asserted are coarse, for the machine may be busy; what was seen is
 * printed.
 */
#include "mtc/cache.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "mtc/stats.h"
#include "support/server.h"
#include "support/stamp.h"

#define THREADS     4
#define KEYS        64
#define VALUE_SIZE  200
#define DEADLINE_MS 100
/* Coarse: on a machine that does nothing else it is below 50. */
#define LATE_MS_MAX 2000
#define CLOSED_MS   5000
#define BACK_MS     10000
/* Calls are sorted by how many milliseconds they took. */
#define BUCKETS (DEADLINE_MS + LATE_MS_MAX)
/* The last hits in memory that are kept, in each phase. */
#define HITS 1000000u

/* What the server does. */
enum { ANSWERS, STANDS_STILL, PHASES };

typedef struct load load;

typedef struct worker {
    pthread_t thread;
    load *load;
    uint32_t random;
    uint64_t spent[BUCKETS]; /* calls by milliseconds */
    uint64_t memory_hits, redis_hits, errors;
    const char *wrong;
} worker;

struct load {
    mtc_cache *cache; /* memory in front of Redis */
    mtc_cache *below; /* Redis alone */
    worker workers[THREADS];
    pthread_t reader; /* of memory alone */
    uint32_t *hit_ns[PHASES];
    uint64_t hit_count[PHASES];
    _Atomic bool is_over;
    _Atomic int phase;
};

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void sleep_ms(int64_t ms)
{
    struct timespec pause = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&pause, NULL);
}

static void blame(worker *worker, const char *wrong)
{
    if (!worker->wrong)
        worker->wrong = wrong;
}

static mtc_status get(worker *worker, mtc_cache *cache, uint32_t key)
{
    char text[24];
    uint32_t stamp;
    mtc_value value = {0};
    snprintf(text, sizeof text, "key:%u", key);
    int64_t began_ms = mtci_boot_ms();
    mtc_status status = mtc_cache_get(cache, mtc_str(text), &value);
    int64_t spent_ms = mtci_boot_ms() - began_ms;
    worker->spent[spent_ms < BUCKETS ? spent_ms : BUCKETS - 1]++;
    if (status == MTC_MISS)
        blame(worker, "a tier that did not answer was taken for a miss");
    if (status == MTC_OK &&
        !mtct_stamp_read(mtc_value_slice(&value), key, &stamp))
        blame(worker, "the value of another key");
    mtc_value_free(&value);
    return status;
}

static void *work(void *ctx)
{
    worker *worker = ctx;
    load *load = worker->load;
    while (!atomic_load(&load->is_over)) {
        worker->random = worker->random * 1664525u + 1013904223u;
        uint32_t key = (worker->random >> 8) % KEYS;
        if (get(worker, load->cache, key) != MTC_OK)
            blame(worker, "memory did not answer");
        worker->memory_hits++;
        if (get(worker, load->below, key) == MTC_OK) {
            worker->redis_hits++;
            continue;
        }
        worker->errors++;
        sleep_ms(1);
    }
    return NULL;
}

/* What is in memory is read without a pause. */
static void *read_memory(void *ctx)
{
    load *load = ctx;
    while (!atomic_load(&load->is_over)) {
        mtc_value value;
        int phase = atomic_load(&load->phase);
        int64_t began_ns = now_ns();
        mtc_status status =
            mtc_cache_get(load->cache, mtc_str("key:7"), &value);
        int64_t spent_ns = now_ns() - began_ns;
        mtc_value_free(&value);
        if (status == MTC_OK)
            load->hit_ns[phase][load->hit_count[phase]++ % HITS] =
                (uint32_t)spent_ns;
    }
    return NULL;
}

static mtc_cache *open_tiers(const char *memory, const test_server *server)
{
    char tiers[160];
    mtc_cache *cache = NULL;
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    snprintf(tiers, sizeof tiers, "%s%s?deadline=%dms", memory, server->url,
             DEADLINE_MS);
    options.tiers = tiers;
    assert_int_equal(mtc_cache_open(&options, NULL, &cache), MTC_OK);
    return cache;
}

static void fill(mtc_cache *cache)
{
    char text[24], bytes[VALUE_SIZE];
    for (uint32_t key = 0; key < KEYS; key++) {
        snprintf(text, sizeof text, "key:%u", key);
        mtct_stamp_write(bytes, sizeof bytes, key, 1);
        assert_int_equal(mtc_cache_set(cache, mtc_str(text),
                                       mtc_bytes(bytes, sizeof bytes),
                                       &MTC_LONG_TERM),
                         MTC_OK);
    }
}

static void begin(load *load, const test_server *server)
{
    load->cache = open_tiers("memory ", server);
    load->below = open_tiers("", server);
    fill(load->cache);
    for (uint32_t i = 0; i < THREADS; i++) {
        worker *worker = &load->workers[i];
        *worker = (struct worker){.load = load, .random = i + 1};
        assert_int_equal(pthread_create(&worker->thread, NULL, work, worker),
                         0);
    }
    for (int phase = 0; phase < PHASES; phase++) {
        load->hit_ns[phase] = calloc(HITS, sizeof(uint32_t));
        assert_non_null(load->hit_ns[phase]);
    }
    assert_int_equal(pthread_create(&load->reader, NULL, read_memory, load), 0);
    sleep_ms(200);
}

/* Waits until the tier is in this state; how long that took. */
static int64_t await(mtc_cache *cache, int32_t state, int64_t ms_max)
{
    int64_t began_ms = mtci_boot_ms();
    for (;;) {
        mtc_health health = {.struct_size = sizeof health};
        assert_int_equal(mtc_cache_health(cache, &health), MTC_OK);
        bool is_down = health.tiers[0].state == MTC_HEALTH_DOWN;
        if (is_down == (state == MTC_HEALTH_DOWN))
            return mtci_boot_ms() - began_ms;
        assert_true(mtci_boot_ms() - began_ms < ms_max);
        sleep_ms(5);
    }
}

/* Beyond which one call in a thousand was; the longest: one in infinity. */
static int64_t percentile_ms(const load *load, uint64_t one_in)
{
    uint64_t count = 0;
    for (size_t i = 0; i < THREADS; i++)
        for (size_t ms = DEADLINE_MS / 2; ms < BUCKETS; ms++)
            count += load->workers[i].spent[ms];
    uint64_t beyond = 0;
    for (int64_t ms = BUCKETS - 1; ms >= 0; ms--) {
        for (size_t i = 0; i < THREADS; i++)
            beyond += load->workers[i].spent[ms];
        if (beyond > count / one_in)
            return ms;
    }
    return 0;
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* What 99 % of the hits in memory stayed below, in nanoseconds. */
static uint32_t p99_ns(load *load, int phase)
{
    uint64_t count = load->hit_count[phase];
    count = count < HITS ? count : HITS;
    qsort(load->hit_ns[phase], count, sizeof(uint32_t), by_size);
    uint32_t ns = count > 0 ? load->hit_ns[phase][count * 99 / 100] : 0;
    free(load->hit_ns[phase]);
    return ns;
}

static void end(load *load)
{
    atomic_store(&load->is_over, true);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(load->workers[i].thread, NULL);
    pthread_join(load->reader, NULL);
    for (size_t i = 0; i < THREADS; i++)
        if (load->workers[i].wrong)
            fail_msg("thread %zu: %s", i, load->workers[i].wrong);
    mtc_cache_close(&load->cache);
    mtc_cache_close(&load->below);
}

static uint64_t redis_hits(const load *load)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < THREADS; i++)
        sum += load->workers[i].redis_hits;
    return sum;
}

static void a_standing_server_costs_little_and_shifts_no_reply(void **state)
{
    (void)state;
    test_server_require(TEST_REDIS);
    static test_server server;
    static load load;
    const char *is_full = getenv("MTC_TEST_FULL");
    int64_t still_ms = is_full && is_full[0] == '1' ? 10000 : 3000;
    assert_true(test_server_start(&server, TEST_REDIS, NULL));
    begin(&load, &server);
    test_server_pause(&server);
    atomic_store(&load.phase, STANDS_STILL);
    int64_t closed_ms = await(load.below, MTC_HEALTH_DOWN, CLOSED_MS);
    sleep_ms(still_ms - closed_ms);
    test_server_resume(&server);
    atomic_store(&load.phase, ANSWERS);
    int64_t back_ms = await(load.below, MTC_HEALTH_UP, BACK_MS);
    sleep_ms(500);
    end(&load);
    int64_t longest_ms = percentile_ms(&load, UINT64_MAX);
    print_message("closed off after %d ms, back after %d ms; a call took at "
                  "most %d ms, 99.9 %% of those that waited %d ms; the "
                  "deadline is %d ms\n",
                  (int)closed_ms, (int)back_ms, (int)longest_ms,
                  (int)percentile_ms(&load, 1000), DEADLINE_MS);
    print_message("99 %% of the hits in memory took less than %u ns before, "
                  "%u ns while it stood still\n",
                  p99_ns(&load, ANSWERS), p99_ns(&load, STANDS_STILL));
    assert_true(longest_ms < BUCKETS - 1);
    assert_true(redis_hits(&load) > 0);
    test_server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_standing_server_costs_little_and_shifts_no_reply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
