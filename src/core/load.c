/*
 * Loaders: running them, taking their answers, and surviving their end.
 *
 * The loader runs without a lock. If it does not return (thread exit,
 * cancellation, C++ exception), the guard's cleanup hands the flight over on
 * the way out; the library is built with -fexceptions for that.
 */
#include "core/load.h"

#include "core/background.h"
#include "core/bulk.h"
#include "core/failure.h"
#include "core/lease.h"
#include "core/task.h"
#include "core/turn.h"
#include "core/value.h"

typedef struct vanish_guard {
    mtci_ask *ask;
    mtci_leading leading;
    bool is_armed;
} vanish_guard;

/* A load belongs to whoever answers it: it keeps flight and cache. */
void mtci_load_begin(mtci_ask *ask, struct mtc_bulk *bulk)
{
    mtci_flight *flight = ask->flight;
    mtc_value_free(&flight->load.value);
    mtc_value_free(&flight->load.etag);
    flight->load = (struct mtc_load){
        .cache = ask->cache,
        .flight = flight,
        .strategy = *ask->strategy,
        .life = mtci_life_of(ask->strategy),
        .begun_ms = mtci_cache_now_ms(ask->cache),
        .hold = {ask->has_turn, bulk},
    };
    ask->has_turn = false;
    mtci_lease_hold(ask->cache, flight);
    atomic_fetch_add_explicit(&flight->refs, 1, memory_order_relaxed);
    mtci_cache_enter(ask->cache);
    mtci_count(&ask->cache->counters, MTCI_COUNT_LOADS);
}

void mtci_load_end(mtc_cache *cache, mtci_flight *flight, mtci_load_hold hold)
{
    if (hold.has_turn)
        mtci_loads_give(cache->loads);
    if (hold.bulk)
        mtci_bulk_release(hold.bulk);
    mtci_flight_release(flight);
    mtci_cache_leave(cache);
}

/* -- the answer ---------------------------------------------------------- */

/* What the flight ends with when the loader said status, but for the value. */
static mtci_result answer_of(mtc_load *load, mtc_status status)
{
    if (status == MTC_OK && load->has_value)
        return (mtci_result){MTC_OK, MTCI_OUTCOME_MISS, {0}};
    if (status == MTC_MISS && load->strategy.absent_ms > 0)
        return (mtci_result){MTC_ABSENT, MTCI_OUTCOME_MISS, {0}};
    if (status == MTC_MISS)
        return (mtci_result){MTC_MISS, MTCI_OUTCOME_MISS, {0}};
    if (status >= 0)
        status = MTC_E_LOAD_FAILED;
    mtci_count(&load->cache->counters, MTCI_COUNT_LOAD_ERRORS);
    return (mtci_result){status, MTCI_OUTCOME_ERROR, {0}};
}

/* At least a millisecond, so that it counts as known. */
static int32_t time_taken(const mtc_load *load)
{
    int64_t taken_ms = mtci_cache_now_ms(load->cache) - load->begun_ms;
    if (taken_ms > INT32_MAX)
        return INT32_MAX;
    return taken_ms > 0 ? (int32_t)taken_ms : 1;
}

/* The stale copy that lives on keeps its etag unless another was set. */
static void keep_etag(mtc_load *load)
{
    const mtc_value *stale = &load->flight->stale.value;
    mtc_value_info info = MTC_VALUE_INFO_INIT;
    if (load->etag.ops || !load->is_unchanged)
        return;
    stale->ops->info(stale, mtci_cache_now_ms(load->cache), &info);
    mtc_load_set_etag(load, info.etag);
}

