/*
 * What a flight costs: a caller that finds nothing in memory opens one, runs a
 * loader that has nothing, and ends it, with nobody else about.
 *
 * usage: mtc_flight [CALLS]
 *
 * One JSON object goes to standard output: nanoseconds for each call, the
 * median of five rounds with the least and the most, in turn with a plain get
 * that misses, which opens none.
 */
#include <mtc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 5
#define KEYS   1024

static char keys[KEYS][16];

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static mtc_status load_nothing(mtc_load *load, void *ctx)
{
    (void)load;
    (void)ctx;
    return MTC_MISS;
}

/* Nanoseconds for a call. */
static double measure(mtc_cache *cache, mtc_loader loader, long calls)
{
    mtc_value value;
    double begun_ns = now_ns();
    for (long i = 0; i < calls; i++) {
        mtc_slice key = mtc_str(keys[i % KEYS]);
        mtc_status status = loader ? mtc_cache_get_or_load(cache, key, NULL,
                                                           loader, NULL, &value)
                                   : mtc_cache_get(cache, key, &value);
        if (status != MTC_MISS)
            exit(1);
    }
    return (now_ns() - begun_ns) / (double)calls;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(const char *name, double *rounds)
{
    qsort(rounds, ROUNDS, sizeof *rounds, compare);
    printf("\"%s_ns\": %.0f, \"%s_ns_min\": %.0f, \"%s_ns_max\": %.0f", name,
           rounds[ROUNDS / 2], name, rounds[0], name, rounds[ROUNDS - 1]);
}

int main(int argc, char **argv)
{
    mtc_cache *cache;
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    long calls = argc > 1 ? atol(argv[1]) : 1000000;
    double flights[ROUNDS], misses[ROUNDS];
    options.tiers = "memory";
    if (calls < 1 || mtc_cache_open(&options, NULL, &cache) != MTC_OK)
        return 1;
    for (int i = 0; i < KEYS; i++)
        snprintf(keys[i], sizeof keys[i], "user:%08d", i);
    for (int i = 0; i < ROUNDS; i++) {
        misses[i] = measure(cache, NULL, calls);
        flights[i] = measure(cache, load_nothing, calls);
    }
    printf("{");
    report("flight", flights);
    printf(", ");
    report("miss", misses);
    printf("}\n");
    return mtc_cache_close(&cache) != MTC_OK;
}
