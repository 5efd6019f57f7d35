/*
 * What calls cost: set, get and get_or_load on a memory tier, and on memory
 * over disk, from one thread and from four.
 *
 * usage: mtc_bench [KEYS [VALUE_SIZE]]
 *
 * It times passes of half a second through the public interface. The numbers
 * compare two builds on one machine and nothing else.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <mtc.h>

#define THREADS     4
#define PASS_US     500000
#define CALLS_BATCH 64
#define SIZE_MAX_KB 1024

/* What all threads of a pass share. */
typedef struct setting {
    mtc_cache *cache;
    uint64_t key_count;
    mtc_slice value;
} setting;

typedef mtc_status (*bench_call)(const setting *setting, mtc_slice key);

/* One thread's share of a pass. */
typedef struct worker {
    const setting *setting;
    bench_call call;
    uint64_t random;
    uint64_t calls;
    mtc_status failure; /* first one, or MTC_OK */
} worker;

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

static mtc_status call_set(const setting *setting, mtc_slice key)
{
    return mtc_cache_set(setting->cache, key, setting->value, NULL);
}

static mtc_status call_get(const setting *setting, mtc_slice key)
{
    mtc_value value;
    mtc_status status = mtc_cache_get(setting->cache, key, &value);
    mtc_value_free(&value);
    return status;
}

static mtc_status call_get_below(const setting *setting, mtc_slice key)
{
    mtc_call call = MTC_CALL_INIT;
    mtc_value value;
    call.flags = MTC_CALL_SKIP_MEMORY | MTC_CALL_NO_PROMOTE;
    mtc_status status = mtc_cache_get_with(setting->cache, key, &call, &value);
    mtc_value_free(&value);
    return status;
}

/* Every key once, so that what is measured afterwards are hits. */
static void fill(const setting *setting)
{
    char key[32];
    for (uint64_t number = 0; number < setting->key_count; number++) {
        snprintf(key, sizeof key, "key:%llu", (unsigned long long)number);
        call_set(setting, mtc_str(key));
    }
}

static mtc_status load(mtc_load *load, void *ctx)
{
    const setting *setting = ctx;
    return mtc_load_set_value(load, setting->value);
}

/* Removes first, so that there is something to load. */
static mtc_status call_load(const setting *setting, mtc_slice key)
{
    mtc_value value;
    mtc_status status = mtc_cache_remove(setting->cache, key);
    if (status < 0)
        return status;
    status = mtc_cache_get_or_load(setting->cache, key, NULL, load,
                                   (void *)setting, &value);
    mtc_value_free(&value);
    return status;
}

static void *work(void *ctx)
{
    worker *worker = ctx;
    int64_t end_us = now_us() + PASS_US;
    char key[32];

    while (worker->calls % CALLS_BATCH != 0 || now_us() < end_us) {
        uint64_t number =
            next_random(&worker->random) % worker->setting->key_count;
        snprintf(key, sizeof key, "key:%llu", (unsigned long long)number);
        mtc_status status = worker->call(worker->setting, mtc_str(key));
        if (status < 0 && worker->failure == MTC_OK)
            worker->failure = status;
        worker->calls++;
    }
    return NULL;
}

static void run_pass(const setting *setting, const char *name, bench_call call,
                     int threads)
{
    worker workers[THREADS];
    pthread_t ids[THREADS];
    mtc_status failure = MTC_OK;
    uint64_t calls = 0;
    int64_t begin_us = now_us();

    for (int i = 0; i < threads; i++) {
        workers[i] = (worker){setting, call, 88172645463325252u + (uint64_t)i,
                              0, MTC_OK};
        if (pthread_create(&ids[i], NULL, work, &workers[i]) != 0)
            abort();
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
        calls += workers[i].calls;
        failure = failure == MTC_OK ? workers[i].failure : failure;
    }
    double seconds = (double)(now_us() - begin_us) / 1e6;
    printf("  %-22s threads: %d %12.0f calls/s  %s\n", name, threads,
           (double)calls / seconds, mtc_status_name(failure));
}

static void run(const setting *setting, const char *name, bench_call call)
{
    run_pass(setting, name, call, 1);
    run_pass(setting, name, call, THREADS);
}

static int run_tiers(setting *setting, const char *tiers, bool has_disk)
{
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    mtc_error error = {0};

    options.tiers = tiers;
    if (mtc_cache_open(&options, &error, &setting->cache) != MTC_OK) {
        fprintf(stderr, "bench: %s: %s\n", error.part, error.text);
        return 1;
    }
    printf("%s: %llu keys, values of %zu bytes\n", tiers,
           (unsigned long long)setting->key_count, setting->value.size);
    run(setting, "set", call_set);
    fill(setting);
    run(setting, "get", call_get);
    if (has_disk)
        run(setting, "get, skipping memory", call_get_below);
    run(setting, "remove, get_or_load", call_load);
    return mtc_cache_close(&setting->cache) < 0;
}

int main(int argc, char **argv)
{
    char folder[] = "/tmp/mtc-bench-XXXXXX";
    char text[64];
    setting setting = {0};
    size_t value_size = argc > 2 ? strtoul(argv[2], NULL, 10) : 100;

    setting.key_count = argc > 1 ? strtoul(argv[1], NULL, 10) : 10000;
    if (setting.key_count == 0 || value_size > SIZE_MAX_KB * 1024) {
        fprintf(stderr, "usage: mtc_bench [KEYS [VALUE_SIZE]]\n");
        return 2;
    }
    void *value = calloc(1, value_size + 1);
    if (value == NULL || mkdtemp(folder) == NULL)
        return 1;
    setting.value = mtc_bytes(value, value_size);
    snprintf(text, sizeof text, "memory disk:%s", folder);
    int result = run_tiers(&setting, "memory", false);
    result |= run_tiers(&setting, text, true);
    snprintf(text, sizeof text, "rm -r %s", folder);
    result |= system(text) != 0;
    free(value);
    return result;
}
