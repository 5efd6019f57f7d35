/*
 * Loads that are not run: the key failed lately, there is no turn, the cache
 * closes, the caller has no time. See load.h.
 */
#include "core/failure.h"
#include "core/load.h"

void mtci_load_take_value(mtci_ask *ask)
{
    mtci_flight *flight = ask->flight;
    const void *owner = ask->result.value.owner;
    if (ask->result.value.ops && owner == flight->stale.value.owner)
        flight->stale.value = (mtc_value){0};
    else if (ask->result.value.ops)
        flight->load.value = (mtc_value){0};
    mtc_value_free(&flight->load.value);
}

bool mtci_load_is_throttled(mtc_cache *cache, mtc_slice key, uint64_t hash)
{
    mtci_slot *slot = mtci_slot_of(&cache->slots, hash);
    pthread_mutex_lock(&slot->mutex);
    bool is_noted =
        mtci_failure_find_locked(slot, key, hash, mtci_cache_now_ms(cache));
    pthread_mutex_unlock(&slot->mutex);
    return is_noted;
}

bool mtci_load_is_held_back(mtci_ask *ask)
{
    mtci_flight *flight = ask->flight;
    int64_t now_ms = mtci_cache_now_ms(ask->cache);
    pthread_mutex_lock(&flight->slot->mutex);
    const mtci_failure *failure =
        mtci_failure_find_locked(flight->slot, mtci_flight_key(flight),
                                 flight->hash, now_ms);
    bool is_held =
        failure && (mtci_flight_has_stale(flight) || failure->status < 0);
    if (is_held) {
        ask->result = mtci_flight_fall_back(flight, failure->status);
        mtci_flight_finish_locked(flight, &ask->result);
    }
    pthread_mutex_unlock(&flight->slot->mutex);
    if (!is_held)
        return false;
    mtci_flight_wake(flight);
    mtci_load_take_value(ask);
    return true;
}

void mtci_load_refuse(mtci_ask *ask, mtc_status why)
{
    mtci_flight *flight = ask->flight;
    pthread_mutex_lock(&flight->slot->mutex);
    ask->result = why == MTC_E_CLOSED
                      ? (mtci_result){why, MTCI_OUTCOME_ERROR, {0}}
                      : mtci_flight_fall_back(flight, why);
    mtci_flight_finish_locked(flight, &ask->result);
    pthread_mutex_unlock(&flight->slot->mutex);
    mtci_flight_wake(flight);
    mtci_load_take_value(ask);
}

void mtci_load_leave_untried(mtci_ask *ask)
{
    mtci_flight *flight = ask->flight;
    mtci_result gone = {MTC_E_CANCELLED, MTCI_OUTCOME_ERROR, {0}};
    ask->result = (mtci_result){MTC_E_TIMEOUT, MTCI_OUTCOME_ERROR, {0}};
    pthread_mutex_lock(&flight->slot->mutex);
    flight->has_looked = true;
    mtci_flight_pass_locked(flight, NULL, &gone);
    pthread_mutex_unlock(&flight->slot->mutex);
    mtci_flight_wake(flight);
}
