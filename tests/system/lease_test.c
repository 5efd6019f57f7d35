/*
 * labels: quick server
 *
 * Leases over a real Redis, and over a file: of several processes, or caches,
 * that miss a key one loads it, and the others take its result.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mtc/queue.h"
#include "support/callers.h"
#include "support/disk_rig.h"
#include "support/server.h"

#define PROCESSES 4
#define THREADS   50
#define LONG_MS   60000 /* no test waits for such a lease to end */

static test_server server;
static disk_rig disk;   /* its directory alone */
static char below[128]; /* the tier that keeps leases */
static sqlite3 *locker;
static mtc_cache *caches[2];
static mtc_strategy strategy;

/* The source; in memory that children share. */
typedef struct source {
    _Atomic unsigned loads;
    mtct_stop door;
    _Atomic int status;
    unsigned takes_us;
    _Atomic bool is_late;
    mtc_load *_Atomic left;
} source;

static source *shared;

static void open_with(const char *above, mtc_cache **cache)
{
    char tiers[160];
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    snprintf(tiers, sizeof tiers, "%s%s?deadline=5s", above, below);
    options.tiers = tiers;
    options.log_level = 5;
    assert_int_equal(mtc_cache_open(&options, NULL, cache), MTC_OK);
}

static void open_cache(mtc_cache **cache)
{
    open_with("memory?size=16MiB ", cache);
}

static int setup(void **state)
{
    if (strcmp(*state, "redis") == 0) {
        test_server_require(TEST_REDIS);
        assert_true(test_server_start(&server, TEST_REDIS, NULL));
        snprintf(below, sizeof below, "%s", server.url);
    } else {
        snprintf(disk.dir, sizeof disk.dir, "/tmp/mtc-lease-XXXXXX");
        assert_non_null(mkdtemp(disk.dir));
        snprintf(below, sizeof below, "disk:%s", disk.dir);
    }
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    strategy = (mtc_strategy)MTC_STRATEGY_INIT(60000);
    strategy.lease_ms = LONG_MS;
    return 0;
}

static int setup_two(void **state)
{
    setup(state);
    open_cache(&caches[0]);
    open_cache(&caches[1]);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mtct_stop_open(&shared->door);
    for (int i = 0; i < 2; i++) {
        if (caches[i])
            mtc_cache_close(&caches[i]);
    }
    sqlite3_close(locker);
    locker = NULL;
    munmap(shared, sizeof *shared);
    test_server_stop(&server);
    disk_rig_clean(&disk);
    return 0;
}

static mtc_status load(mtc_load *load, void *ctx)
{
    source *source = ctx;
    atomic_fetch_add(&source->loads, 1);
    if (source->takes_us > 0)
        usleep(source->takes_us);
    else
        mtct_stop_here(&source->door);
    if (atomic_load(&source->is_late)) {
        source->left = load;
        return MTC_PENDING;
    }
    if (atomic_load(&source->status) != MTC_OK)
        return (mtc_status)atomic_load(&source->status);
    return mtc_load_set_value(load, mtc_str("value"));
}

static mtct_caller asking(int i)
{
    return (mtct_caller){.cache = caches[i],
                         .key = "k",
                         .loader = load,
                         .ctx = shared,
                         .call = {sizeof(mtc_call), 0, 0, &strategy, NULL}};
}

static mtct_caller callers[2];

/* The first cache loads, and the second waits for it. */
static void start_two(void)
{
    callers[0] = asking(0);
    callers[1] = asking(1);
    mtct_caller_start(&callers[0]);
    mtct_stop_await(&shared->door, 1);
    mtct_caller_start(&callers[1]);
    mtct_asked_await(caches[1], 1);
}

static void expect(int i, mtc_status status)
{
    mtct_caller_join(&callers[i]);
    assert_int_equal(callers[i].status, status);
    if (status == MTC_OK)
        assert_string_equal(callers[i].text, "value");
}

/* What is found under the key without memory above; NULL: nothing. */
static void expect_below(const char *text)
{
    mtc_value value;
    mtc_cache *alone;
    open_with("", &alone);
    mtc_status status = mtc_cache_get(alone, mtc_str("k"), &value);
    assert_int_equal(status, text ? MTC_OK : MTC_MISS);
    if (text) {
        assert_int_equal(value.size, strlen(text));
        assert_memory_equal(value.data, text, value.size);
    }
    mtc_value_free(&value);
    assert_int_equal(mtc_cache_close(&alone), MTC_OK);
}

