/*
 * What a loader sees of its load and says of its result: the functions of
 * mtc/load.h up to the answer. A load belongs to one thread at a time.
 */
#include "core/cache.h"
#include "core/flight.h"

mtc_slice mtc_load_key(const mtc_load *load)
{
    return mtci_flight_key(load->flight);
}

mtc_status mtc_load_stale(const mtc_load *load, mtc_value *value)
{
    if (!value)
        return MTC_E_INVALID;
    *value = (mtc_value){0};
    if (!load)
        return MTC_E_INVALID;
    return load->flight->stale.value.ops
               ? mtc_value_share(&load->flight->stale.value, value)
               : MTC_MISS;
}

mtc_status mtc_load_set_unchanged(mtc_load *load)
{
    mtc_value stale;
    mtc_status status = mtc_load_stale(load, &stale);
    if (status == MTC_OK)
        status = mtc_load_take_value(load, &stale);
    if (status == MTC_OK)
        load->is_unchanged = true;
    return status;
}

mtc_status mtc_load_set_absent_ttl(mtc_load *load, int64_t ttl_ms)
{
    if (!load || ttl_ms < 0 || ttl_ms > MTC_TTL_MS_MAX)
        return MTC_E_INVALID;
    load->strategy.absent_ms = ttl_ms;
    return MTC_OK;
}

mtc_status mtc_load_take_value(mtc_load *load, mtc_value *value)
{
    if (!load || !value || !value->ops)
        return MTC_E_INVALID;
    if (value->size > load->cache->value_size_max)
        return MTC_E_TOO_LARGE;
    mtc_value taken;
    mtc_status status = mtc_value_share(value, &taken);
    if (status != MTC_OK)
        return status;
    mtc_value_free(value);
    mtc_value_free(&load->value);
    load->value = taken;
    load->has_value = true;
    load->is_unchanged = false;
    return MTC_OK;
}

mtc_status mtc_load_set_value(mtc_load *load, mtc_slice value)
{
    if (!load || (!value.data && value.size > 0))
        return MTC_E_INVALID;
    if (value.size > load->cache->value_size_max)
        return MTC_E_TOO_LARGE;
    mtc_value copy;
    mtc_status status = mtc_value_copy(value, &copy);
    if (status != MTC_OK)
        return status;
    mtc_value_free(&load->value);
    load->value = copy;
    load->has_value = true;
    load->is_unchanged = false;
    return MTC_OK;
}

mtc_status mtc_load_set_ttl(mtc_load *load, int64_t ttl_ms)
{
    if (!load || ttl_ms < 1 || ttl_ms > MTC_TTL_MS_MAX)
        return MTC_E_INVALID;
    load->life.ttl_ms = ttl_ms;
    return MTC_OK;
}

mtc_status mtc_load_set_etag(mtc_load *load, mtc_slice etag)
{
    mtc_value copy;
    if (!load || (!etag.data && etag.size > 0) || etag.size > MTC_ETAG_SIZE_MAX)
        return MTC_E_INVALID;
    mtc_status status = mtc_value_copy(etag, &copy);
    if (status != MTC_OK)
        return status;
    mtc_value_free(&load->etag);
    load->etag = copy;
    return MTC_OK;
}

mtc_status mtc_load_set_tier_ttl(mtc_load *load, size_t tier, int64_t ttl_ms)
{
    if (!load || tier >= load->cache->lane_count || ttl_ms < 1 ||
        ttl_ms > MTC_TTL_MS_MAX)
        return MTC_E_INVALID;
    load->tier_ttl_ms[tier] = ttl_ms;
    return MTC_OK;
}

mtc_status mtc_load_set_weight(mtc_load *load, uint32_t weight)
{
    if (!load || weight == 0)
        return MTC_E_INVALID;
    load->weight = weight;
    return MTC_OK;
}

mtc_status mtc_load_set_no_store(mtc_load *load)
{
    if (!load)
        return MTC_E_INVALID;
    load->is_kept_out = true;
    return MTC_OK;
}

mtc_status mtc_load_set_failed(mtc_load *load, mtc_status status)
{
    if (!load || status >= 0)
        return MTC_E_INVALID;
    load->failure = status;
    return MTC_OK;
}
