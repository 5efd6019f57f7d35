/*
 * labels: server
 *
 * A cache over a Redis that fails over while threads read and write: what they
 * are told is held against what they wrote.
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
#include "mtc/stream.h"
#include "support/sentinel_rig.h"
#include "support/stamp.h"

#define THREADS     4
#define KEYS        16 /* of one thread alone */
#define VALUE_SIZE  64
#define SETS        1000 /* so many show that a master is written to */
#define RECOVERY_MS 60000
#define ANY         (MTCI_REPLY_STATUS | MTCI_REPLY_BULK | MTCI_REPLY_NIL)

/* What a thread did to one of its keys last. */
typedef struct last {
    uint32_t stamp;   /* 0: removed, or never written */
    bool may_be_gone; /* the write was not acknowledged */
} last;

typedef struct load load;

typedef struct worker {
    pthread_t thread;
    load *load;
    uint32_t number;
    uint32_t stamp;
    last keys[KEYS];
    uint64_t done, failed;
    const char *wrong;
} worker;

struct load {
    mtc_cache *cache;
    worker workers[THREADS];
    _Atomic bool is_over, is_held;
    _Atomic int held_count;
    bool may_forget; /* acknowledged writes may be lost */
};

/* -- the oracle ----------------------------------------------------------- */

static const char *judge(const load *load, const last *last, uint32_t key,
                         mtc_status status, const mtc_value *value)
{
    uint32_t stamp;
    if (status < 0)
        return NULL;
    if (status == MTC_MISS)
        return last->stamp == 0 || last->may_be_gone || load->may_forget
                   ? NULL
                   : "an acknowledged write is gone";
    if (!mtct_stamp_read(mtc_value_slice(value), key, &stamp))
        return "a value that was never written to the key";
    if (stamp == last->stamp)
        return NULL;
    return load->may_forget ? NULL : "a value older than the last write";
}

static void name_key(const worker *worker, uint32_t index, char text[24],
                     uint32_t *number)
{
    *number = worker->number * KEYS + index;
    snprintf(text, 24, "key:%u", *number);
}

static void look(worker *worker, uint32_t index)
{
    char text[24];
    uint32_t number;
    mtc_value value = {0};
    name_key(worker, index, text, &number);
    mtc_status status =
        mtc_cache_get(worker->load->cache, mtc_str(text), &value);
    const char *wrong =
        judge(worker->load, &worker->keys[index], number, status, &value);
    if (wrong && !worker->wrong)
        worker->wrong = wrong;
    worker->failed += status < 0;
    mtc_value_free(&value);
}

static void write_one(worker *worker, uint32_t index)
{
    char text[24], bytes[VALUE_SIZE];
    uint32_t number;
    name_key(worker, index, text, &number);
    uint32_t stamp = ++worker->stamp;
    mtct_stamp_write(bytes, sizeof bytes, number, stamp);
    mtc_status status =
        mtc_cache_set(worker->load->cache, mtc_str(text),
                      mtc_bytes(bytes, sizeof bytes), &MTC_LONG_TERM);
    worker->keys[index] = (last){stamp, status != MTC_OK};
    worker->failed += status != MTC_OK;
}

static void remove_one(worker *worker, uint32_t index)
{
    char text[24];
    uint32_t number;
    name_key(worker, index, text, &number);
    mtc_status status = mtc_cache_remove(worker->load->cache, mtc_str(text));
    worker->keys[index] = (last){0, true};
    worker->failed += status != MTC_OK;
}

/* -- threads -------------------------------------------------------------- */

static void sleep_ms(int ms)
{
    struct timespec pause = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&pause, NULL);
}

/* Fast while it goes well; a refusal comes at once and needs no hurry. */
static void *work(void *ctx)
{
    worker *worker = ctx;
    load *load = worker->load;
    uint32_t random = worker->number * 2654435761u + 1;
    while (!atomic_load(&load->is_over)) {
        uint64_t failed = worker->failed;
        random = random * 1664525u + 1013904223u;
        uint32_t index = (random >> 8) % KEYS;
        uint32_t kind = (random >> 20) % 10;
        if (kind < 5)
            look(worker, index);
        else if (kind < 9)
            write_one(worker, index);
        else
            remove_one(worker, index);
        worker->done++;
        if (worker->failed > failed)
            sleep_ms(1);
        if (!atomic_load(&load->is_held))
            continue;
        atomic_fetch_add(&load->held_count, 1);
        while (atomic_load(&load->is_held))
            sleep_ms(1);
    }
    return NULL;
}

static void hold(load *load)
{
    atomic_store(&load->held_count, 0);
    atomic_store(&load->is_held, true);
    while (atomic_load(&load->held_count) < THREADS)
        sleep_ms(1);
}

static mtc_cache *open_cache(const sentinel_rig *rig)
{
    char tiers[160];
    mtc_cache *cache = NULL;
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    snprintf(tiers, sizeof tiers,
             "redis+sentinel://127.0.0.1:%d,127.0.0.1:%d/mymaster",
             rig->sentinels[0].port, rig->sentinels[1].port);
    options.tiers = tiers;
    assert_int_equal(mtc_cache_open(&options, NULL, &cache), MTC_OK);
    return cache;
}

