/*
 * The limbo of a few threads: where entries wait that have left the tier, and
 * the free objects that they leave for the next ones.
 *
 * An entry that can no longer be found may still be pinned. It is fresh until
 * the next turn, which passes the heavy fence once for all of them: what no
 * pin names then becomes stock, an object to be used again, and what is
 * pinned is held until a later turn. Stores take from the stock, and from the
 * heap, a few objects at a time, what it does not have.
 *
 * A tier has a limbo for each of its first threads; more threads share. So
 * what a store writes beside its shard was last written on the same core. The
 * mutex is taken by every call here, last of all but the heap's; a turn, which
 * takes long, never runs while a shard is held.
 *
 * Source of the stock: Bonwick & Adams, "Magazines and Vmem", USENIX 2001.
 */
#ifndef MTCI_TIER_MEMORY_LIMBO_H
#define MTCI_TIER_MEMORY_LIMBO_H

#include "tier/memory/pool.h"

/* Entries that are fresh at most, and objects in stock at most. */
#define MTCI_LIMBO_ROOM_MIN 64u
#define MTCI_LIMBO_ROOM_MAX 1024u

/* Objects with their classes; the last is used first. */
typedef struct mtci_limbo_list {
    uint32_t *refs;
    uint8_t *classes;
    uint32_t count;
    size_t bytes;
} mtci_limbo_list;

typedef struct mtci_limbo {
    _Alignas(64) pthread_mutex_t mutex; /* guards all that follows */
    mtci_pool *pool;
    uint32_t room; /* of each list */
    size_t bytes_max;
    mtci_limbo_list fresh;
    mtci_limbo_list stock;
    mtci_retired held;    /* were pinned at the last turn, or one too many */
    _Atomic bool is_full; /* time for a turn; read without the mutex */
} mtci_limbo;

/* Those of a tier. */
typedef struct mtci_limbos {
    mtci_limbo *all;
    size_t count; /* a power of two */
} mtci_limbos;

/* Bytes of their own for count limbos of so much room each. */
size_t mtci_limbos_size(size_t count, uint32_t room);

/* Limbos for so many entries and bytes each. False: out of memory. fini is
 * due in either case, when the tier has let all of its entries go; those that
 * are still pinned go to left. Takes zeroed ones. */
bool mtci_limbos_init(mtci_limbos *limbos, mtci_pool *pool, size_t count,
                      uint32_t room, size_t bytes_max);
void mtci_limbos_fini(mtci_limbos *limbos, mtci_retired *left);

/* The calling thread's. */
static inline mtci_limbo *mtci_limbo_here(const mtci_limbos *limbos)
{
    const mtci_pins *pins = mtci_self.pins;
    return &limbos->all[pins ? pins->index & (limbos->count - 1) : 0];
}

/* Adds an entry, whose object occupies size, that can no longer be found. */
void mtci_limbo_add(mtci_limbo *limbo, uint32_t ref, unsigned class,
                    size_t size);

/* An object of a class, or a run of that size; 0: no room in the heap. */
uint32_t mtci_limbo_take(mtci_limbo *limbo, unsigned class, size_t size);

/* Finds out what is free and keeps it as stock. */
void mtci_limbo_turn(mtci_limbo *limbo);

/* The same, once there is enough for it. */
static inline void mtci_limbo_tidy(mtci_limbo *limbo)
{
    if (__builtin_expect(atomic_load_explicit(&limbo->is_full,
                                              memory_order_relaxed),
                         0))
        mtci_limbo_turn(limbo);
}

/* Gives back to the heap whatever can be; false: there was nothing. */
bool mtci_limbo_empty(mtci_limbo *limbo);

#endif
