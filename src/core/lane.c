/*
 * The guard around one tier, and what goes out to it; see lane.h.
 */
#include "core/cache.h"
#include "core/lane_state.h"
#include "core/task.h"
#include "mtc/strategy.h"

#define SUBMIT_CHUNK 128u

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
    request->done = mtci_op_answered;
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

void mtci_lane_kick(mtci_lane *lane)
{
    if (lane->ops->drive)
        lane->ops->drive(lane->tier, NULL, 0);
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
