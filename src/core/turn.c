/*
 * Waiting for a turn. See turn.h.
 */
#include "core/turn.h"

#include "base/sync.h"
#include "core/queue.h"

/* -- in a thread ----------------------------------------------------------- */

/* A caller that waits; on its stack. */
typedef struct caller_turn {
    mtci_turn turn;
    mtc_status status;
    _Atomic uint32_t word; /* 1: status counts */
} caller_turn;

static void caller_granted(mtci_turn *turn, mtc_status status)
{
    caller_turn *waiting = (caller_turn *)turn;
    waiting->status = status;
    atomic_store_explicit(&waiting->word, 1, memory_order_release);
    mtci_word_wake(&waiting->word);
}

static mtc_status await(mtc_cache *cache, caller_turn *waiting,
                        int64_t until_ms)
{
    int64_t due_ms = waiting->turn.due_ms;
    bool is_short = until_ms < due_ms;
    int64_t end_ms = is_short ? until_ms : due_ms;
    while (!atomic_load_explicit(&waiting->word, memory_order_acquire)) {
        int64_t left_ms = end_ms - mtci_cache_now_ms(cache);
        if (left_ms > 0)
            mtci_word_wait(&waiting->word, 0, left_ms);
        else if (mtci_loads_withdraw(cache->loads, &waiting->turn))
            return is_short ? MTC_E_TIMEOUT : MTC_E_BUSY;
        else
            end_ms = MTC_NO_END; /* it comes just now */
    }
    return waiting->status;
}

mtc_status mtci_turn_take(mtc_cache *cache, int64_t until_ms)
{
    caller_turn waiting = {.turn = {.granted = caller_granted}};
    mtc_status status =
        mtci_loads_take(cache->loads, &waiting.turn, mtci_cache_now_ms(cache));
    return status == MTC_PENDING ? await(cache, &waiting, until_ms) : status;
}

/* -- in a task ------------------------------------------------------------- */

/* Any thread. */
static void task_granted(mtci_turn *turn, mtc_status status)
{
    mtci_task_turn *waiting = (mtci_task_turn *)turn;
    atomic_store_explicit(&waiting->status, status, memory_order_release);
    mtci_task_answered(waiting->task);
}

mtc_status mtci_task_turn_take(mtci_task_turn *waiting, mtci_task *task,
                               int64_t until_ms, int64_t now_ms)
{
    waiting->turn = (mtci_turn){.granted = task_granted};
    waiting->task = task;
    atomic_store_explicit(&waiting->status, MTC_PENDING, memory_order_relaxed);
    mtci_task_sent(task, 1);
    mtc_status status =
        mtci_loads_take(task->queue->cache->loads, &waiting->turn, now_ms);
    if (status != MTC_PENDING) {
        mtci_task_left(task);
        return status;
    }
    int64_t due_ms = waiting->turn.due_ms;
    mtci_task_await(task, until_ms < due_ms ? until_ms : due_ms);
    return MTC_PENDING;
}

/* One that cannot be withdrawn is granted at this moment. */
mtc_status mtci_task_turn_step(mtci_task_turn *waiting, mtc_status why,
                               int64_t now_ms)
{
    mtci_task *task = waiting->task;
    mtci_loads *loads = task->queue->cache->loads;
    mtc_status status = (mtc_status)atomic_load_explicit(&waiting->status,
                                                         memory_order_acquire);
    bool is_due = why != MTC_OK || now_ms >= waiting->turn.due_ms;
    if (status == MTC_PENDING && is_due &&
        mtci_loads_withdraw(loads, &waiting->turn)) {
        mtci_task_left(task);
        status = MTC_E_BUSY;
    }
    if (status == MTC_PENDING || why == MTC_OK)
        return status;
    if (status == MTC_OK)
        mtci_loads_give(loads);
    return why;
}
