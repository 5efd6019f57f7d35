/*
 * Calls of a completion queue, many at a time; see calls.h.
 */
#include "base/clock.h"
#include "mtc/queue.h"
#include "soak/calls.h"
#include "soak/calls_many.h"
#include "support/tier_call.h"

#define OUTSTANDING_MAX 32
#define BEGIN_MAX       3     /* calls at a time */
#define BEGIN_US        1000  /* between two times */
#define DRAWN           10000 /* keys come from a number below */
#define CANCEL_ONE_IN   50
#define MANY_ONE_IN     5 /* calls are on many keys */
#define END_MS          10000

/* One call; the ctx of its callback. */
typedef struct pending {
    soak_world *world;
    soak_call call;
    soak_many many;
    const char *what; /* of many */
    bool is_open;
} pending;

/* Whether it was open; it is not any more. */
static bool end_once(pending *one)
{
    if (!one->is_open)
        soak_complain(one->world->board, one->world->worker,
                      "a call was called back twice");
    bool was_open = one->is_open;
    one->is_open = false;
    return was_open;
}

static void hear(void *ctx, mtc_status status, mtc_value *value)
{
    pending *one = ctx;
    if (!end_once(one))
        return;
    soak_end_timed(one->world, one->call.is_read ? "read_async" : "write_async",
                   &one->call, status);
    soak_end(one->world, &one->call, status, value);
}

static mtc_status begin_read(mtc_queue *queue, pending *one, uint64_t *seed)
{
    bool has_loader = mtct_draw(seed, 2) == 0;
    uint32_t key = has_loader ? soak_loaded_key(mtct_draw(seed, DRAWN))
                              : soak_draw_key(seed);
    soak_call *call = &one->call;
    soak_begin_read(one->world, call, key, seed);
    if (!has_loader)
        return mtc_cache_get_async(queue, soak_call_key(call), &call->options,
                                   hear, one);
    soak_recipe *recipe = soak_draw_recipe(one->world, key, seed);
    call->options.strategy = &recipe->strategy;
    return mtc_cache_get_or_load_async(queue, soak_call_key(call),
                                       &call->options, soak_load, recipe, hear,
                                       one);
}

static mtc_status begin_write(mtc_queue *queue, pending *one, uint64_t *seed)
{
    soak_call *call = &one->call;
    uint32_t key = soak_written_key(mtct_draw(seed, DRAWN));
    mtct_deed_kind kind = MTCT_DEED_SET;
    if (mtct_draw(seed, 2) == 0)
        kind = mtct_draw(seed, 2) ? MTCT_DEED_REMOVE : MTCT_DEED_EXPIRE;
    soak_begin_write(one->world, call, kind, key, seed);
    mtc_slice name = soak_call_key(call);
    if (kind == MTCT_DEED_SET)
        return mtc_cache_set_async(queue, name,
                                   mtc_bytes(call->bytes, call->size),
                                   &call->options, hear, one);
    if (kind == MTCT_DEED_REMOVE)
        return mtc_cache_remove_async(queue, name, &call->options, hear, one);
    return mtc_cache_expire_async(queue, name, &call->options, hear, one);
}

/* -- many ----------------------------------------------------------------- */

static void hear_many(void *ctx, mtc_status status, mtc_item *items,
                      size_t count)
{
    pending *one = ctx;
    (void)status;
    if (items != one->many.items || count != one->many.count)
        soak_complain(one->world->board, one->world->worker,
                      "a call was called back with another's items");
    else if (end_once(one))
        soak_end_many(one->world, &one->many, one->what);
}

static mtc_status begin_reads(mtc_queue *queue, pending *one, uint64_t *seed)
{
    soak_many *many = &one->many;
    mtc_call *options = &many->calls[0].options;
    soak_recipe *recipe =
        soak_draw_recipe(one->world, mtct_draw(seed, 2), seed);
    bool has_loader = mtct_draw(seed, 2) == 0;
    one->what = has_loader ? "load_many_async" : "get_many_async";
    soak_begin_reads(one->world, many, seed);
    if (!has_loader)
        return mtc_cache_get_many_async(queue, many->items, many->count,
                                        options, hear_many, one);
    options->strategy = &recipe->strategy;
    return mtc_cache_get_or_load_many_async(queue, many->items, many->count,
                                            options, soak_load_many, recipe,
                                            hear_many, one);
}

