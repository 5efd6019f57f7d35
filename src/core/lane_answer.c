/*
 * What comes back from a tier; see lane.h.
 */
#include <stdio.h>

#include "base/sync.h"
#include "core/cache.h"
#include "core/lane_state.h"
#include "core/lease.h"
#include "core/task.h"

void mtci_lane_note_failure(mtci_lane *lane, mtc_status status,
                            const char *text)
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

void mtci_lane_close_off(mtci_lane *lane)
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

/* Whether it leaves nothing older behind. What is expired stays as a stale
 * copy, and so does what is under a lease that is renewed or given back. */
static bool is_final(const mtci_op *op)
{
    const mtc_request *request = &op->request;
    if (op->verb == MTC_VERB_STORE)
        return request->facts.kind != MTC_KIND_LEASE;
    return op->verb == MTC_VERB_REMOVE && request->ticket == 0;
}

void mtci_op_pay(mtci_op *op)
{
    if (is_final(op) && mtci_is_acknowledged(op->request.status))
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
    mtci_lane_note_failure(lane, status, op->request.failure);
    if (closes_the_tier(op->verb, status))
        mtci_lane_close_off(lane);
}

void mtci_op_answered(mtc_request *request)
{
    mtci_op *op = (mtci_op *)request;
    mtci_lane *lane = op->lane;
    if (is_answer(request->status))
        atomic_store_explicit(&lane->silent_since_ms, 0, memory_order_relaxed);
    note_answer(lane, op);
    if (op->is_turned && request->status == MTC_OK)
        request->status = MTC_PARTIAL;
    mtci_op_pay(op);
    bool is_refused = op->is_fill && request->status == MTC_E_CANCELLED;
    uint32_t before =
        atomic_exchange_explicit(&op->word, MTCI_OP_DONE, memory_order_acq_rel);
    if (before == MTCI_OP_LEFT)
        mtci_op_pay(op); /* what its caller owed meanwhile */
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
