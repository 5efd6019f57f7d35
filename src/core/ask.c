/*
 * Leading and following a flight; see ask.h.
 */
#include "core/ask.h"

#include "base/hash.h"
#include "base/sync.h"
#include "core/background.h"
#include "core/load.h"
#include "core/sized.h"

/* What the struct held in version 0.1. */
#define CALL_SIZE_MIN 24u

static const uint32_t known_flags = MTC_CALL_ACCEPT_STALE |
                                    MTC_CALL_SKIP_MEMORY | MTC_CALL_NO_PROMOTE |
                                    MTC_CALL_AT_ONCE;

mtc_status mtci_ask_init(mtci_ask *ask, mtc_cache *cache, const mtc_call *call)
{
    if (!cache)
        return MTC_E_INVALID;
    *ask = (mtci_ask){.cache = cache,
                      .until_ms = MTC_NO_END,
                      .soft_at_ms = MTC_NO_END,
                      .hard_at_ms = MTC_NO_END,
                      .strategy = &cache->strategy};
    mtc_status status = mtci_cache_gate(cache);
    if (status != MTC_OK || !call)
        return status;
    mtc_call known = MTC_CALL_INIT;
    if (!mtci_sized_copy(&known, sizeof(known), call, CALL_SIZE_MIN) ||
        (known.flags & ~known_flags) || known.deadline_ms < 0)
        return MTC_E_INVALID;
    ask->flags = known.flags & ~MTC_CALL_AT_ONCE;
    if (known.parent)
        ask->edge.parent = known.parent->flight;
    if (known.deadline_ms > 0 && known.deadline_ms < MTC_TTL_MS_MAX)
        ask->until_ms = mtci_cache_now_ms(cache) + known.deadline_ms;
    if (!known.strategy)
        return MTC_OK;
    ask->strategy = &ask->own;
    return mtci_strategy_take(known.strategy, &ask->own);
}

mtc_status mtci_ask_key(mtci_ask *ask, mtc_slice key)
{
    mtc_status status = mtci_key_status(key);
    if (status != MTC_OK)
        return status;
    ask->key = key;
    ask->hash = mtci_hash(key, ask->cache->seed);
    return MTC_OK;
}

static void fail(mtci_ask *ask, mtc_status status)
{
    ask->result = (mtci_result){status, MTCI_OUTCOME_ERROR, {0}};
}

/* From when on the call makes do with less than the end of a load. */
static void bound(mtci_ask *ask)
{
    const mtc_strategy *strategy = ask->strategy;
    if (!ask->loader || !mtci_is_background(strategy))
        return;
    int64_t now_ms = mtci_cache_now_ms(ask->cache);
    if (strategy->soft_ms >= 0)
        ask->soft_at_ms = now_ms + strategy->soft_ms;
    if (strategy->hard_ms > 0)
        ask->hard_at_ms = now_ms + strategy->hard_ms;
}

bool mtci_ask_join(mtci_ask *ask)
{
    bound(ask);
    ask->party.has_loader = ask->loader != NULL;
    ask->flight =
        mtci_flight_enter(&ask->cache->slots, ask->key, ask->hash, &ask->party);
    if (ask->flight) {
        ask->is_circle = !mtci_wait_edge_add(&ask->edge, ask->flight);
        return true;
    }
    fail(ask, MTC_E_NO_MEMORY);
    return false;
}

bool mtci_ask_enter(mtci_ask *ask)
{
    mtci_cache_enter(ask->cache);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &ask->cancel_state);
    return mtci_ask_join(ask);
}

/* -- leading ------------------------------------------------------------ */

/* The look-up found the key: promote, and let the followers have it. */
static void end_found(mtci_ask *ask, const mtci_look *look)
{
    mtci_flight *flight = ask->flight;
    ask->result = look->result;
    if (look->result.outcome > 0)
        flight->weight = mtci_cache_weigh(ask->cache, mtci_flight_key(flight),
                                          mtc_value_slice(&look->result.value));
    pthread_mutex_lock(&flight->slot->mutex);
    if (look->result.status != MTC_STALE && mtci_flight_stores(flight) &&
        look->result.outcome >= (int)ask->cache->front_count &&
        !(ask->flags & MTC_CALL_NO_PROMOTE))
        mtci_chain_promote_locked(ask->cache, look);
    mtci_flight_finish_locked(flight, &ask->result);
    pthread_mutex_unlock(&flight->slot->mutex);
    mtci_flight_wake(flight);
    mtci_cache_report(ask->cache);
    if (look->result.status == MTC_ABSENT)
        mtc_value_free(&ask->result.value);
}

/* Whether a look-up ended for want of this caller's time, not of a tier's. */
static bool was_cut_short(const mtci_ask *ask, const mtci_look *look)
{
    return look->error == MTC_E_TIMEOUT && ask->until_ms != MTC_NO_END &&
           mtci_cache_now_ms(ask->cache) >= ask->until_ms;
}

