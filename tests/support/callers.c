/*
 * Callers and stops; see callers.h.
 */
#include "support/callers.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/sync.h"
#include "mtc/stats.h"

#define STACK_BYTES  ((size_t)256 * 1024)
#define NAPS_MAX     2000
#define STOP_WAIT_MS 100

/* Short at first, for what takes no time; long for what takes a crowd. */
static void nap(int turn)
{
    struct timespec time = {0, turn < 50 ? 200000 : 5000000};
    nanosleep(&time, NULL);
}

/* -- callers ------------------------------------------------------------ */

void mtct_caller_run(mtct_caller *caller)
{
    mtc_value value = {0};
    mtc_slice key = mtc_str(caller->key);
    if (caller->call.struct_size == 0)
        caller->call.struct_size = sizeof(caller->call);
    caller->status = MTCT_NOT_YET;
    mtc_status status =
        caller->loader
            ? mtc_cache_get_or_load_with(caller->cache, key, &caller->call,
                                         caller->loader, caller->ctx, &value)
            : mtc_cache_get_with(caller->cache, key, &caller->call, &value);
    size_t size = value.size < sizeof(caller->text) - 1
                      ? value.size
                      : sizeof(caller->text) - 1;
    if (size > 0)
        memcpy(caller->text, value.data, size);
    caller->text[size] = '\0';
    mtc_value_free(&value);
    caller->status = status;
}

static void *caller_main(void *ctx)
{
    mtct_caller_run(ctx);
    return NULL;
}

pthread_t mtct_thread_start(void *(*run)(void *ctx), void *ctx)
{
    pthread_attr_t attr;
    pthread_t thread;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    int failed = pthread_create(&thread, &attr, run, ctx);
    pthread_attr_destroy(&attr);
    assert_int_equal(failed, 0);
    return thread;
}

#ifdef __SANITIZE_ADDRESS__
void __asan_handle_no_return(void);
#endif

void mtct_frames_forget(void *ctx)
{
    (void)ctx;
#ifdef __SANITIZE_ADDRESS__
    __asan_handle_no_return();
#endif
}

void mtct_caller_start(mtct_caller *caller)
{
    caller->status = MTCT_NOT_YET;
    caller->thread = mtct_thread_start(caller_main, caller);
}

void mtct_caller_join(mtct_caller *caller)
{
    assert_int_equal(pthread_join(caller->thread, NULL), 0);
}

void mtct_callers_start(mtct_caller *callers, size_t count, mtct_caller like)
{
    for (size_t i = 0; i < count; i++) {
        callers[i] = like;
        mtct_caller_start(&callers[i]);
    }
}

void mtct_callers_join(mtct_caller *callers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        mtct_caller_join(&callers[i]);
}

void mtct_check_all_got(const mtct_caller *callers, size_t count,
                        mtc_status status, const char *text, const char *file,
                        int line)
{
    for (size_t i = 0; i < count; i++) {
        if (callers[i].status != status)
            print_error("caller %zu of %zu got %s\n", i, count,
                        mtc_status_name(callers[i].status));
        _assert_int_equal((LargestIntegralType)callers[i].status,
                          (LargestIntegralType)status, file, line);
        if (text)
            _assert_string_equal(callers[i].text, text, file, line);
    }
}

/* -- stops -------------------------------------------------------------- */

void mtct_stop_here(mtct_stop *stop)
{
    atomic_fetch_add(&stop->arrived, 1);
    while (atomic_load(&stop->is_open) == 0)
        mtci_word_wait(&stop->is_open, 0, STOP_WAIT_MS);
}

void mtct_stop_await(mtct_stop *stop, uint32_t count)
{
    for (int i = 0; i < NAPS_MAX; i++) {
        if (atomic_load(&stop->arrived) >= count)
            return;
        nap(i);
    }
    fail_msg("%u of %u threads arrived", (unsigned)atomic_load(&stop->arrived),
             (unsigned)count);
}

void mtct_stop_open(mtct_stop *stop)
{
    atomic_store(&stop->is_open, 1);
    mtci_word_wake(&stop->is_open);
}

void mtct_stop_close(mtct_stop *stop)
{
    atomic_store(&stop->is_open, 0);
}

/* -- waiting for the cache ---------------------------------------------- */

static mtc_stats stats_of(mtc_cache *cache)
{
    mtc_stats stats = {.struct_size = sizeof(stats)};
    assert_int_equal(mtc_cache_stats(cache, &stats), MTC_OK);
    return stats;
}

void mtct_followers_await(mtc_cache *cache, uint64_t count)
{
    for (int i = 0; i < NAPS_MAX; i++) {
        if (stats_of(cache).followers >= count)
            return;
        nap(i);
    }
    fail_msg("%llu callers do not follow", (unsigned long long)count);
}

void mtct_asked_await(mtc_cache *cache, uint64_t count)
{
    for (int i = 0; i < NAPS_MAX; i++) {
        if (stats_of(cache).tiers[1].storing == count)
            return;
        nap(i);
    }
    fail_msg("%llu requests are not under way", (unsigned long long)count);
}

/* Flights first: what they store at their end is seen then. */
static bool is_quiet(mtc_cache *cache)
{
    mtc_stats stats = stats_of(cache);
    if (stats.in_flight > 0 || stats.loads_running > 0)
        return false;
    stats = stats_of(cache);
    for (uint32_t i = 0; i < stats.tier_count; i++) {
        if (stats.tiers[i].storing > 0 || stats.tiers[i].debts > 0)
            return false;
    }
    return true;
}

void mtct_quiet_await(mtc_cache *cache)
{
    for (int i = 0; i < NAPS_MAX; i++) {
        if (is_quiet(cache))
            return;
        nap(i);
    }
    fail_msg("the cache does not come to rest");
}

unsigned mtct_rounds(unsigned usual)
{
    const char *text = getenv("MTC_TEST_ROUNDS");
    unsigned long rounds = text ? strtoul(text, NULL, 10) : 0;
    return rounds > 0 && rounds < UINT_MAX ? (unsigned)rounds : usual;
}
