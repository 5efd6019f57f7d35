/*
 * Waiting for operations, and leaving them; see lane.h.
 */
#include "base/sync.h"
#include "core/cache.h"
#include "core/lane_state.h"

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
    mtci_lane_note_failure(lane, MTC_E_TIMEOUT,
                           "no answer within the deadline");
    mtci_lane_close_off(lane);
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
    return mtci_is_acknowledged(status) ? status : owe(lane, op);
}

mtc_status mtci_lane_settle_early(mtci_lane *lane, mtci_op *op, mtc_status why,
                                  bool is_due, bool *has_left)
{
    mtc_status owed = owe(lane, op);
    *has_left = mtci_lane_depart(lane, op, why, is_due);
    if (*has_left)
        return owed;
    mtci_op_pay(op);
    return mtci_is_acknowledged(op->request.status) ? op->request.status : owed;
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
