/*
 * The cache fixture and its scripted tier; see cache_fixture.h.
 */
#include "support/cache_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "core/cache.h"

static int64_t clock_now_ms(void *ctx)
{
    mtct_clock *clock = ctx;
    return atomic_load(&clock->now_ms);
}

mtci_clock mtct_clock_of(mtct_clock *clock)
{
    return (mtci_clock){clock_now_ms, clock, false};
}

/* -- the scripted tier -------------------------------------------------- */

static size_t find_locked(const mtct_script *script, mtc_slice key)
{
    size_t i = 0;
    while (i < script->count &&
           (script->entries[i].key_size != key.size ||
            memcmp(script->entries[i].key, key.data, key.size) != 0))
        i++;
    return i;
}

static mtc_status read_locked(mtct_script *script, mtc_request *request)
{
    size_t i = find_locked(script, request->key);
    if (i == script->count || !script->entries[i].value.ops)
        return MTC_MISS;
    int64_t gone_ms = request->sent_ms - script->entries[i].sent_ms;
    request->facts = script->entries[i].facts;
    request->facts.left_ms -= gone_ms;
    if (request->facts.left_ms <= 0)
        return MTC_MISS;
    return mtc_value_copy(mtc_value_slice(&script->entries[i].value),
                          &request->value);
}

/* Value and etag in one block, as a tier hands them out. */
static mtc_status keep_with_etag(const mtc_request *request, mtc_value *value,
                                 mtc_facts *facts)
{
    void *room;
    mtc_slice etag = request->facts.etag;
    size_t size = request->value.size;
    mtc_status status = mtc_value_new(size + etag.size, &room, value);
    if (status != MTC_OK)
        return status;
    memcpy(room, request->value.data, size);
    memcpy((char *)room + size, etag.data, etag.size);
    value->size = size;
    facts->etag = mtc_bytes((char *)room + size, etag.size);
    return MTC_OK;
}

static mtc_status write_locked(mtct_script *script, mtc_verb verb,
                               mtc_request *request)
{
    size_t i = find_locked(script, request->key);
    if (i == script->count) {
        if (verb != MTC_VERB_STORE)
            return MTC_OK;
        assert_true(i < MTCT_SCRIPT_KEYS &&
                    request->key.size <= sizeof(script->entries[i].key));
        memcpy(script->entries[i].key, request->key.data, request->key.size);
        script->entries[i].key_size = request->key.size;
        script->count++;
    }
    mtc_value_free(&script->entries[i].value);
    if (verb != MTC_VERB_STORE)
        return MTC_OK;
    script->entries[i].facts = request->facts;
    script->entries[i].sent_ms = request->sent_ms;
    if (request->facts.etag.size > 0)
        return keep_with_etag(request, &script->entries[i].value,
                              &script->entries[i].facts);
    return mtc_value_share(&request->value, &script->entries[i].value);
}

/* A read is counted before the hook, which may hold it; a write once it is
 * there, for who waits for the count and then looks. */
static void carry_out(mtct_script *script, mtc_verb verb, mtc_request *request)
{
    _Atomic uint64_t *counts[] = {&script->reads, &script->stores,
                                  &script->removes, &script->removes};
    mtc_status status = MTC_OK;
    if (verb == MTC_VERB_READ)
        atomic_fetch_add(counts[verb], 1);
    if (script->hook)
        status = script->hook(script, verb, request);
    if (status == MTC_OK) {
        pthread_mutex_lock(&script->mutex);
        status = verb == MTC_VERB_READ ? read_locked(script, request)
                                       : write_locked(script, verb, request);
        pthread_mutex_unlock(&script->mutex);
    }
    if (verb != MTC_VERB_READ)
        atomic_fetch_add(counts[verb], 1);
    mtc_request_complete(request, status, status < 0 ? "scripted" : NULL);
}

static void script_submit(mtc_tier *tier, mtc_verb verb,
                          mtc_request *const *requests, size_t count)
{
    for (size_t i = 0; i < count; i++)
        carry_out((mtct_script *)tier, verb, requests[i]);
}

