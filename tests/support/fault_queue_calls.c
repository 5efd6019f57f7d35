/*
 * The calls of a completion queue; see fault_rig.h.
 */
#include "support/fault_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const mtc_strategy plain = {
    .struct_size = sizeof(mtc_strategy),
    .ttl_ms = 600000,
    .stale_ms = 600000,
    .soft_ms = -1,
};

/* -- until it is called back -------------------------------------------- */

/* What was refused is not called back; what was begun is, once. */
static mtc_status await(fault_rig *rig, mtc_status begun)
{
    if (begun == MTC_PENDING)
        mtct_drain_until(rig->queue, &rig->heard);
    mtct_drain_all(rig->queue);
    assert_int_equal(rig->heard.count, begun >= 0);
    if (begun < 0)
        return begun;
    memcpy(rig->text, rig->heard.text, sizeof(rig->heard.text));
    return rig->heard.status;
}

static mtc_status await_load(fault_rig *rig, mtc_status begun)
{
    mtc_status status = await(rig, begun);
    fault_loads_await(rig);
    return status;
}

/* -- reading ------------------------------------------------------------ */

static mtc_status get(fault_rig *rig, const char *key, uint32_t flags)
{
    mtc_call call = MTC_CALL_INIT;
    call.flags = flags;
    return await(rig, mtc_cache_get_async(rig->queue, mtc_str(key), &call,
                                          mtct_hear, &rig->heard));
}

static mtc_status get_hit(fault_rig *rig)
{
    return get(rig, "k", 0);
}

static mtc_status get_at_once(fault_rig *rig)
{
    return get(rig, "k", MTC_CALL_AT_ONCE);
}

static mtc_status get_miss(fault_rig *rig)
{
    return get(rig, "n", 0);
}

static mtc_status get_stale(fault_rig *rig)
{
    return get(rig, "s", MTC_CALL_ACCEPT_STALE);
}

static mtc_status get_below(fault_rig *rig)
{
    if (!strchr(rig->tiers, ' '))
        return get_hit(rig);
    return get(rig, "k", MTC_CALL_SKIP_MEMORY);
}

static mtc_status get_many(fault_rig *rig)
{
    mtc_call call = MTC_CALL_INIT;
    call.flags = MTC_CALL_SKIP_MEMORY;
    mtc_status status =
        await(rig,
              mtc_cache_get_many_async(rig->queue, rig->items, FAULT_ITEMS,
                                       &call, mtct_hear_many, &rig->heard));
    return fault_items_take(rig, status);
}

/* -- writing ------------------------------------------------------------ */

static mtc_status set(fault_rig *rig)
{
    return await(rig,
                 mtc_cache_set_async(rig->queue, mtc_str("k"), mtc_str("new"),
                                     NULL, mtct_hear, &rig->heard));
}

static mtc_status remove_key(fault_rig *rig)
{
    return await(rig, mtc_cache_remove_async(rig->queue, mtc_str("k"), NULL,
                                             mtct_hear, &rig->heard));
}

static mtc_status expire(fault_rig *rig)
{
    return await(rig, mtc_cache_expire_async(rig->queue, mtc_str("k"), NULL,
                                             mtct_hear, &rig->heard));
}

static mtc_status await_items(fault_rig *rig, mtc_status begun)
{
    mtc_status status = await(rig, begun);
    return status == MTC_PARTIAL ? rig->items[0].status : status;
}

static mtc_status set_many(fault_rig *rig)
{
    return await_items(rig,
                       mtc_cache_set_many_async(rig->queue, rig->items,
                                                FAULT_ITEMS, NULL,
                                                mtct_hear_many, &rig->heard));
}

static mtc_status remove_many(fault_rig *rig)
{
    return await_items(rig, mtc_cache_remove_many_async(rig->queue, rig->items,
                                                        FAULT_ITEMS, NULL,
                                                        mtct_hear_many,
                                                        &rig->heard));
}

/* -- loading ------------------------------------------------------------ */

