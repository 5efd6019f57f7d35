/*
 * Bulk loads; see bulk.h.
 */
#include "core/bulk.h"

#include <stdlib.h>

#include "core/background.h"
#include "core/load.h"
#include "core/turn.h"

/* One key of a bulk. */
typedef struct part {
    mtci_ask ask; /* leads */
    mtci_leading leading;
    bool is_elsewhere; /* another process loads it */
} part;

struct mtc_bulk {
    mtci_turn turn; /* first */
    mtci_errand errand;
    _Atomic uint32_t refs;
    mtc_cache *cache;
    mtci_bulk_source source;
    mtc_strategy strategy;
    int64_t until_ms; /* the caller's */
    bool has_turn;
    bool is_here;     /* in its caller's thread, and in no other load */
    mtci_look *looks; /* NULL: the caller has looked */
    mtc_load **loads; /* what its loader sees */
    size_t load_count;
    part **open; /* the parts of these loads */
    size_t count;
    part parts[];
};

/* -- the loader ----------------------------------------------------------- */

size_t mtc_bulk_count(const mtc_bulk *bulk)
{
    return bulk ? bulk->load_count : 0;
}

mtc_load *mtc_bulk_load(const mtc_bulk *bulk, size_t i)
{
    return bulk && i < bulk->load_count ? bulk->loads[i] : NULL;
}

mtc_load *mtc_bulk_find(const mtc_bulk *bulk, mtc_slice key)
{
    for (size_t i = 0; i < mtc_bulk_count(bulk); i++) {
        if (mtci_slices_equal(mtc_load_key(bulk->loads[i]), key))
            return bulk->loads[i];
    }
    return NULL;
}

/* What a loader of one key would have returned for this one. */
static mtc_status status_of(const mtc_load *load, mtc_status status)
{
    if (load->has_value)
        return MTC_OK;
    if (load->failure != MTC_OK)
        return load->failure;
    return status < 0 ? status : MTC_MISS;
}

mtc_status mtci_bulk_load_one(mtc_load *load, void *ctx)
{
    const mtci_bulk_source *source = ctx;
    mtc_bulk one = {.loads = &load, .load_count = 1};
    mtc_status status = source->loader(&one, source->ctx);
    return status == MTC_PENDING ? status : status_of(load, status);
}

/* -- its end -------------------------------------------------------------- */

void mtci_bulk_release(mtc_bulk *bulk)
{
    mtc_cache *cache = bulk->cache;
    if (atomic_fetch_sub_explicit(&bulk->refs, 1, memory_order_acq_rel) > 1)
        return;
    if (bulk->has_turn)
        mtci_loads_give(cache->loads);
    free(bulk->looks);
    free(bulk->loads);
    free(bulk->open);
    free(bulk);
    mtci_cache_leave(cache);
}

/* Gives up the flights, each of which has ended or has another leader. */
static void let_go(mtc_bulk *bulk)
{
    for (size_t i = 0; i < bulk->count; i++) {
        mtc_value_free(&bulk->parts[i].ask.result.value);
        mtci_flight_release(bulk->parts[i].ask.flight);
    }
    mtci_bulk_release(bulk);
}

static void refuse(mtc_bulk *bulk, mtc_status why)
{
    for (size_t i = 0; i < bulk->count; i++) {
        mtci_ask *ask = &bulk->parts[i].ask;
        if (why == MTC_E_TIMEOUT)
            mtci_load_leave_untried(ask);
        else
            mtci_load_refuse(ask, why);
    }
    let_go(bulk);
}

/* -- running -------------------------------------------------------------- */

static void lead_all(mtc_bulk *bulk)
{
    for (size_t i = 0; i < bulk->load_count; i++) {
        part *part = bulk->open[i];
        part->leading = (mtci_leading){NULL, part->ask.flight, bulk->cache};
        mtci_thread_lead(&part->leading);
    }
}

static void unlead_all(mtc_bulk *bulk)
{
    for (size_t i = bulk->load_count; i-- > 0;)
        mtci_thread_unlead(&bulk->open[i]->leading);
}

/* Runs when the loader's frame is left by unwinding. */
static void vanish(mtc_bulk **variable)
{
    mtc_bulk *bulk = *variable;
    if (!bulk)
        return;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    unlead_all(bulk);
    for (size_t i = 0; i < bulk->load_count; i++) {
        mtci_flight *flight = bulk->open[i]->ask.flight;
        mtci_load_hold hold = flight->load.hold;
        mtci_load_pass(bulk->cache, flight);
        mtci_load_end(bulk->cache, flight, hold);
    }
    let_go(bulk);
}

