/*
 * Looking up, promoting and storing along the tiers; see chain.h.
 */
#include "core/chain.h"

#include "core/lease.h"
#include "core/value.h"

#define SUBMIT_CHUNK 32u

/* -- tiers that answer at once ------------------------------------------ */

/* Whether status of a find is a hit for a call with these flags. */
static bool is_hit(mtc_status status, uint32_t flags)
{
    if (status == MTC_OK || status == MTC_ABSENT)
        return true;
    return status == MTC_STALE && (flags & MTC_CALL_ACCEPT_STALE);
}

/* Whether the tier has a hit; if not, result may have a value that is past its
 * soft end. */
static bool find_in(const mtci_lane *lane, mtc_slice key, uint64_t hash,
                    uint32_t flags, mtci_result *result)
{
    mtc_status status =
        lane->ops->find(lane->tier, key, hash, mtci_clock_soon_ms(&lane->clock),
                        &result->value);
    bool is_found = is_hit(status, flags);
    if (is_found) {
        result->status = status;
        result->outcome = lane->index;
    }
    if (status != MTC_OK && status != MTC_STALE)
        mtc_value_free(&result->value);
    return is_found;
}

bool mtci_chain_find(mtc_cache *cache, mtc_slice key, uint64_t hash,
                     uint32_t flags, mtci_result *result)
{
    if (flags & MTC_CALL_SKIP_MEMORY)
        return false;
    for (size_t i = 0; i < cache->front_count; i++) {
        if (find_in(&cache->lanes[i], key, hash, flags, result))
            return true;
        mtc_value_free(&result->value);
    }
    return false;
}

void mtci_chain_expect(const mtc_cache *cache, const uint64_t *hashes,
                       size_t count)
{
    const mtci_lane *lane = &cache->lanes[0];
    if (cache->front_count > 0 && lane->ops->expect)
        lane->ops->expect(lane->tier, MTC_VERB_READ, hashes, count);
}

/* -- the other tiers ---------------------------------------------------- */

static void note_error(mtci_look *look, mtc_status status)
{
    if (look->error == MTC_OK)
        look->error = status;
}

static void tell_found(mtci_look *look)
{
    if (look->is_found && look->found)
        look->found(look);
}

/* Whether an entry is past its soft end. */
static bool is_past(const mtc_facts *facts)
{
    return facts->window_ms > 0 && facts->left_ms <= facts->window_ms;
}

static void keep_below(const mtci_lane *lane, mtci_look *look)
{
    mtc_request *request = &look->op->request;
    const mtc_facts *facts = &request->facts;
    int64_t age_ms = INT64_MAX;
    if (facts->ttl_ms > 0)
        age_ms = facts->ttl_ms + facts->window_ms - facts->left_ms;
    mtci_copy copy = {lane->index, age_ms, !is_past(facts), *facts,
                      request->sent_ms};
    mtci_flight_keep_stale(look->flight, &request->value, &copy);
}

/* A read that the tier answered: a hit, unless it is too old, or no value. */
static void take_entry(mtci_lane *lane, mtci_look *look)
{
    mtc_request *request = &look->op->request;
    mtc_facts *facts = &request->facts;
    mtc_status status = is_past(facts) ? MTC_STALE : MTC_OK;
    if (facts->kind == MTC_KIND_ABSENT)
        status = MTC_ABSENT;
    if (facts->kind == MTC_KIND_LEASE || facts->left_ms <= 0)
        return;
    mtci_value_describe(&request->value, lane->index, facts, request->sent_ms);
    bool is_due = status == MTC_OK && look->refresh &&
                  mtci_life_is_due(look->refresh, facts, look->refresh->ttl_ms);
    if (is_due || !is_hit(status, look->flags)) {
        keep_below(lane, look);
        return;
    }
    look->is_found = true;
    look->facts = *facts;
    look->sent_ms = request->sent_ms;
    look->result = (mtci_result){status, lane->index, request->value};
    request->value = (mtc_value){0};
}

int64_t mtci_chain_until(const mtci_look *look, int64_t until_ms)
{
    if (look->hard_at_ms > 0 && look->hard_at_ms < until_ms)
        until_ms = look->hard_at_ms;
    if (look->soft_at_ms > 0 && look->soft_at_ms < until_ms &&
        look->flight->stale.value.ops)
        until_ms = look->soft_at_ms;
    return until_ms;
}