static mtc_status load_tagged(mtc_load *load, void *ctx)
{
    mtc_status status = mtc_load_set_etag(load, mtc_str("an etag, e2"));
    (void)ctx;
    return status == MTC_OK ? mtc_load_set_value(load, mtc_str("loaded"))
                            : status;
}

static mtc_status load_unchanged(mtc_load *load, void *ctx)
{
    mtc_status status = mtc_load_set_unchanged(load);
    (void)ctx;
    return status == MTC_MISS ? mtc_load_set_value(load, mtc_str("fresh"))
                              : status;
}

static mtc_status load_other_etag(mtc_load *load, void *ctx)
{
    mtc_status status = mtc_load_set_etag(load, mtc_str("e2"));
    return status == MTC_OK ? load_unchanged(load, ctx) : status;
}

static mtc_status load_failing(mtc_load *load, void *ctx)
{
    (void)load;
    (void)ctx;
    return MTC_E_DENIED;
}

static mtc_status load_later(mtc_load *load, void *ctx)
{
    fault_rig *rig = ctx;
    rig->later = load;
    return MTC_PENDING;
}

static mtc_status begin(fault_rig *rig, const char *key, mtc_loader loader,
                        const mtc_strategy *strategy)
{
    mtc_call call = MTC_CALL_INIT;
    call.strategy = strategy;
    return mtc_cache_get_or_load_async(rig->queue, mtc_str(key), &call, loader,
                                       rig, mtct_hear, &rig->heard);
}

static mtc_status load_as(fault_rig *rig, const char *key, mtc_loader loader,
                          const mtc_strategy *strategy)
{
    return await_load(rig, begin(rig, key, loader, strategy));
}

static mtc_status load_one(fault_rig *rig)
{
    return load_as(rig, "n", load_tagged, &plain);
}

static mtc_status load_leased(fault_rig *rig)
{
    mtc_strategy strategy = plain;
    strategy.lease_ms = 100;
    return load_as(rig, "n", load_tagged, &strategy);
}

/* Drains until the loader was called, or the call has ended without. */
static mtc_status begin_later(fault_rig *rig)
{
    mtc_status begun = begin(rig, "n", load_later, &plain);
    while (begun == MTC_PENDING && !rig->later && rig->heard.count == 0) {
        mtc_queue_drain(rig->queue);
        if (!rig->later && rig->heard.count == 0)
            mtc_queue_wait(rig->queue, 50);
    }
    return begun;
}

static mtc_status load_answered(fault_rig *rig)
{
    mtc_status begun = begin_later(rig);
    if (rig->later)
        mtc_load_answer(rig->later, load_tagged(rig->later, NULL));
    return await_load(rig, begun);
}

static mtc_status load_dropped(fault_rig *rig)
{
    mtc_status begun = begin_later(rig);
    if (rig->later)
        mtc_load_drop(rig->later);
    return await_load(rig, begun);
}

/* The call is given up, its load is not. */
static mtc_status load_cancelled(fault_rig *rig)
{
    mtc_status begun = begin_later(rig);
    bool is_cancelled = mtc_queue_cancel(rig->queue, &rig->heard) == 1;
    mtc_status status = await(rig, begun);
    if (rig->later)
        mtc_load_answer(rig->later, load_tagged(rig->later, NULL));
    fault_loads_await(rig);
    if (is_cancelled != (status == MTC_E_CANCELLED))
        return is_cancelled ? MTC_E_CORRUPT : status;
    return status;
}

static mtc_status freshen_failing(fault_rig *rig)
{
    return load_as(rig, "s", load_failing, &plain);
}

static mtc_status freshen_unchanged(fault_rig *rig)
{
    return load_as(rig, "s", load_unchanged, &plain);
}

static mtc_status freshen_other_etag(fault_rig *rig)
{
    return load_as(rig, "s", load_other_etag, &plain);
}

static mtc_status freshen_behind(fault_rig *rig)
{
    mtc_strategy strategy = plain;
    strategy.soft_ms = 0;
    return load_as(rig, "s", load_other_etag, &strategy);
}

