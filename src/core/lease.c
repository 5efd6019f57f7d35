/*
 * Leases across processes; see lease.h.
 */
#include "core/lease.h"

#include "core/cache.h"
#include "core/keeper.h"
#include "core/lane.h"

/* -- taking --------------------------------------------------------------- */

void mtci_lease_note(mtci_flight *flight, const mtci_lane *lane,
                     const mtc_request *request)
{
    mtci_lease *lease = &flight->lease;
    if (request->lease_ms <= 0) {
        lease->lane = NULL;
        return;
    }
    lease->lane = (mtci_lane *)lane;
    lease->ticket = request->ticket;
    lease->left_ms = request->lease_ms;
}

/* -- waiting -------------------------------------------------------------- */

/* MTC_OK: it has ended, or may have. */
static mtc_status await_end(mtci_flight *flight, int64_t until_ms)
{
    mtci_lane *lane = flight->lease.lane;
    mtci_op *op = mtci_op_new(lane, MTC_VERB_AWAIT, mtci_flight_key(flight),
                              flight->hash);
    if (!op)
        return MTC_E_NO_MEMORY;
    op->wait_ms = flight->lease.left_ms + lane->deadline_ms;
    mtci_lane_submit(lane, &op, 1);
    mtc_status status = mtci_lane_wait(lane, op, until_ms);
    mtci_op_release(op);
    return status;
}

static void look_again(mtci_look *look, mtci_lane *lane, int64_t until_ms)
{
    look->flight->lease.lane = NULL;
    if (mtci_chain_send(lane, look, 1) > 0)
        mtci_chain_take(lane, look, mtci_lane_wait(lane, look->op, until_ms));
}

mtc_status mtci_lease_await(mtc_cache *cache, mtci_look *look, int64_t until_ms)
{
    mtci_flight *flight = look->flight;
    while (mtci_lease_is_foreign(flight)) {
        mtci_lane *lane = flight->lease.lane;
        mtc_status status = await_end(flight, until_ms);
        mtc_status gate = mtci_cache_gate(cache);
        if (gate != MTC_OK)
            return gate;
        if (mtci_cache_now_ms(cache) >= until_ms)
            return MTC_E_TIMEOUT;
        if (status != MTC_OK && status != MTC_E_TIMEOUT) {
            /* Nobody can tell: do without. */
            flight->lease.lane = NULL;
            return MTC_MISS;
        }
        look_again(look, lane, until_ms);
        if (look->is_found)
            return MTC_OK;
    }
    return MTC_MISS;
}

/* -- holding -------------------------------------------------------------- */

static int64_t half_of(const mtci_lease *lease)
{
    return lease->length_ms / 2 > 0 ? lease->length_ms / 2 : 1;
}

void mtci_lease_hold(mtc_cache *cache, mtci_flight *flight)
{
    mtci_lease *lease = &flight->lease;
    if (lease->ticket == 0 || lease->is_held)
        return;
    lease->is_held = true;
    lease->length_ms = flight->load.strategy.lease_ms;
    atomic_fetch_add_explicit(&flight->refs, 1, memory_order_relaxed);
    pthread_mutex_lock(&cache->leases_mutex);
    lease->renew_at_ms = mtci_cache_now_ms(cache) + half_of(lease);
    lease->next = cache->leases;
    cache->leases = flight;
    pthread_mutex_unlock(&cache->leases_mutex);
    mtci_keeper_wake(&cache->keeper);
}

/* A request of the lease's own: with its ticket. */
static mtci_op *op_with(mtci_flight *flight, mtc_verb verb)
{
    mtci_op *op = mtci_op_new(flight->lease.lane, verb, mtci_flight_key(flight),
                              flight->hash);
    if (op)
        op->request.ticket = flight->lease.ticket;
    return op;
}

static void submit(mtci_op *op)
{
    mtci_lane *lane = op->lane;
    mtci_lane_submit(lane, &op, 1);
    mtci_lane_leave(lane, op);
    mtci_lane_kick(lane);
}

static mtci_op *renewal(mtci_flight *flight)
{
    mtci_op *op = op_with(flight, MTC_VERB_STORE);
    if (!op)
        return NULL;
    op->request.value = mtc_value_borrow(mtc_bytes(NULL, 0));
    op->request.facts.kind = MTC_KIND_LEASE;
    op->request.lease_ms = flight->lease.length_ms;
    return op;
}

