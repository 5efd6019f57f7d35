/*
 * Open, set, get, remove, close: the first ten minutes with a cache.
 *
 * With no options a cache takes its set-up from the environment: memory over
 * the Redis of REDIS_URL, else over a disk tier in $XDG_CACHE_HOME/mtc/NAME.
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
    fprintf(stderr, "basic_usage: it does not hold that %s\n", what);
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

/* A value is given back once; until then its bytes stay as they are. */
static void show(mtc_cache *cache, const char *key)
{
    mtc_value value;
    mtc_value_info info = MTC_VALUE_INFO_INIT;
    mtc_status status = mtc_cache_get(cache, mtc_str(key), &value);
    printf("%s: %s", key, mtc_status_name(status));
    if (status == MTC_OK && mtc_value_info_get(&value, &info) == MTC_OK)
        printf(" \"%.*s\", from tier %d, good for %lld ms", (int)value.size,
               (const char *)value.data, (int)info.tier,
               (long long)info.left_ms);
    printf("\n");
    mtc_value_free(&value);
}

static void use(mtc_cache *cache)
{
    mtc_slice alice = mtc_str("user:1");
    mtc_slice odd_key = mtc_bytes("\0\r\n", 3);
    mtc_value value;

    /* A strategy says how long; NULL would be the cache's default. */
    expect(mtc_cache_set(cache, alice, mtc_str("alice"), &MTC_SHORT_TERM) ==
               MTC_OK,
           "a value can be set");
    show(cache, "user:1");

    /* A miss is no error, and an error is never called a miss. */
    show(cache, "user:2");

    /* Keys and values are bytes, any of them, and a value may be empty. */
    expect(mtc_cache_set(cache, odd_key, mtc_str(""), NULL) == MTC_OK,
           "an empty value can be set");
    expect(mtc_cache_get(cache, odd_key, &value) == MTC_OK && value.size == 0,
           "an empty value is a hit");
    mtc_value_free(&value);

    /* After remove returns, no read in this process sees the old value. */
    expect(mtc_cache_remove(cache, alice) == MTC_OK, "a key can be removed");
    expect(mtc_cache_get(cache, alice, &value) == MTC_MISS,
           "what was removed stays away");
}

int main(void)
{
    char folder[] = "/tmp/mtc-basic-XXXXXX";
    mtc_cache *cache;
    mtc_error error;

    /* Keeps this lesson out of your own caches; leave it out in a program. */
    expect(mkdtemp(folder) != NULL, "there is room in /tmp");
    setenv("XDG_CACHE_HOME", folder, 1);
    unsetenv("REDIS_URL");
    unsetenv("MTC_TIERS");

    if (mtc_cache_open(NULL, &error, &cache) != MTC_OK) {
        fprintf(stderr, "%s: %s\n", error.part, error.text);
        return 1;
    }
    use(cache);
    expect(mtc_cache_close(&cache) == MTC_OK, "a cache closes");
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}
