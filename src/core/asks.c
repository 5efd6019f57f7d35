/*
 * The asks of many keys; see asks.h. The owner of the queue.
 */
#include "core/asks.h"

#include <stdlib.h>

#include "base/sync.h"
#include "core/background.h"
#include "core/bulk.h"
#include "core/load.h"
#include "core/queue.h"

/* How the ask of a key stands; TO_LOOK and TO_LOAD: it leads, and waits for the
 * others. */
typedef enum { FOLLOWS, TO_LOOK, LOOKS, TO_LOAD, IS_OVER } key_state;

/* One key that memory did not have. */
struct mtci_key_ask {
    mtci_ask ask; /* first */
    mtc_item *item;
    key_state state;
};

/* -- beginning and end ----------------------------------------------------- */

bool mtci_asks_init(mtci_asks *all, mtci_task *task, const mtci_ask *first,
                    size_t room)
{
    all->task = task;
    all->first = first;
    all->search = (mtci_search){.cache = first->cache,
                                .task = task,
                                .until_ms = first->until_ms};
    all->asks = calloc(room + 1, sizeof(*all->asks));
    all->looks = calloc(room + 1, sizeof(*all->looks));
    if (first->loader)
        all->loads = calloc(room + 1, sizeof(mtci_ask *));
    return all->asks && all->looks && (all->loads || !first->loader);
}

void mtci_asks_fini(mtci_asks *all)
{
    free(all->asks);
    free(all->looks);
    free(all->loads);
}

void mtci_asks_add(mtci_asks *all, mtc_item *item)
{
    mtci_key_ask *one = &all->asks[all->count++];
    *one = (mtci_key_ask){.ask = *all->first, .item = item};
    one->ask.party.task = all->task;
    mtci_ask_key(&one->ask, item->key);
    if (!mtci_ask_join(&one->ask))
        one->state = IS_OVER;
    else if (mtci_ask_leads(&one->ask))
        one->state = TO_LOOK;
    else
        mtci_count(&all->first->cache->counters, MTCI_COUNT_FOLLOWERS);
}

/* -- looking --------------------------------------------------------------- */

/* At once, while the tier works on the rest. */
static void end_found(mtci_look *look)
{
    mtci_key_ask *one = look->ctx;
    mtci_ask_looked(&one->ask, look);
    one->state = IS_OVER;
}

static void begin_search(mtci_asks *all)
{
    size_t count = 0;
    for (size_t i = 0; i < all->count; i++) {
        mtci_key_ask *one = &all->asks[i];
        if (one->state != TO_LOOK)
            continue;
        one->state = LOOKS;
        all->looks[count++] =
            (mtci_look){.flight = one->ask.flight,
                        .flags = one->ask.flags,
                        .soft_at_ms = one->ask.soft_at_ms,
                        .hard_at_ms = one->ask.hard_at_ms,
                        .lease_ms = mtci_ask_lease_ms(&one->ask),
                        .found = end_found,
                        .ctx = one};
    }
    mtci_search_begin(&all->search, all->looks, count);
    all->is_searching = count > 0;
}

