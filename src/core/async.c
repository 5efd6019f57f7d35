/*
 * The asynchronous reads of one key: an ask that does not block.
 *
 * A party in flights like any other, of threads or of tasks. See ask.h.
 */
#include <stdlib.h>

#include "base/hash.h"
#include "base/sync.h"
#include "core/find.h"
#include "core/load.h"
#include "core/queue.h"
#include "core/search.h"
#include "core/turn.h"

typedef enum { FOLLOWS, LEADS, WAITS_FOR_TURN, LOADS, IS_OVER } ask_state;

typedef struct ask_task {
    mtci_task task;
    mtci_ask ask;
    ask_state state;
    bool is_searching;
    mtci_look look;
    mtci_search search;
    mtci_task_turn turn; /* of its load */
    mtc_done done;
    char key[];
} ask_task;

/* -- steps ----------------------------------------------------------------- */

/* Looks along the tiers; true: the look has a result. */
static bool look_up(ask_task *a, mtc_status why, int64_t now_ms)
{
    if (!a->is_searching) {
        a->look = (mtci_look){.flight = a->ask.flight,
                              .flags = a->ask.flags,
                              .soft_at_ms = a->ask.soft_at_ms,
                              .hard_at_ms = a->ask.hard_at_ms,
                              .lease_ms = mtci_ask_lease_ms(&a->ask)};
        mtci_search_begin(&a->search, &a->look, 1);
        a->is_searching = true;
    }
    a->is_searching = !mtci_search_step(&a->search, why, now_ms);
    if (a->is_searching)
        mtci_task_await(&a->task, a->search.due_ms);
    return !a->is_searching;
}

/* Whether the look has ended the call. */
static bool end_look(ask_task *a, mtc_status why)
{
    bool is_settled =
        a->look.is_found || (a->look.error == MTC_OK && !a->ask.loader);
    if (why != MTC_OK && !is_settled) {
        mtci_ask_leave(&a->ask, why);
        return true;
    }
    return mtci_ask_looked(&a->ask, &a->look);
}

static void load(ask_task *a)
{
    a->state = LOADS;
    a->ask.cancel_state = a->task.queue->cancel_state;
    a->state = mtci_load_run_here(&a->ask) ? IS_OVER : FOLLOWS;
}

/* -- the turn of its load -------------------------------------------------- */

static void load_with_turn(ask_task *a, mtc_status status)
{
    if (status == MTC_OK) {
        a->ask.has_turn = true;
        load(a);
        return;
    }
    mtci_load_refuse(&a->ask, status);
    a->state = IS_OVER;
}

static void take_turn(ask_task *a, int64_t now_ms)
{
    if (!mtci_load_needs_turn(&a->ask)) {
        load(a);
        return;
    }
    mtc_status status =
        mtci_task_turn_take(&a->turn, &a->task, a->ask.until_ms, now_ms);
    if (status == MTC_PENDING)
        a->state = WAITS_FOR_TURN;
    else
        load_with_turn(a, status);
}

/* Others may load in its place. */
static void leave_untried(ask_task *a, mtc_status why)
{
    mtci_load_leave_untried(&a->ask);
    a->ask.result.status = why;
    a->state = IS_OVER;
}

static void await_turn(ask_task *a, mtc_status why, int64_t now_ms)
{
    mtc_status status = mtci_task_turn_step(&a->turn, why, now_ms);
    if (status == MTC_PENDING)
        return;
    if (why != MTC_OK)
        leave_untried(a, why);
    else
        load_with_turn(a, status);
}

/* -- leading and following ------------------------------------------------- */

/* As mtci_ask_lead. The state says how it goes on. */
static void lead(ask_task *a, mtc_status why, int64_t now_ms)
{
    if (mtci_ask_must_look(&a->ask) || a->is_searching) {
        if (!look_up(a, why, now_ms))
            return;
        if (end_look(a, why)) {
            a->state = IS_OVER;
            return;
        }
    } else if (why != MTC_OK) {
        mtci_ask_leave(&a->ask, why);
        a->state = IS_OVER;
        return;
    }
    if (!mtci_ask_may_load(&a->ask))
        a->state = IS_OVER;
    else if (mtci_load_hand_over(&a->ask))
        a->state = FOLLOWS;
    else
        take_turn(a, now_ms);
}