static mtc_status begin_writes(mtc_queue *queue, pending *one, uint64_t *seed)
{
    soak_many *many = &one->many;
    bool is_set = mtct_draw(seed, 2) == 0;
    one->what = is_set ? "set_many_async" : "remove_many_async";
    soak_begin_writes(one->world, many,
                      is_set ? MTCT_DEED_SET : MTCT_DEED_REMOVE, seed);
    return is_set ? mtc_cache_set_many_async(queue, many->items, many->count,
                                             &many->calls[0].options, hear_many,
                                             one)
                  : mtc_cache_remove_many_async(queue, many->items, many->count,
                                                &many->calls[0].options,
                                                hear_many, one);
}

/* -- the loop ------------------------------------------------------------- */

static mtc_status begin_any(mtc_queue *queue, pending *one, uint64_t *seed)
{
    bool is_write = mtct_draw(seed, 3) == 0;
    if (mtct_draw(seed, MANY_ONE_IN) == 0)
        return is_write ? begin_writes(queue, one, seed)
                        : begin_reads(queue, one, seed);
    return is_write ? begin_write(queue, one, seed)
                    : begin_read(queue, one, seed);
}

static void begin(mtc_queue *queue, pending *one, uint64_t *seed)
{
    one->is_open = true;
    mtc_status status = begin_any(queue, one, seed);
    if (status != MTC_PENDING)
        soak_complain(one->world->board, one->world->worker,
                      "a call of the queue was refused: %s",
                      mtc_status_name(status));
}

static void begin_some(mtc_queue *queue, pending *all, uint64_t *seed)
{
    uint32_t left = mtct_draw(seed, BEGIN_MAX + 1);
    for (size_t i = 0; i < OUTSTANDING_MAX && left > 0; i++) {
        if (all[i].is_open)
            continue;
        begin(queue, &all[i], seed);
        left--;
    }
    if (mtct_draw(seed, CANCEL_ONE_IN) == 0)
        mtc_queue_cancel(queue, &all[mtct_draw(seed, OUTSTANDING_MAX)]);
}

static size_t open_count(const pending *all)
{
    size_t count = 0;
    for (size_t i = 0; i < OUTSTANDING_MAX; i++)
        count += all[i].is_open;
    return count;
}

static void end_all(soak_world *world, mtc_queue *queue, const pending *all)
{
    int64_t until_ms = mtci_boot_ms() + END_MS;
    while (open_count(all) > 0 && mtci_boot_ms() < until_ms) {
        mtc_queue_wait(queue, 20);
        mtc_queue_drain(queue);
    }
    if (open_count(all) > 0)
        soak_complain(world->board, world->worker,
                      "%zu calls of the queue never ended", open_count(all));
}

void *soak_call_queue(void *ctx)
{
    soak_thread *thread = ctx;
    soak_world *world = thread->world;
    pending all[OUTSTANDING_MAX] = {0};
    mtc_queue *queue;
    for (size_t i = 0; i < OUTSTANDING_MAX; i++)
        all[i].world = world;
    if (mtc_queue_open(world->cache, &queue) != MTC_OK) {
        soak_complain(world->board, world->worker, "no queue");
        return NULL;
    }
    int64_t begin_at_us = 0;
    while (!atomic_load(&world->board->is_over)) {
        if (mtci_boot_us() >= begin_at_us) {
            begin_at_us = mtci_boot_us() + BEGIN_US;
            begin_some(queue, all, &thread->seed);
        }
        mtc_queue_wait(queue, 1 + mtct_draw(&thread->seed, 3));
        mtc_queue_drain(queue);
    }
    end_all(world, queue, all);
    if (mtc_queue_close(&queue) != MTC_OK)
        soak_complain(world->board, world->worker, "the queue did not close");
    return NULL;
}
