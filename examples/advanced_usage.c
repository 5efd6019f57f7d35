/*
 * Promotion between tiers, many keys in one call, work from many threads.
 */
#define _XOPEN_SOURCE 700 /* nftw */
#include <ftw.h>
#include <mtc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static void expect(bool fact, const char *what)
{
    if (fact)
        return;
    fprintf(stderr, "advanced_usage: it does not hold that %s\n", what);
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

/* The tier that answers; -1: none. */
static int tier_of(mtc_cache *cache, const char *key, const mtc_call *call)
{
    mtc_value value;
    mtc_value_info info = MTC_VALUE_INFO_INIT;
    if (mtc_cache_get_with(cache, mtc_str(key), call, &value) != MTC_OK)
        return -1;
    mtc_value_info_get(&value, &info);
    mtc_value_free(&value);
    return info.tier;
}

/* A hit below is copied upwards, for no longer than what is left of it. */
static void promote(mtc_cache *cache)
{
    mtc_call quietly = MTC_CALL_INIT;
    quietly.flags = MTC_CALL_NO_PROMOTE;
    expect(tier_of(cache, "key:0", &quietly) == 1, "the disk has it");
    expect(tier_of(cache, "key:0", NULL) == 1, "it was not copied upwards");
    expect(tier_of(cache, "key:0", NULL) == 0, "now it was");
}

/* One call, one round trip to each tier; every key has its own status. */
static void get_many(mtc_cache *cache)
{
    static const char *const KEYS[] = {"key:1", "no such key", "key:2"};
    mtc_item items[3] = {0};
    for (int i = 0; i < 3; i++)
        items[i].key = mtc_str(KEYS[i]);
    expect(mtc_cache_get_many(cache, items, 3) == MTC_PARTIAL,
           "one of three keys is missing");
    for (int i = 0; i < 3; i++) {
        printf("%s: %s\n", KEYS[i], mtc_status_name(items[i].status));
        mtc_value_free(&items[i].value);
    }
}

/* Threads share a cache without a lock of yours. */
static void *set_keys(void *cache)
{
    for (int i = 0; i < 100; i++) {
        char key[16];
        snprintf(key, sizeof key, "key:%d", i);
        expect(mtc_cache_set(cache, mtc_str(key), mtc_str(key), NULL) == 0,
               "every thread sets its keys");
    }
    return NULL;
}

int main(void)
{
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    mtc_cache *cache;
    pthread_t threads[4];
    char folder[] = "/tmp/mtc-advanced-XXXXXX";
    char tiers[64];
    expect(mkdtemp(folder) != NULL, "there is room in /tmp");
    snprintf(tiers, sizeof tiers, "memory disk:%s", folder);
    options.tiers = tiers;
    expect(mtc_cache_open(&options, NULL, &cache) == 0, "the cache opens");
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, set_keys, cache);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    expect(mtc_cache_close(&cache) == 0, "the cache closes");
    /* Opened again, memory is empty and the disk is warm. */
    expect(mtc_cache_open(&options, NULL, &cache) == 0, "it opens again");
    promote(cache);
    get_many(cache);
    expect(mtc_cache_close(&cache) == 0, "the cache closes");
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}
