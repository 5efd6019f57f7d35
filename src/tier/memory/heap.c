/*
 * Objects and rooms; see heap.h.
 */
#include "tier/memory/heap.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/mutex.h"
#include "tier/memory/poison.h"

/* The longest span, as a part of the budget and in pages. */
#define SPAN_PART      256u
#define SPAN_PAGES_MIN 4u
#define SPAN_PAGES_MAX 32u

/* A span ends in a rest of at most one part in so many. */
#define REST_PART 32u

/* -- classes ------------------------------------------------------------ */

static uint32_t class_size(unsigned class)
{
    if (class < 8)
        return (class + 1) * 16;
    unsigned doubling = (class - 8) / 8;
    return (128u << doubling) + (16u << doubling) * ((class - 8) % 8 + 1);
}

/* The shortest span whose rest is small. */
static void class_init(mtci_class *class, uint32_t size, uint32_t pages_max)
{
    uint32_t pages = (uint32_t)((size + MTCI_PAGE_BYTES - 1) / MTCI_PAGE_BYTES);
    while (pages < pages_max && (pages * MTCI_PAGE_BYTES) % size * REST_PART >
                                    pages * MTCI_PAGE_BYTES)
        pages++;
    class->size = size;
    class->span_pages = pages;
    class->capacity = (uint32_t)(pages * MTCI_PAGE_BYTES / size);
    mtci_mutex_init(&class->mutex);
}

mtc_status mtci_heap_open(uint64_t budget_bytes, mtci_heap **out)
{
    mtci_heap *heap = calloc(1, sizeof(*heap));
    if (!heap)
        return MTC_E_NO_MEMORY;
    uint64_t pages = budget_bytes / SPAN_PART / MTCI_PAGE_BYTES;
    if (pages > SPAN_PAGES_MAX)
        pages = SPAN_PAGES_MAX;
    if (pages < SPAN_PAGES_MIN)
        pages = SPAN_PAGES_MIN;
    /* At least four objects of the largest class in a span. */
    heap->small_max = pages * MTCI_PAGE_BYTES / 4;
    mtc_status status = mtci_arena_init(&heap->arena, budget_bytes);
    uint32_t step = 1u << heap->arena.shift;
    for (unsigned i = 0; i < MTCI_CLASSES; i++) {
        uint32_t size = (class_size(i) + step - 1) & ~(step - 1);
        class_init(&heap->classes[i], size, (uint32_t)pages);
    }
    if (status == MTC_OK)
        *out = heap;
    else
        mtci_heap_close(heap);
    return status;
}

void mtci_heap_close(mtci_heap *heap)
{
    if (heap->arena.base)
        mtci_unpoison(heap->arena.base, heap->arena.top << MTCI_PAGE_SHIFT);
    for (unsigned i = 0; i < MTCI_CLASSES; i++)
        pthread_mutex_destroy(&heap->classes[i].mutex);
    mtci_arena_fini(&heap->arena);
    free(heap);
}

/* -- objects that are free ---------------------------------------------- */

static uint32_t link_of(const mtci_heap *heap, uint32_t ref)
{
    uint32_t link;
    void *object = mtci_heap_at(heap, ref);
    mtci_unpoison(object, sizeof(link));
    memcpy(&link, object, sizeof(link));
    mtci_poison(object, sizeof(link));
    return link;
}

static void set_link(mtci_heap *heap, uint32_t ref, uint32_t link)
{
    void *object = mtci_heap_at(heap, ref);
    mtci_unpoison(object, sizeof(link));
    memcpy(object, &link, sizeof(link));
    mtci_poison(object, sizeof(link));
}

/* -- spans -------------------------------------------------------------- */

static uint32_t page_of(const mtci_heap *heap, uint32_t ref)
{
    size_t at = (size_t)ref << heap->arena.shift;
    return (uint32_t)(at >> MTCI_PAGE_SHIFT);
}

static void spans_add(mtci_heap *heap, mtci_class *class, uint32_t first)
{
    mtci_page *pages = heap->arena.pages;
    pages[first].prev = 0;
    pages[first].next = class->spans;
    if (class->spans)
        pages[class->spans].prev = first;
    class->spans = first;
}

