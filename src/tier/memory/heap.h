/*
 * The heap of a memory tier: objects within a budget of committed pages.
 *
 * Small objects come from spans, runs of pages cut into objects of one size
 * class; larger ones are runs of their own. Both are named by refs of 32
 * bits: base + (ref << shift). Contents are never moved. Tables and the like
 * get rooms, whole pages that start zeroed.
 *
 * Each class has a mutex, and inside it the arena's is taken. Threads keep
 * free objects of their own (limbo.h), so that most stores take no lock of the
 * heap.
 *
 * Source: Bonwick, "The Slab Allocator", USENIX 1994.
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

/* MTC_OK, MTC_E_NO_MEMORY. */
mtc_status mtci_heap_open(uint64_t budget_bytes, mtci_heap **heap);

/* Unmaps everything. */
void mtci_heap_close(mtci_heap *heap);

static inline void *mtci_heap_at(const mtci_heap *heap, uint32_t ref)
{
    return heap->arena.base + ((size_t)ref << heap->arena.shift);
}

/* Whether bytes lie in the heap. */
static inline bool mtci_heap_has(const mtci_heap *heap, const void *bytes)
{
    size_t at = (uintptr_t)bytes - (uintptr_t)heap->arena.base;
    return at < heap->arena.page_count << MTCI_PAGE_SHIFT;
}

static inline uint32_t mtci_heap_ref(const mtci_heap *heap, const void *object)
{
    size_t at = (size_t)((const unsigned char *)object - heap->arena.base);
    return (uint32_t)(at >> heap->arena.shift);
}

static inline unsigned mtci_class_of(size_t size)
{
    if (size <= 128)
        return size == 0 ? 0 : (unsigned)(size - 1) / 16;
    unsigned log = 63 - (unsigned)__builtin_clzll(size - 1);
    return 8 + (log - 7) * 8 + (unsigned)((size - 1) >> (log - 3)) % 8;
}

/* The class of objects of that size, MTCI_CLASS_RUN for a run of pages. */
static inline unsigned mtci_heap_class(const mtci_heap *heap, size_t size)
{
    return size > heap->small_max ? MTCI_CLASS_RUN : mtci_class_of(size);
}

/* What an object of a class occupies that was asked for with that size. */
static inline size_t mtci_heap_size(const mtci_heap *heap, unsigned class,
                                    size_t size)
{
    if (class == MTCI_CLASS_RUN)
        return (size + MTCI_PAGE_BYTES - 1) & ~(MTCI_PAGE_BYTES - 1);
    return heap->classes[class].size;
}

/* An object of at least size bytes, aligned to 16, its content undefined; 0:
 * no room within the budget. */
uint32_t mtci_heap_take(mtci_heap *heap, size_t size);

/* Up to count objects of a class that is not MTCI_CLASS_RUN: more than one
 * only where no new pages are needed for the others. Tells how many. */
unsigned mtci_heap_take_many(mtci_heap *heap, unsigned class, uint32_t *refs,
                             unsigned count);

/* Gives an object back. */
void mtci_heap_give(mtci_heap *heap, uint32_t ref);

/* Zeroed pages; NULL: no room. */
void *mtci_heap_room_new(mtci_heap *heap, size_t size);
void mtci_heap_room_free(mtci_heap *heap, void *room, size_t size);

/* A stretch: address space whose beginning is committed. A zeroed one is a
 * valid argument of fini. */
typedef struct mtci_stretch {
    unsigned char *base;
    size_t size; /* bytes, whole pages */
    size_t committed;
} mtci_stretch;

/* A stretch of size bytes, or less where there is not so much address space.
 * False: there is none. */
bool mtci_stretch_init(mtci_stretch *stretch, size_t size);
void mtci_stretch_fini(mtci_stretch *stretch, mtci_heap *heap);

/* Commits one page more, which reads as zeros. False: no room. */
bool mtci_stretch_grow(mtci_stretch *stretch, mtci_heap *heap);

/* Gives pages back until only so many bytes are committed, if the system
 * allows; they read as zeros from now on. */
void mtci_stretch_cut(mtci_stretch *stretch, mtci_heap *heap, size_t left);

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