static void begin(load *load, const sentinel_rig *rig, bool may_forget)
{
    memset(load, 0, sizeof *load);
    load->may_forget = may_forget;
    load->cache = open_cache(rig);
    for (uint32_t i = 0; i < THREADS; i++) {
        worker *worker = &load->workers[i];
        *worker = (struct worker){.load = load, .number = i};
        assert_int_equal(pthread_create(&worker->thread, NULL, work, worker),
                         0);
    }
}

static bool is_well(mtc_cache *cache)
{
    mtc_health health = {.struct_size = sizeof health};
    return mtc_cache_ping(cache, &health) == MTC_OK &&
           health.tiers[0].state == MTC_HEALTH_UP && health.tiers[0].debts == 0;
}

/* Until every write is known to have arrived and is read again. */
static void end(load *load)
{
    int64_t until_ms = mtci_boot_ms() + RECOVERY_MS;
    atomic_store(&load->is_over, true);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(load->workers[i].thread, NULL);
    while (!is_well(load->cache)) {
        assert_true(mtci_boot_ms() < until_ms);
        sleep_ms(20);
    }
    for (size_t i = 0; i < THREADS; i++) {
        worker *worker = &load->workers[i];
        uint64_t failed = worker->failed;
        for (uint32_t k = 0; k < KEYS; k++)
            look(worker, k);
        assert_int_equal(worker->failed, failed);
        if (worker->wrong)
            fail_msg("thread %zu: %s", i, worker->wrong);
    }
    mtc_cache_close(&load->cache);
}

/* A stream reads on connections of its own, and they find the master, too. */
static void publish_and_read(const sentinel_rig *rig)
{
    mtc_cache *cache = open_cache(rig);
    mtc_stream *stream = NULL;
    mtc_stream_id id, cursor = {0};
    mtc_stream_batch *batch = NULL;
    mtc_field field = {mtc_str("n"), mtc_str("v")};
    mtc_stream_options options = MTC_STREAM_OPTIONS_INIT;
    options.deadline_ms = 10000;
    assert_int_equal(mtc_stream_open(cache, mtc_str("events"), &options, NULL,
                                     &stream),
                     MTC_OK);
    assert_int_equal(mtc_stream_publish(stream, &field, 1, &id), MTC_OK);
    assert_int_equal(mtc_stream_read_after(stream, &cursor, 1, 1000, &batch),
                     MTC_OK);
    mtc_stream_batch_free(&batch);
    mtc_stream_close(&stream);
    mtc_cache_close(&cache);
}

/* -- the failovers -------------------------------------------------------- */

/* What the replica has not got is lost with the master, so that it has all
 * before; from then on the oracle forgives nothing. */
static void a_killed_master_costs_errors_and_no_wrong_answer(void **state)
{
    (void)state;
    test_server_require(TEST_REDIS);
    static sentinel_rig rig;
    static load load;
    sentinel_rig_start(&rig, NULL);
    begin(&load, &rig, false);
    sentinel_rig_await_sets(&rig.servers[0], SETS);
    hold(&load);
    sentinel_rig_await_sync(&rig);
    test_server_kill(&rig.servers[0]);
    atomic_store(&load.is_held, false);
    sentinel_rig_await_master(&rig, &rig.servers[1]);
    sentinel_rig_await_sets(&rig.servers[1],
                            sentinel_rig_sets(&rig.servers[1]) + SETS);
    end(&load);
    for (size_t i = 0; i < THREADS; i++)
        assert_true(load.workers[i].failed > 0);
    sentinel_rig_stop(&rig);
}

/* The old master lives, and takes writes until the sentinels demote it. */
static void a_master_that_was_replaced_is_written_to_no_more(void **state)
{
    (void)state;
    test_server_require(TEST_REDIS);
    static sentinel_rig rig;
    static load load;
    sentinel_rig_start(&rig, NULL);
    publish_and_read(&rig);
    begin(&load, &rig, true);
    sentinel_rig_await_sets(&rig.servers[0], SETS);
    assert_string_equal(sentinel_rig_ask(&rig.sentinels[0], ANY,
                                         "SENTINEL FAILOVER mymaster"),
                        "+OK");
    sentinel_rig_await_master(&rig, &rig.servers[1]);
    sleep_ms(1000); /* a switch is heard a tenth of a second late at most */
    sentinel_rig_refuse_sets(&rig.servers[0]);
    sentinel_rig_await_sets(&rig.servers[1],
                            sentinel_rig_sets(&rig.servers[1]) + SETS);
    assert_int_equal(sentinel_rig_refused_sets(&rig.servers[0]), 0);
    end(&load);
    sentinel_rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_master_costs_errors_and_no_wrong_answer),
        cmocka_unit_test(a_master_that_was_replaced_is_written_to_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
