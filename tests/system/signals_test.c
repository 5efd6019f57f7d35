/*
 * labels: quick server
 *
 * Signals without SA_RESTART, a thousand a second to every calling thread,
 * while it waits in each way that a call can wait in: for Redis, memcached and
 * the disk, for a load, for a lease, in a queue and in a stream, and while
 * connections are made. No call fails for it, and none waits longer.
 */
#include "mtc/queue.h"
#include "mtc/stats.h"
#include "mtc/stream.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/clock.h"
#include "support/callers.h"
#include "support/disk_rig.h"
#include "support/server.h"
#include "support/stamp.h"

#define THREADS_MAX 4
#define SIGNALS     200 /* that each thread gets at least */
#define VALUE_SIZE  2000

static _Atomic bool is_over;
static _Thread_local _Atomic unsigned *own_count;

/* One thread that calls. */
typedef struct worker {
    pthread_t thread;
    uint32_t number;
    mtc_cache *cache;
    void (*work)(struct worker *worker, uint32_t round);
    _Atomic unsigned signals;
    _Atomic uint64_t rounds;
    const char *wrong;
    mtc_status status; /* of what was wrong */
} worker;

static worker workers[THREADS_MAX];

static void on_signal(int number)
{
    (void)number;
    if (own_count)
        atomic_fetch_add(own_count, 1);
}

static void blame(worker *worker, const char *what, mtc_status status)
{
    if (!worker->wrong)
        worker->status = status;
    if (!worker->wrong)
        worker->wrong = what;
}

static void expect(worker *worker, const char *what, mtc_status status)
{
    if (status != MTC_OK)
        blame(worker, what, status);
}

static void *work(void *ctx)
{
    worker *worker = ctx;
    own_count = &worker->signals;
    for (uint32_t i = 0; !atomic_load(&is_over) && !worker->wrong; i++) {
        worker->work(worker, i);
        atomic_fetch_add(&worker->rounds, 1);
    }
    own_count = NULL;
    return NULL;
}

static bool have_enough(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (workers[i].wrong)
            return true;
        if (atomic_load(&workers[i].signals) < SIGNALS ||
            atomic_load(&workers[i].rounds) < 3)
            return false;
    }
    return true;
}

/* Runs threads of this work and sends each a signal every millisecond. */
static void run(mtc_cache *cache, size_t count,
                void (*what)(worker *worker, uint32_t round))
{
    struct timespec ms = {0, 1000000};
    struct sigaction action = {.sa_handler = on_signal};
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    atomic_store(&is_over, false);
    for (uint32_t i = 0; i < count; i++) {
        workers[i] = (worker){.number = i, .cache = cache, .work = what};
        workers[i].thread = mtct_thread_start(work, &workers[i]);
    }
    int64_t until_ms = mtci_boot_ms() + 60000;
    while (!have_enough(count) && mtci_boot_ms() < until_ms) {
        for (size_t i = 0; i < count; i++)
            pthread_kill(workers[i].thread, SIGALRM);
        nanosleep(&ms, NULL);
    }
    atomic_store(&is_over, true);
    for (size_t i = 0; i < count; i++) {
        pthread_join(workers[i].thread, NULL);
        if (workers[i].wrong)
            fail_msg("thread %zu: %s: %s", i, workers[i].wrong,
                     mtc_status_name(workers[i].status));
        assert_true(workers[i].signals >= SIGNALS);
    }
}

static mtc_cache *open_cache(const char *url, const char *params)
{
    char tiers[192];
    mtc_error error;
    mtc_cache *cache;
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    snprintf(tiers, sizeof tiers, "memory %s?deadline=20s%s", url, params);
    options.tiers = tiers;
    options.log_level = 5;
    if (mtc_cache_open(&options, &error, &cache) != MTC_OK)
        fail_msg("%s", error.text);
    return cache;
}

/* -- what threads do ------------------------------------------------------- */

