/*
 * A tier of your own: it holds one entry, and is complete. A tier takes
 * requests and completes each exactly once, this one inside submit.
 * docs/writing-a-tier.md tells of tiers that wait for a server.
 */
#include <mtc.h>
#include <pthread.h>
#include <stdio.h>

typedef struct one_tier {
    mtc_tier tier;         /* first, so that a mtc_tier * is a one_tier * */
    pthread_mutex_t mutex; /* guards the entry below */
    char key[64];
    size_t key_size;
    mtc_value value;
    int64_t end_ms; /* 0: there is no entry */
} one_tier;

static bool has(const one_tier *one, mtc_slice key)
{
    return one->key_size == key.size &&
           memcmp(one->key, key.data, key.size) == 0;
}

static void drop(mtc_tier *tier)
{
    one_tier *one = (one_tier *)tier;
    mtc_value_free(&one->value);
    one->end_ms = 0;
}

/* Lives are lengths that count from sent_ms. */
static mtc_status read(one_tier *one, mtc_request *request)
{
    if (!has(one, request->key) || one->end_ms <= request->sent_ms)
        return MTC_MISS;
    request->facts.left_ms = one->end_ms - request->sent_ms;
    return mtc_value_share(&one->value, &request->value);
}

static mtc_status store(one_tier *one, mtc_request *request)
{
    drop(&one->tier);
    if (mtc_value_share(&request->value, &one->value) != MTC_OK)
        return MTC_PARTIAL; /* not stored, and the old value is gone */
    memcpy(one->key, request->key.data, request->key.size);
    one->key_size = request->key.size;
    one->end_ms = request->sent_ms + request->facts.left_ms;
    return MTC_OK;
}

static void submit(mtc_tier *tier, mtc_verb verb, mtc_request *const *requests,
                   size_t count)
{
    one_tier *one = (one_tier *)tier;
    for (size_t i = 0; i < count; i++) {
        mtc_status status = MTC_OK;
        pthread_mutex_lock(&one->mutex);
        if (verb == MTC_VERB_READ)
            status = read(one, requests[i]);
        else if (verb == MTC_VERB_STORE)
            status = store(one, requests[i]);
        else if (has(one, requests[i]->key)) /* REMOVE, EXPIRE */
            drop(tier);
        pthread_mutex_unlock(&one->mutex);
        mtc_request_complete(requests[i], status, NULL);
    }
}

static const mtc_tier_ops OPS = {.struct_size = sizeof(mtc_tier_ops),
                                 .abilities = MTC_TIER_TELLS_LEFT,
                                 .scheme = "one",
                                 .key_size_max = 64,
                                 .life_ms_max = MTC_TTL_MS_MAX,
                                 .life_step_ms = 1,
                                 .submit = submit,
                                 .close = drop};

int main(void)
{
    one_tier one = {.tier = {&OPS}, .mutex = PTHREAD_MUTEX_INITIALIZER};
    mtc_tier_config config = MTC_TIER_CONFIG_INIT;
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    mtc_cache *cache;
    mtc_value value;
    config.tier = &one.tier;
    options.tier_configs = &config;
    options.tier_count = 1;
    if (mtc_cache_open(&options, NULL, &cache) != MTC_OK)
        return 1;
    mtc_cache_set(cache, mtc_str("first"), mtc_str("1"), NULL);
    mtc_cache_set(cache, mtc_str("second"), mtc_str("2"), NULL);
    mtc_status first = mtc_cache_get(cache, mtc_str("first"), &value);
    mtc_status second = mtc_cache_get(cache, mtc_str("second"), &value);
    printf("%s, %s\n", mtc_status_name(first), mtc_status_name(second));
    mtc_value_free(&value);
    mtc_cache_close(&cache);
    return first != MTC_MISS || second != MTC_OK;
}
