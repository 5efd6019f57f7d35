/*
 * The guard around one tier; see lane.h.
 */
#include "core/lane.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/sync.h"
#include "core/cache.h"
#include "core/lease.h"
#include "core/task.h"
#include "mtc/strategy.h"

#define SUBMIT_CHUNK 128u

/* -- what came back ----------------------------------------------------- */

static void note_failure(mtci_lane *lane, mtc_status status, const char *text)
{
    atomic_fetch_add_explicit(&lane->errors, 1, memory_order_relaxed);
    pthread_mutex_lock(&lane->mutex);
    lane->last_error = status;
    lane->last_error_ms = mtci_clock_ms(&lane->clock);
    snprintf(lane->last_error_text, sizeof(lane->last_error_text), "%s",
             text ? text : mtc_status_text(status));
    pthread_mutex_unlock(&lane->mutex);
}

/* A refused store says nothing about reads: it does not close the tier. */
static bool closes_the_tier(mtc_verb verb, mtc_status status)
{
    if (status == MTC_E_TIMEOUT)
        return true;
    return verb == MTC_VERB_READ &&
           (status == MTC_E_UNAVAILABLE || status == MTC_E_DENIED);
}

mtc_tier_usage mtci_lane_usage(const mtci_lane *lane)
{
    mtc_tier_usage usage = {0};
    if (lane->ops->usage)
        lane->ops->usage(lane->tier, &usage);
    return usage;
}

bool mtci_lane_has_part_up(const mtci_lane *lane)
{
    mtc_tier_usage usage = mtci_lane_usage(lane);
    return usage.parts_down < usage.parts;
}

/* A tier with parts closes itself off from those that fail. */
static void close_off(mtci_lane *lane)
{
    if (mtci_lane_is_down(lane) || mtci_lane_has_part_up(lane))
        return;
    if (!atomic_exchange_explicit(&lane->is_down, true, memory_order_relaxed))
        mtci_keeper_wake(lane->keeper);
}

static void note_sample(mtci_lane *lane, int64_t spent_us)
{
    uint64_t at =
        atomic_fetch_add_explicit(&lane->sample_count, 1, memory_order_relaxed);
    uint32_t us = spent_us > UINT32_MAX ? UINT32_MAX : (uint32_t)spent_us;
    atomic_store_explicit(&lane->samples_us[at % MTCI_LANE_SAMPLES], us,
                          memory_order_relaxed);
}

static bool is_acknowledged(mtc_status status)
{
    return status == MTC_OK || status == MTC_PARTIAL;
}

/* Whether it leaves nothing older behind. What is expired stays as a stale
 * copy, and so does what is under a lease that is renewed or given back. */
static bool is_final(const mtci_op *op)
{
    const mtc_request *request = &op->request;
    if (op->verb == MTC_VERB_STORE)
        return request->facts.kind != MTC_KIND_LEASE;
    return op->verb == MTC_VERB_REMOVE && request->ticket == 0;
}

static void pay(mtci_op *op)
{
    if (is_final(op) && is_acknowledged(op->request.status))
        mtci_debts_pay(&op->lane->debts, mtci_op_key(op), op->request.hash,
                       op->order);
}

/* Whether the tier itself spoke, and no queue or clock in front of it. */
static bool is_answer(mtc_status status)
{
    return status != MTC_E_TIMEOUT && status != MTC_E_BUSY &&
           status != MTC_E_CANCELLED;
}

/* A late failure was counted as a time-out when its caller left. */
static void note_answer(mtci_lane *lane, mtci_op *op)
{
    mtc_status status = op->request.status;
    if (op->verb == MTC_VERB_AWAIT)
        return; /* how long that takes is not the tier's doing */
    note_sample(lane, mtci_boot_us() - op->sent_us);
    if (status >= 0 || status == MTC_E_CANCELLED || status == MTC_E_CLOSED)
        return;
    if (atomic_load_explicit(&op->word, memory_order_relaxed) == MTCI_OP_LEFT &&
        !op->is_fill)
        return;
    if (status == MTC_E_TIMEOUT)
        atomic_fetch_add_explicit(&lane->timeouts, 1, memory_order_relaxed);
    note_failure(lane, status, op->request.failure);
    if (closes_the_tier(op->verb, status))
        close_off(lane);
}

