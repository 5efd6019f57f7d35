/*
 * Loads behind their callers; see background.h.
 */
#include "core/background.h"

#include <stdlib.h>

#include "core/load.h"

typedef struct background {
    mtci_turn turn;
    mtci_errand errand;
    mtci_ask ask;
} background;

/* -- on the loader thread ------------------------------------------------- */

static void end(background *back)
{
    mtc_cache *cache = back->ask.cache;
    if (back->ask.has_turn)
        mtci_loads_give(cache->loads);
    mtc_value_free(&back->ask.result.value);
    mtci_flight_release(back->ask.flight);
    free(back);
    mtci_cache_leave(cache);
}

/* The loader ended the thread, and the flight was handed on. */
static void vanish(background **back)
{
    free(*back);
}

static void run(mtci_errand *errand)
{
    background *self =
        (background *)((char *)errand - offsetof(background, errand));
    /* Read by the cleanup.
     * NOLINTNEXTLINE(clang-analyzer-deadcode.DeadStores) */
    __attribute__((cleanup(vanish))) background *guard = self;
    mtci_ask_lead(&self->ask);
    guard = NULL;
    end(self);
}

/* -- beginning ------------------------------------------------------------ */

static void granted(mtci_turn *turn, mtc_status status)
{
    background *self = (background *)turn;
    self->ask.has_turn = status == MTC_OK;
    if (status == MTC_OK &&
        mtci_loads_run(self->ask.cache->loads, &self->errand))
        return;
    mtci_load_refuse(&self->ask, status == MTC_OK ? MTC_E_NO_MEMORY : status);
    end(self);
}

static background *background_new(const mtci_ask *ask)
{
    background *self = calloc(1, sizeof *self);
    if (!self)
        return NULL;
    self->turn.granted = granted;
    self->errand.run = run;
    self->ask = (mtci_ask){
        .cache = ask->cache,
        .hash = ask->hash,
        .flags = ask->flags,
        .until_ms = MTC_NO_END,
        .soft_at_ms = MTC_NO_END,
        .hard_at_ms = MTC_NO_END,
        .strategy = &self->ask.own,
        .own = *ask->strategy,
        .loader = ask->loader,
        .ctx = ask->ctx,
        .cancel_state = PTHREAD_CANCEL_ENABLE,
        .is_behind = true,
    };
    self->ask.party.has_loader = true;
    self->ask.party.can_look = true;
    return self;
}

/* It leads the flight, which it has a count of. */
static void start(background *self, mtci_flight *flight)
{
    self->ask.flight = flight;
    self->ask.key = mtci_flight_key(flight);
    mtc_cache *cache = self->ask.cache;
    mtci_cache_enter(cache);
    mtc_status status =
        mtci_loads_take(cache->loads, &self->turn, mtci_cache_now_ms(cache));
    if (status != MTC_PENDING)
        granted(&self->turn, status);
}

bool mtci_background_lead(mtci_ask *ask)
{
    mtci_flight *flight = ask->flight;
    background *self = background_new(ask);
    if (!self)
        return false;
    atomic_fetch_add_explicit(&flight->refs, 1, memory_order_relaxed);
    pthread_mutex_lock(&flight->slot->mutex);
    flight->seat = &self->ask.party;
    mtci_flight_follow_locked(flight, &ask->party);
    pthread_mutex_unlock(&flight->slot->mutex);
    start(self, flight);
    return true;
}

bool mtci_background_is_due(const mtci_ask *ask, const mtc_value *value)
{
    const mtc_strategy *strategy = ask->strategy;
    const mtci_lane *lane = &ask->cache->lanes[0];
    mtc_value_info info = MTC_VALUE_INFO_INIT;
    if (!mtci_refreshes(strategy) || !value->ops)
        return false;
    value->ops->info(value, mtci_cache_now_ms(ask->cache), &info);
    mtc_facts facts = {.left_ms = info.left_ms,
                       .ttl_ms = info.ttl_ms,
                       .window_ms = info.window_ms,
                       .load_ms = (int32_t)info.load_ms};
    return mtci_life_is_due(strategy, &facts,
                            mtci_lane_life(lane, strategy->ttl_ms));
}

void mtci_background_refresh(const mtci_ask *ask)
{
    mtc_cache *cache = ask->cache;
    if (mtci_load_is_throttled(cache, ask->key, ask->hash))
        return;
    background *self = background_new(ask);
    if (!self)
        return;
    self->ask.is_refresh = true;
    mtci_flight *flight =
        mtci_flight_open(&cache->slots, ask->key, ask->hash, &self->ask.party);
    if (flight)
        start(self, flight);
    else
        free(self);
}
