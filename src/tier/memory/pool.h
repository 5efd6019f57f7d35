/*
 * The pool: the heap of a tier and what the values need that refer to it.
 *
 * It outlives the tier for as long as values are held. A value refers to its
 * entry by a pin of its thread (owner is the slot), or by count (owner is the
 * entry). An entry that leaves the tier is retired: it goes back to the heap
 * once no pin names it, or with the last value that counts it.
 *
 * Lists of retired entries belong to a limbo and its mutex (limbo.h);
 * everything else is for any thread.
 */
#ifndef MTCI_TIER_MEMORY_POOL_H
#define MTCI_TIER_MEMORY_POOL_H

#include "base/pin.h"
#include "tier/memory/entry.h"

/* Retired entries, linked through node.older. */
typedef struct mtci_retired {
    uint32_t first;
    uint32_t count;
} mtci_retired;

/* Bits of a set of pins: for as many as there are threads in most programs it
 * errs seldom, and then on the safe side. */
#define MTCI_PIN_BITS 32768u

/* The entries that were pinned at a moment; may claim to have one that it was
 * not given. */
typedef struct mtci_pinned {
    const mtci_heap *heap;
    uint64_t salt;
    uint64_t bits[MTCI_PIN_BITS / 64];
} mtci_pinned;

typedef struct mtci_pool {
    mtc_value_ops pinned;  /* of values that refer by a pin */
    mtc_value_ops counted; /* of values that refer by count */
    mtci_heap *heap;
    _Atomic int32_t tier; /* index in its cache */
    /* The tier, and entries that it let go and that values still count. */
    _Atomic uint64_t user_count;
    /* After the end of the tier: what waits for pins. */
    mtci_waiter waiter;
    mtci_retired left;
} mtci_pool;

/* A pool whose heap has that budget. MTC_OK, MTC_E_NO_MEMORY. */
mtc_status mtci_pool_open(uint64_t budget_bytes, mtci_pool **pool);

/* The tier ends: takes over the retired entries that are still pinned. */
void mtci_pool_close(mtci_pool *pool, const mtci_retired *left);

static inline mtci_entry *mtci_pool_entry(const mtci_pool *pool, uint32_t ref)
{
    return mtci_heap_at(pool->heap, ref);
}

/* Notes every pin there is. Passes the heavy fence: what nobody could find
 * before, and is not in the set, nobody refers to by a pin. */
void mtci_pinned_note(mtci_pinned *set, const mtci_pool *pool);

static inline bool mtci_pinned_has(const mtci_pinned *set, uint32_t ref)
{
    uint64_t bit = (ref * set->salt) >> 49;
    return set->bits[bit / 64] >> bit % 64 & 1;
}

/* Drops the tier's hold on an entry that no pin names. True: the object is
 * free, and the caller's; false: the last value that counts it frees it. */
bool mtci_pool_let_go(mtci_pool *pool, uint32_t ref);

/* Adds an entry that nobody can find any more. */
void mtci_retired_add(mtci_retired *list, const mtci_pool *pool, uint32_t ref);

/* Moves all of other to list. */
void mtci_retired_move(mtci_retired *list, const mtci_pool *pool,
                       mtci_retired *other);

/* Gives back to the heap what is not in the set. */
void mtci_retired_free(mtci_retired *list, mtci_pool *pool,
                       const mtci_pinned *set);

/* One more value by count; the caller holds or pins the entry, or has the
 * mutex of its shard. False: there are too many. */
bool mtci_entry_hold(mtci_entry *entry);

#endif
