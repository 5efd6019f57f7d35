/*
 * Notices for the eviction listener; see notice.h.
 */
#include "tier/memory/notice.h"

#include <stdlib.h>

bool mtci_notices_add(mtci_notices *list, mtc_slice key, mtc_slice value,
                      mtc_eviction cause)
{
    mtci_notice *notice = malloc(sizeof(*notice) + key.size);
    if (!notice)
        return false;
    *notice = (mtci_notice){.cause = cause, .key_size = key.size};
    if (mtc_value_copy(value, &notice->value) != MTC_OK) {
        free(notice);
        return false;
    }
    if (key.size > 0)
        memcpy(notice->key, key.data, key.size);
    if (list->last)
        list->last->next = notice;
    else
        list->first = notice;
    list->last = notice;
    return true;
}

static void take_first(mtci_notices *list)
{
    mtci_notice *notice = list->first;
    list->first = notice->next;
    mtc_value_free(&notice->value);
    free(notice);
}

void mtci_notices_tell(mtci_notices *list, const mtc_tier_host *host)
{
    while (list->first) {
        const mtci_notice *notice = list->first;
        host->evicted(host->evicted_ctx,
                      mtc_bytes(notice->key, notice->key_size),
                      mtc_value_slice(&notice->value), notice->cause);
        take_first(list);
    }
    list->last = NULL;
}

void mtci_notices_free(mtci_notices *list)
{
    while (list->first)
        take_first(list);
    list->last = NULL;
}
