/*
 * The asynchronous writes: set, remove and expire, of one key or of many.
 *
 * Memory has changed when the call returns; the task settles the other tiers.
 * A write of one key is one of many with a single item of its own.
 */
#include <stdlib.h>

#include "core/many.h"
#include "core/queue.h"
#include "core/write.h"

typedef struct write_task {
    mtci_task task;
    mtci_ask first; /* what all have in common */
    mtc_verb verb;
    mtc_item *items;
    size_t count;
    size_t at, size; /* the items that are under way */
    mtc_done done;   /* of one */
    mtc_many_done many_done;
    mtc_item own;       /* of one */
    mtci_write *writes; /* of those under way */
    char key[];         /* of one */
} write_task;

/* -- steps ----------------------------------------------------------------- */

static void begin_one(write_task *w, mtc_item *item, mtci_write *write)
{
    mtci_ask ask = w->first;
    mtc_slice bytes = mtc_bytes(NULL, 0);
    if (w->verb == MTC_VERB_STORE)
        bytes = item->bytes;
    /* A call without items was refused.
     * NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
    item->status = mtci_ask_key(&ask, item->key);
    if (item->status == MTC_OK && w->verb == MTC_VERB_STORE)
        ask.weight = mtci_cache_weigh(ask.cache, item->key, bytes);
    if (item->status == MTC_OK)
        item->status = mtci_write_prepare(write, &ask, w->verb, bytes);
    if (item->status != MTC_OK)
        return;
    size_t sent = mtci_write_attach(ask.cache, write, &w->task);
    mtci_write_begin(ask.cache, write);
    mtci_task_sent(&w->task, sent);
}

/* Begins the next of the items; before the first answer is looked at. */
static void begin_window(write_task *w)
{
    w->size = w->count - w->at < MTCI_MANY_WINDOW ? w->count - w->at
                                                  : MTCI_MANY_WINDOW;
    for (size_t i = 0; i < w->size; i++)
        begin_one(w, &w->items[w->at + i], &w->writes[i]);
    mtci_cache_report(w->first.cache);
}

/* Whether all that is under way has ended. */
static bool settle_window(write_task *w, mtc_status why, int64_t now_ms)
{
    int64_t due_ms = MTC_NO_END;
    for (size_t i = 0; i < w->size; i++) {
        mtc_item *item = &w->items[w->at + i];
        mtci_write *write = &w->writes[i];
        if (!write->is_open)
            continue;
        if (mtci_write_step(w->first.cache, write, why, now_ms))
            item->status = write->status;
        else if (write->due_ms < due_ms)
            due_ms = write->due_ms;
    }
    if (due_ms == MTC_NO_END)
        return true;
    mtci_task_await(&w->task,
                    due_ms < w->first.until_ms ? due_ms : w->first.until_ms);
    return false;
}

static bool step(mtci_task *task, mtc_status why, int64_t now_ms)
{
    write_task *w = (write_task *)task;
    if (why == MTC_OK && now_ms >= w->first.until_ms)
        why = MTC_E_TIMEOUT;
    while (settle_window(w, why, now_ms)) {
        w->at += w->size;
        w->size = 0;
        if (w->at == w->count)
            return true;
        if (why == MTC_OK)
            begin_window(w);
        else
            w->items[w->at++].status = why;
    }
    return false;
}

/* As the blocking calls say of all together. */
static mtc_status sum_up(const write_task *w)
{
    return w->task.why != MTC_OK ? w->task.why
                                 : mtci_many_status(w->items, w->count);
}

static void tell(mtci_task *task)
{
    write_task *w = (write_task *)task;
    mtc_queue *queue = task->queue;
    mtc_done done = w->done;
    mtc_many_done many_done = w->many_done;
    void *ctx = task->ctx;
    mtc_item *items = w->items;
    size_t count = w->count;
    mtc_value none = {0};
    mtc_status status = done ? w->own.status : sum_up(w);
    mtci_task_leave(task);
    mtci_queue_open_call(queue);
    if (done)
        done(ctx, status, &none);
    else
        many_done(ctx, status, items, count);
    mtci_queue_close_call(queue);
}

static void task_free(mtci_task *task)
{
    write_task *w = (write_task *)task;
    free(w->writes);
    free(w);
}

static const mtci_task_ops write_ops = {step, tell, task_free};

/* -- beginning ------------------------------------------------------------- */

static mtc_status task_new(mtc_queue *queue, const mtci_ask *first,
                           size_t count, write_task **out)
{
    size_t window = count < MTCI_MANY_WINDOW ? count : MTCI_MANY_WINDOW;
    write_task *w = calloc(1, sizeof(*w) + first->key.size);
    *out = w;
    if (!w)
        return MTC_E_NO_MEMORY;
    w->first = *first;
    if (first->strategy == &first->own)
        w->first.strategy = &w->first.own;
    w->count = count;
    w->task.ops = &write_ops;
    w->writes = calloc(window > 0 ? window : 1, sizeof(*w->writes));
    mtc_status status = w->writes ? MTC_OK : MTC_E_NO_MEMORY;
    if (status == MTC_OK)
        status = mtci_queue_add(queue, &w->task);
    if (status != MTC_OK)
        task_free(&w->task);
    return status;
}

/* Begun within the call, so that a get that follows sees it. */
static mtc_status begin_first_window(write_task *w)
{
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    begin_window(w);
    pthread_setcancelstate(cancel_state, NULL);
    return MTC_PENDING;
}

/* A single write that was not begun has no callback. */
static mtc_status begin_single(write_task *w, mtc_slice bytes)
{
    mtc_slice key = w->first.key;
    if (key.size > 0)
        memcpy(w->key, key.data, key.size);
    w->own = (mtc_item){.key = mtc_bytes(w->key, key.size), .bytes = bytes};
    w->items = &w->own;
    begin_first_window(w);
    if (w->own.status == MTC_OK)
        return MTC_PENDING;
    mtc_status status = w->own.status;
    mtci_task_leave(&w->task);
    return status;
}

static mtc_status write_one(mtc_queue *queue, mtc_verb verb, mtc_item what,
                            const mtc_call *call, mtc_done done, void *ctx)
{
    mtci_ask ask;
    write_task *w;
    if (!done)
        return MTC_E_INVALID;
    mtc_status status = mtci_queue_admit(queue);
    if (status == MTC_OK)
        status = mtci_ask_init(&ask, queue->cache, call);
    if (status == MTC_OK)
        status = mtci_ask_key(&ask, what.key);
    if (status == MTC_OK)
        status = task_new(queue, &ask, 1, &w);
    if (status != MTC_OK)
        return status;
    w->verb = verb;
    w->done = done;
    w->task.ctx = ctx;
    return begin_single(w, what.bytes);
}

/* Of many keys. */
typedef struct batch {
    mtc_verb verb;
    mtc_item *items;
    size_t count;
} batch;

static mtc_status write_many(mtc_queue *queue, batch batch,
                             const mtc_call *call, mtc_many_done done,
                             void *ctx)
{
    mtci_ask ask;
    write_task *w;
    if (!done || (!batch.items && batch.count > 0))
        return MTC_E_INVALID;
    mtc_status status = mtci_queue_admit(queue);
    if (status == MTC_OK)
        status = mtci_ask_init(&ask, queue->cache, call);
    if (status == MTC_OK)
        status = task_new(queue, &ask, batch.count, &w);
    if (status != MTC_OK)
        return status;
    w->verb = batch.verb;
    w->items = batch.items;
    w->many_done = done;
    w->task.ctx = ctx;
    return begin_first_window(w);
}

mtc_status mtc_cache_set_async(mtc_queue *queue, mtc_slice key, mtc_slice value,
                               const mtc_call *call, mtc_done done, void *ctx)
{
    mtc_item what = {.key = key, .bytes = value};
    return write_one(queue, MTC_VERB_STORE, what, call, done, ctx);
}

mtc_status mtc_cache_remove_async(mtc_queue *queue, mtc_slice key,
                                  const mtc_call *call, mtc_done done,
                                  void *ctx)
{
    mtc_item what = {.key = key};
    return write_one(queue, MTC_VERB_REMOVE, what, call, done, ctx);
}

mtc_status mtc_cache_expire_async(mtc_queue *queue, mtc_slice key,
                                  const mtc_call *call, mtc_done done,
                                  void *ctx)
{
    mtc_item what = {.key = key};
    return write_one(queue, MTC_VERB_EXPIRE, what, call, done, ctx);
}

mtc_status mtc_cache_set_many_async(mtc_queue *queue, mtc_item *items,
                                    size_t count, const mtc_call *call,
                                    mtc_many_done done, void *ctx)
{
    batch all = {MTC_VERB_STORE, items, count};
    return write_many(queue, all, call, done, ctx);
}

mtc_status mtc_cache_remove_many_async(mtc_queue *queue, mtc_item *items,
                                       size_t count, const mtc_call *call,
                                       mtc_many_done done, void *ctx)
{
    batch all = {MTC_VERB_REMOVE, items, count};
    return write_many(queue, all, call, done, ctx);
}