static mtc_status load_many_as(fault_rig *rig, const mtc_strategy *strategy)
{
    mtc_call call = MTC_CALL_INIT;
    call.strategy = strategy;
    mtc_status status =
        await_load(rig, mtc_cache_get_or_load_many_async(
                            rig->queue, rig->items, FAULT_ITEMS, &call,
                            fault_load_bulk, rig, mtct_hear_many, &rig->heard));
    return fault_items_take(rig, status);
}

static mtc_status load_many(fault_rig *rig)
{
    return load_many_as(rig, &plain);
}

static mtc_status load_many_leased(fault_rig *rig)
{
    mtc_strategy strategy = plain;
    strategy.lease_ms = 100;
    strategy.hard_ms = 60000;
    return load_many_as(rig, &strategy);
}

/* -- the queue ---------------------------------------------------------- */

static mtc_status open_queue(fault_rig *rig)
{
    mtc_queue *queue;
    mtc_status status = mtc_queue_open(rig->cache, &queue);
    if ((queue != NULL) != (status == MTC_OK))
        return MTC_E_CORRUPT;
    return queue ? mtc_queue_close(&queue) : status;
}

/* Closing ends what is outstanding, through its callback. */
static mtc_status close_with_calls(fault_rig *rig)
{
    mtc_queue *queue;
    mtct_heard heard = {0};
    mtc_status status = mtc_queue_open(rig->cache, &queue);
    if (status != MTC_OK)
        return status;
    mtc_call call = MTC_CALL_INIT;
    call.flags = MTC_CALL_SKIP_MEMORY;
    status = mtc_cache_get_async(queue, mtc_str("k"), &call, mtct_hear, &heard);
    mtc_queue_drain(queue);
    assert_int_equal(mtc_queue_close(&queue), MTC_OK);
    assert_int_equal(heard.count, status >= 0);
    return status == MTC_PENDING ? MTC_OK : status;
}

const fault_call fault_queue_calls[] = {
    {"async get, hit", get_hit, MTC_OK, FAULT_READS_OLD, false},
    {"async get, at once", get_at_once, MTC_OK, FAULT_READS_OLD, false},
    {"async get, miss", get_miss, MTC_MISS, FAULT_NOTHING, false},
    {"async get, stale", get_stale, MTC_STALE, FAULT_READS_STALE, false},
    {"async get below memory", get_below, MTC_OK, FAULT_READS_OLD, false},
    {"async get_many", get_many, MTC_MISS, FAULT_NOTHING, false},
    {"async set", set, MTC_OK, FAULT_WRITES, false},
    {"async remove", remove_key, MTC_OK, FAULT_WRITES, false},
    {"async expire", expire, MTC_OK, FAULT_EXPIRES, false},
    {"async set_many", set_many, MTC_OK, FAULT_WRITES, false},
    {"async remove_many", remove_many, MTC_OK, FAULT_WRITES, false},
    {"async load, etag", load_one, MTC_OK, FAULT_LOADS, false},
    {"async load, leased", load_leased, MTC_OK, FAULT_LOADS, false},
    {"async load, answered", load_answered, MTC_OK, FAULT_LOADS, false},
    {"async load, dropped", load_dropped, MTC_E_CANCELLED, FAULT_LOADS, false},
    {"async load, cancelled", load_cancelled, MTC_E_CANCELLED, FAULT_LOADS,
     false},
    {"async stale, failing", freshen_failing, MTC_STALE, FAULT_FRESHENS, false},
    {"async unchanged", freshen_unchanged, MTC_OK, FAULT_FRESHENS, false},
    {"async other etag", freshen_other_etag, MTC_OK, FAULT_FRESHENS, false},
    {"async behind", freshen_behind, MTC_STALE, FAULT_FRESHENS, false},
    {"async load_many", load_many, MTC_OK, FAULT_NOTHING, false},
    {"async many, leased", load_many_leased, MTC_OK, FAULT_NOTHING, false},
    {"queue open, close", open_queue, MTC_OK, FAULT_NOTHING, false},
    {"queue close, calls", close_with_calls, MTC_OK, FAULT_NOTHING, false},
    {0},
};
