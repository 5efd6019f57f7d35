/*
 * The heap of a memory tier: objects within a budget of committed pages.
 *
 * Small objects come from spans, runs of pages cut into objects of one size
 * class; larger ones are runs of their own. Both are named by refs of 32
 * bits: base + (ref << shift). Contents are never moved. Tables and the like
 * get rooms, whole pages that start zeroed.
 *
 * Each class has a mutex, and inside it the arena's is taken. A magazine
 * keeps a few free objects of each class for one shard, whose mutex guards
 * it, so that most calls take no lock of the heap.
 *
 * Source: Bonwick, "The Slab Allocator", USENIX 1994; Bonwick & Adams,
 * "Magazines and Vmem", USENIX 2001.
 */
#ifndef MTCI_TIER_MEMORY_HEAP_H
#define MTCI_TIER_MEMORY_HEAP_H

#include "tier/memory/arena.h"

/* Eight classes up to 128 bytes, then eight for each doubling up to 32 KiB. */
#define MTCI_CLASSES 72u

/* The class of a run of its own. */
#define MTCI_CLASS_RUN 255u

typedef struct mtci_class {
    pthread_mutex_t mutex; /* guards spans and records of this class */
    uint32_t size;         /* of an object */
    uint32_t span_pages;
    uint32_t capacity; /* objects of a span */
    uint32_t spans;    /* first page of the spans with a free object */
} mtci_class;

typedef struct mtci_heap {
    mtci_arena arena;
    size_t small_max; /* the largest object that comes from a span */
    _Atomic size_t room_bytes;
    mtci_class classes[MTCI_CLASSES];
} mtci_heap;

/* A few free objects of each class, chained; a zeroed one is empty. */
typedef struct mtci_magazine {
    struct {
        uint32_t first;
        uint32_t count;
    } objects[MTCI_CLASSES];
} mtci_magazine;

/* MTC_OK, MTC_E_NO_MEMORY. */
mtc_status mtci_heap_open(uint64_t budget_bytes, mtci_heap **heap);

/* Unmaps everything. */
void mtci_heap_close(mtci_heap *heap);

static inline void *mtci_heap_at(const mtci_heap *heap, uint32_t ref)
{
    return heap->arena.base + ((size_t)ref << heap->arena.shift);
}

static inline uint32_t mtci_heap_ref(const mtci_heap *heap, const void *object)
{
    size_t at = (size_t)((const unsigned char *)object - heap->arena.base);
    return (uint32_t)(at >> heap->arena.shift);
}

/* An object of at least size bytes, aligned to 16, its content undefined; 0:
 * no room within the budget. magazine may be NULL. */
uint32_t mtci_heap_take(mtci_heap *heap, mtci_magazine *magazine, size_t size);

/* Gives an object back; magazine may be NULL. */
void mtci_heap_give(mtci_heap *heap, mtci_magazine *magazine, uint32_t ref);

/* What an object occupies. */
size_t mtci_heap_object_size(const mtci_heap *heap, uint32_t ref);

/* Gives everything in a magazine back. */
void mtci_magazine_flush(mtci_heap *heap, mtci_magazine *magazine);

/* Zeroed pages; NULL: no room. */
void *mtci_heap_room_new(mtci_heap *heap, size_t size);
void mtci_heap_room_free(mtci_heap *heap, void *room, size_t size);

static inline uint64_t mtci_heap_committed(const mtci_heap *heap)
{
    return atomic_load_explicit(&heap->arena.committed, memory_order_relaxed);
}

static inline uint64_t mtci_heap_budget(const mtci_heap *heap)
{
    return atomic_load_explicit(&heap->arena.budget, memory_order_relaxed);
}

/* The largest object that there could be room for. */
uint64_t mtci_heap_object_max(const mtci_heap *heap);

/* As mtci_arena_resize. */
mtc_status mtci_heap_resize(mtci_heap *heap, uint64_t budget_bytes);

#endif