static void spans_drop(mtci_heap *heap, mtci_class *class, uint32_t first)
{
    mtci_page *pages = heap->arena.pages;
    const mtci_page *span = &pages[first];
    if (span->prev)
        pages[span->prev].next = span->next;
    else
        class->spans = span->next;
    if (span->next)
        pages[span->next].prev = span->prev;
}

/* A new span in the list; false: no room. */
static bool span_new(mtci_heap *heap, mtci_class *class)
{
    uint32_t first = mtci_arena_take(&heap->arena, class->span_pages);
    if (!first)
        return false;
    mtci_page *span = &heap->arena.pages[first];
    span->free = 0;
    span->live = 0;
    span->carved = 0;
    for (uint32_t i = 0; i < class->span_pages; i++) {
        span[i].first = first;
        span[i].class = (uint8_t)(class - heap->classes);
    }
    mtci_poison(mtci_arena_at(&heap->arena, first),
                class->span_pages * MTCI_PAGE_BYTES);
    spans_add(heap, class, first);
    return true;
}

static uint32_t carve(const mtci_heap *heap, const mtci_class *class,
                      uint32_t first, mtci_page *span)
{
    size_t step = class->size >> heap->arena.shift;
    size_t at = (size_t)first << (MTCI_PAGE_SHIFT - heap->arena.shift);
    return (uint32_t)(at + step * span->carved++);
}

static uint32_t take_locked(mtci_heap *heap, mtci_class *class)
{
    if (!class->spans && !span_new(heap, class))
        return 0;
    uint32_t first = class->spans;
    mtci_page *span = &heap->arena.pages[first];
    uint32_t ref = span->free;
    if (ref)
        span->free = link_of(heap, ref);
    else
        ref = carve(heap, class, first, span);
    if (++span->live == class->capacity)
        spans_drop(heap, class, first);
    return ref;
}

static void give_locked(mtci_heap *heap, mtci_class *class, uint32_t ref)
{
    uint32_t first = heap->arena.pages[page_of(heap, ref)].first;
    mtci_page *span = &heap->arena.pages[first];
    set_link(heap, ref, span->free);
    span->free = ref;
    if (span->live-- == class->capacity)
        spans_add(heap, class, first);
    if (span->live > 0)
        return;
    spans_drop(heap, class, first);
    mtci_unpoison(mtci_arena_at(&heap->arena, first),
                  class->span_pages * MTCI_PAGE_BYTES);
    mtci_arena_give(&heap->arena, first);
}

/* -- the calls ---------------------------------------------------------- */

static uint32_t take_run(mtci_heap *heap, size_t size)
{
    size_t count = (size + MTCI_PAGE_BYTES - 1) >> MTCI_PAGE_SHIFT;
    uint32_t first = mtci_arena_take(&heap->arena, count);
    if (!first)
        return 0;
    heap->arena.pages[first].class = MTCI_CLASS_RUN;
    return first << (MTCI_PAGE_SHIFT - heap->arena.shift);
}

uint32_t mtci_heap_take(mtci_heap *heap, size_t size)
{
    uint32_t ref;
    if (size > heap->small_max)
        return take_run(heap, size);
    return mtci_heap_take_many(heap, mtci_class_of(size), &ref, 1) == 1 ? ref
                                                                        : 0;
}

unsigned mtci_heap_take_many(mtci_heap *heap, unsigned i, uint32_t *refs,
                             unsigned count)
{
    mtci_class *class = &heap->classes[i];
    unsigned taken = 0;
    pthread_mutex_lock(&class->mutex);
    while (taken < count && (taken == 0 || class->spans)) {
        refs[taken] = take_locked(heap, class);
        if (!refs[taken])
            break;
        taken++;
    }
    pthread_mutex_unlock(&class->mutex);
    for (unsigned at = 0; at < taken; at++)
        mtci_unpoison(mtci_heap_at(heap, refs[at]), class->size);
    return taken;
}

static uint8_t class_at(const mtci_heap *heap, uint32_t ref)
{
    return heap->arena.pages[page_of(heap, ref)].class;
}