/* -- one loads ------------------------------------------------------------- */

static void of_two_processes_one_loads(void **state)
{
    (void)state;
    start_two();
    mtct_stop_open(&shared->door);
    expect(0, MTC_OK);
    expect(1, MTC_OK);
    assert_int_equal(shared->loads, 1);
    expect_below("value");
    mtct_quiet_await(caches[0]);
    mtct_quiet_await(caches[1]);
}

static void a_load_that_fails_gives_its_lease_back(void **state)
{
    (void)state;
    shared->status = MTC_E_DENIED;
    start_two();
    mtct_stop_open(&shared->door);
    expect(0, MTC_E_DENIED);
    expect(1, MTC_E_DENIED);
    assert_int_equal(shared->loads, 2);
    mtct_quiet_await(caches[0]);
    mtct_quiet_await(caches[1]);
    expect_below(NULL);
}

static void what_was_removed_elsewhere_meanwhile_is_not_stored(void **state)
{
    (void)state;
    callers[0] = asking(0);
    mtct_caller_start(&callers[0]);
    mtct_stop_await(&shared->door, 1);
    assert_int_equal(mtc_cache_remove(caches[1], mtc_str("k")), MTC_OK);
    mtct_stop_open(&shared->door);
    expect(0, MTC_OK); /* who asked before has what was loaded */
    mtct_quiet_await(caches[0]);
    expect_below(NULL);
    mtct_caller plain = asking(0);
    plain.loader = NULL;
    mtct_caller_run(&plain);
    assert_int_equal(plain.status, MTC_MISS);
}

static void a_lease_is_renewed_while_its_load_runs(void **state)
{
    (void)state;
    strategy.lease_ms = 1000;
    start_two();
    usleep(1800000); /* nearly two lives of a lease */
    assert_int_equal(shared->loads, 1);
    mtct_stop_open(&shared->door);
    expect(0, MTC_OK);
    expect(1, MTC_OK);
    assert_int_equal(shared->loads, 1);
}

static void a_call_waits_no_longer_than_its_deadline(void **state)
{
    (void)state;
    strategy.hard_ms = 100;
    start_two();
    expect(1, MTC_E_TIMEOUT);
    expect(0, MTC_E_TIMEOUT);
    mtct_stop_open(&shared->door);
    mtct_quiet_await(caches[0]);
    mtct_quiet_await(caches[1]);
    assert_int_equal(shared->loads, 1);
    expect_below("value");
}

static void a_stale_copy_is_there_while_another_loads(void **state)
{
    (void)state;
    strategy.ttl_ms = 300;
    strategy.stale_ms = 60000;
    strategy.soft_ms = 50;
    mtct_stop_open(&shared->door);
    callers[0] = asking(0);
    mtct_caller_start(&callers[0]);
    expect(0, MTC_OK);
    mtct_quiet_await(caches[0]);
    mtct_stop_close(&shared->door);
    usleep(400000);
    shared->door.arrived = 0;
    start_two();
    expect(0, MTC_STALE);
    expect(1, MTC_STALE);
    assert_string_equal(callers[1].text, "value");
    mtct_stop_open(&shared->door);
    mtct_quiet_await(caches[0]);
    mtct_quiet_await(caches[1]);
    assert_int_equal(shared->loads, 2);
}

/* A plain get has looked before the one with a loader leads. */
static void a_leader_that_takes_over_a_look_takes_a_lease(void **state)
{
    (void)state;
    char keys[40][8];
    mtct_caller pairs[80];
    shared->takes_us = 1000;
    for (int i = 0; i < 40; i++) {
        snprintf(keys[i], sizeof keys[i], "r%d", i);
        for (int side = 0; side < 2; side++) {
            pairs[2 * i + side] = asking(side);
            pairs[2 * i + side].key = keys[i];
            mtct_caller plain = {.cache = caches[side], .key = keys[i]};
            mtct_caller_start(&plain);
            mtct_caller_start(&pairs[2 * i + side]);
            mtct_caller_join(&plain);
        }
    }
    for (int i = 0; i < 80; i++) {
        mtct_caller_join(&pairs[i]);
        assert_int_equal(pairs[i].status, MTC_OK);
    }
    assert_int_equal(shared->loads, 40);
}

