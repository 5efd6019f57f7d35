/*
 * The public bulk writes. See many.h.
 */
#include <stdlib.h>

#include "core/many.h"
#include "core/write.h"

static void begin_one(const mtci_ask *first, mtc_verb verb, mtc_item *item,
                      mtci_write *write)
{
    mtci_ask ask = *first;
    mtc_slice bytes = verb == MTC_VERB_STORE ? item->bytes : mtc_bytes(NULL, 0);
    item->status = mtci_ask_key(&ask, item->key);
    if (item->status == MTC_OK && verb == MTC_VERB_STORE)
        ask.weight = mtci_cache_weigh(ask.cache, item->key, bytes);
    if (item->status == MTC_OK)
        item->status = mtci_write_prepare(write, &ask, verb, bytes);
    if (item->status == MTC_OK)
        mtci_write_begin(ask.cache, write);
}

static void write_window(const mtci_ask *first, mtc_verb verb, mtc_item *items,
                         mtci_write *writes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        begin_one(first, verb, &items[i], &writes[i]);
    mtci_write_send(first->cache);
    for (size_t i = 0; i < count; i++) {
        if (items[i].status == MTC_OK)
            items[i].status =
                mtci_write_end(first->cache, &writes[i], first->until_ms);
    }
}

static mtc_status write_many(const mtci_ask *first, mtc_verb verb,
                             mtc_item *items, size_t count)
{
    size_t window = count < MTCI_MANY_WINDOW ? count : MTCI_MANY_WINDOW;
    mtci_write *writes = calloc(window, sizeof(*writes));
    int cancel_state;
    if (!writes)
        return MTC_E_NO_MEMORY;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    for (size_t at = 0; at < count; at += window) {
        size_t size = count - at < window ? count - at : window;
        write_window(first, verb, items + at, writes, size);
    }
    mtci_cache_report(first->cache);
    free(writes);
    pthread_setcancelstate(cancel_state, NULL);
    return mtci_many_status(items, count);
}

static mtc_status begin_many(mtc_cache *cache, mtc_verb verb, mtc_item *items,
                             size_t count, const mtc_call *call)
{
    mtci_ask first;
    if (!cache || (!items && count > 0))
        return MTC_E_INVALID;
    mtci_cache_enter(cache);
    mtc_status status = mtci_ask_init(&first, cache, call);
    if (status == MTC_OK && count > 0)
        status = write_many(&first, verb, items, count);
    mtci_cache_leave(cache);
    return status;
}

mtc_status mtc_cache_set_many_with(mtc_cache *cache, mtc_item *items,
                                   size_t count, const mtc_call *call)
{
    return begin_many(cache, MTC_VERB_STORE, items, count, call);
}

mtc_status mtc_cache_set_many(mtc_cache *cache, mtc_item *items, size_t count,
                              const mtc_strategy *strategy)
{
    mtc_call call = MTC_CALL_INIT;
    call.strategy = strategy;
    return mtc_cache_set_many_with(cache, items, count, &call);
}

mtc_status mtc_cache_remove_many_with(mtc_cache *cache, mtc_item *items,
                                      size_t count, const mtc_call *call)
{
    return begin_many(cache, MTC_VERB_REMOVE, items, count, call);
}

mtc_status mtc_cache_remove_many(mtc_cache *cache, mtc_item *items,
                                 size_t count)
{
    return mtc_cache_remove_many_with(cache, items, count, NULL);
}
