/*
 * Runs of pages; see arena.h.
 */
#include "tier/memory/arena.h"

#include <string.h>
#include <sys/mman.h>

#include "base/mutex.h"

/* Address space for each byte of budget, and the least and most of it at
 * which refs can have steps of 16 bytes. */
#define SPACE_PART  8u
#define SPACE_LEAST 2u
#define SPACE_MIN   ((uint64_t)64 << 20)
#define SPACE_REFS  ((uint64_t)64 << 30)
#define SHIFT_MIN   4u

/* Pages that are committed at a time, and the part of the budget that they may
 * be. */
#define AHEAD_PAGES 16u
#define AHEAD_PART  1024u

/* Runs of one list that are looked at for one that is long enough. */
#define LOOK_COUNT 8u

/* -- beginning and end -------------------------------------------------- */

static void *reserve(size_t size)
{
    void *space = mmap(NULL, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return space == MAP_FAILED ? NULL : space;
}

static uint64_t space_for(uint64_t budget)
{
    uint64_t space = budget * SPACE_PART;
    if (space > SPACE_REFS)
        space = SPACE_REFS;
    if (space < budget * SPACE_LEAST)
        space = budget * SPACE_LEAST;
    if (space < SPACE_MIN)
        space = SPACE_MIN;
    return (space + MTCI_PAGE_BYTES - 1) & ~(uint64_t)(MTCI_PAGE_BYTES - 1);
}

/* Reserves as much as the system lets us have. */
static bool reserve_space(mtci_arena *arena, uint64_t budget)
{
    uint64_t space = space_for(budget);
    while (!arena->base) {
        arena->base = reserve(space);
        if (arena->base)
            break;
        if (space / 2 < budget * SPACE_LEAST)
            return false;
        space = (space / 2) & ~(uint64_t)(MTCI_PAGE_BYTES - 1);
    }
    arena->page_count = space >> MTCI_PAGE_SHIFT;
    arena->pages = reserve(arena->page_count * sizeof(mtci_page));
    return arena->pages != NULL;
}

mtc_status mtci_arena_init(mtci_arena *arena, uint64_t budget_bytes)
{
    *arena = (mtci_arena){.shift = SHIFT_MIN};
    mtci_mutex_init(&arena->mutex);
    atomic_init(&arena->budget, budget_bytes);
    if (!reserve_space(arena, budget_bytes))
        return MTC_E_NO_MEMORY;
    uint64_t space = (uint64_t)arena->page_count << MTCI_PAGE_SHIFT;
    while (space >> arena->shift > UINT32_MAX)
        arena->shift++;
    arena->top = ((size_t)MTCI_REF_MIN << arena->shift) >> MTCI_PAGE_SHIFT;
    /* Huge pages would commit what nobody counted. */
    (void)madvise(arena->base, space, MADV_NOHUGEPAGE);
    (void)madvise(arena->pages, arena->page_count * sizeof(mtci_page),
                  MADV_NOHUGEPAGE);
    return MTC_OK;
}

void mtci_arena_fini(mtci_arena *arena)
{
    if (arena->base)
        munmap(arena->base, arena->page_count << MTCI_PAGE_SHIFT);
    if (arena->pages)
        munmap(arena->pages, arena->page_count * sizeof(mtci_page));
    pthread_mutex_destroy(&arena->mutex);
}

/* -- lists of free runs ------------------------------------------------- */

static unsigned bin_of(size_t length)
{
    if (length <= 32)
        return (unsigned)length - 1;
    unsigned log = 63 - (unsigned)__builtin_clzll(length);
    unsigned quarter = (unsigned)(length >> (log - 2)) & 3;
    return 32 + (log - 5) * 4 + quarter;
}

static uint32_t *list_of(mtci_arena *arena, uint8_t state, size_t length)
{
    uint32_t *bins = state == MTCI_PAGE_DIRTY ? arena->dirty : arena->clean;
    return &bins[bin_of(length)];
}

static void mark(mtci_arena *arena, uint32_t first, size_t length,
                 uint8_t state)
{
    mtci_page *head = &arena->pages[first];
    mtci_page *tail = &arena->pages[first + length - 1];
    head->length = tail->length = (uint32_t)length;
    head->state = tail->state = state;
}

static void list_add(mtci_arena *arena, uint32_t first, size_t length,
                     uint8_t state)
{
    uint32_t *list = list_of(arena, state, length);
    mark(arena, first, length, state);
    arena->pages[first].prev = 0;
    arena->pages[first].next = *list;
    if (*list)
        arena->pages[*list].prev = first;
    *list = first;
    if (state == MTCI_PAGE_DIRTY)
        arena->dirty_pages += length;
}

static void list_drop(mtci_arena *arena, uint32_t first)
{
    mtci_page *page = &arena->pages[first];
    if (page->prev)
        arena->pages[page->prev].next = page->next;
    else
        *list_of(arena, page->state, page->length) = page->next;
    if (page->next)
        arena->pages[page->next].prev = page->prev;
    if (page->state == MTCI_PAGE_DIRTY)
        arena->dirty_pages -= page->length;
}

/* Adds a free run, joined with free neighbours of the same state. */
static void add_free(mtci_arena *arena, uint32_t first, size_t length,
                     uint8_t state)
{
    const mtci_page *before = &arena->pages[first - 1];
    if (before->state == state) {
        uint32_t other = first - before->length;
        list_drop(arena, other);
        length += first - other;
        first = other;
    }
    size_t after = first + length;
    if (after < arena->top && arena->pages[after].state == state) {
        list_drop(arena, (uint32_t)after);
        length += arena->pages[after].length;
    }
    list_add(arena, first, length, state);
}

/* The best run of at least count pages that is found soon; 0: none. */
static uint32_t find_run(const mtci_arena *arena, const uint32_t *bins,
                         size_t count)
{
    for (unsigned bin = bin_of(count); bin < MTCI_RUN_BINS; bin++) {
        uint32_t best = 0;
        uint32_t first = bins[bin];
        for (unsigned i = 0; first && i < LOOK_COUNT; i++) {
            uint32_t length = arena->pages[first].length;
            if (length >= count &&
                (!best || length < arena->pages[best].length))
                best = first;
            first = arena->pages[first].next;
        }
        if (best)
            return best;
    }
    return 0;
}

/* Cuts count pages off the front of a free run and makes them used. */
static uint32_t cut(mtci_arena *arena, uint32_t first, size_t count)
{
    size_t length = arena->pages[first].length;
    uint8_t state = arena->pages[first].state;
    list_drop(arena, first);
    if (length > count)
        list_add(arena, first + (uint32_t)count, length - count, state);
    mark(arena, first, count, MTCI_PAGE_USED);
    return first;
}

/* -- the budget --------------------------------------------------------- */

static uint64_t committed(const mtci_arena *arena)
{
    return atomic_load_explicit(&arena->committed, memory_order_relaxed);
}

static bool commit(mtci_arena *arena, size_t bytes)
{
    uint64_t budget =
        atomic_load_explicit(&arena->budget, memory_order_relaxed);
    uint64_t sum = committed(arena) + bytes;
    if (sum > budget)
        return false;
    atomic_store_explicit(&arena->committed, sum, memory_order_relaxed);
    return true;
}

/* Gives count pages of the longest dirty runs to the kernel; false: there are
 * not so many. */
static bool purge(mtci_arena *arena, size_t count)
{
    while (count > 0 && arena->dirty_pages > 0) {
        unsigned bin = MTCI_RUN_BINS - 1;
        while (!arena->dirty[bin])
            bin--;
        uint32_t first = arena->dirty[bin];
        size_t length = arena->pages[first].length;
        first = cut(arena, first, length < count ? length : count);
        length = arena->pages[first].length;
        madvise(mtci_arena_at(arena, first), length << MTCI_PAGE_SHIFT,
                MADV_DONTNEED);
        atomic_fetch_sub_explicit(&arena->committed, length << MTCI_PAGE_SHIFT,
                                  memory_order_relaxed);
        add_free(arena, first, length, MTCI_PAGE_CLEAN);
        count -= length;
    }
    return count == 0;
}

/* Bytes of the records of pages below top. */
static size_t records_for(size_t top)
{
    size_t bytes = top * sizeof(mtci_page);
    return (bytes + MTCI_PAGE_BYTES - 1) & ~(MTCI_PAGE_BYTES - 1);
}

/* Commits pages and records; dirty runs make room if need be. */
static bool commit_run(mtci_arena *arena, size_t count, size_t new_top)
{
    size_t records = records_for(new_top);
    size_t noted =
        atomic_load_explicit(&arena->record_bytes, memory_order_relaxed);
    size_t more = records > noted ? records - noted : 0;
    size_t bytes = (count << MTCI_PAGE_SHIFT) + more;
    uint64_t budget =
        atomic_load_explicit(&arena->budget, memory_order_relaxed);
    uint64_t sum = committed(arena) + bytes;
    if (sum > budget) {
        size_t pages =
            (size_t)((sum - budget + MTCI_PAGE_BYTES - 1) >> MTCI_PAGE_SHIFT);
        if (pages > arena->dirty_pages || !purge(arena, pages))
            return false;
    }
    if (!commit(arena, bytes))
        return false;
    atomic_store_explicit(&arena->record_bytes, noted + more,
                          memory_order_relaxed);
    return true;
}

/* A run without memory behind it. */
static uint32_t take_clean(mtci_arena *arena, size_t count)
{
    uint32_t first = find_run(arena, arena->clean, count);
    size_t top = arena->top;
    if (!first && arena->page_count - top >= count)
        top += count;
    else if (!first)
        return 0;
    if (!commit_run(arena, count, top))
        return 0;
    /* Purging may have made runs longer. */
    first = find_run(arena, arena->clean, count);
    if (first)
        return cut(arena, first, count);
    first = (uint32_t)arena->top;
    arena->top += count;
    mark(arena, first, count, MTCI_PAGE_USED);
    return first;
}

/* -- the calls ---------------------------------------------------------- */

/* How many pages to commit for a run of count: some more, as long as the
 * budget has room to spare. */
static size_t ahead_of(const mtci_arena *arena, size_t count)
{
    uint64_t budget =
        atomic_load_explicit(&arena->budget, memory_order_relaxed);
    uint64_t pages = budget / AHEAD_PART >> MTCI_PAGE_SHIFT;
    size_t ahead = pages < AHEAD_PAGES ? (size_t)pages : AHEAD_PAGES;
    if (ahead <= count ||
        committed(arena) + (ahead + 1) * MTCI_PAGE_BYTES > budget)
        return count;
    return ahead;
}

/* Takes a clean run of *length pages or, where the arena grows for it, of some
 * more, which are left free. */
static uint32_t take_ahead(mtci_arena *arena, size_t count, size_t *length)
{
    bool grows = !find_run(arena, arena->clean, count);
    *length = grows ? ahead_of(arena, count) : count;
    uint32_t first = take_clean(arena, *length);
    if (!first && *length > count) {
        *length = count;
        first = take_clean(arena, count);
    }
    if (!first || *length == count)
        return first;
    mark(arena, first, count, MTCI_PAGE_USED);
    add_free(arena, first + (uint32_t)count, *length - count, MTCI_PAGE_DIRTY);
    return first;
}

/* All of these pages will be written: one call costs less than a fault for
 * each. A kernel that knows no such call leaves it to the faults. */
static void populate(mtci_arena *arena, uint32_t first, size_t count)
{
    if (first && count > 1)
        (void)madvise(mtci_arena_at(arena, first), count << MTCI_PAGE_SHIFT,
                      MADV_POPULATE_WRITE);
}

uint32_t mtci_arena_take(mtci_arena *arena, size_t count)
{
    if (count > arena->page_count)
        return 0;
    size_t length = 0;
    pthread_mutex_lock(&arena->mutex);
    uint32_t dirty = find_run(arena, arena->dirty, count);
    uint32_t clean = dirty ? 0 : take_ahead(arena, count, &length);
    if (dirty)
        cut(arena, dirty, count);
    pthread_mutex_unlock(&arena->mutex);
    populate(arena, clean, length);
    return dirty ? dirty : clean;
}

void mtci_arena_give(mtci_arena *arena, uint32_t first)
{
    pthread_mutex_lock(&arena->mutex);
    add_free(arena, first, arena->pages[first].length, MTCI_PAGE_DIRTY);
    pthread_mutex_unlock(&arena->mutex);
}

bool mtci_arena_commit(mtci_arena *arena, size_t count)
{
    pthread_mutex_lock(&arena->mutex);
    bool has_room = commit_run(arena, count, arena->top);
    pthread_mutex_unlock(&arena->mutex);
    return has_room;
}

void mtci_arena_uncommit(mtci_arena *arena, size_t count)
{
    pthread_mutex_lock(&arena->mutex);
    atomic_fetch_sub_explicit(&arena->committed, count << MTCI_PAGE_SHIFT,
                              memory_order_relaxed);
    pthread_mutex_unlock(&arena->mutex);
}

mtc_status mtci_arena_resize(mtci_arena *arena, uint64_t budget_bytes)
{
    uint64_t space = (uint64_t)arena->page_count << MTCI_PAGE_SHIFT;
    if (budget_bytes > space / SPACE_LEAST)
        return MTC_E_TOO_LARGE;
    pthread_mutex_lock(&arena->mutex);
    atomic_store_explicit(&arena->budget, budget_bytes, memory_order_relaxed);
    uint64_t now = committed(arena);
    if (now > budget_bytes)
        purge(arena, (size_t)((now - budget_bytes + MTCI_PAGE_BYTES - 1) >>
                              MTCI_PAGE_SHIFT));
    pthread_mutex_unlock(&arena->mutex);
    return MTC_OK;
}