void mtci_heap_give(mtci_heap *heap, uint32_t ref)
{
    unsigned i = class_at(heap, ref);
    if (i == MTCI_CLASS_RUN) {
        mtci_arena_give(&heap->arena, page_of(heap, ref));
        return;
    }
    mtci_class *class = &heap->classes[i];
    mtci_poison(mtci_heap_at(heap, ref), class->size);
    pthread_mutex_lock(&class->mutex);
    give_locked(heap, class, ref);
    pthread_mutex_unlock(&class->mutex);
}

void *mtci_heap_room_new(mtci_heap *heap, size_t size)
{
    size_t count = (size + MTCI_PAGE_BYTES - 1) >> MTCI_PAGE_SHIFT;
    uint32_t first = mtci_arena_take(&heap->arena, count);
    if (!first)
        return NULL;
    void *room = mtci_arena_at(&heap->arena, first);
    atomic_fetch_add_explicit(&heap->room_bytes, count << MTCI_PAGE_SHIFT,
                              memory_order_relaxed);
    memset(room, 0, count << MTCI_PAGE_SHIFT);
    return room;
}

void mtci_heap_room_free(mtci_heap *heap, void *room, size_t size)
{
    size_t count = (size + MTCI_PAGE_BYTES - 1) >> MTCI_PAGE_SHIFT;
    atomic_fetch_sub_explicit(&heap->room_bytes, count << MTCI_PAGE_SHIFT,
                              memory_order_relaxed);
    mtci_arena_give(&heap->arena, page_of(heap, mtci_heap_ref(heap, room)));
}

/* -- stretches ---------------------------------------------------------- */

bool mtci_stretch_init(mtci_stretch *stretch, size_t size)
{
    for (; size >= MTCI_PAGE_BYTES; size = size / 2 & ~(MTCI_PAGE_BYTES - 1)) {
        void *base = mmap(NULL, size, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (base == MAP_FAILED)
            continue;
        /* Huge pages would commit what nobody counted. */
        (void)madvise(base, size, MADV_NOHUGEPAGE);
        *stretch = (mtci_stretch){base, size, 0};
        return true;
    }
    return false;
}

static void count_cut(mtci_stretch *stretch, mtci_heap *heap, size_t left)
{
    size_t size = stretch->committed - left;
    mtci_arena_uncommit(&heap->arena, size >> MTCI_PAGE_SHIFT);
    atomic_fetch_sub_explicit(&heap->room_bytes, size, memory_order_relaxed);
    stretch->committed = left;
}

void mtci_stretch_fini(mtci_stretch *stretch, mtci_heap *heap)
{
    if (!stretch->base)
        return;
    munmap(stretch->base, stretch->size);
    count_cut(stretch, heap, 0);
    *stretch = (mtci_stretch){0};
}

bool mtci_stretch_grow(mtci_stretch *stretch, mtci_heap *heap)
{
    if (stretch->committed == stretch->size ||
        !mtci_arena_commit(&heap->arena, 1))
        return false;
    atomic_fetch_add_explicit(&heap->room_bytes, MTCI_PAGE_BYTES,
                              memory_order_relaxed);
    stretch->committed += MTCI_PAGE_BYTES;
    return true;
}

void mtci_stretch_cut(mtci_stretch *stretch, mtci_heap *heap, size_t left)
{
    if (left < stretch->committed &&
        madvise(stretch->base + left, stretch->committed - left,
                MADV_DONTNEED) == 0)
        count_cut(stretch, heap, left);
}

/* -- the budget --------------------------------------------------------- */

uint64_t mtci_heap_object_max(const mtci_heap *heap)
{
    uint64_t taken =
        atomic_load_explicit(&heap->room_bytes, memory_order_relaxed) +
        atomic_load_explicit(&heap->arena.record_bytes, memory_order_relaxed);
    uint64_t budget = mtci_heap_budget(heap) & ~(MTCI_PAGE_BYTES - 1);
    return taken < budget ? budget - taken : 0;
}

mtc_status mtci_heap_resize(mtci_heap *heap, uint64_t budget_bytes)
{
    return mtci_arena_resize(&heap->arena, budget_bytes);
}
