/*
 * One load per key, however many ask.
 *
 * A hundred threads miss a key at once. One runs the loader, the others wait
 * for its result; when it fails, all are told, and the next caller tries again.
 */
#include <mtc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CALLERS 100

/* Stands for a slow database. */
typedef struct source {
    mtc_cache *cache;
    const char *key;
    pthread_barrier_t start;
    atomic_int loads;
    atomic_int answered; /* callers that got the value */
    atomic_int told;     /* callers that got the loader's error */
    bool is_broken;
} source;

static void expect(bool fact, const char *what)
{
    if (fact)
        return;
    fprintf(stderr, "stampede_protection: it does not hold that %s\n", what);
    exit(1);
}

/* Runs in the thread of the caller that came first; no lock is held. */
static mtc_status load_slowly(mtc_load *load, void *ctx)
{
    source *source = ctx;
    atomic_fetch_add(&source->loads, 1);
    usleep(200000);
    if (source->is_broken)
        return MTC_E_UNAVAILABLE;
    return mtc_load_set_value(load, mtc_str("the answer"));
}

static void *ask(void *ctx)
{
    source *source = ctx;
    mtc_value value;
    pthread_barrier_wait(&source->start);
    mtc_status status =
        mtc_cache_get_or_load(source->cache, mtc_str(source->key),
                              &MTC_SHORT_TERM, load_slowly, source, &value);
    if (status == MTC_OK)
        atomic_fetch_add(&source->answered, 1);
    else if (status == MTC_E_UNAVAILABLE)
        atomic_fetch_add(&source->told, 1);
    mtc_value_free(&value);
    return NULL;
}

static void stampede(source *source)
{
    pthread_t callers[CALLERS];
    source->loads = source->answered = source->told = 0;
    for (int i = 0; i < CALLERS; i++)
        expect(pthread_create(&callers[i], NULL, ask, source) == 0,
               "threads start");
    for (int i = 0; i < CALLERS; i++)
        pthread_join(callers[i], NULL);
    printf("%s: %d loads, %d answered, %d told of the failure\n", source->key,
           source->loads, source->answered, source->told);
}

int main(void)
{
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    source source = {.key = "report"};
    options.tiers = "memory";
    expect(mtc_cache_open(&options, NULL, &source.cache) == MTC_OK,
           "the cache opens");
    pthread_barrier_init(&source.start, NULL, CALLERS);

    stampede(&source);
    expect(source.loads == 1, "one caller loads for all");
    expect(source.answered == CALLERS, "all callers have the value");

    source.key = "broken report";
    source.is_broken = true;
    stampede(&source);
    expect(source.told == CALLERS, "all who waited are told of a failure");

    source.is_broken = false; /* The failure was not cached. */
    stampede(&source);
    expect(source.loads == 1 && source.answered == CALLERS,
           "the next caller loads again");
    pthread_barrier_destroy(&source.start);
    return mtc_cache_close(&source.cache) != MTC_OK;
}