static void follow(ask_task *a, mtc_status why, int64_t now_ms)
{
    mtci_ask *ask = &a->ask;
    int64_t left_ms = MTCI_FOREVER;
    if (why == MTC_OK && ask->is_circle)
        why = MTC_E_DEADLOCK;
    mtci_ask_next next = mtci_ask_step(ask, why, &left_ms);
    if (next == MTCI_END)
        a->state = IS_OVER;
    if (next == MTCI_LEAD)
        a->state = LEADS;
    if (next != MTCI_WAIT)
        return;
    bool is_early = left_ms != MTCI_FOREVER && now_ms + left_ms < ask->until_ms;
    mtci_task_await(&a->task, is_early ? now_ms + left_ms : ask->until_ms);
}

/* A loader that did not return leaves its task in LOADS: it is over. */
static bool step(mtci_task *task, mtc_status why, int64_t now_ms)
{
    ask_task *a = (ask_task *)task;
    if (why == MTC_OK && now_ms >= a->ask.until_ms)
        why = MTC_E_TIMEOUT;
    if (a->state == FOLLOWS) {
        follow(a, why, now_ms);
        if (a->state == FOLLOWS)
            return false;
    }
    if (a->state == WAITS_FOR_TURN)
        await_turn(a, why, now_ms);
    if (a->state == LEADS)
        lead(a, why, now_ms);
    /* The answer may have come before the loader returned. */
    if (a->state == FOLLOWS)
        follow(a, why, now_ms);
    return a->state == IS_OVER || a->state == LOADS;
}

static void tell(mtci_task *task)
{
    ask_task *a = (ask_task *)task;
    mtc_queue *queue = task->queue;
    mtc_done done = a->done;
    void *ctx = task->ctx;
    /* Also when the callback ends its thread. */
    __attribute__((cleanup(mtc_value_free))) mtc_value value;
    mtc_status status = mtci_ask_end(&a->ask, &value);
    mtci_task_leave(task);
    mtci_queue_open_call(queue);
    done(ctx, status, &value);
    mtci_queue_close_call(queue);
}

static void task_free(mtci_task *task)
{
    free(task);
}

static const mtci_task_ops ask_ops = {step, tell, task_free};

/* -- beginning ------------------------------------------------------------- */

static mtc_status join(ask_task *a)
{
    mtci_ask *ask = &a->ask;
    ask->party.task = &a->task;
    ask->party.can_look = true;
    if (!mtci_ask_join(ask))
        return MTC_E_NO_MEMORY;
    a->state = mtci_ask_leads(ask) ? LEADS : FOLLOWS;
    if (a->state == FOLLOWS)
        mtci_count(&ask->cache->counters, MTCI_COUNT_FOLLOWERS);
    return MTC_OK;
}

/* A task for an ask that the caller's stack holds. */
static ask_task *task_new(mtc_queue *queue, const mtci_ask *ask)
{
    ask_task *a = calloc(1, sizeof(*a) + ask->key.size);
    if (!a)
        return NULL;
    a->ask = *ask;
    if (ask->strategy == &ask->own)
        a->ask.strategy = &a->ask.own;
    if (ask->key.size > 0)
        memcpy(a->key, ask->key.data, ask->key.size);
    a->ask.key = mtc_bytes(a->key, ask->key.size);
    a->task.ops = &ask_ops;
    a->search = (mtci_search){.cache = queue->cache,
                              .task = &a->task,
                              .until_ms = ask->until_ms};
    return a;
}

/* What memory had is handed out by a drain, perhaps of another thread, and
 * stays the ask's until the task is the queue's. */