/* -- answers that come later, and many keys -------------------------------- */

static void an_answer_that_comes_later_fills_the_lease(void **state)
{
    (void)state;
    shared->is_late = true;
    start_two();
    mtct_stop_open(&shared->door);
    while (!atomic_load((mtc_load * _Atomic *)&shared->left))
        usleep(1000);
    mtc_load *left = shared->left;
    assert_int_equal(mtc_load_set_value(left, mtc_str("value")), MTC_OK);
    assert_int_equal(mtc_load_answer(left, MTC_OK), MTC_OK);
    expect(0, MTC_OK);
    expect(1, MTC_OK);
    assert_int_equal(shared->loads, 1);
}

static void a_load_that_is_dropped_is_taken_over(void **state)
{
    (void)state;
    shared->is_late = true;
    start_two();
    mtct_stop_open(&shared->door);
    while (!atomic_load((mtc_load * _Atomic *)&shared->left))
        usleep(1000);
    shared->is_late = false;
    mtc_load_drop(shared->left);
    expect(0, MTC_OK);
    expect(1, MTC_OK);
    assert_int_equal(shared->loads, 2);
}

static mtc_status load_many(mtc_bulk *bulk, void *ctx)
{
    source *source = ctx;
    atomic_fetch_add(&source->loads, (unsigned)mtc_bulk_count(bulk));
    mtct_stop_here(&source->door);
    for (size_t i = 0; i < mtc_bulk_count(bulk); i++)
        mtc_load_set_value(mtc_bulk_load(bulk, i), mtc_str("value"));
    return MTC_OK;
}

typedef struct many {
    mtc_cache *cache;
    char keys[20][16];
    mtc_item items[20];
    int from, to;
} many;

static void *ask_many(void *ctx)
{
    many *many = ctx;
    size_t count = 0;
    for (int i = many->from; i < many->to; i++) {
        snprintf(many->keys[count], sizeof many->keys[count], "k%d", i);
        many->items[count] = (mtc_item){.key = mtc_str(many->keys[count])};
        count++;
    }
    mtc_cache_get_or_load_many(many->cache, many->items, count, &strategy,
                               load_many, shared);
    return NULL;
}

static void calls_for_many_keys_load_each_once(void **state)
{
    (void)state;
    static many first, second;
    first = (many){.cache = caches[0], .from = 0, .to = 12};
    second = (many){.cache = caches[1], .from = 6, .to = 18};
    pthread_t one = mtct_thread_start(ask_many, &first);
    mtct_stop_await(&shared->door, 1);
    pthread_t other = mtct_thread_start(ask_many, &second);
    mtct_stop_await(&shared->door, 2);
    mtct_stop_open(&shared->door);
    pthread_join(one, NULL);
    pthread_join(other, NULL);
    for (int i = 0; i < 12; i++) {
        assert_int_equal(first.items[i].status, MTC_OK);
        assert_int_equal(second.items[i].status, MTC_OK);
        mtc_value_free(&first.items[i].value);
        mtc_value_free(&second.items[i].value);
    }
    assert_int_equal(shared->loads, 18);
}

static void note_status(void *ctx, mtc_status status, mtc_value *value)
{
    (void)value;
    *(mtc_status *)ctx = status;
}

static void an_asynchronous_call_waits_as_well(void **state)
{
    (void)state;
    mtc_queue *queue;
    mtc_status status = MTCT_NOT_YET;
    callers[0] = asking(0);
    mtct_caller_start(&callers[0]);
    mtct_stop_await(&shared->door, 1);
    assert_int_equal(mtc_queue_open(caches[1], &queue), MTC_OK);
    mtc_call call = MTC_CALL_INIT;
    call.strategy = &strategy;
    assert_int_equal(mtc_cache_get_or_load_async(queue, mtc_str("k"), &call,
                                                 load, shared, note_status,
                                                 &status),
                     MTC_PENDING);
    for (int i = 0; i < 20; i++) {
        mtc_queue_wait(queue, 5);
        mtc_queue_drain(queue);
    }
    assert_int_equal(status, MTCT_NOT_YET);
    mtct_stop_open(&shared->door);
    while (status == MTCT_NOT_YET) {
        mtc_queue_wait(queue, 100);
        mtc_queue_drain(queue);
    }
    assert_int_equal(status, MTC_OK);
    expect(0, MTC_OK);
    assert_int_equal(shared->loads, 1);
    assert_int_equal(mtc_queue_close(&queue), MTC_OK);
}

