/*
 * Set, remove and expire; see write.h for the steps.
 */
#include "core/write.h"

#include "base/hash.h"

/* -- preparing ---------------------------------------------------------- */

static void drop_ops(mtci_write *write)
{
    for (size_t i = 0; i < MTC_TIERS_MAX; i++) {
        mtci_op_release(write->ops[i]);
        write->ops[i] = NULL;
    }
}

/* The bytes to store: borrowed for a tier that takes them at once, shared
 * for one that may still hold them when the caller is gone. */
static mtc_status give_value(const mtci_lane *lane, const mtc_value *borrowed,
                             mtc_value *kept, mtc_value *out)
{
    if (mtci_lane_is_front(lane)) {
        *out = *borrowed;
        return MTC_OK;
    }
    if (!kept->ops) {
        mtc_status status = mtc_value_share(borrowed, kept);
        if (status != MTC_OK)
            return status;
    }
    return mtc_value_share(kept, out);
}

static mtc_status prepare_lane(mtci_write *write, mtci_lane *lane,
                               const mtci_ask *ask, const mtc_value *borrowed,
                               mtc_value *kept)
{
    mtci_op *op = mtci_op_new(lane, write->verb, ask->key, ask->hash);
    write->ops[lane->index] = op;
    if (!op)
        return MTC_E_NO_MEMORY;
    if (write->verb != MTC_VERB_STORE)
        return MTC_OK;
    op->request.facts = mtci_life_facts(lane, write->life);
    op->request.weight = ask->weight;
    return give_value(lane, borrowed, kept, &op->request.value);
}

mtc_status mtci_write_prepare(mtci_write *write, const mtci_ask *ask,
                              mtc_verb verb, mtc_slice value)
{
    mtc_cache *cache = ask->cache;
    mtc_value borrowed = mtc_value_borrow(value);
    mtc_value kept = {0};
    *write = (mtci_write){.mark = {NULL, ask->key, ask->hash},
                          .verb = verb,
                          .life = mtci_life_of(ask->strategy)};
    if (!value.data && value.size > 0)
        return MTC_E_INVALID;
    if (value.size > cache->value_size_max)
        return MTC_E_TOO_LARGE;
    mtc_status status = MTC_OK;
    for (size_t i = 0; i < cache->lane_count && status == MTC_OK; i++)
        status = prepare_lane(write, &cache->lanes[i], ask, &borrowed, &kept);
    mtc_value_free(&kept);
    if (status != MTC_OK)
        drop_ops(write);
    return status;
}

/* -- beginning ---------------------------------------------------------- */

/* A tier that answers at once and could not take the new value must not keep
 * the old one. The same operation goes again: this needs no memory. */
static void drop_old_locked(mtci_lane *lane, mtci_op *op)
{
    if (op->request.status >= 0)
        return;
    mtci_op_turn(op);
    mtci_lane_submit(lane, &op, 1);
}

static void count_write(mtc_cache *cache, mtc_verb verb)
{
    mtci_count(&cache->counters,
               verb == MTC_VERB_STORE ? MTCI_COUNT_SETS : MTCI_COUNT_REMOVES);
}

void mtci_write_begin(mtc_cache *cache, mtci_write *write)
{
    mtci_slot *slot = mtci_slot_of(&cache->slots, write->mark.hash);
    pthread_mutex_lock(&slot->mutex);
    mtci_mark_begin_locked(slot, &write->mark);
    for (size_t i = 0; i < cache->lane_count; i++) {
        mtci_lane_submit(&cache->lanes[i], &write->ops[i], 1);
        if (i < cache->front_count)
            drop_old_locked(&cache->lanes[i], write->ops[i]);
    }
    pthread_mutex_unlock(&slot->mutex);
    count_write(cache, write->verb);
}

void mtci_write_send(mtc_cache *cache)
{
    for (size_t i = cache->front_count + 1; i < cache->lane_count; i++)
        mtci_lane_kick(&cache->lanes[i]);
}

/* -- ending ------------------------------------------------------------- */

/* Adds what one tier said to what the others said. */
static mtc_status merge(mtc_verb verb, mtc_status so_far, mtc_status status)
{
    if (so_far == MTC_E_BUSY || status == MTC_E_BUSY)
        return MTC_E_BUSY;
    if (status == MTC_OK)
        return so_far;
    if (verb == MTC_VERB_STORE)
        return MTC_PARTIAL;
    return status == MTC_PENDING ? MTC_PENDING : so_far;
}

