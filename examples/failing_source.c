/*
 * What callers get while the source fails, and when it has nothing.
 *
 * A value stays behind its ttl as a stale copy. While loads fail, callers get
 * that copy, and the source is asked again only now and then. That a key does
 * not exist is remembered for a while, too.
 */
#include <mtc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Stands for a database. */
typedef struct source {
    mtc_status status;
    const char *value;
    int asked;
} source;

static void expect(bool fact, const char *what)
{
    if (fact)
        return;
    fprintf(stderr, "failing_source: it does not hold that %s\n", what);
    exit(1);
}

static mtc_status load_row(mtc_load *load, void *ctx)
{
    source *source = ctx;
    source->asked++;
    if (source->status != MTC_OK)
        return source->status;
    return mtc_load_set_value(load, mtc_str(source->value));
}

static mtc_status show(mtc_cache *cache, const char *key, source *source)
{
    mtc_value value;
    mtc_strategy strategy = MTC_STRATEGY_INIT(50); /* fresh for 50 ms */
    strategy.stale_ms = 60000;   /* kept a minute more, for bad times */
    strategy.throttle_ms = 5000; /* meanwhile a load every five seconds */
    strategy.absent_ms = 5000;
    mtc_status status = mtc_cache_get_or_load(cache, mtc_str(key), &strategy,
                                              load_row, source, &value);
    printf("%-8s %-12s %.*s\n", key, mtc_status_name(status), (int)value.size,
           value.size > 0 ? (const char *)value.data : "");
    mtc_value_free(&value);
    return status;
}

int main(void)
{
    mtc_cache *cache;
    mtc_error error;
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    source source = {MTC_OK, "in stock", 0};
    options.tiers = "memory";
    if (mtc_cache_open(&options, &error, &cache) != MTC_OK) {
        fprintf(stderr, "%s: %s\n", error.part, error.text);
        return 1;
    }
    expect(show(cache, "item:1", &source) == MTC_OK, "it is loaded");
    usleep(100000); /* past its ttl, and the database goes away */
    source.status = MTC_E_UNAVAILABLE;
    for (int i = 0; i < 3; i++)
        expect(show(cache, "item:1", &source) == MTC_STALE, "it is there");
    expect(source.asked == 2, "the source is left alone for a while");
    expect(show(cache, "item:2", &source) == MTC_E_UNAVAILABLE,
           "what never was there is an error");
    source.status = MTC_MISS; /* it is back, and does not know item:3 */
    for (int i = 0; i < 3; i++)
        expect(show(cache, "item:3", &source) == MTC_ABSENT, "it is absent");
    expect(source.asked == 4, "that is asked once");
    return mtc_cache_close(&cache) != MTC_OK;
}
