/*
 * How long entries live: strategies, and lives of your own.
 *
 * Every call that stores takes a strategy; NULL is the default of the cache.
 */
#include <mtc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void expect(bool fact, const char *what)
{
    if (fact)
        return;
    fprintf(stderr, "cache_strategies: it does not hold that %s\n", what);
    exit(1);
}

/* Milliseconds that the key is still good for; -1 when it is gone. */
static long long left_ms(mtc_cache *cache, const char *key)
{
    mtc_value value;
    mtc_value_info info = MTC_VALUE_INFO_INIT;
    mtc_status status = mtc_cache_get(cache, mtc_str(key), &value);
    if (status == MTC_OK)
        mtc_value_info_get(&value, &info);
    mtc_value_free(&value);
    return status == MTC_OK ? (long long)info.left_ms : -1;
}

static void set(mtc_cache *cache, const char *key, const mtc_strategy *strategy)
{
    expect(mtc_cache_set(cache, mtc_str(key), mtc_str("value"), strategy) ==
               MTC_OK,
           "a value can be set");
    printf("%-10s lives for %lld ms\n", key, left_ms(cache, key));
}

/* A token says itself how long it is good: that beats the strategy. */
static mtc_status load_token(mtc_load *load, void *ctx)
{
    (void)ctx;
    expect(mtc_load_set_ttl(load, 30000) == MTC_OK, "30 seconds is a ttl");
    return mtc_load_set_value(load, mtc_str("token"));
}

static void use(mtc_cache *cache)
{
    static const mtc_strategy A_MOMENT = MTC_STRATEGY_INIT(100);
    static const mtc_strategy NO_TIME = MTC_STRATEGY_INIT(0);
    static const struct timespec LONGER = {0, 150 * 1000000};
    mtc_value value;

    set(cache, "price", &MTC_REAL_TIME);     /* 10 seconds */
    set(cache, "session", &MTC_SHORT_TERM);  /* 5 minutes */
    set(cache, "profile", &MTC_MEDIUM_TERM); /* 1 hour */
    set(cache, "countries", &MTC_LONG_TERM); /* 3 hours */
    set(cache, "default", NULL);             /* as main says: 2 minutes */
    expect(left_ms(cache, "default") <= 120000, "NULL means the default");

    /* Your own, in milliseconds; afterwards the entry is a miss. */
    set(cache, "moment", &A_MOMENT);
    nanosleep(&LONGER, NULL);
    expect(left_ms(cache, "moment") < 0, "an entry ends with its life");

    /* No life at all is a mistake, and not "for ever" by accident. */
    expect(mtc_cache_set(cache, mtc_str("k"), mtc_str("v"), &NO_TIME) ==
               MTC_E_INVALID,
           "a ttl of zero is refused");

    /* A loader may know better than the strategy. */
    expect(mtc_cache_get_or_load(cache, mtc_str("token"), &MTC_LONG_TERM,
                                 load_token, NULL, &value) == MTC_OK,
           "the token loads");
    mtc_value_free(&value);
    expect(left_ms(cache, "token") <= 30000, "the loader's ttl counts");
}

int main(void)
{
    static const mtc_strategy TWO_MINUTES = MTC_STRATEGY_INIT(120000);
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    mtc_cache *cache;
    options.tiers = "memory";
    options.strategy = &TWO_MINUTES;
    expect(mtc_cache_open(&options, NULL, &cache) == MTC_OK, "the cache opens");
    use(cache);
    return mtc_cache_close(&cache) != MTC_OK;
}