void mtci_chain_take(mtci_lane *lane, mtci_look *look, mtc_status status)
{
    if (look->op->wants_lease && status >= 0)
        mtci_lease_note(look->flight, lane, &look->op->request);
    if (status >= 0)
        look->flight->tickets[lane->index] = look->op->request.ticket;
    if (status == MTC_OK)
        take_entry(lane, look);
    else if (status < 0)
        note_error(look, status);
    mtci_op_release(look->op);
    look->op = NULL;
    tell_found(look);
}

/* In the first tier that keeps leases, unless the flight has it. */
static void ask_for_lease(const mtci_lane *lane, mtci_look *look)
{
    look->flight->lease.is_asked |= look->lease_ms > 0;
    if (look->lease_ms <= 0 || look->flight->lease.lane ||
        !(lane->ops->abilities & MTC_TIER_LEASES))
        return;
    look->op->wants_lease = true;
    look->op->request.lease_ms = look->lease_ms;
}

size_t mtci_chain_send(mtci_lane *lane, mtci_look *looks, size_t count)
{
    mtci_op *chunk[SUBMIT_CHUNK];
    size_t held = 0;
    size_t sent = 0;
    for (size_t i = 0; i < count; i++) {
        if (looks[i].is_found)
            continue;
        const mtci_flight *flight = looks[i].flight;
        looks[i].op = mtci_op_new(lane, MTC_VERB_READ, mtci_flight_key(flight),
                                  flight->hash);
        if (!looks[i].op) {
            note_error(&looks[i], MTC_E_NO_MEMORY);
            continue;
        }
        sent++;
        looks[i].op->task = looks[i].task;
        ask_for_lease(lane, &looks[i]);
        chunk[held++] = looks[i].op;
        if (held == SUBMIT_CHUNK) {
            mtci_lane_submit(lane, chunk, held);
            held = 0;
            /* The tier works on these while the rest is made. */
            mtci_lane_kick(lane);
        }
    }
    if (held > 0)
        mtci_lane_submit(lane, chunk, held);
    return sent;
}

static void look_in_lane(mtci_lane *lane, mtci_look *looks, size_t count,
                         int64_t until_ms)
{
    mtci_chain_send(lane, looks, count);
    for (size_t i = 0; i < count; i++) {
        if (looks[i].op)
            mtci_chain_take(lane, &looks[i],
                            mtci_lane_wait(lane, looks[i].op,
                                           mtci_chain_until(&looks[i],
                                                            until_ms)));
    }
}

/* A value past its soft end, which knows how old it is. */
static void keep_front(const mtci_lane *lane, mtci_look *look)
{
    mtc_value *value = &look->result.value;
    mtc_value_info info = MTC_VALUE_INFO_INIT;
    if (!value->ops)
        return;
    value->ops->info(value, mtci_clock_ms(&lane->clock), &info);
    mtci_copy copy = {.tier = lane->index,
                      .age_ms = info.age_ms < 0 ? INT64_MAX : info.age_ms,
                      .is_fresh = !info.is_stale};
    mtci_flight_keep_stale(look->flight, value, &copy);
    mtc_value_free(value);
}

void mtci_chain_front(const mtci_lane *lane, mtci_look *looks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        mtci_look *look = &looks[i];
        if (look->is_found || (look->flags & MTC_CALL_SKIP_MEMORY))
            continue;
        look->is_found =
            find_in(lane, mtci_flight_key(look->flight), look->flight->hash,
                    look->flags, &look->result) &&
            !look->refresh;
        if (!look->is_found)
            keep_front(lane, look);
        tell_found(look);
    }
}

void mtci_chain_end(mtci_look *looks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        mtci_look *look = &looks[i];
        if (look->is_found)
            continue;
        look->result.status = look->error ? look->error : MTC_MISS;
        look->result.outcome =
            look->error ? MTCI_OUTCOME_ERROR : MTCI_OUTCOME_MISS;
    }
}

void mtci_chain_look(mtc_cache *cache, mtci_look *looks, size_t count,
                     int64_t until_ms)
{
    for (size_t i = 0; i < cache->lane_count; i++) {
        if (i < cache->front_count)
            mtci_chain_front(&cache->lanes[i], looks, count);
        else
            look_in_lane(&cache->lanes[i], looks, count, until_ms);
    }
    mtci_chain_end(looks, count);
}

/* -- storing ------------------------------------------------------------ */

/* Whether the tier can keep an entry with these facts. */
static bool holds(const mtci_lane *lane, const mtc_value *value,
                  const mtc_facts *facts)
{
    const mtc_tier_ops *ops = lane->ops;
    if (mtci_lane_is_down(lane) || facts->left_ms < ops->life_step_ms)
        return false;
    if (ops->value_size_max && value->size > ops->value_size_max)
        return false;
    return (ops->abilities & MTC_TIER_KEEPS_FACTS) ||
           (facts->kind == MTC_KIND_VALUE && facts->window_ms == 0);
}

