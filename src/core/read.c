/*
 * The public reads of one key: memory first, the rest through an ask.
 */
#include "core/ask.h"

/* Beyond memory: lead or follow the key's flight. */
static mtc_status ask_below(mtci_ask *ask, mtc_value *value)
{
    ask->party.can_look = true;
    if (!mtci_ask_enter(ask))
        return mtci_ask_finish(ask, value);
    if (mtci_ask_leads(ask)) {
        mtci_ask_lead(ask);
    } else {
        mtci_count(&ask->cache->counters, MTCI_COUNT_FOLLOWERS);
        mtci_ask_follow(ask);
    }
    return mtci_ask_finish(ask, value);
}

static mtc_status ask_for(mtci_ask *ask, mtc_slice key, mtc_value *value)
{
    mtc_cache *cache = ask->cache;
    mtc_status status = mtci_ask_key(ask, key);
    if (status != MTC_OK)
        return status;
    if (!mtci_chain_find(cache, key, ask->hash, ask->flags, &ask->result))
        return ask_below(ask, value);
    mtci_count_request(&cache->counters, ask->result.status,
                       ask->result.outcome);
    *value = ask->result.value;
    return ask->result.status;
}

mtc_status mtc_cache_get_with(mtc_cache *cache, mtc_slice key,
                              const mtc_call *call, mtc_value *value)
{
    mtci_ask ask;
    if (!value)
        return MTC_E_INVALID;
    *value = (mtc_value){0};
    mtc_status status = mtci_ask_init(&ask, cache, call);
    if (status != MTC_OK)
        return status;
    return ask_for(&ask, key, value);
}

mtc_status mtc_cache_get(mtc_cache *cache, mtc_slice key, mtc_value *value)
{
    return mtc_cache_get_with(cache, key, NULL, value);
}

mtc_status mtc_cache_get_or_load_with(mtc_cache *cache, mtc_slice key,
                                      const mtc_call *call, mtc_loader loader,
                                      void *ctx, mtc_value *value)
{
    mtci_ask ask;
    if (!value)
        return MTC_E_INVALID;
    *value = (mtc_value){0};
    if (!loader)
        return MTC_E_INVALID;
    mtc_status status = mtci_ask_init(&ask, cache, call);
    if (status != MTC_OK)
        return status;
    ask.loader = loader;
    ask.ctx = ctx;
    return ask_for(&ask, key, value);
}

mtc_status mtc_cache_get_or_load(mtc_cache *cache, mtc_slice key,
                                 const mtc_strategy *strategy,
                                 mtc_loader loader, void *ctx, mtc_value *value)
{
    mtc_call call = MTC_CALL_INIT;
    call.strategy = strategy;
    return mtc_cache_get_or_load_with(cache, key, &call, loader, ctx, value);
}