/* Called by the tier through mtc_request_complete, once per operation. */
static void op_done(mtc_request *request)
{
    mtci_op *op = (mtci_op *)request;
    mtci_lane *lane = op->lane;
    if (is_answer(request->status))
        atomic_store_explicit(&lane->silent_since_ms, 0, memory_order_relaxed);
    note_answer(lane, op);
    if (op->is_turned && request->status == MTC_OK)
        request->status = MTC_PARTIAL;
    pay(op);
    bool is_refused = op->is_fill && request->status == MTC_E_CANCELLED;
    uint32_t before =
        atomic_exchange_explicit(&op->word, MTCI_OP_DONE, memory_order_acq_rel);
    if (before == MTCI_OP_LEFT)
        pay(op); /* what its caller owed meanwhile */
    if (before == MTCI_OP_LEFT && op->wants_lease && request->status >= 0 &&
        request->lease_ms > 0 && request->ticket != 0)
        mtci_lease_return(op);
    if (before == MTCI_OP_SLEEPING)
        mtci_word_wake(&op->word);
    if (before == MTCI_OP_OPEN && op->task)
        mtci_task_answered(op->task);
    atomic_fetch_sub_explicit(&lane->open, 1, memory_order_release);
    if (is_refused)
        mtci_keeper_take_refused(lane->keeper, op);
    else
        mtci_op_release(op);
}

/* -- what goes out ------------------------------------------------------ */

/* Ends an operation that is not sent. */
static void end_unsent(mtci_op *op, mtc_status status, bool is_skipped)
{
    op->request.status = status;
    if (is_skipped)
        atomic_fetch_add_explicit(&op->lane->skipped, 1, memory_order_relaxed);
    atomic_store_explicit(&op->word, MTCI_OP_DONE, memory_order_release);
    if (op->task)
        mtci_task_answered(op->task);
}

/* A key that the tier cannot hold is not there, and never was. */
static mtc_status unholdable(mtc_verb verb)
{
    if (verb == MTC_VERB_READ)
        return MTC_MISS;
    return verb == MTC_VERB_STORE ? MTC_PARTIAL : MTC_OK;
}

/* Whether the tier can keep the value of a store; if not, the key has to go. */
static bool can_hold(const mtci_lane *lane, const mtc_request *request)
{
    const mtc_tier_ops *ops = lane->ops;
    return (!ops->value_size_max ||
            request->value.size <= ops->value_size_max) &&
           request->facts.left_ms >= ops->life_step_ms;
}

/* Whether to send it; if not, it is complete. */
static bool admit(mtci_lane *lane, mtci_op *op)
{
    const mtc_tier_ops *ops = lane->ops;
    mtc_request *request = &op->request;
    if (request->key.size > ops->key_size_max) {
        end_unsent(op, unholdable(op->verb), false);
        return false;
    }
    if (!op->is_probe && mtci_lane_is_down(lane)) {
        end_unsent(op, MTC_E_UNAVAILABLE, true);
        return false;
    }
    if (op->verb == MTC_VERB_READ &&
        mtci_debts_has(&lane->debts, mtci_op_key(op), request->hash)) {
        end_unsent(op, MTC_E_UNAVAILABLE, true);
        return false;
    }
    if (op->verb == MTC_VERB_STORE && !can_hold(lane, request)) {
        op->verb = MTC_VERB_REMOVE;
        op->is_turned = true;
    }
    return true;
}

