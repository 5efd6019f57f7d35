/*
 * Callers: threads of a test that ask a cache, and places where the test
 * makes them stop.
 *
 * Callers note what they got; only the test's own thread asserts. Whatever
 * the test waits for, it waits for at most ten seconds.
 */
#ifndef MTCT_CALLERS_H
#define MTCT_CALLERS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "mtc/cache.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How many a crowd is: the thread sanitizer takes milliseconds for each. */
#ifdef __SANITIZE_THREAD__
#define MTCT_CROWD 200
#else
#define MTCT_CROWD 1000
#endif

/* What a caller's status is until its call has returned. */
#define MTCT_NOT_YET ((mtc_status)99)

/* One thread with one call: get_or_load, or get when there is no loader. */
typedef struct mtct_caller {
    mtc_cache *cache;
    const char *key;
    mtc_loader loader;
    void *ctx;
    mtc_call call; /* zeroed: no options */
    mtc_status status;
    char text[32]; /* the value that it got, as a string */
    pthread_t thread;
} mtct_caller;

/* Makes the call in the calling thread and notes how it ended. */
void mtct_caller_run(mtct_caller *caller);

/* Makes it in a thread of its own, with a small stack. */
void mtct_caller_start(mtct_caller *caller);
void mtct_caller_join(mtct_caller *caller);

/* The same for many that are alike. */
void mtct_callers_start(mtct_caller *callers, size_t count, mtct_caller like);
void mtct_callers_join(mtct_caller *callers, size_t count);

/* Asserts that each of the callers got status, and text if it is not NULL. */
#define mtct_assert_all_got(callers, count, status, text)                      \
    mtct_check_all_got((callers), (count), (status), (text), __FILE__, __LINE__)
void mtct_check_all_got(const mtct_caller *callers, size_t count,
                        mtc_status status, const char *text, const char *file,
                        int line);

/* Runs a function in a thread with a small stack. */
pthread_t mtct_thread_start(void *(*run)(void *ctx), void *ctx);

/* For pthread_cleanup_push in the first function of a thread that is cancelled:
 * tells the address sanitizer that the frames above are gone. */
void mtct_frames_forget(void *ctx);

/* A place where threads stop until the test lets them go. Zeroed, it is
 * closed. */
typedef struct mtct_stop {
    _Atomic uint32_t arrived;
    _Atomic uint32_t is_open;
} mtct_stop;

/* A thread arrives, and goes on once the stop is open. */
void mtct_stop_here(mtct_stop *stop);

/* The test waits until count threads have arrived in all; opens; closes. */
void mtct_stop_await(mtct_stop *stop, uint32_t count);
void mtct_stop_open(mtct_stop *stop);
void mtct_stop_close(mtct_stop *stop);

/* Waits until the cache has counted so many followers in all, or has asked
 * the second tier for so many things that are not answered. */
void mtct_followers_await(mtc_cache *cache, uint64_t count);
void mtct_asked_await(mtc_cache *cache, uint64_t count);

/* Waits until no flight is open and no tier has anything to do. */
void mtct_quiet_await(mtc_cache *cache);

/* How often a random test is repeated: MTC_TEST_ROUNDS, or else usual. */
unsigned mtct_rounds(unsigned usual);

#ifdef __cplusplus
}
#endif

#endif
