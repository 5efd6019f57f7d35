/*
 * Calls that wait for the lease of another cache, as for another process; see
 * fault_rig.h.
 */
#include "support/fault_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const mtc_strategy leased = {
    .struct_size = sizeof(mtc_strategy),
    .ttl_ms = 600000,
    .stale_ms = 600000,
    .soft_ms = -1,
    .lease_ms = 100,
};

/* The other cache, with a load that holds the lease of "n" until it is
 * answered. */
typedef struct holder {
    mtc_cache *cache;
    mtc_queue *queue;
    mtct_heard heard;
    _Atomic(mtc_load *) later; /* set by a loader thread */
} holder;

static mtc_status load_later(mtc_load *load, void *ctx)
{
    holder *holder = ctx;
    atomic_store(&holder->later, load);
    return MTC_PENDING;
}

static mtc_status load_loaded(mtc_load *load, void *ctx)
{
    (void)ctx;
    return mtc_load_set_value(load, mtc_str("loaded"));
}

static mtc_status begin(mtc_queue *queue, mtc_loader loader, void *ctx,
                        mtct_heard *heard)
{
    mtc_call call = MTC_CALL_INIT;
    call.strategy = &leased;
    return mtc_cache_get_or_load_async(queue, mtc_str("n"), &call, loader, ctx,
                                       mtct_hear, heard);
}

static mtc_status hold(fault_rig *rig, holder *holder)
{
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    options.tiers = rig->tiers;
    options.log_level = 5;
    mtc_status status = mtc_cache_open(&options, NULL, &holder->cache);
    if (status == MTC_OK)
        status = mtc_queue_open(holder->cache, &holder->queue);
    if (status == MTC_OK)
        status = begin(holder->queue, load_later, holder, &holder->heard);
    while (status == MTC_PENDING && !atomic_load(&holder->later) &&
           holder->heard.count == 0) {
        mtc_queue_drain(holder->queue);
        if (!atomic_load(&holder->later) && holder->heard.count == 0)
            mtc_queue_wait(holder->queue, 50);
    }
    return status;
}

static void let_go(holder *holder)
{
    mtc_load *later = atomic_load(&holder->later);
    if (later)
        mtc_load_answer(later, load_loaded(later, NULL));
    if (holder->queue)
        assert_int_equal(mtc_queue_close(&holder->queue), MTC_OK);
    if (holder->cache)
        assert_true(mtc_cache_close(&holder->cache) >= 0);
}

/* The rig's load waits on a thread of its own cache, and in the tier. */
static mtc_status load_behind(fault_rig *rig)
{
    holder holder = {0};
    mtc_status status = hold(rig, &holder);
    if (status != MTC_PENDING) {
        let_go(&holder);
        return status;
    }
    status = begin(rig->queue, load_loaded, rig, &rig->heard);
    for (int i = 0; i < 3; i++) {
        mtc_queue_drain(rig->queue);
        mtc_queue_wait(rig->queue, 2);
    }
    let_go(&holder);
    if (status == MTC_PENDING) {
        mtct_drain_until(rig->queue, &rig->heard);
        status = rig->heard.status;
        memcpy(rig->text, rig->heard.text, sizeof(rig->heard.text));
    }
    fault_loads_await(rig);
    return status;
}

const fault_call fault_lease_calls[] = {
    {"a load behind another's", load_behind, MTC_OK, FAULT_LOADS, false},
    {0},
};