/* A plain get found nothing: followers with a loader go on without it. */
static void end_not_found(mtci_ask *ask, const mtci_look *look)
{
    mtci_flight *flight = ask->flight;
    ask->result = look->result;
    pthread_mutex_lock(&flight->slot->mutex);
    if (was_cut_short(ask, look)) {
        mtci_flight_resign_locked(flight, &look->result);
    } else {
        flight->has_looked = true;
        mtci_flight_pass_locked(flight, &look->result, &look->result);
    }
    pthread_mutex_unlock(&flight->slot->mutex);
    mtci_flight_wake(flight);
}

bool mtci_ask_looked(mtci_ask *ask, mtci_look *look)
{
    if (look->is_found) {
        end_found(ask, look);
        return true;
    }
    if (!ask->loader) {
        end_not_found(ask, look);
        return true;
    }
    return false;
}

/* The cache closes: nobody loads any more. */
static void end_closed(mtci_ask *ask)
{
    mtci_flight *flight = ask->flight;
    fail(ask, MTC_E_CLOSED);
    pthread_mutex_lock(&flight->slot->mutex);
    mtci_flight_finish_locked(flight, &ask->result);
    pthread_mutex_unlock(&flight->slot->mutex);
    mtci_flight_wake(flight);
}

void mtci_ask_end_circle(mtci_ask *ask)
{
    mtci_flight *flight = ask->flight;
    mtci_result none = {MTC_E_CANCELLED, MTCI_OUTCOME_ERROR, {0}};
    fail(ask, MTC_E_DEADLOCK);
    pthread_mutex_lock(&flight->slot->mutex);
    flight->has_looked = true;
    mtci_flight_pass_locked(flight, NULL, &none);
    pthread_mutex_unlock(&flight->slot->mutex);
    mtci_flight_wake(flight);
}

bool mtci_ask_may_load(mtci_ask *ask)
{
    ask->party.is_listed = false;
    if (mtci_cache_gate(ask->cache) != MTC_OK)
        end_closed(ask);
    else if (mtci_load_is_mine(ask))
        mtci_ask_end_circle(ask);
    else
        return !mtci_load_is_held_back(ask);
    return false;
}

void mtci_ask_lead(mtci_ask *ask)
{
    mtci_look look = {.flight = ask->flight,
                      .flags = ask->flags,
                      .refresh = ask->is_refresh ? ask->strategy : NULL,
                      .soft_at_ms = ask->soft_at_ms,
                      .hard_at_ms = ask->hard_at_ms,
                      .lease_ms = mtci_ask_lease_ms(ask)};
    if (mtci_ask_must_look(ask)) {
        mtci_chain_look(ask->cache, &look, 1, ask->until_ms);
        if (mtci_ask_looked(ask, &look))
            return;
    }
    if (mtci_ask_may_load(ask) && !mtci_load_run(ask) && !ask->is_behind)
        mtci_ask_follow(ask);
}

/* -- following ---------------------------------------------------------- */

static void take_result(mtci_ask *ask)
{
    const mtci_result *result = &ask->flight->result;
    ask->result = *result;
    ask->result.value = (mtc_value){0};
    if (result->value.ops && result->status != MTC_ABSENT &&
        mtc_value_share(&result->value, &ask->result.value) != MTC_OK)
        fail(ask, MTC_E_NO_MEMORY);
}

/* Whether the caller should stop waiting, and why. */
static mtc_status give_up(const mtci_ask *ask, int64_t *left_ms)
{
    *left_ms = MTCI_FOREVER;
    mtc_status status = mtci_cache_gate(ask->cache);
    if (status != MTC_OK || ask->until_ms == MTC_NO_END)
        return status;
    *left_ms = ask->until_ms - mtci_cache_now_ms(ask->cache);
    return *left_ms > 0 ? MTC_OK : MTC_E_TIMEOUT;
}

/* The follower leaves at its deadline, or because the cache closes. If it
 * just got the seat, the next one gets it. */
static void leave_locked(mtci_ask *ask, mtc_status status)
{
    mtci_flight *flight = ask->flight;
    mtci_result none = {MTC_E_CANCELLED, MTCI_OUTCOME_ERROR, {0}};
    if (status == MTC_E_CLOSED)
        none.status = status;
    if (flight->seat != &ask->party)
        mtci_flight_leave_locked(flight, &ask->party);
    else if (flight->has_looked)
        mtci_flight_pass_locked(flight, NULL, &none);
    else
        mtci_flight_resign_locked(flight, &none);
    fail(ask, status);
}

/* At its soft time-out a follower takes the stale copy, if there is one, and
 * at its hard one it leaves without. */
