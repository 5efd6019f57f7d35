/*
 * The public bulk reads, with a bulk loader or without. See many.h.
 */
#include <stdlib.h>

#include "base/hash.h"
#include "core/background.h"
#include "core/bulk.h"
#include "core/load.h"
#include "core/many.h"

/* Keys that memory fetches at the same time. */
#define FIND_CHUNK 16u

/* -- reading ------------------------------------------------------------ */

/* Keys that memory did not have, and whose they are. */
typedef struct below {
    mtci_ask *asks;
    mtci_look *looks;
    size_t *items;    /* index of the item of each ask */
    mtci_ask **loads; /* those that lead and found nothing */
    size_t load_count;
    size_t count;
    size_t look_count;
} below;

static bool below_init(below *rest, size_t count)
{
    *rest = (below){.asks = calloc(count, sizeof(*rest->asks)),
                    .looks = calloc(count, sizeof(*rest->looks)),
                    .items = calloc(count, sizeof(*rest->items)),
                    .loads = calloc(count, sizeof(*rest->loads))};
    return rest->asks && rest->looks && rest->items && rest->loads;
}

static void below_fini(below *rest)
{
    free(rest->asks);
    free(rest->looks);
    free(rest->items);
    free(rest->loads);
}

/* What the first tier has no plain hit for. */
static void find_item(const mtci_ask *first, mtc_item *item, uint64_t hash)
{
    mtc_cache *cache = first->cache;
    mtci_result result = {0};
    if (!mtci_chain_find(cache, item->key, hash, first->flags, &result))
        return;
    mtci_count_request(&cache->counters, result.status, result.outcome);
    item->status = result.status;
    item->value = result.value;
}

/* Looks up keys that were hashed; tells how many memory does not have. */
static size_t find_hashed(const mtci_ask *first, mtc_item *items,
                          const uint64_t *hashes, size_t count)
{
    mtc_cache *cache = first->cache;
    int64_t now_ms = mtci_clock_soon_ms(&cache->clock);
    uint64_t hits = 0;
    size_t missing = 0;
    for (size_t i = 0; i < count; i++) {
        mtc_item *item = &items[i];
        if (item->status != MTC_OK)
            continue;
        mtc_status status = MTC_MISS;
        if (first->flags == 0)
            status = cache->find(cache->first, item->key, hashes[i], now_ms,
                                 &item->value);
        if (__builtin_expect(status == MTC_OK, 1)) {
            hits++;
            continue;
        }
        if (status != MTC_MISS)
            mtc_value_free(&item->value);
        item->value = (mtc_value){0};
        item->status = MTCI_MANY_NOT_YET;
        if (status != MTC_MISS || first->flags != 0 || cache->front_count > 1)
            find_item(first, item, hashes[i]);
        missing += item->status == MTCI_MANY_NOT_YET;
    }
    mtci_count_for(&cache->counters, mtci_self.pins, MTCI_COUNT_HITS, hits);
    return missing;
}

/* Looks a few items up in memory, all of them being fetched at the same time;
 * tells how many it does not have. */
static size_t find_some(const mtci_ask *first, mtc_item *items, size_t count)
{
    uint64_t hashes[FIND_CHUNK];
    for (size_t i = 0; i < count; i++) {
        items[i].status = mtci_key_status(items[i].key);
        hashes[i] = 0;
        if (items[i].status == MTC_OK)
            hashes[i] = mtci_hash(items[i].key, first->cache->seed);
    }
    mtci_chain_expect(first->cache, hashes, count);
    return find_hashed(first, items, hashes, count);
}

/* An ask for each item that memory did not have. */
static void gather(const mtci_ask *first, mtc_item *items, size_t count,
                   below *rest)
{
    for (size_t i = 0; i < count; i++) {
        if (items[i].status != MTCI_MANY_NOT_YET)
            continue;
        mtci_ask ask = *first;
        mtci_ask_key(&ask, items[i].key);
        rest->items[rest->count] = i;
        rest->asks[rest->count++] = ask;
    }
}

/* At once, while the tier works on the rest. */
static void end_found(mtci_look *look)
{
    mtci_ask_looked(look->ctx, look);
}

