/*
 * The asynchronous reads of many keys: one task for all of them.
 *
 * An ask for each key that memory does not have; those that lead are looked
 * up together, a round trip for each tier, and what is not there is loaded in
 * one call of the bulk loader; the others follow.
 */
#include <stdlib.h>

#include "base/sync.h"
#include "core/background.h"
#include "core/bulk.h"
#include "core/load.h"
#include "core/many.h"
#include "core/queue.h"
#include "core/search.h"
#include "core/turn.h"

/* How the ask of a key stands; TO_LOOK and TO_LOAD: it leads, and waits for the
 * others. */
typedef enum { FOLLOWS, TO_LOOK, LOOKS, TO_LOAD, IS_OVER } key_state;

/* One key that memory did not have. */
typedef struct key_ask {
    mtci_ask ask; /* first */
    mtc_item *item;
    key_state state;
} key_ask;

typedef struct many_task {
    mtci_task task;
    mtci_ask first; /* what all have in common */
    mtci_bulk_source source;
    mtc_item *items;
    size_t count;
    size_t next; /* the first item that was not begun */
    key_ask *asks;
    size_t ask_count;
    mtci_look *looks; /* of those that are in the search */
    mtci_search search;
    bool is_searching;
    mtci_ask **loads;    /* of those that are loaded together */
    mtci_task_turn turn; /* for them */
    bool waits_for_turn;
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

static void begin_one(many_task *m, mtc_item *item)
{
    key_ask *one = &m->asks[m->ask_count++];
    *one = (key_ask){.ask = m->first, .item = item};
    one->ask.party.task = &m->task;
    mtci_ask_key(&one->ask, item->key);
    if (!mtci_ask_join(&one->ask))
        one->state = IS_OVER;
    else if (mtci_ask_leads(&one->ask))
        one->state = TO_LOOK;
    else
        mtci_count(&m->first.cache->counters, MTCI_COUNT_FOLLOWERS);
}

static void begin_window(many_task *m)
{
    size_t left = m->count - m->next;
    size_t size = left < MTCI_MANY_WINDOW ? left : MTCI_MANY_WINDOW;
    mtc_item *items = m->items + m->next;
    m->next += size;
    m->ask_count = 0;
    find_items(m, items, size);
    for (size_t i = 0; i < size; i++) {
        /* A call without items was refused.
         * NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
        if (items[i].status == MTCI_MANY_NOT_YET)
            begin_one(m, &items[i]);
    }
}

/* -- looking --------------------------------------------------------------- */

/* At once, while the tier works on the rest. */
static void end_found(mtci_look *look)
{
    key_ask *one = look->ctx;
    mtci_ask_looked(&one->ask, look);
    one->state = IS_OVER;
}

static void begin_search(many_task *m)
{
    size_t count = 0;
    for (size_t i = 0; i < m->ask_count; i++) {
        key_ask *one = &m->asks[i];
        if (one->state != TO_LOOK)
            continue;
        one->state = LOOKS;
        m->looks[count++] =
            (mtci_look){.flight = one->ask.flight,
                        .flags = one->ask.flags,
                        .soft_at_ms = one->ask.soft_at_ms,
                        .hard_at_ms = one->ask.hard_at_ms,
                        .lease_ms = mtci_ask_lease_ms(&one->ask),
                        .found = end_found,
                        .ctx = one};
    }
    mtci_search_begin(&m->search, m->looks, count);
    m->is_searching = count > 0;
}

/* One that was not found: its call ends, or it is to be loaded. */
static void end_look(mtci_look *look, mtc_status why)
{
    key_ask *one = look->ctx;
    bool is_settled =
        look->is_found || (look->error == MTC_OK && !one->ask.loader);
    if (one->state != LOOKS)
        return;
    one->state = IS_OVER;
    if (why != MTC_OK && !is_settled)
        mtci_ask_leave(&one->ask, why);
    else if (!mtci_ask_looked(&one->ask, look))
        one->state = TO_LOAD;
}

/* Begins a search, unless there is one, and steps it; brings *due_ms down to
 * when to step it again. */
static void search(many_task *m, mtc_status why, int64_t now_ms,
                   int64_t *due_ms)
{
    if (!m->is_searching)
        begin_search(m);
    if (!m->is_searching)
        return;
    if (!mtci_search_step(&m->search, why, now_ms)) {
        *due_ms = m->search.due_ms < *due_ms ? m->search.due_ms : *due_ms;
        return;
    }
    for (size_t i = 0; i < m->search.count; i++)
        end_look(&m->looks[i], why);
    m->is_searching = false;
}

/* -- following ------------------------------------------------------------- */

static void follow_one(key_ask *one, mtc_status why, int64_t *left_ms)
{
    if (why == MTC_OK && one->ask.is_circle)
        why = MTC_E_DEADLOCK;
    mtci_ask_next next = mtci_ask_step(&one->ask, why, left_ms);
    if (next == MTCI_END)
        one->state = IS_OVER;
    if (next == MTCI_LEAD)
        one->state = mtci_ask_must_look(&one->ask) ? TO_LOOK : TO_LOAD;
}

static void follow(many_task *m, mtc_status why, int64_t now_ms,
                   int64_t *due_ms)
{
    int64_t left_ms = MTCI_FOREVER;
    for (size_t i = 0; i < m->ask_count; i++) {
        if (m->asks[i].state == FOLLOWS)
            follow_one(&m->asks[i], why, &left_ms);
    }
    if (left_ms != MTCI_FOREVER && now_ms + left_ms < *due_ms)
        *due_ms = now_ms + left_ms;
}

/* -- loading --------------------------------------------------------------- */

/* Runs when the bulk loader has not returned, and the flights were handed on:
 * the call is over. */
static void vanish(many_task **variable)
{
    many_task *m = *variable;
    if (!m)
        return;
    m->task.why = MTC_E_CANCELLED;
    mtci_task_wake(&m->task);
}

static bool load(many_task *m, size_t count)
{
    __attribute__((cleanup(vanish))) many_task *guard = m;
    bool is_done = mtci_bulk_load(m->loads, count, m->task.queue->cancel_state);
    guard = NULL;
    return is_done;
}

/* Those that are to be loaded, which follow if that is done. */
static size_t gather(many_task *m)
{
    size_t count = 0;
    for (size_t i = 0; i < m->ask_count; i++) {
        if (m->asks[i].state != TO_LOAD)
            continue;
        m->asks[i].state = FOLLOWS;
        m->loads[count++] = &m->asks[i].ask;
    }
    return count;
}

/* They are not loaded, for want of time or for another reason. */
static void refuse(many_task *m, mtc_status status, mtc_status why)
{
    for (size_t i = 0; i < m->ask_count; i++) {
        key_ask *one = &m->asks[i];
        if (one->state != TO_LOAD)
            continue;
        one->state = IS_OVER;
        if (why == MTC_OK) {
            mtci_load_refuse(&one->ask, status);
            continue;
        }
        mtci_load_leave_untried(&one->ask);
        one->ask.result.status = why;
    }
}

/* With a turn or without, as the loads of this call need it. */
static void load_together(many_task *m, bool has_turn)
{
    size_t count = gather(m);
    m->loads[0]->has_turn = has_turn;
    if (load(m, count))
        return;
    if (has_turn)
        mtci_loads_give(m->first.cache->loads);
    m->loads[0]->has_turn = false;
    for (size_t i = 0; i < count; i++)
        ((key_ask *)m->loads[i])->state = TO_LOAD;
    refuse(m, MTC_E_NO_MEMORY, MTC_OK);
}

/* What is the turn's status: MTC_PENDING, until there is one or none. */
static mtc_status take_turn(many_task *m, mtc_status why, int64_t now_ms,
                            int64_t *due_ms)
{
    mtc_status status = m->waits_for_turn
                            ? mtci_task_turn_step(&m->turn, why, now_ms)
                            : mtci_task_turn_take(&m->turn, &m->task,
                                                  m->first.until_ms, now_ms);
    m->waits_for_turn = status == MTC_PENDING;
    if (m->waits_for_turn && m->turn.turn.due_ms < *due_ms)
        *due_ms = m->turn.turn.due_ms;
    return status;
}

static bool has_any(const many_task *m, key_state state)
{
    for (size_t i = 0; i < m->ask_count; i++) {
        if (m->asks[i].state == state)
            return true;
    }
    return false;
}

/* Loads what is to be loaded, once it may; brings *due_ms down to when to look
 * again. Whether anything has come of it. */
static bool load_what_is_left(many_task *m, mtc_status why, int64_t now_ms,
                              int64_t *due_ms)
{
    mtc_status status = MTC_OK;
    if (!has_any(m, TO_LOAD))
        return false;
    bool has_turn = mtci_load_needs_turn(&m->first) &&
                    !mtci_is_background(m->first.strategy);
    if (m->waits_for_turn || (has_turn && why == MTC_OK))
        status = take_turn(m, why, now_ms, due_ms);
    if (status == MTC_PENDING)
        return false;
    if (status == MTC_OK && why == MTC_OK)
        load_together(m, has_turn);
    else
        refuse(m, status, why);
    return true;
}

/* -- steps ----------------------------------------------------------------- */

/* The first that joined leaves last: it may lead what a later one follows. */
static void hand_out(many_task *m)
{
    for (size_t i = m->ask_count; i-- > 0;) {
        key_ask *one = &m->asks[i];
        one->item->status = mtci_ask_end(&one->ask, &one->item->value);
    }
    m->ask_count = 0;
}

static bool is_over(const many_task *m)
{
    for (size_t i = 0; i < m->ask_count; i++) {
        if (m->asks[i].state != IS_OVER)
            return false;
    }
    return true;
}

/* Whether the window has ended. */
static bool step_window(many_task *m, mtc_status why, int64_t now_ms)
{
    int64_t due_ms;
    bool goes_on;
    do {
        due_ms = m->first.until_ms;
        search(m, why, now_ms, &due_ms);
        follow(m, why, now_ms, &due_ms);
        goes_on = load_what_is_left(m, why, now_ms, &due_ms);
        goes_on |= !m->is_searching && has_any(m, TO_LOOK);
    } while (goes_on);
    if (is_over(m)) {
        hand_out(m);
        return true;
    }
    mtci_task_await(&m->task, due_ms);
    return false;
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
    free(m->asks);
    free(m->looks);
    free(m->loads);
    free(m);
}

static const mtci_task_ops many_ops = {step, tell, task_free};

/* -- beginning ------------------------------------------------------------- */

static bool make_room(many_task *m)
{
    size_t window = m->count < MTCI_MANY_WINDOW ? m->count : MTCI_MANY_WINDOW;
    m->asks = calloc(window + 1, sizeof(*m->asks));
    m->looks = calloc(window + 1, sizeof(*m->looks));
    if (m->source.loader)
        m->loads = calloc(window + 1, sizeof(mtci_ask *));
    return m->asks && m->looks && (m->loads || !m->source.loader);
}

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
    m->search = (mtci_search){.cache = queue->cache,
                              .task = &m->task,
                              .until_ms = first->until_ms};
    mtc_status status = make_room(m) ? MTC_OK : MTC_E_NO_MEMORY;
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