static bool leaves_early_locked(mtci_ask *ask, int64_t *left_ms)
{
    mtci_flight *flight = ask->flight;
    const mtci_stale *stale = &flight->stale;
    int64_t at_ms = ask->hard_at_ms;
    if (stale->value.ops && ask->soft_at_ms < at_ms)
        at_ms = ask->soft_at_ms;
    if (at_ms == MTC_NO_END)
        return false;
    int64_t early_ms = at_ms - mtci_cache_now_ms(ask->cache);
    if (early_ms > 0) {
        *left_ms = early_ms < *left_ms ? early_ms : *left_ms;
        return false;
    }
    mtci_flight_leave_locked(flight, &ask->party);
    ask->result = mtci_flight_fall_back(flight, MTC_E_TIMEOUT);
    if (ask->result.value.ops &&
        mtc_value_share(&stale->value, &ask->result.value) != MTC_OK)
        fail(ask, MTC_E_NO_MEMORY);
    return true;
}

void mtci_ask_leave(mtci_ask *ask, mtc_status status)
{
    mtci_flight *flight = ask->flight;
    pthread_mutex_lock(&flight->slot->mutex);
    leave_locked(ask, status);
    pthread_mutex_unlock(&flight->slot->mutex);
    mtci_flight_wake(flight);
}

mtci_ask_next mtci_ask_step(mtci_ask *ask, mtc_status why, int64_t *left_ms)
{
    mtci_flight *flight = ask->flight;
    mtci_ask_next next = MTCI_WAIT;
    pthread_mutex_lock(&flight->slot->mutex);
    bool is_done = atomic_load_explicit(&flight->word, memory_order_relaxed) &
                   MTCI_FLIGHT_DONE;
    if (ask->party.is_answered) {
        ask->result = ask->party.result;
        next = MTCI_END;
    } else if (!is_done && why != MTC_OK) {
        leave_locked(ask, why);
        next = MTCI_END;
    } else if (!is_done && flight->seat == &ask->party) {
        next = MTCI_LEAD;
    } else if (!is_done && leaves_early_locked(ask, left_ms)) {
        next = MTCI_END;
    }
    pthread_mutex_unlock(&flight->slot->mutex);
    if (why != MTC_OK)
        mtci_flight_wake(flight);
    if (!is_done || next != MTCI_WAIT)
        return next;
    take_result(ask);
    return MTCI_END;
}

static mtci_ask_next follow(mtci_ask *ask)
{
    mtci_flight *flight = ask->flight;
    for (;;) {
        int64_t left_ms;
        uint32_t word =
            atomic_load_explicit(&flight->word, memory_order_acquire);
        if ((word & MTCI_FLIGHT_DONE) && !ask->party.is_answered) {
            take_result(ask);
            return MTCI_END;
        }
        mtc_status why = give_up(ask, &left_ms);
        mtci_ask_next next = mtci_ask_step(ask, why, &left_ms);
        /* The seat may have come later than the look at the clock. */
        if (next == MTCI_LEAD && (why = give_up(ask, &left_ms)) != MTC_OK)
            next = mtci_ask_step(ask, why, &left_ms);
        if (next != MTCI_WAIT)
            return next;
        mtci_word_wait(&flight->word, word, left_ms);
    }
}

void mtci_ask_follow(mtci_ask *ask)
{
    mtci_flight *flight = ask->flight;
    if (ask->is_circle || !mtci_thread_wait_begin(flight)) {
        int64_t none_ms = MTCI_FOREVER;
        mtci_ask_step(ask, MTC_E_DEADLOCK, &none_ms);
        return;
    }
    mtci_flight_sleep_begin(flight);
    mtci_ask_next next = follow(ask);
    mtci_flight_sleep_end(flight);
    mtci_thread_wait_end();
    if (next == MTCI_LEAD)
        mtci_ask_lead(ask);
}

void mtci_ask_abandon(mtci_ask *ask)
{
    mtci_flight *flight = ask->flight;
    pthread_mutex_lock(&flight->slot->mutex);
    bool is_done = atomic_load_explicit(&flight->word, memory_order_relaxed) &
                   MTCI_FLIGHT_DONE;
    mtc_value_free(&ask->result.value);
    if (!is_done && !ask->party.is_answered)
        leave_locked(ask, MTC_E_CANCELLED);
    fail(ask, MTC_E_CANCELLED);
    pthread_mutex_unlock(&flight->slot->mutex);
    mtci_flight_wake(flight);
}

mtc_status mtci_ask_end(mtci_ask *ask, mtc_value *value)
{
    mtc_status status = ask->result.status;
    mtci_count_request(&ask->cache->counters, status, ask->result.outcome);
    *value = ask->result.value;
    mtci_wait_edge_drop(&ask->edge);
    if (ask->flight)
        mtci_flight_release(ask->flight);
    return status;
}

mtc_status mtci_ask_finish(mtci_ask *ask, mtc_value *value)
{
    mtc_cache *cache = ask->cache;
    mtc_status status = mtci_ask_end(ask, value);
    mtci_cache_leave(cache);
    pthread_setcancelstate(ask->cancel_state, NULL);
    return status;
}