static void lower_fence(mtc_cache *cache, mtci_write *write)
{
    mtci_slot *slot = mtci_slot_of(&cache->slots, write->mark.hash);
    pthread_mutex_lock(&slot->mutex);
    mtci_mark_end_locked(slot, &write->mark);
    pthread_mutex_unlock(&slot->mutex);
    drop_ops(write);
}

mtc_status mtci_write_end(mtc_cache *cache, mtci_write *write, int64_t until_ms)
{
    mtc_status result = MTC_OK;
    for (size_t i = 0; i < cache->lane_count; i++) {
        mtc_status status =
            mtci_lane_settle(&cache->lanes[i], write->ops[i], until_ms);
        result = merge(write->verb, result, status);
    }
    lower_fence(cache, write);
    return result;
}

/* -- for a task ----------------------------------------------------------- */

size_t mtci_write_attach(mtc_cache *cache, mtci_write *write, mtci_task *task)
{
    for (size_t i = cache->front_count; i < cache->lane_count; i++)
        write->ops[i]->task = task;
    write->is_open = true;
    return cache->lane_count - cache->front_count;
}

static void settle_one(mtci_write *write, mtci_op **op, mtc_status why,
                       int64_t now_ms)
{
    mtci_lane *lane = (*op)->lane;
    mtci_task *task = (*op)->task;
    int64_t due_ms = (*op)->request.deadline_ms;
    bool is_done = mtci_op_is_done(*op);
    bool has_left = false;
    mtc_status status;
    if (!is_done && why == MTC_OK && now_ms < due_ms) {
        if (due_ms < write->due_ms)
            write->due_ms = due_ms;
        return;
    }
    if (is_done)
        status = mtci_lane_settle_answered(lane, *op);
    else
        status = mtci_lane_settle_early(lane, *op,
                                        why == MTC_OK ? MTC_E_TIMEOUT : why,
                                        now_ms >= due_ms, &has_left);
    if (has_left && task)
        mtci_task_left(task);
    write->status = merge(write->verb, write->status, status);
    mtci_op_release(*op);
    *op = NULL;
}

bool mtci_write_step(mtc_cache *cache, mtci_write *write, mtc_status why,
                     int64_t now_ms)
{
    write->due_ms = MTC_NO_END;
    for (size_t i = 0; i < cache->lane_count; i++) {
        if (write->ops[i])
            settle_one(write, &write->ops[i], why, now_ms);
    }
    if (write->due_ms != MTC_NO_END)
        return false;
    lower_fence(cache, write);
    write->is_open = false;
    return true;
}

/* -- the public calls --------------------------------------------------- */

/* A write that is done at once, if at all. */
typedef struct now {
    mtc_verb verb;
    uint32_t weight;
    mtc_slice key;
    uint64_t hash;
    mtci_life life;
} now;

/* What every write touches is on its way while the rest is prepared. */
static void expect_write(mtc_cache *cache, const now *what)
{
    const mtci_lane *lane = &cache->lanes[0];
    __builtin_prefetch(mtci_slot_of(&cache->slots, what->hash), 1);
    if (lane->ops->expect)
        lane->ops->expect(lane->tier, what->verb, &what->hash, 1);
}

/* A request on the caller's stack, in every tier. A negative status: some
 * tier could not, and all of them are asked again by operations. */
static mtc_status write_now_locked(mtc_cache *cache, const now *what,
                                   const mtc_value *value)
{
    mtc_status result = MTC_OK;
    for (size_t i = 0; i < cache->lane_count; i++) {
        mtci_lane *lane = &cache->lanes[i];
        mtc_request request = {.key = what->key,
                               .hash = what->hash,
                               .facts = {.left_ms = MTC_NO_END}};
        if (what->verb == MTC_VERB_STORE) {
            request.value = *value;
            request.weight = what->weight;
            request.facts = mtci_life_facts(lane, what->life);
        }
        mtc_status status = mtci_lane_write_now(lane, what->verb, &request);
        if (status < 0)
            return status;
        result = merge(what->verb, result, status);
    }
    return result;
}

/* Whether every tier answers at once: then nothing of a write is left when
 * the slot is, and it needs neither operations nor a mark. */
static bool is_at_once(const mtc_cache *cache)
{
    return cache->front_count == cache->lane_count;
}