/* -- processes ------------------------------------------------------------- */

static void *ask_in_child(void *ctx)
{
    mtct_caller *caller = ctx;
    mtct_caller_run(caller);
    return NULL;
}

/* Ends with 0 if every thread had the value. */
static _Noreturn void be_process(void)
{
    static mtct_caller own[THREADS];
    pthread_t threads[THREADS];
    int wrong = 0;
    open_cache(&caches[0]);
    for (int i = 0; i < THREADS; i++) {
        own[i] = asking(0);
        threads[i] = mtct_thread_start(ask_in_child, &own[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        wrong += own[i].status != MTC_OK;
    }
    mtc_cache_close(&caches[0]);
    _exit(wrong > 0);
}

static void processes_with_many_threads_load_once(void **state)
{
    (void)state;
    pid_t children[PROCESSES];
    shared->takes_us = 200000;
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0)
            be_process();
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    assert_int_equal(shared->loads, 1);
    expect_below("value");
}

static void a_holder_that_is_killed_is_succeeded(void **state)
{
    (void)state;
    int status;
    strategy.lease_ms = 500;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        be_process(); /* its loader stops at the door */
    mtct_stop_await(&shared->door, 1);
    open_cache(&caches[0]);
    callers[0] = asking(0);
    mtct_caller_start(&callers[0]);
    mtct_asked_await(caches[0], 1);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    mtct_stop_open(&shared->door);
    expect(0, MTC_OK);
    assert_int_equal(shared->loads, 2);
}

/* Nobody can write to a file that another process has locked. */
static void lock_file(void)
{
    char path[160];
    snprintf(path, sizeof path, "%s/cache.db", disk.dir);
    assert_int_equal(sqlite3_open(path, &locker), SQLITE_OK);
    assert_int_equal(sqlite3_exec(locker, "BEGIN IMMEDIATE", NULL, NULL, NULL),
                     SQLITE_OK);
}

static void without_what_keeps_leases_each_loads_by_itself(void **state)
{
    if (strcmp(*state, "redis") == 0)
        test_server_stop(&server);
    else
        lock_file();
    mtct_stop_open(&shared->door);
    callers[0] = asking(0);
    callers[1] = asking(1);
    mtct_caller_start(&callers[0]);
    mtct_caller_start(&callers[1]);
    expect(0, MTC_OK);
    expect(1, MTC_OK);
    assert_int_equal(shared->loads, 2);
}

#define TEST(name, begin)                                                      \
    {                                                                          \
#name, name, begin, teardown, NULL                                     \
    }

/* Every test over one kind of tier. */
static int run(const char *kind)
{
    struct CMUnitTest tests[] = {
        TEST(of_two_processes_one_loads, setup_two),
        TEST(a_load_that_fails_gives_its_lease_back, setup_two),
        TEST(what_was_removed_elsewhere_meanwhile_is_not_stored, setup_two),
        TEST(a_lease_is_renewed_while_its_load_runs, setup_two),
        TEST(a_call_waits_no_longer_than_its_deadline, setup_two),
        TEST(a_stale_copy_is_there_while_another_loads, setup_two),
        TEST(a_leader_that_takes_over_a_look_takes_a_lease, setup_two),
        TEST(an_answer_that_comes_later_fills_the_lease, setup_two),
        TEST(a_load_that_is_dropped_is_taken_over, setup_two),
        TEST(calls_for_many_keys_load_each_once, setup_two),
        TEST(an_asynchronous_call_waits_as_well, setup_two),
        TEST(processes_with_many_threads_load_once, setup),
        TEST(a_holder_that_is_killed_is_succeeded, setup),
        TEST(without_what_keeps_leases_each_loads_by_itself, setup_two),
    };
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        tests[i].initial_state = (void *)(uintptr_t)kind;
    return _cmocka_run_group_tests(kind, tests, sizeof tests / sizeof tests[0],
                                   NULL, NULL);
}

int main(void)
{
    int failed = run("disk");
    return run("redis") + failed;
}
