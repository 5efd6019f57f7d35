/*
 * Loads that failed lately. See failure.h.
 */
#include "core/failure.h"

#include <stdlib.h>

/* Where the list points to the failure of a key, or to its end. */
static mtci_failure **place_of(mtci_slot *slot, mtc_slice key, uint64_t hash)
{
    mtci_failure **at = &slot->failures;
    while (*at &&
           ((*at)->hash != hash ||
            !mtci_slices_equal(mtc_bytes((*at)->key, (*at)->key_size), key)))
        at = &(*at)->next;
    return at;
}

static void drop_at(mtci_slot *slot, mtci_failure **at)
{
    mtci_failure *gone = *at;
    *at = gone->next;
    slot->failure_count--;
    free(gone);
}

void mtci_failure_drop_locked(mtci_slot *slot, mtc_slice key, uint64_t hash)
{
    mtci_failure **at = place_of(slot, key, hash);
    if (*at)
        drop_at(slot, at);
}

/* The newest comes first. */
static void make_room(mtci_slot *slot)
{
    mtci_failure **at = &slot->failures;
    while (slot->failure_count >= MTCI_FAILURES_MAX) {
        /* There are as many as are counted.
         * NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
        while ((*at)->next)
            at = &(*at)->next;
        drop_at(slot, at);
        at = &slot->failures;
    }
}

void mtci_failure_note_locked(mtci_slot *slot, mtc_slice key, uint64_t hash,
                              mtc_status status, int64_t until_ms)
{
    mtci_failure_drop_locked(slot, key, hash);
    make_room(slot);
    mtci_failure *failure = malloc(sizeof *failure + key.size);
    if (!failure)
        return;
    *failure = (mtci_failure){.next = slot->failures,
                              .hash = hash,
                              .until_ms = until_ms,
                              .status = status,
                              .key_size = key.size};
    if (key.size > 0)
        memcpy(failure->key, key.data, key.size);
    slot->failures = failure;
    slot->failure_count++;
}

const mtci_failure *mtci_failure_find_locked(mtci_slot *slot, mtc_slice key,
                                             uint64_t hash, int64_t now_ms)
{
    mtci_failure **at = place_of(slot, key, hash);
    if (*at && (*at)->until_ms <= now_ms)
        drop_at(slot, at);
    else if (*at)
        return *at;
    return NULL;
}

void mtci_failures_fini(mtci_slot *slot)
{
    while (slot->failures)
        drop_at(slot, &slot->failures);
}
