/*
 * Threads that come and go, and signals: the library's threads take none,
 * and its calls mind none.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <dirent.h>
#include <signal.h>
#include <sys/time.h>

#include "support/cache_fixture.h"
#include "support/callers.h"

/* The thread sanitizer takes milliseconds for each thread. */
#ifdef __SANITIZE_THREAD__
#define SHORT_LIVED 1000
#else
#define SHORT_LIVED 10000
#endif
#define AT_A_TIME 50
#define TASKS_MAX 64

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
    if (fixture.cache)
        mtct_cache_fini(&fixture);
    return 0;
}

static mtc_status load_value(mtc_load *load, void *ctx)
{
    (void)ctx;
    return mtc_load_set_value(load, mtc_str("value"));
}

static void threads_that_live_for_one_call_leave_nothing_behind(void **state)
{
    (void)state;
    static mtct_caller callers[AT_A_TIME];
    const char *keys[] = {"a", "b", "c", "d"};
    for (size_t done = 0; done < SHORT_LIVED; done += AT_A_TIME) {
        mtct_caller like = {.cache = fixture.cache,
                            .key = keys[done / AT_A_TIME % 4],
                            .loader = load_value};
        mtct_callers_start(callers, AT_A_TIME, like);
        mtct_callers_join(callers, AT_A_TIME);
        mtct_assert_all_got(callers, AT_A_TIME, MTC_OK, "value");
    }
    mtc_stats stats = {.struct_size = sizeof(stats)};
    assert_int_equal(mtc_cache_stats(fixture.cache, &stats), MTC_OK);
    assert_int_equal(stats.requests, SHORT_LIVED);
    assert_int_equal(stats.loads, 4);
    assert_int_equal(stats.in_flight, 0);
}

/* More values than a thread may pin. */
typedef struct holder {
    mtc_value values[100];
    mtc_status status;
} holder;

static void *hold_and_exit(void *ctx)
{
    holder *holder = ctx;
    for (size_t i = 0; i < 100 && holder->status == MTC_OK; i++) {
        holder->status =
            mtc_cache_get(fixture.cache, mtc_str("k"), &holder->values[i]);
        if (holder->status == MTC_OK)
            holder->status = mtc_value_detach(&holder->values[i]);
    }
    pthread_exit(NULL);
}

static void values_outlive_the_thread_and_the_cache_they_came_from(void **state)
{
    (void)state;
    static holder holder;
    assert_int_equal(mtc_cache_set(fixture.cache, mtc_str("k"),
                                   mtc_str("value"), NULL),
                     MTC_OK);
    pthread_join(mtct_thread_start(hold_and_exit, &holder), NULL);
    assert_int_equal(holder.status, MTC_OK);
    mtct_cache_fini(&fixture);
    for (size_t i = 0; i < 100; i++) {
        assert_memory_equal(holder.values[i].data, "value", 5);
        mtc_value_free(&holder.values[i]);
    }
}

/* -- signals ------------------------------------------------------------ */

/* The threads of this process. */
static size_t tasks_list(int *tasks)
{
    size_t count = 0;
    DIR *dir = opendir("/proc/self/task");
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        assert_true(count < TASKS_MAX);
        tasks[count++] = atoi(entry->d_name);
    }
    closedir(dir);
    return count;
}

static bool is_among(const int *tasks, size_t count, int task)
{
    for (size_t i = 0; i < count; i++) {
        if (tasks[i] == task)
            return true;
    }
    return false;
}

/* The signals that a thread blocks: bit n - 1 for signal n. */
static uint64_t blocked_by(int task)
{
    char line[256];
    unsigned long long mask = 0;
    snprintf(line, sizeof(line), "/proc/self/task/%d/status", task);
    FILE *file = fopen(line, "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        if (sscanf(line, "SigBlk: %llx", &mask) == 1)
            break;
    }
    fclose(file);
    return mask;
}

static void threads_of_the_library_block_all_signals(void **state)
{
    (void)state;
    mtct_cache second;
    int before[TASKS_MAX], after[TASKS_MAX];
    size_t before_count = tasks_list(before);
    mtct_cache_init(&second);
    size_t after_count = tasks_list(after);
    assert_true(after_count > before_count);
    for (size_t i = 0; i < after_count; i++) {
        if (is_among(before, before_count, after[i]))
            continue;
        for (int signal = 1; signal < SIGRTMAX; signal++) {
            /* Two cannot be blocked, and the C library keeps two. */
            if (signal == SIGKILL || signal == SIGSTOP ||
                (signal >= __SIGRTMIN && signal < SIGRTMIN))
                continue;
            assert_true(blocked_by(after[i]) >> (signal - 1) & 1);
        }
    }
    mtct_cache_fini(&second);
}

static _Atomic uint64_t alarms;

static void on_alarm(int signal)
{
    (void)signal;
    atomic_fetch_add(&alarms, 1);
}

/* A thousand times a second, without restarting what they interrupt. */
static void alarms_start(void)
{
    struct sigaction action = {.sa_handler = on_alarm};
    struct itimerval every_ms = {{0, 1000}, {0, 1000}};
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &every_ms, NULL), 0);
}

static void alarms_stop(void)
{
    struct itimerval never = {{0, 0}, {0, 0}};
    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
}

static mtc_status be_slow(mtct_script *script, mtc_verb verb,
                          mtc_request *request)
{
    struct timespec nap = {0, 200000};
    (void)script;
    (void)verb;
    (void)request;
    nanosleep(&nap, NULL);
    return MTC_OK;
}

static void *work(void *ctx)
{
    uintptr_t wrong = 0;
    mtct_caller caller = {.cache = fixture.cache,
                          .key = ctx,
                          .loader = load_value};
    while (atomic_load(&alarms) < 200) {
        mtct_caller_run(&caller);
        wrong += caller.status != MTC_OK;
        wrong += mtc_cache_remove(fixture.cache, mtc_str(ctx)) != MTC_OK;
    }
    return (void *)wrong;
}

static void calls_do_not_mind_signals(void **state)
{
    (void)state;
    pthread_t threads[4];
    fixture.below->hook = be_slow;
    alarms_start();
    for (size_t i = 0; i < 4; i++)
        threads[i] = mtct_thread_start(work, i % 2 ? "a" : "b");
    for (size_t i = 0; i < 4; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_int_equal((uintptr_t)wrong, 0);
    }
    mtct_cache_fini(&fixture);
    alarms_stop();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(threads_that_live_for_one_call_leave_nothing_behind),
        TEST(values_outlive_the_thread_and_the_cache_they_came_from),
        TEST(threads_of_the_library_block_all_signals),
        TEST(calls_do_not_mind_signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