static void prepare(mtci_lane *lane, mtci_op *op, int64_t now_ms,
                    int64_t now_us)
{
    mtc_request *request = &op->request;
    if (request->sent_ms == 0)
        request->sent_ms = now_ms;
    request->deadline_ms =
        now_ms + (op->wait_ms > 0 ? op->wait_ms : lane->deadline_ms);
    request->done = op_done;
    op->sent_us = now_us;
    atomic_fetch_add_explicit(&op->refs, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&lane->open, 1, memory_order_relaxed);
    if (op->verb == MTC_VERB_READ && !op->is_probe)
        atomic_fetch_add_explicit(&lane->reads, 1, memory_order_relaxed);
}

static void send(mtci_lane *lane, mtc_verb verb, mtc_request *const *requests,
                 size_t count)
{
    if (count == 0)
        return;
    if (!lane->workers) {
        lane->ops->submit(lane->tier, verb, requests, count);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (!mtci_workers_submit(lane->workers, (mtci_op *)requests[i]))
            mtc_request_complete(requests[i], MTC_E_BUSY,
                                 "the queue of the tier is full");
    }
}

void mtci_lane_submit(mtci_lane *lane, mtci_op *const *ops, size_t count)
{
    if (count == 0)
        return;
    mtc_request *chunk[SUBMIT_CHUNK];
    int64_t now_us = mtci_boot_us();
    int64_t now_ms =
        lane->clock.is_boot ? now_us / 1000 : mtci_clock_ms(&lane->clock);
    mtc_verb verb = ops[0]->verb;
    size_t held = 0;
    for (size_t i = 0; i < count; i++) {
        if (verb != MTC_VERB_READ && verb != MTC_VERB_AWAIT)
            ops[i]->order = mtci_debts_order(&lane->debts);
        if (!admit(lane, ops[i]))
            continue;
        prepare(lane, ops[i], now_ms, now_us);
        mtc_request *request = &ops[i]->request;
        if (ops[i]->is_turned)
            send(lane, MTC_VERB_REMOVE, &request, 1);
        else
            chunk[held++] = request;
        if (held == SUBMIT_CHUNK) {
            send(lane, verb, chunk, held);
            held = 0;
        }
    }
    send(lane, verb, chunk, held);
}

/* Lives below this are counted from a precise reading of the clock. */
#define SHORT_LIFE_MS 1000

static void request_done(mtc_request *request)
{
    (void)request;
}

mtc_status mtci_lane_write_now(mtci_lane *lane, mtc_verb verb,
                               mtc_request *request)
{
    const mtc_tier_ops *ops = lane->ops;
    if (lane->workers || ops->drive || mtci_lane_is_down(lane) ||
        mtci_debts_count(&lane->debts) > 0)
        return MTC_E_BUSY;
    if (request->key.size > ops->key_size_max)
        return unholdable(verb);
    bool is_turned = verb == MTC_VERB_STORE && !can_hold(lane, request);
    /* A tick is much of a short life. */
    if (request->sent_ms == 0)
        request->sent_ms = request->facts.left_ms < SHORT_LIFE_MS
                               ? mtci_clock_ms(&lane->clock)
                               : mtci_clock_past_ms(&lane->clock);
    request->deadline_ms = request->sent_ms + lane->deadline_ms;
    request->done = request_done;
    ops->submit(lane->tier, is_turned ? MTC_VERB_REMOVE : verb, &request, 1);
    if (is_turned && request->status == MTC_OK)
        return MTC_PARTIAL;
    return request->status;
}

int64_t mtci_lane_life(const mtci_lane *lane, int64_t ttl_ms)
{
    double scaled = (double)ttl_ms * lane->ttl_scale;
    int64_t life =
        scaled < (double)MTC_TTL_MS_MAX ? (int64_t)scaled : MTC_TTL_MS_MAX;
    if (life < 1)
        life = 1;
    if (life > lane->ttl_ms_max)
        life = lane->ttl_ms_max;
    return life < lane->ops->life_ms_max ? life : lane->ops->life_ms_max;
}