/* What a loaded value knows of itself, and weighs. */
static void describe(mtc_load *load)
{
    keep_etag(load);
    mtc_facts facts = {.load_ms = time_taken(load),
                       .left_ms = load->life.ttl_ms + load->life.window_ms,
                       .ttl_ms = load->life.ttl_ms,
                       .window_ms = load->life.window_ms,
                       .etag = mtc_value_slice(&load->etag)};
    if (load->strategy.refresh_beta > 0)
        load->life.load_ms = facts.load_ms;
    mtci_value_renew(&load->value, &facts, mtci_cache_now_ms(load->cache));
    load->flight->weight =
        load->weight > 0
            ? load->weight
            : mtci_cache_weigh(load->cache, mtci_flight_key(load->flight),
                               mtc_value_slice(&load->value));
}

/* What the loader said, as an entry; false: there is none to store. */
static bool entry_of(const mtc_load *load, mtc_status status, mtc_value *value,
                     mtci_terms *terms)
{
    *value = load->value;
    *terms = (mtci_terms){.kind = MTC_KIND_VALUE,
                          .life = load->life,
                          .etag = mtc_value_slice(&load->etag),
                          .tier_ttl_ms = load->tier_ttl_ms};
    if (status == MTC_ABSENT) {
        *value = mtc_value_borrow(mtc_bytes(NULL, 0));
        *terms = (mtci_terms){.kind = MTC_KIND_ABSENT,
                              .life = {load->strategy.absent_ms, 0, 0}};
    }
    return !load->is_kept_out && (status == MTC_OK || status == MTC_ABSENT);
}

/* Stores it in every tier; with a lease, first where that is, and elsewhere
 * only if it was accepted there. Lets the slot go meanwhile. */
static void store_locked(mtc_load *load, mtc_status status)
{
    mtc_value value;
    mtci_terms terms;
    mtci_flight *flight = load->flight;
    if (!entry_of(load, status, &value, &terms))
        return;
    mtci_op *fill = mtci_lease_fill(flight, &value, &terms);
    if (!fill) {
        mtci_chain_store_locked(load->cache, flight, &value, &terms);
        return;
    }
    mtci_lane *lane = fill->lane;
    mtci_lane_submit(lane, &fill, 1);
    pthread_mutex_unlock(&flight->slot->mutex);
    mtc_status filled = mtci_lane_wait(lane, fill, MTC_NO_END);
    mtci_op_release(fill);
    pthread_mutex_lock(&flight->slot->mutex);
    terms.but = lane;
    if (filled == MTC_OK && mtci_flight_stores(flight))
        mtci_chain_store_locked(load->cache, flight, &value, &terms);
}

/* So that the next callers do not load at once what just failed. */
static void note_failure_locked(mtc_load *load, mtc_status status)
{
    mtci_flight *flight = load->flight;
    const mtc_strategy *strategy = &load->strategy;
    int64_t pause_ms = strategy->error_ms;
    if (mtci_flight_has_stale(flight)) {
        pause_ms =
            strategy->throttle_ms > 0 ? strategy->throttle_ms : MTC_THROTTLE_MS;
        mtci_chain_keep_stale_locked(load->cache, flight);
    }
    if (pause_ms > 0)
        mtci_failure_note_locked(flight->slot, mtci_flight_key(flight),
                                 flight->hash,
                                 strategy->error_ms > 0 ? status : MTC_OK,
                                 mtci_cache_now_ms(load->cache) + pause_ms);
}

mtci_result mtci_load_finish(mtc_load *load, mtc_status status)
{
    mtci_flight *flight = load->flight;
    mtci_result result = answer_of(load, status);
    bool has_failed = result.outcome == MTCI_OUTCOME_ERROR;
    if (result.status == MTC_OK) {
        describe(load);
        result.value = load->value;
    }
    pthread_mutex_lock(&flight->slot->mutex);
    if (mtci_flight_stores(flight) && has_failed)
        note_failure_locked(load, result.status);
    else if (mtci_flight_stores(flight))
        store_locked(load, result.status);
    if (has_failed)
        result = mtci_flight_fall_back(flight, result.status);
    bool is_drained = mtci_flight_has_task_locked(flight);
    mtci_flight_finish_locked(flight, &result);
    pthread_mutex_unlock(&flight->slot->mutex);
    mtci_flight_wake(flight);
    mtci_lease_give_back(flight);
    /* A drain sends what many loads have stored at once. */
    if (!is_drained)
        mtci_chain_kick(load->cache);
    mtci_cache_report(load->cache);
    return result;
}

