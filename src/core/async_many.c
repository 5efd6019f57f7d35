/*
 * The asynchronous read of many keys: one task for all of them.
 *
 * An ask for each key that memory does not have; those that lead are looked
 * up together, a round trip for each tier, the others follow.
 */
#include <stdlib.h>

#include "base/sync.h"
#include "core/ask.h"
#include "core/queue.h"
#include "core/search.h"

/* Keys that are under way at a time, as in many.c. */
#define WINDOW 1024u

/* One key that memory did not have. */
typedef struct key_ask {
    mtci_ask ask;
    mtc_item *item;
    bool is_over;
} key_ask;

typedef struct many_task {
    mtci_task task;
    mtci_ask first; /* what all have in common */
    mtc_item *items;
    size_t count;
    size_t next; /* the first item that was not begun */
    key_ask *asks;
    size_t ask_count;
    mtci_look *looks; /* of those that lead */
    mtci_search search;
    bool is_searching;
    mtc_many_done done;
} many_task;

/* -- beginning a window ---------------------------------------------------- */

/* What memory has is handed out by a drain, perhaps of another thread. */
static bool find_item(const mtci_ask *ask, mtc_item *item)
{
    mtci_result found = {0};
    if (!mtci_chain_find(ask->cache, ask->key, ask->hash, ask->flags, &found))
        return false;
    item->status = found.status;
    if (mtc_value_detach(&found.value) != MTC_OK) {
        mtc_value_free(&found.value);
        item->status = MTC_E_NO_MEMORY;
        found.outcome = MTCI_OUTCOME_ERROR;
    }
    item->value = found.value;
    mtci_count_request(&ask->cache->counters, item->status, found.outcome);
    return true;
}

/* At once, while the tier works on the rest. */
static void end_found(mtci_look *look)
{
    key_ask *one = look->ctx;
    one->is_over = mtci_ask_looked(&one->ask, look);
}

