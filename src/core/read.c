/*
 * The public reads of one key: memory first, the rest through an ask.
 *
 * A hit in the front tiers prepares nothing: no ask, no flight, no lock.
 */
#include "base/hash.h"
#include "core/background.h"
#include "core/find.h"
#include "core/load.h"

/* The first tier had no plain hit but *status: perhaps it will do, or another
 * of the tiers that answer at once has one. */
static __attribute__((noinline)) bool find_further(mtc_cache *cache,
                                                   mtc_slice key, uint64_t hash,
                                                   mtc_status *status,
                                                   mtc_value *value)
{
    int64_t now_ms = mtci_clock_soon_ms(&cache->clock);
    if (*status == MTC_MISS)
        *value = (mtc_value){0};
    for (unsigned i = 0; i < cache->front_count; i++) {
        const mtci_lane *lane = &cache->lanes[i];
        if (i > 0)
            *status = lane->ops->find(lane->tier, key, hash, now_ms, value);
        if (*status == MTC_OK || *status == MTC_ABSENT) {
            if (*status == MTC_ABSENT)
                mtc_value_free(value);
            mtci_count_request(&cache->counters, *status, (int)i);
            return true;
        }
        mtc_value_free(value);
    }
    return false;
}

/* Beyond memory: lead or follow the key's flight. Ends the visit, before a
 * loader that may never return. */
static mtc_status ask_below(mtci_ask *ask, mtci_pins *pins, mtc_value *value)
{
    ask->party.can_look = true;
    bool is_in = mtci_ask_enter(ask);
    mtci_cache_part(ask->cache, pins);
    if (!is_in)
        return mtci_ask_finish(ask, value);
    if (mtci_ask_leads(ask)) {
        mtci_ask_lead(ask);
    } else {
        mtci_count(&ask->cache->counters, MTCI_COUNT_FOLLOWERS);
        mtci_ask_follow(ask);
    }
    return mtci_ask_finish(ask, value);
}

/* Whether nothing below the front tiers could have the key: no other tier,
 * and no load of it under way. */
static bool is_nowhere(mtc_cache *cache, mtc_slice key, uint64_t hash)
{
    if (cache->front_count < cache->lane_count)
        return false;
    mtci_slot *slot = mtci_slot_of(&cache->slots, hash);
    pthread_mutex_lock(&slot->mutex);
    bool is_open = mtci_flight_is_open_locked(slot, key, hash);
    pthread_mutex_unlock(&slot->mutex);
    return !is_open;
}

/* The first tier has no plain hit. Ends the visit. */
static __attribute__((noinline)) mtc_status
get_further(mtc_cache *cache, mtc_slice key, uint64_t hash, mtc_status status,
            mtc_value *value)
{
    mtci_ask ask;
    mtci_pins *pins = mtci_self.pins;
    if (find_further(cache, key, hash, &status, value)) {
        mtci_pins_part(pins);
        return status;
    }
    if (is_nowhere(cache, key, hash)) {
        mtci_count(&cache->counters, MTCI_COUNT_MISSES);
        mtci_pins_part(pins);
        return MTC_MISS;
    }
    status = mtci_ask_init(&ask, cache, NULL);
    if (status != MTC_OK) {
        mtci_pins_part(pins);
        return status;
    }
    ask.key = key;
    ask.hash = hash;
    return ask_below(&ask, pins, value);
}

/* A call with something amiss, or the first one of a thread. */
static __attribute__((noinline)) mtc_status
get_unusually(mtc_cache *cache, mtc_slice key, mtc_value *value)
{
    mtc_call none = MTC_CALL_INIT;
    return mtc_cache_get_with(cache, key, &none, value);
}

mtc_status mtc_cache_get(mtc_cache *cache, mtc_slice key, mtc_value *value)
{
    if (!value || !mtci_visit_plain(cache, key))
        return get_unusually(cache, key, value);
    uint64_t hash = mtci_hash(key, cache->seed);
    mtc_status status = mtci_find_first(cache, key, hash, value);
    if (__builtin_expect(status != MTC_OK, 0))
        return get_further(cache, key, hash, status, value);
    return mtci_find_counted(cache);
}

mtc_status mtc_cache_read(mtc_cache *cache, mtc_slice key, void *buffer,
                          size_t buffer_size, size_t *size)
{
    mtc_value value;
    if (!size || (!buffer && buffer_size > 0))
        return MTC_E_INVALID;
    *size = 0;
    mtc_status status = mtc_cache_get(cache, key, &value);
    if (status != MTC_OK)
        return status;
    *size = value.size;
    if (value.size > buffer_size)
        status = MTC_E_TOO_LARGE;
    else if (value.size > 0) /* and so there is a buffer */
        /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker) */
        memcpy(buffer, value.data, value.size);
    mtc_value_free(&value);
    return status;
}

/* -- with options ------------------------------------------------------- */