static void set_and_get(worker *worker, uint32_t round)
{
    char name[24], bytes[VALUE_SIZE];
    uint32_t stamp;
    mtc_value value;
    mtc_call call = MTC_CALL_INIT;
    uint32_t key = worker->number * 8 + round % 8;
    snprintf(name, sizeof name, "key:%u", key);
    mtct_stamp_write(bytes, sizeof bytes, key, round);
    expect(worker, "set",
           mtc_cache_set(worker->cache, mtc_str(name),
                         mtc_bytes(bytes, sizeof bytes), NULL));
    call.flags = MTC_CALL_SKIP_MEMORY;
    mtc_status status =
        mtc_cache_get_with(worker->cache, mtc_str(name), &call, &value);
    expect(worker, "get", status);
    if (status == MTC_OK &&
        (!mtct_stamp_read(mtc_value_slice(&value), key, &stamp) ||
         stamp != round))
        blame(worker, "a wrong value", status);
    mtc_value_free(&value);
    expect(worker, "remove", mtc_cache_remove(worker->cache, mtc_str(name)));
}

static mtc_status load_slowly(mtc_load *load, void *ctx)
{
    int64_t until_ms = mtci_boot_ms() + 5;
    struct timespec nap = {0, 1000000};
    (void)ctx;
    while (mtci_boot_ms() < until_ms)
        nanosleep(&nap, NULL);
    return mtc_load_set_value(load, mtc_str("loaded"));
}

/* All ask for one key, with a lease: they follow, and await. */
static void load_together(worker *worker, uint32_t round)
{
    mtc_value value;
    mtc_strategy strategy = MTC_STRATEGY_INIT(60000);
    strategy.lease_ms = 10000;
    (void)round;
    expect(worker, "get_or_load",
           mtc_cache_get_or_load(worker->cache, mtc_str("k"), &strategy,
                                 load_slowly, NULL, &value));
    mtc_value_free(&value);
    mtc_status status = mtc_cache_remove(worker->cache, mtc_str("k"));
    expect(worker, "remove", status);
}

static void hear(void *ctx, mtc_status status, mtc_value *value)
{
    (void)value;
    *(mtc_status *)ctx = status;
}

static void queue_up(worker *worker, uint32_t round)
{
    mtc_queue *queue;
    char name[24];
    mtc_status heard = MTCT_NOT_YET;
    snprintf(name, sizeof name, "queue:%u", worker->number);
    (void)round;
    expect(worker, "open", mtc_queue_open(worker->cache, &queue));
    if (worker->wrong)
        return;
    mtc_cache_set_async(queue, mtc_str(name), mtc_str("v"), NULL, hear, &heard);
    while (heard == MTCT_NOT_YET) {
        mtc_queue_drain(queue);
        if (heard == MTCT_NOT_YET && mtc_queue_wait(queue, 20000) != MTC_OK)
            blame(worker, "wait", MTC_E_TIMEOUT);
        if (worker->wrong)
            break;
    }
    expect(worker, "set_async", heard);
    expect(worker, "close", mtc_queue_close(&queue));
}

static void read_a_stream(worker *worker, uint32_t round)
{
    char name[24];
    mtc_stream *stream;
    mtc_stream_batch *batch = NULL;
    mtc_stream_id cursor = MTC_STREAM_END;
    mtc_field field = {mtc_str("n"), mtc_str("1")};
    mtc_stream_options options = MTC_STREAM_OPTIONS_INIT;
    options.deadline_ms = 20000;
    (void)round;
    snprintf(name, sizeof name, "stream:%u", worker->number);
    expect(worker, "open",
           mtc_stream_open(worker->cache, mtc_str(name), &options, NULL,
                           &stream));
    if (worker->wrong)
        return;
    expect(worker, "publish", mtc_stream_publish(stream, &field, 1, NULL));
    mtc_status status = mtc_stream_read_after(stream, &cursor, 1, 20, &batch);
    if (status != MTC_MISS)
        blame(worker, "read_after", status);
    mtc_stream_batch_free(&batch);
    mtc_stream_close(&stream);
}

/* Nothing comes: a wait that a signal ends is no time-out. */
static void wait_for_nothing(worker *worker, uint32_t round)
{
    mtc_queue *queue;
    (void)round;
    expect(worker, "open", mtc_queue_open(worker->cache, &queue));
    if (worker->wrong)
        return;
    int64_t begun_ms = mtci_boot_ms();
    mtc_status status = MTC_OK;
    while (status == MTC_OK && mtci_boot_ms() < begun_ms + 2000)
        status = mtc_queue_wait(queue, 20);
    if (status != MTC_OK && mtci_boot_ms() < begun_ms + 19)
        blame(worker, "wait", status);
    expect(worker, "close", mtc_queue_close(&queue));
}