static mtc_status call_loader(mtc_bulk *bulk, int cancel_state)
{
    __attribute__((cleanup(vanish))) mtc_bulk *guard = bulk;
    lead_all(bulk);
    pthread_setcancelstate(cancel_state, NULL);
    mtc_status status = bulk->source.loader(bulk, bulk->source.ctx);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    guard = NULL;
    unlead_all(bulk);
    return status;
}

static void finish(const mtc_bulk *bulk, mtci_ask *ask, mtc_status status)
{
    mtc_load *load = &ask->flight->load;
    mtci_load_hold hold = load->hold;
    status = status_of(load, status);
    if (bulk->is_here && mtci_load_answer_behind(ask, status))
        return;
    mtci_load_finish(load, status);
    mtci_load_end(ask->cache, ask->flight, hold);
}

/* Loads what is open; the rest has ended. */
static void load_open(mtc_bulk *bulk, int cancel_state)
{
    if (bulk->load_count == 0)
        return;
    for (size_t i = 0; i < bulk->load_count; i++) {
        mtci_ask *ask = &bulk->open[i]->ask;
        atomic_fetch_add_explicit(&bulk->refs, 1, memory_order_relaxed);
        mtci_load_begin(ask, bulk);
        bulk->loads[i] = &ask->flight->load;
    }
    mtc_status status = call_loader(bulk, cancel_state);
    for (size_t i = 0; i < bulk->load_count; i++) {
        if (status == MTC_PENDING)
            mtci_load_leave_open(&bulk->open[i]->ask);
        else
            finish(bulk, &bulk->open[i]->ask, status);
    }
}

/* Looks below, in one round trip, for what somebody else has refreshed. */
static void look(mtc_bulk *bulk)
{
    for (size_t i = 0; i < bulk->count; i++)
        bulk->looks[i] = (mtci_look){.flight = bulk->parts[i].ask.flight,
                                     .flags = bulk->parts[i].ask.flags,
                                     .refresh = &bulk->strategy};
    mtci_chain_look(bulk->cache, bulk->looks, bulk->count, MTC_NO_END);
}

/* Whether a part is to be loaded; if not, it has ended. */
static bool is_open(mtc_bulk *bulk, size_t i)
{
    mtci_ask *ask = &bulk->parts[i].ask;
    mtc_status gate = mtci_cache_gate(bulk->cache);
    if (bulk->looks && mtci_ask_looked(ask, &bulk->looks[i]))
        return false;
    if (gate == MTC_OK && !mtci_load_is_mine(ask))
        return !mtci_load_is_held_back(ask);
    if (gate != MTC_OK)
        mtci_load_refuse(ask, gate);
    else
        mtci_ask_end_circle(ask);
    return false;
}

/* What other processes were loading, and have given up. */
static void load_taken_over(mtc_bulk *bulk, int cancel_state)
{
    bulk->load_count = 0;
    for (size_t i = 0; i < bulk->count; i++) {
        part *part = &bulk->parts[i];
        if (part->is_elsewhere && !mtci_load_await_elsewhere(&part->ask))
            bulk->open[bulk->load_count++] = part;
    }
    load_open(bulk, cancel_state);
}

static void run(mtc_bulk *bulk, int cancel_state)
{
    if (bulk->looks)
        look(bulk);
    for (size_t i = 0; i < bulk->count; i++) {
        part *part = &bulk->parts[i];
        bool is_ours = is_open(bulk, i);
        part->is_elsewhere = is_ours && mtci_load_is_elsewhere(&part->ask);
        if (is_ours && !part->is_elsewhere)
            bulk->open[bulk->load_count++] = part;
    }
    load_open(bulk, cancel_state);
    load_taken_over(bulk, cancel_state);
    let_go(bulk);
}

static void run_errand(mtci_errand *errand)
{
    mtc_bulk *bulk = (mtc_bulk *)((char *)errand - offsetof(mtc_bulk, errand));
    run(bulk, PTHREAD_CANCEL_ENABLE);
}

/* -- beginning ------------------------------------------------------------ */

static void granted(mtci_turn *turn, mtc_status status)
{
    mtc_bulk *bulk = (mtc_bulk *)turn;
    bulk->has_turn = status == MTC_OK;
    if (status == MTC_OK && mtci_loads_run(bulk->cache->loads, &bulk->errand))
        return;
    refuse(bulk, status == MTC_OK ? MTC_E_NO_MEMORY : status);
}

static void run_behind(mtc_bulk *bulk)
{
    mtc_cache *cache = bulk->cache;
    mtc_status status =
        mtci_loads_take(cache->loads, &bulk->turn, mtci_cache_now_ms(cache));
    if (status != MTC_PENDING)
        granted(&bulk->turn, status);
}

