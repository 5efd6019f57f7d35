/*
 * A library to be preloaded: threads sleep at random where they take a lock
 * and where they give it back, so that tests run in orders that are rare.
 *
 *     LD_PRELOAD=build/dev/tests/libmtc_naps.so ctest --preset dev -L quick
 *
 * One lock in MTC_NAPS (300 unless set) has a nap of 3 ms at most. Orders
 * depend on the machine: a failure is no seed that can be played again. Not
 * for the sanitizers, which have these functions themselves.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#define RARITY     300
#define NAP_NS_MAX 3000000

typedef int (*lock_function)(pthread_mutex_t *mutex);

static _Atomic uint64_t thread_count;
static _Atomic unsigned rarity;

static unsigned draw_rarity(void)
{
    const char *text = getenv("MTC_NAPS");
    unsigned one_in = text ? (unsigned)strtoul(text, NULL, 10) : 0;
    atomic_store(&rarity, one_in > 0 ? one_in : RARITY);
    return atomic_load(&rarity);
}

static uint64_t draw(void)
{
    static __thread uint64_t state;
    if (state == 0)
        state = (atomic_fetch_add(&thread_count, 1) + 1) *
                UINT64_C(0x9e3779b97f4a7c15);
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void nap_perhaps(void)
{
    unsigned one_in = atomic_load_explicit(&rarity, memory_order_relaxed);
    uint64_t drawn = draw();
    if (one_in == 0)
        one_in = draw_rarity();
    if (drawn % one_in != 0)
        return;
    struct timespec nap = {0, (long)((drawn >> 20) % NAP_NS_MAX)};
    nanosleep(&nap, NULL);
}

static lock_function real(const char *name)
{
    /* A cast that ISO C has no other words for. */
    union {
        void *object;
        lock_function function;
    } found = {dlsym(RTLD_NEXT, name)};
    return found.function;
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    static _Atomic(lock_function) lock;
    if (!atomic_load_explicit(&lock, memory_order_relaxed))
        atomic_store(&lock, real("pthread_mutex_lock"));
    nap_perhaps();
    return atomic_load_explicit(&lock, memory_order_relaxed)(mutex);
}

int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    static _Atomic(lock_function) unlock;
    if (!atomic_load_explicit(&unlock, memory_order_relaxed))
        atomic_store(&unlock, real("pthread_mutex_unlock"));
    int error = atomic_load_explicit(&unlock, memory_order_relaxed)(mutex);
    nap_perhaps();
    return error;
}