/* Whether a fill may come too late there without anybody noticing: the tier
 * keeps tickets, but was not asked for one, or had no time to answer. */
static bool wants_ticket(const mtci_lane *lane, const mtci_flight *flight)
{
    return (lane->ops->abilities & MTC_TIER_ATOMIC_FILL) &&
           flight->tickets[lane->index] == 0;
}

/* In a tier that answers at once. False: it could not, or is none. */
static bool fill_now(mtci_lane *lane, const mtci_flight *flight,
                     const mtc_value *value, const mtc_facts *facts,
                     int64_t sent_ms)
{
    if (!mtci_lane_is_front(lane))
        return false;
    mtc_request request = {.key = mtci_flight_key(flight),
                           .hash = flight->hash,
                           .value = *value,
                           .facts = *facts,
                           .sent_ms = sent_ms,
                           .weight = flight->weight};
    return mtci_lane_write_now(lane, MTC_VERB_STORE, &request) >= 0;
}

static bool fill_locked(mtci_lane *lane, mtci_flight *flight,
                        const mtc_value *value, const mtc_facts *facts,
                        int64_t sent_ms)
{
    if (!holds(lane, value, facts) || wants_ticket(lane, flight))
        return false;
    if (fill_now(lane, flight, value, facts, sent_ms))
        return true;
    mtci_op *op = mtci_op_new(lane, MTC_VERB_STORE, mtci_flight_key(flight),
                              flight->hash);
    if (!op)
        return false;
    op->is_fill = true;
    mtci_op_set_facts(op, facts);
    op->request.sent_ms = sent_ms;
    op->request.weight = flight->weight;
    op->request.ticket = flight->tickets[lane->index];
    if (mtc_value_share(value, &op->request.value) != MTC_OK) {
        mtci_op_release(op);
        return false;
    }
    mtci_lane_submit(lane, &op, 1);
    mtci_lane_leave(lane, op);
    return true;
}

void mtci_chain_promote_locked(mtc_cache *cache, const mtci_look *look)
{
    bool is_promoted = false;
    for (int i = 0; i < look->result.outcome; i++) {
        mtci_lane *lane = &cache->lanes[i];
        if (lane->promote_one_in < 0 ||
            !mtci_thread_one_in(lane->promote_one_in))
            continue;
        mtc_facts facts = mtci_life_copied(lane, &look->facts);
        is_promoted |= fill_locked(lane, look->flight, &look->result.value,
                                   &facts, look->sent_ms);
    }
    if (is_promoted)
        mtci_count(&cache->counters,
                   MTCI_COUNT_PROMOTIONS + (unsigned)look->result.outcome);
}

mtc_facts mtci_terms_facts(const mtci_terms *terms, const mtci_lane *lane)
{
    int64_t ttl_ms = terms->tier_ttl_ms ? terms->tier_ttl_ms[lane->index] : 0;
    mtc_facts facts = ttl_ms > 0 ? mtci_life_facts_of(lane, terms->life, ttl_ms)
                                 : mtci_life_facts(lane, terms->life);
    facts.kind = (int32_t)terms->kind;
    facts.etag = terms->etag;
    return facts;
}

void mtci_chain_store_locked(mtc_cache *cache, mtci_flight *flight,
                             const mtc_value *value, const mtci_terms *terms)
{
    int64_t now_ms = mtci_cache_now_ms(cache);
    for (size_t i = 0; i < cache->lane_count; i++) {
        mtci_lane *lane = &cache->lanes[i];
        if (lane == terms->but)
            continue;
        mtc_facts facts = mtci_terms_facts(terms, lane);
        fill_locked(lane, flight, value, &facts, now_ms);
    }
}

void mtci_chain_keep_stale_locked(mtc_cache *cache, mtci_flight *flight)
{
    const mtci_stale *stale = &flight->stale;
    for (size_t i = 0; i < cache->front_count; i++) {
        if (stale->copy.tier < (int)cache->front_count)
            return; /* it is from there */
        fill_locked(&cache->lanes[i], flight, &stale->value, &stale->copy.facts,
                    stale->copy.sent_ms);
    }
}

void mtci_chain_kick(mtc_cache *cache)
{
    for (size_t i = cache->front_count; i < cache->lane_count; i++)
        mtci_lane_kick(&cache->lanes[i]);
}