static bool write_now(mtc_cache *cache, const now *what, mtc_slice value,
                      mtc_status *status)
{
    if (!is_at_once(cache) || value.size > cache->value_size_max ||
        (!value.data && value.size > 0))
        return false;
    expect_write(cache, what);
    mtc_value borrowed = mtc_value_borrow(value);
    mtci_slot *slot = mtci_slot_of(&cache->slots, what->hash);
    pthread_mutex_lock(&slot->mutex);
    mtci_slot_void_locked(slot, what->key, what->hash);
    *status = write_now_locked(cache, what, &borrowed);
    pthread_mutex_unlock(&slot->mutex);
    if (*status < 0)
        return false;
    count_write(cache, what->verb);
    return true;
}

/* A set as most are, without a call's options, a weigher or a listener. */
static bool set_now(mtc_cache *cache, mtc_slice key, mtc_slice value,
                    const mtc_strategy *strategy, mtc_status *status)
{
    if (!is_at_once(cache) || cache->evicted || cache->weigh)
        return false;
    now what = {.verb = MTC_VERB_STORE,
                .key = key,
                .hash = mtci_hash(key, cache->seed),
                .life = mtci_life_of(strategy ? strategy : &cache->strategy)};
    return write_now(cache, &what, value, status);
}

/* A write some of whose tiers answer later; the cache is entered. */
static mtc_status write_and_wait(mtci_ask *ask, mtc_verb verb, mtc_slice value)
{
    mtci_write write;
    mtc_cache *cache = ask->cache;
    mtc_status status = mtci_write_prepare(&write, ask, verb, value);
    if (status != MTC_OK)
        return status;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &ask->cancel_state);
    mtci_write_begin(cache, &write);
    mtci_write_send(cache);
    status = mtci_write_end(cache, &write, ask->until_ms);
    pthread_setcancelstate(ask->cancel_state, NULL);
    return status;
}

/* What a set weighs; the user's weigher is asked without a visit. */
static uint32_t weigh(mtc_cache *cache, mtci_pins **pins, mtc_slice key,
                      mtc_slice value)
{
    if (cache->weigh)
        mtci_cache_stay(cache, pins);
    return mtci_cache_weigh(cache, key, value);
}

/* One key. */
static mtc_status write_one(mtc_cache *cache, mtc_slice key, mtc_verb verb,
                            mtc_slice value, const mtc_call *call)
{
    mtci_ask ask;
    if (!cache)
        return MTC_E_INVALID;
    mtci_pins *pins = mtci_cache_visit(cache);
    mtc_status status = mtci_ask_init(&ask, cache, call);
    if (status == MTC_OK)
        status = mtci_ask_key(&ask, key);
    if (status == MTC_OK && verb == MTC_VERB_STORE)
        ask.weight = weigh(cache, &pins, key, value);
    bool is_done = status != MTC_OK;
    if (!is_done) {
        now what = {verb, ask.weight, ask.key, ask.hash,
                    mtci_life_of(ask.strategy)};
        is_done = write_now(cache, &what, value, &status);
    }
    if (!is_done || cache->evicted)
        mtci_cache_stay(cache, &pins);
    if (!is_done)
        status = write_and_wait(&ask, verb, value);
    mtci_cache_report(cache);
    mtci_cache_part(cache, pins);
    return status;
}

mtc_status mtc_cache_set_with(mtc_cache *cache, mtc_slice key, mtc_slice value,
                              const mtc_call *call)
{
    return write_one(cache, key, MTC_VERB_STORE, value, call);
}

mtc_status mtc_cache_set(mtc_cache *cache, mtc_slice key, mtc_slice value,
                         const mtc_strategy *strategy)
{
    mtc_status status;
    if (mtci_is_plain(strategy) && mtci_visit_plain(cache, key)) {
        bool is_done = set_now(cache, key, value, strategy, &status);
        mtci_pins_part(mtci_self.pins);
        if (is_done)
            return status;
    }
    mtc_call call = MTC_CALL_INIT;
    call.strategy = strategy;
    return mtc_cache_set_with(cache, key, value, &call);
}

mtc_status mtc_cache_remove_with(mtc_cache *cache, mtc_slice key,
                                 const mtc_call *call)
{
    return write_one(cache, key, MTC_VERB_REMOVE, mtc_bytes(NULL, 0), call);
}

mtc_status mtc_cache_remove(mtc_cache *cache, mtc_slice key)
{
    return mtc_cache_remove_with(cache, key, NULL);
}

mtc_status mtc_cache_expire_with(mtc_cache *cache, mtc_slice key,
                                 const mtc_call *call)
{
    return write_one(cache, key, MTC_VERB_EXPIRE, mtc_bytes(NULL, 0), call);
}

mtc_status mtc_cache_expire(mtc_cache *cache, mtc_slice key)
{
    return mtc_cache_expire_with(cache, key, NULL);
}
