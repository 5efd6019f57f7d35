/*
 * The calls that load, and what loaders call; see fault_rig.h.
 */
#include "support/fault_rig.h"

static const mtc_strategy plain = {
    .struct_size = sizeof(mtc_strategy),
    .ttl_ms = 600000,
    .stale_ms = 600000,
    .absent_ms = 600000,
    .error_ms = 600000,
    .soft_ms = -1,
};

/* -- loaders ------------------------------------------------------------ */

static mtc_status load_loaded(mtc_load *load, void *ctx)
{
    (void)ctx;
    return mtc_load_set_value(load, mtc_str("loaded"));
}

static mtc_status load_fresh(mtc_load *load, void *ctx)
{
    (void)ctx;
    return mtc_load_set_value(load, mtc_str("fresh"));
}

static mtc_status load_with_all(mtc_load *load, void *ctx)
{
    mtc_status status = mtc_load_set_etag(load, mtc_str("e0"));
    (void)ctx;
    if (status == MTC_OK)
        status = mtc_load_set_etag(load, mtc_str("a longer one, e2"));
    if (status == MTC_OK)
        status = mtc_load_set_ttl(load, 300000);
    if (status == MTC_OK)
        status = mtc_load_set_tier_ttl(load, 0, 200000);
    if (status == MTC_OK)
        status = mtc_load_set_weight(load, 7);
    return status == MTC_OK ? load_loaded(load, ctx) : status;
}

static mtc_status load_taken(mtc_load *load, void *ctx)
{
    mtc_value value;
    mtc_status status = mtc_value_copy(mtc_str("loaded"), &value);
    (void)ctx;
    if (status == MTC_OK)
        status = mtc_load_take_value(load, &value);
    mtc_value_free(&value);
    return status;
}

static mtc_status load_absent(mtc_load *load, void *ctx)
{
    (void)ctx;
    return mtc_load_set_absent_ttl(load, 300000) == MTC_OK ? MTC_MISS
                                                           : MTC_E_CORRUPT;
}

static mtc_status load_unstored(mtc_load *load, void *ctx)
{
    mtc_load_set_no_store(load);
    return load_loaded(load, ctx);
}

static mtc_status load_failing(mtc_load *load, void *ctx)
{
    (void)load;
    (void)ctx;
    return MTC_E_DENIED;
}

/* Looks at the stale copy, whose etag came with it. */
static mtc_status load_looking(mtc_load *load, void *ctx)
{
    mtc_value value;
    mtc_value_info info = MTC_VALUE_INFO_INIT;
    mtc_status status = mtc_load_stale(load, &value);
    if (status != MTC_OK)
        return status == MTC_MISS ? load_fresh(load, ctx) : status;
    status = mtc_value_info_get(&value, &info);
    if (status == MTC_OK &&
        (info.etag.size != 2 || memcmp(info.etag.data, "e1", 2) != 0))
        status = MTC_E_CORRUPT;
    mtc_value_free(&value);
    return status == MTC_OK ? load_fresh(load, ctx) : status;
}

static mtc_status load_unchanged(mtc_load *load, void *ctx)
{
    mtc_status status = mtc_load_set_unchanged(load);
    return status == MTC_MISS ? load_fresh(load, ctx) : status;
}

static mtc_status load_other_etag(mtc_load *load, void *ctx)
{
    mtc_status status = mtc_load_set_etag(load, mtc_str("e2"));
    return status == MTC_OK ? load_unchanged(load, ctx) : status;
}

static mtc_status load_through(mtc_load *load, void *ctx)
{
    fault_rig *rig = ctx;
    mtc_value value;
    mtc_status status =
        mtc_cache_get_or_load(rig->cache, mtc_str("inner"), &plain, load_loaded,
                              NULL, &value);
    if (status == MTC_OK)
        status = mtc_load_take_value(load, &value);
    mtc_value_free(&value);
    return status;
}

/* -- one key ------------------------------------------------------------ */

static mtc_status load_as(fault_rig *rig, const char *key, mtc_loader loader,
                          const mtc_strategy *strategy)
{
    mtc_value value;
    mtc_status status = mtc_cache_get_or_load(rig->cache, mtc_str(key),
                                              strategy, loader, rig, &value);
    fault_take(rig, status, &value);
    fault_loads_await(rig);
    return status;
}

static mtc_status load_one(fault_rig *rig)
{
    return load_as(rig, "n", load_loaded, &plain);
}

static mtc_status load_one_with_all(fault_rig *rig)
{
    return load_as(rig, "n", load_with_all, &plain);
}

