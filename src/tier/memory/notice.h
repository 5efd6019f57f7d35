/*
 * Notices: what left a shard, kept for the listener until no lock is held.
 *
 * A notice has copies of its own, so that the memory of the entry is free at
 * once. A list belongs to a shard and its mutex until it is taken whole.
 */
#ifndef MTCI_TIER_MEMORY_NOTICE_H
#define MTCI_TIER_MEMORY_NOTICE_H

#include "mtc/tier.h"

typedef struct mtci_notice {
    struct mtci_notice *next;
    mtc_eviction cause;
    mtc_value value;
    size_t key_size;
    char key[];
} mtci_notice;

/* First in, first out. A zeroed list is empty. */
typedef struct mtci_notices {
    mtci_notice *first;
    mtci_notice *last;
} mtci_notices;

/* Notes that an entry left. False: out of memory, nobody will be told. */
bool mtci_notices_add(mtci_notices *list, mtc_slice key, mtc_slice value,
                      mtc_eviction cause);

/* Tells the host's listener and frees the notices. No lock may be held. */
void mtci_notices_tell(mtci_notices *list, const mtc_tier_host *host);

void mtci_notices_free(mtci_notices *list);

#endif