void mtci_load_pass(mtc_cache *cache, mtci_flight *flight)
{
    mtci_result gone = {MTC_E_CANCELLED, MTCI_OUTCOME_ERROR, {0}};
    mtci_count(&cache->counters, MTCI_COUNT_LOAD_ERRORS);
    pthread_mutex_lock(&flight->slot->mutex);
    flight->has_looked = true;
    mtci_flight_pass_locked(flight, NULL, &gone);
    pthread_mutex_unlock(&flight->slot->mutex);
    mtci_flight_wake(flight);
}

/* Runs when the loader's frame is left, also by unwinding. */
static void vanish(vanish_guard *guard)
{
    if (!guard->is_armed)
        return;
    mtci_ask *ask = guard->ask;
    mtci_flight *flight = ask->flight;
    mtc_cache *cache = ask->cache;
    mtci_load_hold hold = flight->load.hold;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    mtci_thread_unlead(&guard->leading);
    mtci_load_pass(cache, flight);
    ask->result = (mtci_result){MTC_E_CANCELLED, MTCI_OUTCOME_ERROR, {0}};
    mtci_load_end(cache, flight, hold);
    mtc_value none;
    if (ask->party.task) {
        mtci_task_wake(ask->party.task);
    } else if (ask->is_behind) {
        mtci_flight_release(flight);
        mtci_cache_leave(cache);
    } else {
        mtci_ask_finish(ask, &none);
    }
    pthread_setcancelstate(ask->cancel_state, NULL);
}

static mtc_status call_loader(mtci_ask *ask)
{
    __attribute__((cleanup(vanish)))
    vanish_guard guard = {ask, {NULL, ask->flight, ask->cache}, true};
    mtci_thread_lead(&guard.leading);
    pthread_setcancelstate(ask->cancel_state, NULL);
    mtc_status status = ask->loader(&ask->flight->load, ask->ctx);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    guard.is_armed = false;
    mtci_thread_unlead(&guard.leading);
    return status;
}

void mtci_load_leave_open(mtci_ask *ask)
{
    mtci_flight *flight = ask->flight;
    pthread_mutex_lock(&flight->slot->mutex);
    ask->party.has_loader = false;
    bool is_done = atomic_load_explicit(&flight->word, memory_order_relaxed) &
                   MTCI_FLIGHT_DONE;
    if (flight->seat == &ask->party)
        flight->seat = NULL;
    if (!is_done && !ask->is_behind)
        mtci_flight_follow_locked(flight, &ask->party);
    pthread_mutex_unlock(&flight->slot->mutex);
}

bool mtci_load_is_mine(const mtci_ask *ask)
{
    const mtci_leading *leading = mtci_self.leading;
    for (; leading; leading = leading->outer) {
        if (leading->cache == ask->cache &&
            mtci_slices_equal(mtci_flight_key(leading->flight), ask->key))
            return true;
    }
    return false;
}

/* A load inside another one, which has its turn. */
static bool is_nested(const mtci_ask *ask)
{
    return ask->edge.parent || mtci_thread_leads(ask->cache);
}

bool mtci_load_needs_turn(const mtci_ask *ask)
{
    return !ask->has_turn && !is_nested(ask);
}

/* False: the ask has ended. */
static bool take_turn(mtci_ask *ask)
{
    if (!mtci_load_needs_turn(ask))
        return true;
    mtc_status status = mtci_turn_take(ask->cache, ask->until_ms);
    ask->has_turn = status == MTC_OK;
    if (status == MTC_E_TIMEOUT)
        mtci_load_leave_untried(ask);
    else if (status != MTC_OK)
        mtci_load_refuse(ask, status);
    return status == MTC_OK;
}