static test_server server;
static disk_rig the_disk;

static void connect_anew(worker *worker, uint32_t round)
{
    char tiers[64];
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    (void)round;
    snprintf(tiers, sizeof tiers,
             "redis://127.0.0.1:%d?deadline=20s&connect=20s", server.port);
    options.tiers = tiers;
    options.log_level = 5;
    expect(worker, "open", mtc_cache_open(&options, NULL, &worker->cache));
    set_and_get(worker, 0);
    expect(worker, "close", mtc_cache_close(&worker->cache));
}

static void open_the_disk_anew(worker *worker, uint32_t round)
{
    char tiers[96];
    mtc_error error = {0};
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    snprintf(tiers, sizeof tiers, "disk:%s?deadline=20s", the_disk.dir);
    options.tiers = tiers;
    options.log_level = 5;
    expect(worker, "open", mtc_cache_open(&options, &error, &worker->cache));
    if (worker->wrong)
        return;
    set_and_get(worker, round);
    expect(worker, "close", mtc_cache_close(&worker->cache));
}

/* -- and where ------------------------------------------------------------- */

static int setup(void **state)
{
    (void)state;
    server = (test_server){0};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    test_server_stop(&server);
    return 0;
}

static void on_redis(void (*what)(worker *worker, uint32_t round))
{
    test_server_require(TEST_REDIS);
    assert_true(test_server_start(&server, TEST_REDIS, NULL));
    mtc_cache *cache = open_cache(server.url, "&connect=20s");
    run(cache, THREADS_MAX, what);
    assert_int_equal(mtc_cache_close(&cache), MTC_OK);
}

static void calls_wait_for_redis(void **state)
{
    (void)state;
    on_redis(set_and_get);
}

static void calls_wait_for_loads_and_leases(void **state)
{
    (void)state;
    on_redis(load_together);
}

static void calls_wait_in_queues(void **state)
{
    (void)state;
    on_redis(queue_up);
}

static void queues_wait_for_nothing(void **state)
{
    mtc_cache *cache;
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    (void)state;
    options.tiers = "memory?size=4MiB";
    assert_int_equal(mtc_cache_open(&options, NULL, &cache), MTC_OK);
    run(cache, 2, wait_for_nothing);
    assert_int_equal(mtc_cache_close(&cache), MTC_OK);
}

static void calls_wait_in_streams(void **state)
{
    (void)state;
    on_redis(read_a_stream);
}

static void connections_are_made(void **state)
{
    (void)state;
    test_server_require(TEST_REDIS);
    assert_true(test_server_start(&server, TEST_REDIS, NULL));
    run(NULL, 2, connect_anew);
}

static void make_the_disk(void)
{
    the_disk = (disk_rig){0};
    disk_rig_in_memory(&the_disk);
    assert_true(the_disk.dir[0] != 0);
}

static void calls_wait_for_the_disk(void **state)
{
    char url[96];
    (void)state;
    make_the_disk();
    snprintf(url, sizeof url, "disk:%s", the_disk.dir);
    mtc_cache *cache = open_cache(url, "");
    run(cache, THREADS_MAX, set_and_get);
    assert_int_equal(mtc_cache_close(&cache), MTC_OK);
    disk_rig_clean(&the_disk);
}

static void the_disk_is_opened(void **state)
{
    (void)state;
    make_the_disk();
    run(NULL, 2, open_the_disk_anew);
    disk_rig_clean(&the_disk);
}

static void calls_wait_for_memcached(void **state)
{
    (void)state;
    test_server_require(TEST_MEMCACHED);
    assert_true(test_server_start(&server, TEST_MEMCACHED, NULL));
    mtc_cache *cache = open_cache(server.url, "");
    run(cache, THREADS_MAX, set_and_get);
    assert_int_equal(mtc_cache_close(&cache), MTC_OK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(calls_wait_for_redis),     TEST(calls_wait_for_loads_and_leases),
        TEST(calls_wait_in_queues),     TEST(queues_wait_for_nothing),
        TEST(calls_wait_in_streams),    TEST(connections_are_made),
        TEST(calls_wait_for_the_disk),  TEST(the_disk_is_opened),
        TEST(calls_wait_for_memcached),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