/* A stale copy is at hand, and nobody waits for better: the strategy has it
 * loaded behind its callers, or the load failed lately. */
static bool find_stale(mtci_ask *ask)
{
    mtc_cache *cache = ask->cache;
    bool waits = ask->strategy->soft_ms != 0;
    if (waits && !mtci_load_is_throttled(cache, ask->key, ask->hash))
        return false;
    if (!mtci_chain_find(cache, ask->key, ask->hash,
                         ask->flags | MTC_CALL_ACCEPT_STALE, &ask->result))
        return false;
    if (!waits)
        mtci_background_refresh(ask);
    return true;
}

bool mtci_ask_find(mtci_ask *ask)
{
    if (!mtci_chain_find(ask->cache, ask->key, ask->hash, ask->flags,
                         &ask->result))
        return ask->loader && find_stale(ask);
    if (ask->loader && ask->result.status == MTC_OK &&
        mtci_background_is_due(ask, &ask->result.value))
        mtci_background_refresh(ask);
    return true;
}

/* Any call for one key; loader NULL: a plain get. */
static mtc_status get_or_load(mtc_cache *cache, mtc_slice key,
                              const mtc_call *call, mtc_loader loader,
                              void *ctx, mtc_value *value)
{
    mtci_ask ask;
    *value = (mtc_value){0};
    if (!cache)
        return MTC_E_INVALID;
    mtci_pins *pins = mtci_cache_visit(cache);
    mtc_status status = mtci_ask_init(&ask, cache, call);
    if (status == MTC_OK)
        status = mtci_ask_key(&ask, key);
    if (status == MTC_OK) {
        ask.loader = loader;
        ask.ctx = ctx;
        if (!mtci_ask_find(&ask))
            return ask_below(&ask, pins, value);
        status = ask.result.status;
        mtci_count_request(&cache->counters, status, ask.result.outcome);
        *value = ask.result.value;
    }
    mtci_cache_part(cache, pins);
    return status;
}

mtc_status mtc_cache_get_with(mtc_cache *cache, mtc_slice key,
                              const mtc_call *call, mtc_value *value)
{
    if (!call)
        return mtc_cache_get(cache, key, value);
    if (!value)
        return MTC_E_INVALID;
    return get_or_load(cache, key, call, NULL, NULL, value);
}

mtc_status mtc_cache_get_or_load_with(mtc_cache *cache, mtc_slice key,
                                      const mtc_call *call, mtc_loader loader,
                                      void *ctx, mtc_value *value)
{
    if (!value)
        return MTC_E_INVALID;
    *value = (mtc_value){0};
    if (!loader)
        return MTC_E_INVALID;
    return get_or_load(cache, key, call, loader, ctx, value);
}

/* Where a value comes from, and how it is kept. */
typedef struct source {
    const mtc_strategy *strategy;
    mtc_loader loader;
    void *ctx;
} source;

/* Perhaps a hit is to be loaded anew, behind its caller. */
static __attribute__((noinline)) void refresh_hit(mtc_cache *cache,
                                                  mtc_slice key, uint64_t hash,
                                                  source source,
                                                  const mtc_value *value)
{
    mtci_ask ask = {.cache = cache,
                    .key = key,
                    .hash = hash,
                    .strategy = source.strategy,
                    .loader = source.loader,
                    .ctx = source.ctx};
    if (mtci_background_is_due(&ask, value))
        mtci_background_refresh(&ask);
}

static __attribute__((noinline)) mtc_status
load_below(mtc_cache *cache, mtc_slice key, const mtc_strategy *strategy,
           mtc_loader loader, void *ctx, mtc_value *value)
{
    mtc_call call = MTC_CALL_INIT;
    call.strategy = strategy;
    return mtc_cache_get_or_load_with(cache, key, &call, loader, ctx, value);
}

mtc_status mtc_cache_get_or_load(mtc_cache *cache, mtc_slice key,
                                 const mtc_strategy *strategy,
                                 mtc_loader loader, void *ctx, mtc_value *value)
{
    if (!value || !loader || !mtci_is_plain(strategy) ||
        !mtci_visit_plain(cache, key))
        return load_below(cache, key, strategy, loader, ctx, value);
    if (!strategy)
        strategy = &cache->strategy;
    uint64_t hash = mtci_hash(key, cache->seed);
    mtc_status status = mtci_find_first(cache, key, hash, value);
    if (__builtin_expect(status == MTC_OK, 1)) {
        if (__builtin_expect(mtci_refreshes(strategy), 0))
            refresh_hit(cache, key, hash, (source){strategy, loader, ctx},
                        value);
        return mtci_find_counted(cache);
    }
    bool is_found = find_further(cache, key, hash, &status, value);
    mtci_pins_part(mtci_self.pins);
    if (is_found)
        return status;
    return load_below(cache, key, strategy, loader, ctx, value);
}
