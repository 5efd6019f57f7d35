/*
 * What calls cost: get, set, get_or_load and remove on a memory tier, and on
 * memory over disk, from one thread and from several.
 *
 * usage: mtc_bench [KEYS [VALUE_SIZE]]
 *
 * It times batches of calls through the public interface and prints calls per
 * second. The numbers compare two builds on one machine and nothing else.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <mtc.h>

#define THREADS_MAX 4
#define PASS_MS     500

typedef struct bench_case bench_case;

/* One thread's share of a pass. */
typedef struct worker {
    const bench_case *bench;
    mtc_cache *cache;
    uint64_t seed;
    uint64_t calls;
    mtc_status failure; /* first one, or MTC_OK */
} worker;

struct bench_case {
    const char *name;
    mtc_status (*call)(worker *worker, mtc_slice key);
};

static long key_count = 10000;
static char value_bytes[65536];
static size_t value_size = 100;

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static mtc_status call_get(worker *worker, mtc_slice key)
{
    mtc_value value;
    mtc_status status = mtc_cache_get(worker->cache, key, &value);
    mtc_value_free(&value);
    return status;
}

static mtc_status call_get_below(worker *worker, mtc_slice key)
{
    mtc_call call = MTC_CALL_INIT;
    mtc_value value;
    call.flags = MTC_CALL_SKIP_MEMORY | MTC_CALL_NO_PROMOTE;
    mtc_status status = mtc_cache_get_with(worker->cache, key, &call, &value);
    mtc_value_free(&value);
    return status;
}

static mtc_status call_set(worker *worker, mtc_slice key)
{
    mtc_slice value = mtc_bytes(value_bytes, value_size);
    return mtc_cache_set(worker->cache, key, value, NULL);
}

static mtc_status load(mtc_load *load, void *ctx)
{
    (void)ctx;
    return mtc_load_set_value(load, mtc_bytes(value_bytes, value_size));
}

static mtc_status call_load(worker *worker, mtc_slice key)
{
    mtc_value value;
    mtc_status status =
        mtc_cache_get_or_load(worker->cache, key, NULL, load, NULL, &value);
    mtc_value_free(&value);
    return status;
}

/* Every fourth call removes, so that the others have something to load. */
static mtc_status call_load_missing(worker *worker, mtc_slice key)
{
    if (worker->calls % 4 == 0)
        return mtc_cache_remove(worker->cache, key);
    return call_load(worker, key);
}

static const bench_case all_cases[] = {
    {"set", call_set},
    {"get", call_get},
    {"get_or_load", call_load},
    {"get_or_load, 1 in 4 removed", call_load_missing},
};

static const bench_case disk_cases[] = {
    {"get from disk", call_get_below},
};

static void *work(void *ctx)
{
    worker *worker = ctx;
    int64_t end_us = now_us() + PASS_MS * 1000;
    char key[32];

    while (worker->calls % 64 != 0 || now_us() < end_us) {
        uint64_t number = next_random(&worker->seed) % (uint64_t)key_count;
        int size =
            snprintf(key, sizeof key, "key:%llu", (unsigned long long)number);
        mtc_status status =
            worker->bench->call(worker, mtc_bytes(key, (size_t)size));
        if (status < 0 && worker->failure == MTC_OK)
            worker->failure = status;
        worker->calls++;
    }
    return NULL;
}

static void run_pass(mtc_cache *cache, const bench_case *bench, int threads)
{
    worker workers[THREADS_MAX] = {{0}};
    pthread_t ids[THREADS_MAX];
    mtc_status failure = MTC_OK;
    uint64_t calls = 0;
    int64_t begin_us = now_us();

    for (int i = 0; i < threads; i++) {
        workers[i] =
            (worker){bench, cache, 88172645463325252u + (uint64_t)i, 0, MTC_OK};
        if (pthread_create(&ids[i], NULL, work, &workers[i]) != 0)
            abort();
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
        calls += workers[i].calls;
        if (failure == MTC_OK)
            failure = workers[i].failure;
    }
    double seconds = (double)(now_us() - begin_us) / 1e6;
    printf("  %-28s %d thread%s %12.0f calls/s%s%s\n", bench->name, threads,
           threads == 1 ? " " : "s", (double)calls / seconds,
           failure == MTC_OK ? "" : "  failed: ",
           failure == MTC_OK ? "" : mtc_status_name(failure));
}

static void run_cases(mtc_cache *cache, const bench_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (int threads = 1; threads <= THREADS_MAX; threads *= 4)
            run_pass(cache, &cases[i], threads);
    }
}

static int run_tiers(const char *tiers, int has_disk)
{
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    mtc_error error = {0};
    mtc_cache *cache;

    options.tiers = tiers;
    if (mtc_cache_open(&options, &error, &cache) != MTC_OK) {
        fprintf(stderr, "bench: %s: %s\n", error.part, error.text);
        return 1;
    }
    printf("%s, %ld keys, values of %zu bytes\n", tiers, key_count, value_size);
    run_cases(cache, all_cases, sizeof all_cases / sizeof all_cases[0]);
    if (has_disk)
        run_cases(cache, disk_cases, 1);
    mtc_cache_close(&cache);
    return 0;
}

int main(int argc, char **argv)
{
    char folder[] = "/tmp/mtc-bench-XXXXXX";
    char tiers[64];
    char command[64];

    key_count = argc > 1 ? atol(argv[1]) : key_count;
    value_size = argc > 2 ? (size_t)atol(argv[2]) : value_size;
    if (key_count < 1 || value_size > sizeof value_bytes) {
        fprintf(stderr, "usage: mtc_bench [KEYS [VALUE_SIZE]]\n");
        return 2;
    }
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(tiers, sizeof tiers, "memory disk:%s", folder);
    int result = run_tiers("memory", 0) | run_tiers(tiers, 1);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command) == 0 ? result : 1;
}