/* -- waiting ------------------------------------------------------------ */

static void sleep_on(mtci_op *op, int64_t wait_ms)
{
    uint32_t open = MTCI_OP_OPEN;
    atomic_compare_exchange_strong_explicit(&op->word, &open, MTCI_OP_SLEEPING,
                                            memory_order_acq_rel,
                                            memory_order_acquire);
    mtci_word_wait(&op->word, MTCI_OP_SLEEPING, wait_ms);
}

/* Leaves an operation that may still be answered. False: it just was. */
static bool try_leave(mtci_op *op)
{
    uint32_t word = atomic_load_explicit(&op->word, memory_order_acquire);
    while (word != MTCI_OP_DONE) {
        if (atomic_compare_exchange_weak_explicit(&op->word, &word,
                                                  MTCI_OP_LEFT,
                                                  memory_order_acq_rel,
                                                  memory_order_acquire))
            return true;
    }
    return false;
}

/* Whoever only reads stops waiting when the cache closes. */
static bool is_let_go(const mtci_lane *lane, const mtci_op *op)
{
    return (op->verb == MTC_VERB_READ || op->verb == MTC_VERB_AWAIT ||
            op->is_probe) &&
           mtci_cache_gate(lane->keeper->cache) != MTC_OK;
}

/* MTC_OK: the operation is done. Late or not, what has come is taken in once:
 * the time may have gone into waiting for another tier. */
static mtc_status await(mtci_lane *lane, mtci_op *op, int64_t until_ms)
{
    bool has_driven = !lane->ops->drive;
    while (!mtci_op_is_done(op)) {
        int64_t now_ms = mtci_clock_ms(&lane->clock);
        if (now_ms >= until_ms && has_driven)
            return MTC_E_TIMEOUT;
        if (is_let_go(lane, op))
            return MTC_E_CLOSED;
        has_driven = true;
        int64_t look_ms = now_ms + MTCI_LANE_LOOK_MS;
        if (look_ms > until_ms)
            look_ms = until_ms;
        if (lane->ops->drive && !mtc_request_is_complete(&op->request))
            lane->ops->drive(lane->tier, &op->request, look_ms);
        else
            sleep_on(op, look_ms - now_ms);
    }
    return MTC_OK;
}

/* The tier had its whole deadline and did not answer. */
static void note_timeout(mtci_lane *lane)
{
    atomic_fetch_add_explicit(&lane->timeouts, 1, memory_order_relaxed);
    note_failure(lane, MTC_E_TIMEOUT, "no answer within the deadline");
    close_off(lane);
}

/* A caller has left before the answer, at the tier's deadline or at his own.
 * A tier that answered nobody for its whole deadline is silent, too, however
 * little time each of them had. */
static void note_departure(mtci_lane *lane, const mtci_op *op, bool is_due)
{
    int64_t since_ms = 0;
    if (atomic_compare_exchange_strong_explicit(&lane->silent_since_ms,
                                                &since_ms, op->request.sent_ms,
                                                memory_order_relaxed,
                                                memory_order_relaxed))
        since_ms = op->request.sent_ms;
    if (is_due || mtci_clock_ms(&lane->clock) - since_ms >= lane->deadline_ms)
        note_timeout(lane);
}

bool mtci_lane_depart(mtci_lane *lane, mtci_op *op, mtc_status why, bool is_due)
{
    if (!try_leave(op))
        return false;
    if (lane->ops->abandon)
        lane->ops->abandon(lane->tier, &op->request);
    if (why == MTC_E_TIMEOUT && op->verb != MTC_VERB_AWAIT)
        note_departure(lane, op, is_due);
    return true;
}

mtc_status mtci_lane_wait(mtci_lane *lane, mtci_op *op, int64_t until_ms)
{
    int64_t due_ms = op->request.deadline_ms;
    mtc_status why = await(lane, op, until_ms < due_ms ? until_ms : due_ms);
    if (why == MTC_OK || !mtci_lane_depart(lane, op, why, until_ms >= due_ms))
        return op->request.status;
    return why;
}

