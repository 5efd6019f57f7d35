/*
 * The asynchronous reads of many keys: one task for all of them, in windows.
 * What memory does not have is asked for below; see asks.h.
 */
#include <stdlib.h>

#include "core/asks.h"
#include "core/bulk.h"
#include "core/many.h"
#include "core/queue.h"

typedef struct many_task {
    mtci_task task;
    mtci_ask first; /* what all have in common */
    mtci_bulk_source source;
    mtc_item *items;
    size_t count;
    size_t next;    /* the first item that was not begun */
    mtci_asks asks; /* of those that memory did not have */
    mtc_many_done done;
} many_task;

/* -- beginning a window ---------------------------------------------------- */

/* What memory has is handed out by a drain, perhaps of another thread. */
static void keep_found(mtc_item *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!items[i].value.ops || mtc_value_detach(&items[i].value) == MTC_OK)
            continue;
        mtc_value_free(&items[i].value);
        items[i].status = MTC_E_NO_MEMORY;
    }
}

static void find_items(many_task *m, mtc_item *items, size_t count)
{
    mtc_cache *cache = m->first.cache;
    mtci_pins *pins = mtci_cache_visit(cache);
    for (size_t i = 0; i < count; i++)
        items[i].value = (mtc_value){0};
    mtci_many_find(&m->first, items, count);
    keep_found(items, count);
    mtci_cache_part(cache, pins);
}

static void begin_window(many_task *m)
{
    size_t left = m->count - m->next;
    size_t size = left < MTCI_MANY_WINDOW ? left : MTCI_MANY_WINDOW;
    mtc_item *items = m->items + m->next;
    m->next += size;
    find_items(m, items, size);
    for (size_t i = 0; i < size; i++) {
        /* A call without items was refused.
         * NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
        if (items[i].status == MTCI_MANY_NOT_YET)
            mtci_asks_add(&m->asks, &items[i]);
    }
}

/* -- steps ----------------------------------------------------------------- */

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
    while (mtci_asks_step(&m->asks, why, now_ms)) {
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
    return m->task.why != MTC_OK ? m->task.why
                                 : mtci_many_status(m->items, m->count);
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
    mtci_asks_fini(&m->asks);
    free(m);
}

static const mtci_task_ops many_ops = {step, tell, task_free};

/* -- beginning ------------------------------------------------------------- */

static mtc_status task_new(mtc_queue *queue, const mtci_ask *first,
                           const mtci_bulk_source *source, size_t count,
                           many_task **out)
{
    many_task *m = calloc(1, sizeof(*m));
    *out = m;
    if (!m)
        return MTC_E_NO_MEMORY;
    m->task.ops = &many_ops;
    m->count = count;
    m->source = *source;
    m->first = *first;
    if (first->strategy == &first->own)
        m->first.strategy = &m->first.own;
    if (source->loader) {
        m->first.loader = mtci_bulk_load_one;
        m->first.ctx = &m->source;
        m->first.is_bulk = true;
    }
    size_t room = count < MTCI_MANY_WINDOW ? count : MTCI_MANY_WINDOW;
    mtc_status status = mtci_asks_init(&m->asks, &m->task, &m->first, room)
                            ? MTC_OK
                            : MTC_E_NO_MEMORY;
    if (status == MTC_OK)
        status = mtci_queue_add(queue, &m->task);
    if (status != MTC_OK)
        task_free(&m->task);
    return status;
}

/* The items of a call, and what becomes of them. */
typedef struct batch {
    mtc_item *items;
    size_t count;
    mtci_bulk_source source; /* without a loader: a get */
    mtc_many_done done;
    void *ctx;
} batch;

static mtc_status get_or_load(mtc_queue *queue, const mtc_call *call,
                              const batch *batch)
{
    mtci_ask first;
    many_task *m;
    if (!batch->done || (!batch->items && batch->count > 0))
        return MTC_E_INVALID;
    mtc_status status = mtci_queue_admit(queue);
    if (status == MTC_OK)
        status = mtci_ask_init(&first, queue->cache, call);
    if (status == MTC_OK)
        status = task_new(queue, &first, &batch->source, batch->count, &m);
    if (status != MTC_OK)
        return status;
    m->items = batch->items;
    m->done = batch->done;
    m->task.ctx = batch->ctx;
    begin_window(m);
    return MTC_PENDING;
}

mtc_status mtc_cache_get_many_async(mtc_queue *queue, mtc_item *items,
                                    size_t count, const mtc_call *call,
                                    mtc_many_done done, void *ctx)
{
    batch all = {items, count, {NULL, NULL}, done, ctx};
    return get_or_load(queue, call, &all);
}

mtc_status mtc_cache_get_or_load_many_async(mtc_queue *queue, mtc_item *items,
                                            size_t count, const mtc_call *call,
                                            mtc_bulk_loader loader,
                                            void *loader_ctx,
                                            mtc_many_done done, void *ctx)
{
    batch all = {items, count, {loader, loader_ctx}, done, ctx};
    return loader ? get_or_load(queue, call, &all) : MTC_E_INVALID;
}