/* One that was not found: its call ends, or it is to be loaded. */
static void end_look(mtci_look *look, mtc_status why)
{
    mtci_key_ask *one = look->ctx;
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
static void search(mtci_asks *all, mtc_status why, int64_t now_ms,
                   int64_t *due_ms)
{
    if (!all->is_searching)
        begin_search(all);
    if (!all->is_searching)
        return;
    if (!mtci_search_step(&all->search, why, now_ms)) {
        *due_ms = all->search.due_ms < *due_ms ? all->search.due_ms : *due_ms;
        return;
    }
    for (size_t i = 0; i < all->search.count; i++)
        end_look(&all->looks[i], why);
    all->is_searching = false;
}

/* -- following ------------------------------------------------------------- */

static void follow_one(mtci_key_ask *one, mtc_status why, int64_t *left_ms)
{
    if (why == MTC_OK && one->ask.is_circle)
        why = MTC_E_DEADLOCK;
    mtci_ask_next next = mtci_ask_step(&one->ask, why, left_ms);
    if (next == MTCI_END)
        one->state = IS_OVER;
    if (next == MTCI_LEAD)
        one->state = mtci_ask_must_look(&one->ask) ? TO_LOOK : TO_LOAD;
}

static void follow(mtci_asks *all, mtc_status why, int64_t now_ms,
                   int64_t *due_ms)
{
    int64_t left_ms = MTCI_FOREVER;
    for (size_t i = 0; i < all->count; i++) {
        if (all->asks[i].state == FOLLOWS)
            follow_one(&all->asks[i], why, &left_ms);
    }
    if (left_ms != MTCI_FOREVER && now_ms + left_ms < *due_ms)
        *due_ms = now_ms + left_ms;
}

/* -- loading --------------------------------------------------------------- */

/* Runs when the bulk loader has not returned, and the flights were handed on:
 * the call is over. */
static void vanish(mtci_asks **variable)
{
    mtci_asks *all = *variable;
    if (!all)
        return;
    all->task->why = MTC_E_CANCELLED;
    mtci_task_wake(all->task);
}

static bool load(mtci_asks *all, size_t count)
{
    __attribute__((cleanup(vanish))) mtci_asks *guard = all;
    bool is_done =
        mtci_bulk_load(all->loads, count, all->task->queue->cancel_state);
    guard = NULL;
    return is_done;
}

/* Those that are to be loaded, which follow if that is done. */
static size_t gather(mtci_asks *all)
{
    size_t count = 0;
    for (size_t i = 0; i < all->count; i++) {
        if (all->asks[i].state != TO_LOAD)
            continue;
        all->asks[i].state = FOLLOWS;
        all->loads[count++] = &all->asks[i].ask;
    }
    return count;
}

/* They are not loaded, for want of time or for another reason. */
static void refuse(mtci_asks *all, mtc_status status, mtc_status why)
{
    for (size_t i = 0; i < all->count; i++) {
        mtci_key_ask *one = &all->asks[i];
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
static void load_together(mtci_asks *all, bool has_turn)
{
    size_t count = gather(all);
    all->loads[0]->has_turn = has_turn;
    if (load(all, count))
        return;
    if (has_turn)
        mtci_loads_give(all->first->cache->loads);
    all->loads[0]->has_turn = false;
    for (size_t i = 0; i < count; i++)
        ((mtci_key_ask *)all->loads[i])->state = TO_LOAD;
    refuse(all, MTC_E_NO_MEMORY, MTC_OK);
}

/* What is the turn's status: MTC_PENDING, until there is one or none. */
static mtc_status take_turn(mtci_asks *all, mtc_status why, int64_t now_ms,
                            int64_t *due_ms)
{
    mtc_status status = all->waits_for_turn
                            ? mtci_task_turn_step(&all->turn, why, now_ms)
                            : mtci_task_turn_take(&all->turn, all->task,
                                                  all->first->until_ms, now_ms);
    all->waits_for_turn = status == MTC_PENDING;
    if (all->waits_for_turn && all->turn.turn.due_ms < *due_ms)
        *due_ms = all->turn.turn.due_ms;
    return status;
}

static bool has_any(const mtci_asks *all, key_state state)
{
    for (size_t i = 0; i < all->count; i++) {
        if (all->asks[i].state == state)
            return true;
    }
    return false;
}

/* Loads what is to be loaded, once it may; brings *due_ms down to when to look
 * again. Whether anything has come of it. */
static bool load_what_is_left(mtci_asks *all, mtc_status why, int64_t now_ms,
                              int64_t *due_ms)
{
    mtc_status status = MTC_OK;
    if (!has_any(all, TO_LOAD))
        return false;
    bool needs_turn = mtci_load_needs_turn(all->first) &&
                      !mtci_is_background(all->first->strategy);
    if (all->waits_for_turn || (needs_turn && why == MTC_OK))
        status = take_turn(all, why, now_ms, due_ms);
    if (status == MTC_PENDING)
        return false;
    if (status == MTC_OK && why == MTC_OK)
        load_together(all, needs_turn);
    else
        refuse(all, status, why);
    return true;
}

/* -- steps ----------------------------------------------------------------- */

/* The first that joined leaves last: it may lead what a later one follows. */
static void hand_out(mtci_asks *all)
{
    for (size_t i = all->count; i-- > 0;) {
        mtci_key_ask *one = &all->asks[i];
        one->item->status = mtci_ask_end(&one->ask, &one->item->value);
    }
    all->count = 0;
}

static bool is_over(const mtci_asks *all)
{
    for (size_t i = 0; i < all->count; i++) {
        if (all->asks[i].state != IS_OVER)
            return false;
    }
    return true;
}

bool mtci_asks_step(mtci_asks *all, mtc_status why, int64_t now_ms)
{
    int64_t due_ms;
    bool goes_on;
    do {
        due_ms = all->first->until_ms;
        search(all, why, now_ms, &due_ms);
        follow(all, why, now_ms, &due_ms);
        goes_on = load_what_is_left(all, why, now_ms, &due_ms);
        goes_on |= !all->is_searching && has_any(all, TO_LOOK);
    } while (goes_on);
    if (is_over(all)) {
        hand_out(all);
        return true;
    }
    mtci_task_await(all->task, due_ms);
    return false;
}
