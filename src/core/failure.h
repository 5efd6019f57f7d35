/*
 * Loads that failed lately: until when a key is not loaded again.
 *
 * Each slot keeps the failures of its keys, a bounded list; a write of the key
 * takes its failure away. All with the slot held.
 */
#ifndef MTCI_CORE_FAILURE_H
#define MTCI_CORE_FAILURE_H

#include "core/slot.h"
#include "mtc/status.h"

/* Of one slot; the oldest makes room. */
#define MTCI_FAILURES_MAX 64u

typedef struct mtci_failure {
    struct mtci_failure *next;
    uint64_t hash;
    int64_t until_ms;
    mtc_status status; /* what callers get; 0: only those with a stale copy */
    size_t key_size;
    char key[];
} mtci_failure;

/* Notes that the load of a key failed; without memory, nothing is noted. */
void mtci_failure_note_locked(mtci_slot *slot, mtc_slice key, uint64_t hash,
                              mtc_status status, int64_t until_ms);

/* The failure of a key that still counts, or NULL. */
const mtci_failure *mtci_failure_find_locked(mtci_slot *slot, mtc_slice key,
                                             uint64_t hash, int64_t now_ms);

/* Takes the failure of a key away; of all keys. */
void mtci_failure_drop_locked(mtci_slot *slot, mtc_slice key, uint64_t hash);
void mtci_failures_fini(mtci_slot *slot);

#endif