/* -- answers that come by themselves ------------------------------------- */

static void take_answer(mtci_errand *errand)
{
    mtc_load *load = (mtc_load *)((char *)errand - offsetof(mtc_load, errand));
    mtci_load_finish(load, load->answer);
    mtci_load_end(load->cache, load->flight, load->hold);
}

/* Also in a thread that is cancelled meanwhile: storing is I/O. */
static void answer(mtc_load *load, mtc_status status)
{
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    load->answer = status;
    load->errand.run = take_answer;
    /* With a lease that takes a round trip, which others may wait for. */
    if (load->flight->lease.ticket == 0 ||
        !mtci_loads_run(load->cache->loads, &load->errand))
        take_answer(&load->errand);
    pthread_setcancelstate(cancel_state, NULL);
}

bool mtci_load_answer_behind(mtci_ask *ask, mtc_status status)
{
    mtci_flight *flight = ask->flight;
    if (flight->lease.ticket == 0)
        return false;
    mtci_load_leave_open(ask);
    answer(&flight->load, status);
    return true;
}

/* -- running -------------------------------------------------------------- */

bool mtci_load_hand_over(mtci_ask *ask)
{
    return !ask->is_behind && !ask->is_bulk &&
           mtci_is_background(ask->strategy) && !is_nested(ask) &&
           mtci_background_lead(ask);
}

bool mtci_load_run_here(mtci_ask *ask)
{
    mtci_flight *flight = ask->flight;
    mtci_load_begin(ask, NULL);
    mtc_status status = call_loader(ask);
    if (status == MTC_PENDING) {
        mtci_load_leave_open(ask);
        return false;
    }
    if (!ask->is_behind && !is_nested(ask) &&
        mtci_load_answer_behind(ask, status))
        return false;
    ask->result = mtci_load_finish(&flight->load, status);
    mtci_load_take_value(ask);
    mtci_load_end(ask->cache, flight, flight->load.hold);
    return true;
}

/* Another process loads the key: waits for what comes of that. True: result
 * is final. */
static bool await_lease(mtci_ask *ask)
{
    mtci_look look = {.flight = ask->flight,
                      .flags = ask->flags,
                      .lease_ms = ask->strategy->lease_ms};
    mtc_status status = mtci_lease_await(ask->cache, &look, ask->until_ms);
    if (status == MTC_OK)
        return mtci_ask_looked(ask, &look);
    if (status == MTC_E_TIMEOUT)
        mtci_load_leave_untried(ask);
    else if (status < 0)
        mtci_load_refuse(ask, status);
    return status != MTC_MISS;
}

bool mtci_load_run(mtci_ask *ask)
{
    if (mtci_load_hand_over(ask))
        return false;
    if (mtci_load_await_elsewhere(ask))
        return true;
    return !take_turn(ask) || mtci_load_run_here(ask);
}

bool mtci_load_await_elsewhere(mtci_ask *ask)
{
    return mtci_load_is_elsewhere(ask) && await_lease(ask);
}

mtc_status mtc_load_answer(mtc_load *load, mtc_status status)
{
    if (!load || status == MTC_PENDING)
        return MTC_E_INVALID;
    if (mtci_cache_gate(load->cache) == MTC_E_FORKED)
        return MTC_E_FORKED;
    answer(load, status);
    return MTC_OK;
}

void mtc_load_drop(mtc_load *load)
{
    int cancel_state;
    if (!load || mtci_cache_gate(load->cache) == MTC_E_FORKED)
        return;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    mtc_cache *cache = load->cache;
    mtci_flight *flight = load->flight;
    mtci_load_hold hold = load->hold;
    mtci_load_pass(cache, flight);
    mtci_load_end(cache, flight, hold);
    pthread_setcancelstate(cancel_state, NULL);
}
