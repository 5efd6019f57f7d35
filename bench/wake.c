/*
 * What waking a thread costs: the floor under every call that blocks, whoever
 * makes it. Threads sleep on a futex each, or all on one; another one wakes
 * them, by a call each or by one call, and waits until all have run.
 *
 * usage: mtc_wake THREADS SECONDS
 *
 * One JSON object goes to standard output: microseconds for each thread woken,
 * the switch to it included.
 */
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 256

typedef struct word {
    _Alignas(64) _Atomic unsigned turn;
} word;

typedef struct sleeper {
    pthread_t thread;
    word *word;
} sleeper;

static word words[THREADS_MAX];
static _Atomic unsigned woken;
static _Atomic bool is_over;

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void wake(word *word)
{
    atomic_fetch_add(&word->turn, 1);
    syscall(SYS_futex, &word->turn, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static void *sleep_on(void *ctx)
{
    const sleeper *sleeper = ctx;
    _Atomic unsigned *turn = &sleeper->word->turn;
    for (unsigned seen = 0; !atomic_load(&is_over); seen++) {
        while (atomic_load(turn) == seen)
            syscall(SYS_futex, turn, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
        atomic_fetch_add(&woken, 1);
    }
    return NULL;
}

static void wake_all(unsigned word_count, unsigned threads)
{
    unsigned until = atomic_load(&woken) + threads;
    for (unsigned i = 0; i < word_count; i++)
        wake(&words[i]);
    while (atomic_load(&woken) != until)
        sched_yield();
}

/* Microseconds a thread; negative: no threads for it. */
static double measure(unsigned word_count, unsigned threads, double seconds)
{
    static sleeper sleepers[THREADS_MAX];
    unsigned rounds = 0;
    atomic_store(&is_over, false);
    for (unsigned i = 0; i < threads; i++) {
        sleepers[i].word = &words[i % word_count];
        atomic_store(&sleepers[i].word->turn, 0);
    }
    for (unsigned i = 0; i < threads; i++)
        if (pthread_create(&sleepers[i].thread, NULL, sleep_on, &sleepers[i]))
            return -1;
    double begun_s = now_s();
    while (now_s() < begun_s + seconds) {
        wake_all(word_count, threads);
        rounds++;
    }
    double took_s = now_s() - begun_s;
    atomic_store(&is_over, true);
    wake_all(word_count, threads);
    for (unsigned i = 0; i < threads; i++)
        pthread_join(sleepers[i].thread, NULL);
    return took_s / rounds / threads * 1e6;
}

int main(int argc, char **argv)
{
    unsigned threads = argc == 3 ? (unsigned)atoi(argv[1]) : 0;
    double seconds = argc == 3 ? atof(argv[2]) : 0;
    if (threads < 1 || threads > THREADS_MAX) {
        fprintf(stderr, "usage: %s THREADS SECONDS\n", argv[0]);
        return 2;
    }
    double each_us = measure(threads, threads, seconds);
    double together_us = measure(1, threads, seconds);
    printf("{\"threads\": %u, \"each_us\": %.2f, \"together_us\": %.2f}\n",
           threads, each_us, together_us);
    return each_us < 0 || together_us < 0;
}
