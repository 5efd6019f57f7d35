/*
 * One load across processes: four processes of fifty threads ask for a key that
 * nobody has, under a lease; the load takes 200 ms.
 *
 * usage: mtc_leases URL
 *
 * URL is the tier below memory, which keeps the leases. One JSON object goes to
 * standard output: loads a key, and how long after the load the last of all
 * threads had the value, in milliseconds, the median of twenty keys with the
 * least and the most.
 */
#include <mtc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROCESSES 4
#define THREADS   50
#define KEYS      20
#define LOAD_NS   200000000

/* In memory that all processes share. */
typedef struct shared {
    pthread_barrier_t begin, end;
    _Atomic unsigned loads, failures;
    _Atomic long long loaded_ns[KEYS], last_ns[KEYS];
    long id; /* of the run: its keys are nobody else's */
} shared;

static shared *all;
static mtc_cache *cache;

static long long now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000000000 + now.tv_nsec;
}

static mtc_status load(mtc_load *load, void *ctx)
{
    const struct timespec time = {0, LOAD_NS};
    atomic_fetch_add(&all->loads, 1);
    nanosleep(&time, NULL);
    mtc_status status = mtc_load_set_value(load, mtc_str("value"));
    atomic_store(&all->loaded_ns[*(int *)ctx], now_ns());
    return status;
}

static void note_end(int key)
{
    long long mine = now_ns();
    long long last = atomic_load(&all->last_ns[key]);
    while (last < mine &&
           !atomic_compare_exchange_weak(&all->last_ns[key], &last, mine)) {
    }
}

static void *ask(void *ctx)
{
    char key[48];
    mtc_strategy strategy = MTC_STRATEGY_INIT(60000);
    strategy.lease_ms = 5000;
    for (int i = 0; i < KEYS; i++) {
        mtc_value value;
        snprintf(key, sizeof key, "leased:%ld:%d", all->id, i);
        pthread_barrier_wait(&all->begin);
        if (mtc_cache_get_or_load(cache, mtc_str(key), &strategy, load, &i,
                                  &value) != MTC_OK)
            atomic_fetch_add(&all->failures, 1);
        note_end(i);
        mtc_value_free(&value);
        pthread_barrier_wait(&all->end);
    }
    return ctx;
}

static _Noreturn void be_process(const char *url)
{
    char tiers[512];
    pthread_t threads[THREADS];
    mtc_error error = {0};
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    snprintf(tiers, sizeof tiers, "memory %s", url);
    options.tiers = tiers;
    if (mtc_cache_open(&options, &error, &cache) != MTC_OK) {
        fprintf(stderr, "mtc_leases: %s\n", error.text);
        kill(0, SIGTERM);
        _exit(1);
    }
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, ask, NULL) != 0)
            abort();
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    mtc_cache_close(&cache);
    _exit(0);
}

static bool share(void)
{
    pthread_barrierattr_t attributes;
    all = mmap(NULL, sizeof *all, PROT_READ | PROT_WRITE,
               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED)
        return false;
    pthread_barrierattr_init(&attributes);
    pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    all->id = (long)getpid();
    return pthread_barrier_init(&all->begin, &attributes,
                                PROCESSES * THREADS) == 0 &&
           pthread_barrier_init(&all->end, &attributes, PROCESSES * THREADS) ==
               0;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(void)
{
    double beyond_ms[KEYS];
    for (int i = 0; i < KEYS; i++)
        beyond_ms[i] =
            (double)(all->last_ns[i] - all->loaded_ns[i]) / 1000000.0;
    qsort(beyond_ms, KEYS, sizeof *beyond_ms, compare);
    printf("{\"processes\": %d, \"threads\": %d, \"keys\": %d, "
           "\"loads_per_key\": %.2f, \"failures\": %u, "
           "\"beyond_ms\": %.2f, \"beyond_ms_min\": %.2f, "
           "\"beyond_ms_max\": %.2f}\n",
           PROCESSES, THREADS, KEYS, (double)all->loads / KEYS, all->failures,
           beyond_ms[KEYS / 2], beyond_ms[0], beyond_ms[KEYS - 1]);
}

int main(int argc, char **argv)
{
    int status, failed = 0;
    if (argc != 2 || !share())
        return 2;
    setpgid(0, 0);
    for (int i = 0; i < PROCESSES; i++) {
        pid_t child = fork();
        if (child < 0)
            return 2;
        if (child == 0)
            be_process(argv[1]);
    }
    for (int i = 0; i < PROCESSES; i++)
        failed |= wait(&status) < 0 || status != 0;
    if (!failed)
        report();
    return failed;
}