static void begin_one(many_task *m, mtc_item *item)
{
    key_ask *one = &m->asks[m->ask_count];
    *one = (key_ask){.ask = m->first, .item = item};
    /* A call without items was refused.
     * NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
    item->value = (mtc_value){0};
    item->status = mtci_ask_key(&one->ask, item->key);
    if (item->status != MTC_OK || find_item(&one->ask, item))
        return;
    m->ask_count++;
    one->ask.party.task = &m->task;
    if (!mtci_ask_join(&one->ask)) {
        one->is_over = true;
        return;
    }
    if (!mtci_ask_leads(&one->ask)) {
        mtci_count(&one->ask.cache->counters, MTCI_COUNT_FOLLOWERS);
        return;
    }
    m->looks[m->search.count++] = (mtci_look){.flight = one->ask.flight,
                                              .flags = one->ask.flags,
                                              .found = end_found,
                                              .ctx = one};
}

static void begin_window(many_task *m)
{
    m->ask_count = 0;
    m->search.count = 0;
    for (size_t i = 0; i < WINDOW && m->next < m->count; i++)
        begin_one(m, &m->items[m->next++]);
    mtci_search_begin(&m->search, m->looks, m->search.count);
    m->is_searching = m->search.count > 0;
}

/* -- steps ----------------------------------------------------------------- */

/* Those that were not found, of leaders whose call ends or whose look has. */
static void end_looks(many_task *m, mtc_status why)
{
    for (size_t i = 0; i < m->search.count; i++) {
        key_ask *one = m->looks[i].ctx;
        if (one->is_over)
            continue;
        if (why != MTC_OK && m->looks[i].error != MTC_OK)
            mtci_ask_leave(&one->ask, why);
        else
            mtci_ask_looked(&one->ask, &m->looks[i]);
        one->is_over = true;
    }
    m->is_searching = false;
}

/* Whether a follower has ended. */
static bool follow_one(key_ask *one, mtc_status why)
{
    if (one->is_over)
        return true;
    if (why == MTC_OK && one->ask.is_circle)
        why = MTC_E_DEADLOCK;
    int64_t none_ms = MTCI_FOREVER; /* it has no loader */
    one->is_over = mtci_ask_step(&one->ask, why, &none_ms) == MTCI_END;
    return one->is_over;
}

static bool follow_all(many_task *m, mtc_status why)
{
    bool is_over = true;
    for (size_t i = 0; i < m->ask_count; i++)
        is_over &= follow_one(&m->asks[i], why);
    return is_over;
}

/* The first that joined leaves last: it may lead what a later one follows. */
static void hand_out(many_task *m)
{
    for (size_t i = m->ask_count; i-- > 0;) {
        key_ask *one = &m->asks[i];
        one->item->status = mtci_ask_end(&one->ask, &one->item->value);
    }
    m->ask_count = 0;
}

/* Whether the window has ended. */
static bool step_window(many_task *m, mtc_status why, int64_t now_ms)
{
    if (m->is_searching) {
        if (!mtci_search_step(&m->search, why, now_ms)) {
            mtci_task_await(&m->task, m->search.due_ms);
            return false;
        }
        end_looks(m, why);
    }
    if (!follow_all(m, why)) {
        mtci_task_await(&m->task, m->first.until_ms);
        return false;
    }
    hand_out(m);
    return true;
}

/* Items that were not begun when the call was to end. */
static void give_up(many_task *m, mtc_status why)
{
    for (; m->next < m->count; m->next++) {
        m->items[m->next].status = why;
        m->items[m->next].value = (mtc_value){0};
        mtci_count(&m->first.cache->counters, MTCI_COUNT_ERRORS);
    }
}

static bool step(mtci_task *task, mtc_status why, int64_t now_ms)
{
    many_task *m = (many_task *)task;
    if (why == MTC_OK && now_ms >= m->first.until_ms)
        why = MTC_E_TIMEOUT;
    while (step_window(m, why, now_ms)) {
        if (why != MTC_OK)
            give_up(m, why);
        if (m->next == m->count)
            return true;
        begin_window(m);
    }
    return false;
}

static mtc_status sum_up(const many_task *m)
{
    if (m->task.why != MTC_OK)
        return m->task.why;
    for (size_t i = 0; i < m->count; i++) {
        if (m->items[i].status != MTC_OK)
            return MTC_PARTIAL;
    }
    return MTC_OK;
}

static void tell(mtci_task *task)
{
    many_task *m = (many_task *)task;
    mtc_queue *queue = task->queue;
    mtc_many_done done = m->done;
    void *ctx = task->ctx;
    mtc_item *items = m->items;
    size_t count = m->count;
    mtc_status status = sum_up(m);
    mtci_task_leave(task);
    mtci_queue_open_call(queue);
    done(ctx, status, items, count);
    mtci_queue_close_call(queue);
}

static void task_free(mtci_task *task)
{
    many_task *m = (many_task *)task;
    free(m->asks);
    free(m->looks);
    free(m);
}

static const mtci_task_ops many_ops = {step, tell, task_free};

/* -- beginning ------------------------------------------------------------- */

static mtc_status task_new(mtc_queue *queue, const mtci_ask *first,
                           size_t count, many_task **out)
{
    size_t window = count < WINDOW ? count : WINDOW;
    many_task *m = calloc(1, sizeof(*m));
    *out = m;
    if (!m)
        return MTC_E_NO_MEMORY;
    m->task.ops = &many_ops;
    m->count = count;
    m->first = *first;
    m->first.strategy = &queue->cache->strategy; /* nothing is stored */
    m->search = (mtci_search){.cache = queue->cache,
                              .task = &m->task,
                              .until_ms = first->until_ms};
    m->asks = calloc(window + 1, sizeof(*m->asks));
    m->looks = calloc(window + 1, sizeof(*m->looks));
    mtc_status status = m->asks && m->looks ? MTC_OK : MTC_E_NO_MEMORY;
    if (status == MTC_OK)
        status = mtci_queue_add(queue, &m->task);
    if (status != MTC_OK)
        task_free(&m->task);
    return status;
}

mtc_status mtc_cache_get_many_async(mtc_queue *queue, mtc_item *items,
                                    size_t count, const mtc_call *call,
                                    mtc_many_done done, void *ctx)
{
    mtci_ask first;
    many_task *m;
    if (!done || (!items && count > 0))
        return MTC_E_INVALID;
    mtc_status status = mtci_queue_admit(queue);
    if (status == MTC_OK)
        status = mtci_ask_init(&first, queue->cache, call);
    if (status == MTC_OK)
        status = task_new(queue, &first, count, &m);
    if (status != MTC_OK)
        return status;
    m->items = items;
    m->done = done;
    m->task.ctx = ctx;
    begin_window(m);
    return MTC_PENDING;
}