static mtc_status begin(mtc_queue *queue, mtci_ask *ask, bool is_found,
                        mtc_done done, void *ctx)
{
    if (is_found && mtc_value_detach(&ask->result.value) != MTC_OK)
        return MTC_E_NO_MEMORY;
    ask_task *a = task_new(queue, ask);
    if (!a)
        return MTC_E_NO_MEMORY;
    a->done = done;
    a->task.ctx = ctx;
    mtc_status status = mtci_queue_add(queue, &a->task);
    if (status != MTC_OK) {
        free(a);
        return status;
    }
    if (is_found) {
        a->state = IS_OVER;
        ask->result.value = (mtc_value){0};
    } else {
        status = join(a);
    }
    if (status != MTC_OK)
        mtci_task_leave(&a->task);
    return status == MTC_OK ? MTC_PENDING : status;
}

static mtc_status answer_at_once(mtci_ask *ask, mtc_done done, void *ctx)
{
    mtc_value value;
    mtc_status status = mtci_ask_end(ask, &value);
    done(ctx, status, &value);
    mtc_value_free(&value);
    return status;
}

static mtc_status get_or_load(mtc_queue *queue, mtci_ask *ask, bool is_at_once,
                              mtc_done done, void *ctx)
{
    bool is_found = mtci_ask_find(ask);
    if (is_found && is_at_once)
        return answer_at_once(ask, done, ctx);
    mtc_status status = begin(queue, ask, is_found, done, ctx);
    if (status != MTC_PENDING)
        mtc_value_free(&ask->result.value);
    return status;
}

/* A call as those are that want little more than a get: a plain hit of the
 * first tier. */
static bool find_plain(mtc_queue *queue, mtc_slice key, const mtc_call *call,
                       mtc_value *value)
{
    if (!queue || !call || call->flags != MTC_CALL_AT_ONCE ||
        call->struct_size != sizeof(*call) || call->deadline_ms < 0 ||
        !mtci_is_plain(call->strategy) || call->parent ||
        mtci_refreshes(call->strategy ? call->strategy
                                      : &queue->cache->strategy) ||
        !mtci_visit_plain(queue->cache, key))
        return false;
    mtc_cache *cache = queue->cache;
    uint64_t hash = mtci_hash(key, cache->seed);
    mtc_status status = mtci_find_first(cache, key, hash, value);
    if (__builtin_expect(status == MTC_OK, 1)) {
        mtci_find_counted(cache);
        return true;
    }
    if (status != MTC_MISS)
        mtc_value_free(value);
    mtci_pins_part(mtci_self.pins);
    return false;
}

/* Where a value comes from, and where it goes. */
typedef struct ends {
    mtc_loader loader; /* NULL: a get */
    void *loader_ctx;
    mtc_done done;
    void *ctx;
} ends;

static mtc_status ask_for(mtc_queue *queue, mtc_slice key, const mtc_call *call,
                          const ends *ends)
{
    mtci_ask ask;
    mtc_value value;
    if (!ends->done)
        return MTC_E_INVALID;
    if (find_plain(queue, key, call, &value)) {
        ends->done(ends->ctx, MTC_OK, &value);
        mtc_value_free(&value);
        return MTC_OK;
    }
    mtc_status status = mtci_queue_admit(queue);
    if (status == MTC_OK)
        status = mtci_ask_init(&ask, queue->cache, call);
    if (status == MTC_OK)
        status = mtci_ask_key(&ask, key);
    if (status != MTC_OK)
        return status;
    ask.loader = ends->loader;
    ask.ctx = ends->loader_ctx;
    bool is_at_once = call && (call->flags & MTC_CALL_AT_ONCE);
    return get_or_load(queue, &ask, is_at_once, ends->done, ends->ctx);
}

mtc_status mtc_cache_get_async(mtc_queue *queue, mtc_slice key,
                               const mtc_call *call, mtc_done done, void *ctx)
{
    return ask_for(queue, key, call, &(ends){NULL, NULL, done, ctx});
}

mtc_status mtc_cache_get_or_load_async(mtc_queue *queue, mtc_slice key,
                                       const mtc_call *call, mtc_loader loader,
                                       void *loader_ctx, mtc_done done,
                                       void *ctx)
{
    if (!loader)
        return MTC_E_INVALID;
    return ask_for(queue, key, call, &(ends){loader, loader_ctx, done, ctx});
}