/* Renews a lease if it is due. False: its load has ended. */
static bool renew(mtci_flight *flight, int64_t now_ms)
{
    mtci_lease *lease = &flight->lease;
    mtci_op *op = NULL;
    pthread_mutex_lock(&flight->slot->mutex);
    bool is_running =
        lease->ticket != 0 &&
        !(atomic_load_explicit(&flight->word, memory_order_relaxed) &
          MTCI_FLIGHT_DONE);
    if (is_running && now_ms >= lease->renew_at_ms) {
        op = renewal(flight);
        lease->renew_at_ms = now_ms + half_of(lease);
    }
    pthread_mutex_unlock(&flight->slot->mutex);
    if (op)
        submit(op);
    return is_running;
}

static mtci_flight *take_all(mtc_cache *cache)
{
    pthread_mutex_lock(&cache->leases_mutex);
    mtci_flight *all = cache->leases;
    cache->leases = NULL;
    pthread_mutex_unlock(&cache->leases_mutex);
    return all;
}

static void put_back(mtc_cache *cache, mtci_flight *flight)
{
    pthread_mutex_lock(&cache->leases_mutex);
    flight->lease.next = cache->leases;
    cache->leases = flight;
    pthread_mutex_unlock(&cache->leases_mutex);
}

int64_t mtci_lease_renew(mtc_cache *cache)
{
    int64_t wait_ms = MTCI_KEEPER_IDLE_MS;
    mtci_flight *next;
    for (mtci_flight *flight = take_all(cache); flight; flight = next) {
        mtci_lease *lease = &flight->lease;
        int64_t now_ms = mtci_cache_now_ms(cache);
        next = lease->next;
        if (!renew(flight, now_ms)) {
            mtci_flight_release(flight);
            continue;
        }
        if (lease->renew_at_ms - now_ms < wait_ms)
            wait_ms = lease->renew_at_ms - now_ms;
        put_back(cache, flight);
    }
    return wait_ms;
}

void mtci_lease_forget(mtc_cache *cache)
{
    mtci_flight *next;
    for (mtci_flight *flight = take_all(cache); flight; flight = next) {
        next = flight->lease.next;
        flight->lease.ticket = 0;
        mtci_flight_release(flight);
    }
}

/* -- ending --------------------------------------------------------------- */

mtci_op *mtci_lease_fill(mtci_flight *flight, const mtc_value *value,
                         const mtci_terms *terms)
{
    mtci_op *op = flight->lease.ticket ? op_with(flight, MTC_VERB_STORE) : NULL;
    if (!op)
        return NULL;
    mtc_facts facts = mtci_terms_facts(terms, op->lane);
    op->is_fill = true;
    op->request.weight = flight->weight;
    mtci_op_set_facts(op, &facts);
    if (mtc_value_share(value, &op->request.value) != MTC_OK) {
        mtci_op_release(op);
        return NULL;
    }
    flight->lease.ticket = 0;
    return op;
}

/* The operation that gives it back; NULL: the flight does not have it. */
static mtci_op *take_back(mtci_flight *flight)
{
    mtci_op *op = NULL;
    if (flight->lease.ticket)
        op = op_with(flight, MTC_VERB_REMOVE);
    flight->lease.ticket = 0;
    return op;
}

void mtci_lease_give_back(mtci_flight *flight)
{
    if (!flight->lease.lane)
        return; /* as most */
    pthread_mutex_lock(&flight->slot->mutex);
    mtci_op *op = take_back(flight);
    pthread_mutex_unlock(&flight->slot->mutex);
    if (op)
        submit(op);
}

void mtci_lease_drop(mtci_flight *flight)
{
    mtci_op *op = take_back(flight);
    if (op)
        submit(op);
}

void mtci_lease_return(mtci_op *read)
{
    mtci_op *op = mtci_op_new(read->lane, MTC_VERB_REMOVE, mtci_op_key(read),
                              read->request.hash);
    if (!op)
        return;
    op->request.ticket = read->request.ticket;
    submit(op);
}