/* Notes a debt before leaving, so that a late answer can pay it. */
static mtc_status owe(mtci_lane *lane, mtci_op *op)
{
    if (!mtci_debts_add(&lane->debts, mtci_op_key(op), op->request.hash,
                        op->order))
        return MTC_E_BUSY;
    mtci_keeper_wake(lane->keeper);
    return MTC_PENDING;
}

mtc_status mtci_lane_settle_answered(mtci_lane *lane, mtci_op *op)
{
    mtc_status status = op->request.status;
    return is_acknowledged(status) ? status : owe(lane, op);
}

mtc_status mtci_lane_settle_early(mtci_lane *lane, mtci_op *op, mtc_status why,
                                  bool is_due, bool *has_left)
{
    mtc_status owed = owe(lane, op);
    *has_left = mtci_lane_depart(lane, op, why, is_due);
    if (*has_left)
        return owed;
    pay(op);
    return is_acknowledged(op->request.status) ? op->request.status : owed;
}

mtc_status mtci_lane_settle(mtci_lane *lane, mtci_op *op, int64_t until_ms)
{
    bool has_left;
    int64_t due_ms = op->request.deadline_ms;
    mtc_status why = await(lane, op, until_ms < due_ms ? until_ms : due_ms);
    if (why == MTC_OK)
        return mtci_lane_settle_answered(lane, op);
    return mtci_lane_settle_early(lane, op, why, until_ms >= due_ms, &has_left);
}

void mtci_lane_leave(mtci_lane *lane, mtci_op *op)
{
    if (try_leave(op))
        mtci_keeper_watch(lane->keeper);
    mtci_op_release(op);
}

void mtci_lane_kick(mtci_lane *lane)
{
    if (lane->ops->drive)
        lane->ops->drive(lane->tier, NULL, 0);
}

/* -- beginning and end -------------------------------------------------- */

void mtci_lane_init(mtci_lane *lane, const mtc_tier_config *config,
                    mtci_clock clock)
{
    lane->tier = config->tier;
    lane->ops = config->tier->ops;
    lane->clock = clock;
    lane->prefix_size = strlen(config->prefix);
    memcpy(lane->prefix, config->prefix, lane->prefix_size + 1);
    lane->ttl_scale = config->ttl_scale > 0 ? config->ttl_scale : 1.0;
    lane->ttl_ms_max = config->ttl_ms_max ? config->ttl_ms_max : MTC_NO_END;
    lane->deadline_ms =
        config->deadline_ms ? config->deadline_ms : MTCI_DEADLINE_MS;
    lane->promote_one_in = config->promote_one_in ? config->promote_one_in : 1;
    mtci_debts_init(&lane->debts);
    pthread_mutex_init(&lane->mutex, NULL);
}

mtc_status mtci_lane_start(mtci_lane *lane)
{
    if (!(lane->ops->abilities & MTC_TIER_BLOCKS))
        return MTC_OK;
    lane->workers = mtci_workers_start(lane->tier, lane->clock);
    return lane->workers ? MTC_OK : MTC_E_NO_MEMORY;
}

/* The last worker has come out of the tier. */
static void let_cache_go(void *ctx)
{
    mtci_cache_leave(ctx);
}

void mtci_lane_stop(mtci_lane *lane, int64_t wait_ms)
{
    mtc_cache *cache = lane->keeper->cache;
    mtci_workers *workers = lane->workers;
    lane->workers = NULL;
    mtci_cache_enter(cache);
    if (mtci_workers_stop(workers, wait_ms, let_cache_go, cache))
        mtci_cache_leave(cache);
}

void mtci_lane_fini(mtci_lane *lane)
{
    mtci_debts_fini(&lane->debts);
    pthread_mutex_destroy(&lane->mutex);
}