static void script_close(mtc_tier *tier)
{
    mtct_script *script = (mtct_script *)tier;
    for (size_t i = 0; i < script->count; i++)
        mtc_value_free(&script->entries[i].value);
    pthread_mutex_destroy(&script->mutex);
    if (script->closes)
        atomic_fetch_add(script->closes, 1);
    free(script);
}

static const mtc_tier_ops script_ops = {
    .struct_size = sizeof(mtc_tier_ops),
    .abilities = MTC_TIER_BLOCKS | MTC_TIER_TELLS_LEFT | MTC_TIER_KEEPS_FACTS,
    .scheme = "script",
    .key_size_max = 64,
    .life_ms_max = MTC_TTL_MS_MAX,
    .life_step_ms = 1,
    .submit = script_submit,
    .close = script_close,
};

mtct_script *mtct_script_new(void)
{
    mtct_script *script = calloc(1, sizeof(*script));
    assert_non_null(script);
    script->tier.ops = &script_ops;
    pthread_mutex_init(&script->mutex, NULL);
    return script;
}

bool mtct_script_holds(mtct_script *script, const char *key, const char *value)
{
    pthread_mutex_lock(&script->mutex);
    size_t i = find_locked(script, mtc_str(key));
    const mtc_value *held =
        i < script->count ? &script->entries[i].value : NULL;
    bool holds = held && held->ops;
    if (holds && value)
        holds = held->size == strlen(value) &&
                memcmp(held->data, value, held->size) == 0;
    else
        holds = holds == (value != NULL);
    pthread_mutex_unlock(&script->mutex);
    return holds;
}

void mtct_script_put(mtct_script *script, const char *key, const char *value,
                     int64_t left_ms)
{
    mtc_facts facts = {.left_ms = left_ms};
    mtct_script_put_facts(script, key, value, &facts, 0);
}

void mtct_script_put_facts(mtct_script *script, const char *key,
                           const char *value, const mtc_facts *facts,
                           int64_t sent_ms)
{
    mtc_request request = {.key = mtc_str(key),
                           .value = mtc_value_borrow(mtc_str(value)),
                           .facts = *facts,
                           .sent_ms = sent_ms};
    pthread_mutex_lock(&script->mutex);
    assert_int_equal(write_locked(script, MTC_VERB_STORE, &request), MTC_OK);
    pthread_mutex_unlock(&script->mutex);
}

/* -- the cache ---------------------------------------------------------- */

void mtct_cache_init(mtct_cache *fixture)
{
    mtc_tier_config tiers[2] = {MTC_TIER_CONFIG_INIT, MTC_TIER_CONFIG_INIT};
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    mtc_error error;
    atomic_init(&fixture->clock.now_ms, 1000000);
    fixture->below = mtct_script_new();
    assert_int_equal(mtc_tier_open("memory?size=4MiB", NULL, &tiers[0]),
                     MTC_OK);
    tiers[1].tier = &fixture->below->tier;
    tiers[1].deadline_ms = 5000;
    options.tier_configs = tiers;
    options.tier_count = 2;
    options.log_level = 5;
    mtc_status status =
        mtci_cache_open_at(&options, mtct_clock_of(&fixture->clock), &error,
                           &fixture->cache);
    if (status != MTC_OK)
        fail_msg("cannot open: %s", error.text);
}

void mtct_cache_fini(mtct_cache *fixture)
{
    assert_int_equal(mtc_cache_close(&fixture->cache), MTC_OK);
}

void mtct_check_get(mtc_cache *cache, const char *key, const char *value,
                    const char *file, int line)
{
    mtc_value got;
    mtc_status status = mtc_cache_get(cache, mtc_str(key), &got);
    _assert_int_equal((LargestIntegralType)status,
                      (LargestIntegralType)(value ? MTC_OK : MTC_MISS), file,
                      line);
    if (value) {
        _assert_int_equal(got.size, strlen(value), file, line);
        _assert_memory_equal(got.data, value, got.size, file, line);
    }
    mtc_value_free(&got);
}

void mtct_wait_for(_Atomic uint64_t *count, uint64_t value)
{
    struct timespec nap = {0, 1000000};
    for (int i = 0; i < 10000; i++) {
        if (atomic_load(count) >= value)
            return;
        nanosleep(&nap, NULL);
    }
    fail_msg("a counter did not reach %llu", (unsigned long long)value);
}