/* Joins or opens the flight of each key that is left. */
static void enter_all(below *rest)
{
    for (size_t i = 0; i < rest->count; i++) {
        mtci_ask *ask = &rest->asks[i];
        if (!mtci_ask_enter(ask))
            continue;
        if (mtci_ask_leads(ask))
            rest->looks[rest->look_count++] =
                (mtci_look){.flight = ask->flight,
                            .flags = ask->flags,
                            .soft_at_ms = ask->soft_at_ms,
                            .hard_at_ms = ask->hard_at_ms,
                            .lease_ms = mtci_ask_lease_ms(ask),
                            .found = end_found,
                            .ctx = ask};
    }
}

static void lead_all(mtc_cache *cache, below *rest)
{
    if (rest->look_count == 0)
        return;
    mtci_chain_look(cache, rest->looks, rest->look_count,
                    rest->asks[0].until_ms);
    for (size_t i = 0; i < rest->look_count; i++) {
        mtci_ask *ask = rest->looks[i].ctx;
        if (!rest->looks[i].is_found && !mtci_ask_looked(ask, &rest->looks[i]))
            rest->loads[rest->load_count++] = ask;
    }
    mtci_chain_kick(cache);
}

/* What no tier has is loaded in one call. Without memory for that, one by
 * one. */
static void load_all(below *rest)
{
    if (rest->load_count == 0 || mtci_bulk_load(rest->loads, rest->load_count,
                                                rest->asks[0].cancel_state))
        return;
    for (size_t i = 0; i < rest->load_count; i++) {
        mtci_flight *flight = rest->loads[i]->flight;
        pthread_mutex_lock(&flight->slot->mutex);
        flight->has_looked = true;
        pthread_mutex_unlock(&flight->slot->mutex);
        mtci_ask_lead(rest->loads[i]);
    }
}

/* Only now: a key that occurs twice follows this very call. */
static void follow_all(mtc_cache *cache, below *rest, mtc_item *items)
{
    for (size_t i = 0; i < rest->count; i++) {
        mtci_ask *ask = &rest->asks[i];
        if (!ask->flight || (mtci_ask_leads(ask) && !ask->has_passed_on))
            continue;
        if (!mtci_ask_leads(ask))
            mtci_count(&cache->counters, MTCI_COUNT_FOLLOWERS);
        mtci_ask_follow(ask);
    }
    for (size_t i = rest->count; i-- > 0;) {
        mtc_item *item = &items[rest->items[i]];
        item->status = mtci_ask_finish(&rest->asks[i], &item->value);
    }
}

/* A bulk loader has ended the thread of the call, whose count goes as well. */
static void vanish(below **variable)
{
    below *rest = *variable;
    mtc_value value;
    if (!rest)
        return;
    mtc_cache *cache = rest->asks[0].cache;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    for (size_t i = rest->count; i-- > 0;) {
        if (rest->asks[i].flight)
            mtci_ask_abandon(&rest->asks[i]);
        mtci_ask_finish(&rest->asks[i], &value);
    }
    below_fini(rest);
    mtci_cache_leave(cache);
}

static void load_or_vanish(below *rest)
{
    __attribute__((cleanup(vanish))) below *guard = rest;
    load_all(rest);
    guard = NULL;
}

/* Asks the other tiers for what memory did not have. */
static mtc_status get_below(const mtci_ask *first, mtc_item *items,
                            size_t count, size_t missing)
{
    below rest;
    if (!below_init(&rest, missing)) {
        below_fini(&rest);
        return MTC_E_NO_MEMORY;
    }
    gather(first, items, count, &rest);
    enter_all(&rest);
    lead_all(first->cache, &rest);
    load_or_vanish(&rest);
    follow_all(first->cache, &rest, items);
    below_fini(&rest);
    return MTC_OK;
}

/* -- loading what is there anew ------------------------------------------ */

/* A stale copy that the strategy lets callers have at once. */
static bool take_stale(const mtci_ask *ask, mtc_item *item)
{
    mtci_result result = {0};
    if (item->status != MTCI_MANY_NOT_YET || ask->strategy->soft_ms != 0 ||
        !mtci_chain_find(ask->cache, ask->key, ask->hash,
                         ask->flags | MTC_CALL_ACCEPT_STALE, &result))
        return false;
    mtci_count_request(&ask->cache->counters, result.status, result.outcome);
    item->status = result.status;
    item->value = result.value;
    return true;
}

/* Entries that are due, or past their soft end where nobody waits for better,
 * are loaded in one call behind this one. How many were taken so. */
