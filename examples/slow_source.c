/*
 * A source that takes long: callers need not wait for it.
 *
 * With a soft time-out a caller takes the stale copy while the load goes on;
 * with a soft time-out of 0 nobody who has a copy waits at all.
 */
#include <mtc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Stands for a database, which takes a fifth of a second. */
typedef struct source {
    _Atomic int version;
    _Atomic int queries;
} source;

static void expect(bool fact, const char *what)
{
    if (fact)
        return;
    fprintf(stderr, "slow_source: it does not hold that %s\n", what);
    exit(1);
}

/* Runs on a thread of the cache: source must live until the cache closes. */
static mtc_status load_row(mtc_load *load, void *ctx)
{
    source *source = ctx;
    char text[32];
    atomic_fetch_add(&source->queries, 1);
    usleep(200000);
    snprintf(text, sizeof text, "version %d",
             atomic_fetch_add(&source->version, 1) + 1);
    return mtc_load_set_value(load, mtc_str(text));
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static mtc_status show(mtc_cache *cache, const mtc_strategy *strategy,
                       source *source)
{
    mtc_value value;
    double begun_s = now_s();
    mtc_status status = mtc_cache_get_or_load(cache, mtc_str("row:1"), strategy,
                                              load_row, source, &value);
    printf("%-8s %-10.*s after %3.0f ms\n", mtc_status_name(status),
           (int)value.size, value.size > 0 ? (const char *)value.data : "",
           (now_s() - begun_s) * 1000);
    mtc_value_free(&value);
    return status;
}

int main(void)
{
    mtc_cache *cache;
    mtc_error error;
    source source = {0, 0};
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    mtc_strategy strategy = MTC_STRATEGY_INIT(100); /* fresh for 100 ms */
    strategy.stale_ms = 60000;                      /* kept behind that */
    strategy.soft_ms = 20; /* what a caller waits if there is a copy */
    options.tiers = "memory";
    if (mtc_cache_open(&options, &error, &cache) != MTC_OK) {
        fprintf(stderr, "%s: %s\n", error.part, error.text);
        return 1;
    }
    expect(show(cache, &strategy, &source) == MTC_OK, "it is loaded");
    usleep(150000);          /* past its ttl */
    strategy.ttl_ms = 60000; /* of what is loaded next */
    expect(show(cache, &strategy, &source) == MTC_STALE, "the old one is back");
    strategy.soft_ms = 0; /* stale-while-revalidate: no wait at all */
    while (show(cache, &strategy, &source) != MTC_OK)
        usleep(50000);
    expect(atomic_load(&source.queries) == 2, "one load served them all");
    return mtc_cache_close(&cache) != MTC_OK;
}