static mtc_status load_one_taken(fault_rig *rig)
{
    return load_as(rig, "n", load_taken, &plain);
}

static mtc_status load_one_absent(fault_rig *rig)
{
    return load_as(rig, "n", load_absent, &plain);
}

static mtc_status load_one_unstored(fault_rig *rig)
{
    return load_as(rig, "n", load_unstored, &plain);
}

static mtc_status load_one_failing(fault_rig *rig)
{
    return load_as(rig, "n", load_failing, &plain);
}

static mtc_status load_one_through(fault_rig *rig)
{
    return load_as(rig, "n", load_through, &plain);
}

static mtc_status load_within(fault_rig *rig)
{
    mtc_strategy strategy = plain;
    strategy.hard_ms = 60000;
    return load_as(rig, "n", load_with_all, &strategy);
}

static mtc_status load_leased(fault_rig *rig)
{
    mtc_strategy strategy = plain;
    strategy.lease_ms = 100;
    return load_as(rig, "n", load_with_all, &strategy);
}

/* -- one that is stale -------------------------------------------------- */

static mtc_status freshen(fault_rig *rig)
{
    return load_as(rig, "s", load_looking, &plain);
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
    return load_as(rig, "s", load_looking, &strategy);
}

static mtc_status freshen_leased(fault_rig *rig)
{
    mtc_strategy strategy = plain;
    strategy.lease_ms = 100;
    return load_as(rig, "s", load_unchanged, &strategy);
}

/* -- many --------------------------------------------------------------- */

mtc_status fault_load_bulk(mtc_bulk *bulk, void *ctx)
{
    mtc_load *load = mtc_bulk_find(bulk, mtc_str("n"));
    mtc_status status = load ? load_with_all(load, ctx) : MTC_OK;
    if (load && status != MTC_OK)
        mtc_load_set_failed(load, status);
    load = mtc_bulk_find(bulk, mtc_str("s"));
    status = load ? load_looking(load, ctx) : MTC_OK;
    if (load && status != MTC_OK)
        mtc_load_set_failed(load, status);
    return MTC_OK;
}

static mtc_status load_many(fault_rig *rig)
{
    mtc_status status =
        mtc_cache_get_or_load_many(rig->cache, rig->items, FAULT_ITEMS, &plain,
                                   fault_load_bulk, rig);
    fault_loads_await(rig);
    return fault_items_take(rig, status);
}

static mtc_status load_many_leased(fault_rig *rig)
{
    mtc_strategy strategy = plain;
    strategy.lease_ms = 100;
    strategy.hard_ms = 60000;
    mtc_status status =
        mtc_cache_get_or_load_many(rig->cache, rig->items, FAULT_ITEMS,
                                   &strategy, fault_load_bulk, rig);
    fault_loads_await(rig);
    return fault_items_take(rig, status);
}

const fault_call fault_load_calls[] = {
    {"get_or_load", load_one, MTC_OK, FAULT_LOADS, false},
    {"etag, ttl, weight", load_one_with_all, MTC_OK, FAULT_LOADS, false},
    {"take_value", load_one_taken, MTC_OK, FAULT_LOADS, false},
    {"absent", load_one_absent, MTC_ABSENT, FAULT_NOTHING, false},
    {"no_store", load_one_unstored, MTC_OK, FAULT_LOADS, false},
    {"a load that fails", load_one_failing, MTC_E_DENIED, FAULT_NOTHING, false},
    {"a load in a load", load_one_through, MTC_OK, FAULT_LOADS, false},
    {"a load on a thread", load_within, MTC_OK, FAULT_LOADS, false},
    {"a load with a lease", load_leased, MTC_OK, FAULT_LOADS, false},
    {"stale copy", freshen, MTC_OK, FAULT_FRESHENS, false},
    {"stale copy, failing", freshen_failing, MTC_STALE, FAULT_FRESHENS, false},
    {"unchanged", freshen_unchanged, MTC_OK, FAULT_FRESHENS, false},
    {"unchanged, other etag", freshen_other_etag, MTC_OK, FAULT_FRESHENS,
     false},
    {"stale while revalidate", freshen_behind, MTC_STALE, FAULT_FRESHENS,
     false},
    {"unchanged with a lease", freshen_leased, MTC_OK, FAULT_FRESHENS, false},
    {"get_or_load_many", load_many, MTC_OK, FAULT_NOTHING, false},
    {"many with a lease", load_many_leased, MTC_OK, FAULT_NOTHING, false},
    {0},
};