static size_t refresh(const mtci_ask *first, mtc_item *items, size_t count)
{
    size_t taken = 0;
    size_t due = 0;
    if (!first->loader ||
        (first->strategy->soft_ms != 0 && !mtci_refreshes(first->strategy)))
        return 0;
    mtci_ask *asks = calloc(count, sizeof(*asks));
    for (size_t i = 0; asks && i < count; i++) {
        mtci_ask ask = *first;
        if (mtci_ask_key(&ask, items[i].key) != MTC_OK)
            continue;
        bool is_stale = take_stale(&ask, &items[i]);
        taken += is_stale;
        if (is_stale || (items[i].status == MTC_OK &&
                         mtci_background_is_due(&ask, &items[i].value)))
            asks[due++] = ask;
    }
    if (due > 0)
        mtci_bulk_refresh(asks, due);
    free(asks);
    return taken;
}

size_t mtci_many_find(const mtci_ask *first, mtc_item *items, size_t count)
{
    size_t missing = 0;
    for (size_t at = 0; at < count; at += FIND_CHUNK) {
        size_t size = count - at < FIND_CHUNK ? count - at : FIND_CHUNK;
        missing += find_some(first, items + at, size);
    }
    return missing - refresh(first, items, count);
}

static mtc_status get_window(const mtci_ask *first, mtc_item *items,
                             size_t count, mtci_pins **pins)
{
    size_t missing = mtci_many_find(first, items, count);
    if (missing == 0)
        return MTC_OK;
    mtci_cache_stay(first->cache, pins);
    mtc_status status = get_below(first, items, count, missing);
    if (status == MTC_OK)
        return MTC_OK;
    for (size_t i = 0; i < count; i++) {
        if (items[i].status != MTCI_MANY_NOT_YET)
            continue;
        items[i].status = status;
        mtci_count(&first->cache->counters, MTCI_COUNT_ERRORS);
    }
    return missing == count ? status : MTC_OK;
}

static mtc_status get_all(const mtci_ask *first, mtc_item *items, size_t count,
                          mtci_pins **pins)
{
    for (size_t i = 0; i < count; i++)
        items[i].value = (mtc_value){0};
    for (size_t at = 0; at < count; at += MTCI_MANY_WINDOW) {
        size_t size =
            count - at < MTCI_MANY_WINDOW ? count - at : MTCI_MANY_WINDOW;
        mtc_status status = get_window(first, items + at, size, pins);
        if (at == 0 && status != MTC_OK)
            return status; /* nothing was got */
    }
    return mtci_many_status(items, count);
}

/* Loads with source, if it has a loader. */
static mtc_status get_or_load(mtc_cache *cache, mtc_item *items, size_t count,
                              const mtc_call *call, mtci_bulk_source *source)
{
    mtci_ask first;
    if (!cache || (!items && count > 0))
        return MTC_E_INVALID;
    mtci_pins *pins = mtci_cache_visit(cache);
    mtc_status status = mtci_ask_init(&first, cache, call);
    if (status == MTC_OK && source->loader) {
        first.loader = mtci_bulk_load_one;
        first.ctx = source;
        first.is_bulk = true;
    }
    if (status == MTC_OK)
        status = get_all(&first, items, count, &pins);
    mtci_cache_part(cache, pins);
    return status;
}

mtc_status mtc_cache_get_many_with(mtc_cache *cache, mtc_item *items,
                                   size_t count, const mtc_call *call)
{
    mtci_bulk_source none = {NULL, NULL};
    return get_or_load(cache, items, count, call, &none);
}

mtc_status mtc_cache_get_or_load_many_with(mtc_cache *cache, mtc_item *items,
                                           size_t count, const mtc_call *call,
                                           mtc_bulk_loader loader, void *ctx)
{
    mtci_bulk_source source = {loader, ctx};
    return loader ? get_or_load(cache, items, count, call, &source)
                  : MTC_E_INVALID;
}

mtc_status mtc_cache_get_or_load_many(mtc_cache *cache, mtc_item *items,
                                      size_t count,
                                      const mtc_strategy *strategy,
                                      mtc_bulk_loader loader, void *ctx)
{
    mtc_call call = MTC_CALL_INIT;
    call.strategy = strategy;
    return mtc_cache_get_or_load_many_with(cache, items, count, &call, loader,
                                           ctx);
}

mtc_status mtc_cache_get_many(mtc_cache *cache, mtc_item *items, size_t count)
{
    return mtc_cache_get_many_with(cache, items, count, NULL);
}
