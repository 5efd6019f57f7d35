/*
 * Three tiers: memory, disk, and a Redis if REDIS_URL names one.
 *
 * A read asks them in order; what a lower one has is copied into those above
 * it, for no longer than it has left. Parameters of a tier stand in its URL.
 */
#define _XOPEN_SOURCE 700 /* nftw */
#include <ftw.h>
#include <mtc.h>
#include <stdio.h>
#include <stdlib.h>

static void expect(bool fact, const char *what)
{
    if (fact)
        return;
    fprintf(stderr, "multi_tier: it does not hold that %s\n", what);
    exit(1);
}

static int remove_one(const char *path, const struct stat *facts, int kind,
                      struct FTW *place)
{
    (void)facts;
    (void)kind;
    (void)place;
    return remove(path);
}

static mtc_cache *open_cache(const char *tiers)
{
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    mtc_cache *cache;
    mtc_error error;
    options.tiers = tiers;
    mtc_status status = mtc_cache_open(&options, &error, &cache);
    if (status != MTC_OK)
        fprintf(stderr, "%s: %s\n", error.part, error.text);
    expect(status == MTC_OK, "the cache opens");
    return cache;
}

/* The index of the tier that answers; -1: none. */
static int tier_of(mtc_cache *cache, const char *key)
{
    mtc_value value;
    mtc_value_info info = MTC_VALUE_INFO_INIT;
    mtc_status status = mtc_cache_get(cache, mtc_str(key), &value);
    info.tier = -1;
    if (status == MTC_OK)
        mtc_value_info_get(&value, &info);
    mtc_value_free(&value);
    printf("%s: %s, tier %d\n", key, mtc_status_name(status), (int)info.tier);
    return info.tier;
}

int main(void)
{
    char folder[] = "/tmp/mtc-tiers-XXXXXX";
    char tiers[1024];
    const char *redis = getenv("REDIS_URL");
    mtc_strategy minute = MTC_STRATEGY_INIT(60000);
    expect(mkdtemp(folder) != NULL, "there is room in /tmp");
    snprintf(tiers, sizeof tiers,
             "memory?size=8MiB&ttl_max=30s disk:%s?size=64MiB %s", folder,
             redis != NULL ? redis : "noop:");

    mtc_cache *cache = open_cache(tiers);
    expect(mtc_cache_set(cache, mtc_str("mtc:example"), mtc_str("here"),
                         &minute) == MTC_OK,
           "every tier takes the value");
    expect(tier_of(cache, "mtc:example") == 0, "memory answers first");
    expect(mtc_cache_close(&cache) == MTC_OK, "a cache closes");

    /* Memory is gone with its cache, the disk is not. */
    cache = open_cache(tiers);
    expect(tier_of(cache, "mtc:example") == 1, "the disk still has it");
    expect(tier_of(cache, "mtc:example") == 0, "it was promoted");
    expect(mtc_cache_close(&cache) == MTC_OK, "a cache closes");

    /* Without the disk, Redis is the second tier, if there is one. */
    snprintf(tiers, sizeof tiers, "memory %s", redis ? redis : "noop:");
    cache = open_cache(tiers);
    expect(tier_of(cache, "mtc:example") == (redis ? 1 : -1),
           "a shared tier has it, and no other");
    expect(mtc_cache_remove(cache, mtc_str("mtc:example")) == MTC_OK,
           "every tier forgets it");
    expect(tier_of(cache, "mtc:example") == -1, "it is nowhere");
    expect(mtc_cache_close(&cache) == MTC_OK, "a cache closes");
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}