static void run_here(mtc_bulk *bulk, bool needs_turn, int cancel_state)
{
    mtc_status status = MTC_OK;
    if (needs_turn) {
        status = mtci_turn_take(bulk->cache, bulk->until_ms);
        bulk->has_turn = status == MTC_OK;
    }
    bulk->is_here = bulk->has_turn;
    if (status == MTC_OK)
        run(bulk, cancel_state);
    else
        refuse(bulk, status);
}

/* Without parts yet; like: an ask of the call. */
static mtc_bulk *bulk_new(const mtci_ask *like, size_t count, bool looks)
{
    mtc_cache *cache = like->cache;
    mtc_bulk *bulk = calloc(1, sizeof *bulk + count * sizeof(part));
    if (!bulk)
        return NULL;
    atomic_init(&bulk->refs, 1);
    mtci_cache_enter(cache);
    bulk->cache = cache;
    bulk->turn.granted = granted;
    bulk->errand.run = run_errand;
    bulk->source = *(const mtci_bulk_source *)like->ctx;
    bulk->strategy = *like->strategy;
    bulk->until_ms = like->until_ms;
    bulk->loads = calloc(count, sizeof *bulk->loads);
    bulk->open = calloc(count, sizeof(part *));
    if (looks)
        bulk->looks = calloc(count, sizeof *bulk->looks);
    if (bulk->loads && bulk->open && (bulk->looks || !looks))
        return bulk;
    mtci_bulk_release(bulk);
    return NULL;
}

/* The next part, for the key of an ask. */
static mtci_ask *part_init(mtc_bulk *bulk, const mtci_ask *like)
{
    mtci_ask *ask = &bulk->parts[bulk->count].ask;
    *ask = (mtci_ask){.cache = bulk->cache,
                      .key = like->key,
                      .hash = like->hash,
                      .flags = like->flags,
                      .until_ms = MTC_NO_END,
                      .soft_at_ms = MTC_NO_END,
                      .hard_at_ms = MTC_NO_END,
                      .strategy = &bulk->strategy,
                      .loader = mtci_bulk_load_one,
                      .is_behind = true,
                      .is_bulk = true};
    ask->party.has_loader = true;
    return ask;
}

static void part_leads(mtc_bulk *bulk, mtci_flight *flight)
{
    mtci_ask *ask = &bulk->parts[bulk->count++].ask;
    ask->flight = flight;
    ask->key = mtci_flight_key(flight);
}

/* Takes the seat of an ask, which follows. A task does not take over again
 * what it has given away: whoever vanished may have been its own loader. */
static void replace(mtc_bulk *bulk, mtci_ask *ask)
{
    mtci_flight *flight = ask->flight;
    mtci_ask *leader = part_init(bulk, ask);
    atomic_fetch_add_explicit(&flight->refs, 1, memory_order_relaxed);
    pthread_mutex_lock(&flight->slot->mutex);
    flight->has_looked = true;
    flight->seat = &leader->party;
    if (ask->party.task)
        ask->party.has_loader = false;
    mtci_flight_follow_locked(flight, &ask->party);
    pthread_mutex_unlock(&flight->slot->mutex);
    ask->has_passed_on = true;
    part_leads(bulk, flight);
}

bool mtci_bulk_load(mtci_ask *const *asks, size_t count, int cancel_state)
{
    mtci_ask *first = asks[0];
    bool needs_turn = mtci_load_needs_turn(first);
    mtc_bulk *bulk = bulk_new(first, count, false);
    if (!bulk)
        return false;
    bulk->has_turn = first->has_turn;
    first->has_turn = false;
    for (size_t i = 0; i < count; i++)
        replace(bulk, asks[i]);
    if (needs_turn && mtci_is_background(&bulk->strategy))
        run_behind(bulk);
    else
        run_here(bulk, needs_turn, cancel_state);
    return true;
}

void mtci_bulk_refresh(const mtci_ask *asks, size_t count)
{
    mtc_bulk *bulk = bulk_new(&asks[0], count, true);
    if (!bulk)
        return;
    mtc_cache *cache = bulk->cache;
    for (size_t i = 0; i < count; i++) {
        if (mtci_load_is_throttled(cache, asks[i].key, asks[i].hash))
            continue;
        mtci_ask *leader = part_init(bulk, &asks[i]);
        mtci_flight *flight = mtci_flight_open(&cache->slots, leader->key,
                                               leader->hash, &leader->party);
        if (flight)
            part_leads(bulk, flight);
    }
    if (bulk->count > 0)
        run_behind(bulk);
    else
        mtci_bulk_release(bulk);
}
