/*
 * The arena: runs of pages in one reserved stretch of address space, and the
 * budget of what is committed of it.
 *
 * A run that is given back stays committed (dirty) until its pages are wanted
 * elsewhere; then the kernel gets them back, and what remains is address
 * space without memory (clean). Because there is more address space than
 * budget, a large run need not wait for its neighbours to become free.
 * Committed pages, those of the page records included, never pass the
 * budget. A growing arena commits a few pages more than are wanted, and all at
 * once. One mutex; any thread.
 *
 * Source of the idea: extents of jemalloc (Evans, 2006 and later).
 */
#ifndef MTCI_TIER_MEMORY_ARENA_H
#define MTCI_TIER_MEMORY_ARENA_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mtc/status.h"

#define MTCI_PAGE_SHIFT 12u
#define MTCI_PAGE_BYTES ((size_t)1 << MTCI_PAGE_SHIFT)

/* Lower refs than this name nothing in the arena. */
#define MTCI_REF_MIN 512u

/* Free runs are listed by length: each up to 32 pages, then four lists for
 * each doubling. */
#define MTCI_RUN_BINS 144u

/* What a page is; of a free run only the first and the last page count. */
enum { MTCI_PAGE_NONE = 0, MTCI_PAGE_USED, MTCI_PAGE_DIRTY, MTCI_PAGE_CLEAN };

/* The record of a page. Of a used run the first page's record counts, and the
 * fields from class on are the heap's. */
typedef struct mtci_page {
    uint32_t length; /* of the run, in pages; in its first and last page */
    uint32_t next;   /* free run: in its list. Used: span list of the heap */
    uint32_t prev;
    uint32_t first;  /* page of a span: the span's first page */
    uint32_t free;   /* span: first free object, a ref; 0: none */
    uint16_t live;   /* span: objects taken */
    uint16_t carved; /* span: objects taken at any time */
    uint8_t state;
    uint8_t class;
} mtci_page;

typedef struct mtci_arena {
    unsigned char *base; /* the stretch, and how refs are scaled in it */
    unsigned shift;
    size_t page_count;
    mtci_page *pages;
    _Atomic uint64_t budget;
    _Atomic uint64_t committed;
    pthread_mutex_t mutex; /* guards the pages' records and what follows */
    size_t top;            /* pages from here on were never used */
    _Atomic size_t record_bytes; /* of the budget, for records up to top */
    size_t dirty_pages;
    uint32_t dirty[MTCI_RUN_BINS]; /* first pages of free runs; 0: none */
    uint32_t clean[MTCI_RUN_BINS];
} mtci_arena;

/* MTC_OK, MTC_E_NO_MEMORY. */
mtc_status mtci_arena_init(mtci_arena *arena, uint64_t budget_bytes);
void mtci_arena_fini(mtci_arena *arena);

/* The first page of a run of count pages, whose content is undefined; 0: no
 * room within the budget. */
uint32_t mtci_arena_take(mtci_arena *arena, size_t count);

/* Gives a run back. */
void mtci_arena_give(mtci_arena *arena, uint32_t first);

/* Counts count pages that are elsewhere as committed, or no longer. False: no
 * room within the budget. */
bool mtci_arena_commit(mtci_arena *arena, size_t count);
void mtci_arena_uncommit(mtci_arena *arena, size_t count);

/* Sets the budget. What is free and too much is given to the kernel.
 * MTC_OK; MTC_E_TOO_LARGE: there is not enough address space. */
mtc_status mtci_arena_resize(mtci_arena *arena, uint64_t budget_bytes);

static inline void *mtci_arena_at(const mtci_arena *arena, uint32_t page)
{
    return arena->base + ((size_t)page << MTCI_PAGE_SHIFT);
}

#endif
