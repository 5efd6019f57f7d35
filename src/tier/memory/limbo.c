/*
 * Leaving entries and free objects; see limbo.h.
 */
#include "tier/memory/limbo.h"

#include <stdlib.h>
#include <string.h>

#include "base/mutex.h"
#include "tier/memory/poison.h"

/* How far ahead entries are fetched that a turn will look at. */
#define AHEAD 8u

/* Objects of the stock that are looked at for one of the right class. */
#define LOOK_COUNT 16u

/* Objects that are taken from the heap at a time, at most, and their bytes. */
#define TAKE_COUNT 16u
#define TAKE_BYTES 4096u

static bool list_init(mtci_limbo_list *list, uint32_t room)
{
    list->refs = calloc(room, sizeof(*list->refs));
    list->classes = calloc(room, sizeof(*list->classes));
    return list->refs && list->classes;
}

static void list_fini(mtci_limbo_list *list)
{
    free(list->refs);
    free(list->classes);
}

static void list_add(mtci_limbo_list *list, uint32_t ref, unsigned class,
                     size_t size)
{
    list->refs[list->count] = ref;
    list->classes[list->count++] = (uint8_t) class;
    list->bytes += size;
}

/* -- the stock ---------------------------------------------------------- */

static size_t size_of(const mtci_limbo *limbo, unsigned class)
{
    return mtci_heap_size(limbo->pool->heap, class, 0);
}

/* An object that is free. Runs are not kept: pages serve everyone. */
static void keep_locked(mtci_limbo *limbo, uint32_t ref, unsigned class)
{
    mtci_heap *heap = limbo->pool->heap;
    mtci_limbo_list *stock = &limbo->stock;
    if (class == MTCI_CLASS_RUN || stock->count == limbo->room ||
        stock->bytes > limbo->bytes_max) {
        mtci_heap_give(heap, ref);
        return;
    }
    mtci_poison(mtci_heap_at(heap, ref), size_of(limbo, class));
    list_add(stock, ref, class, size_of(limbo, class));
}

/* The object at an index of the stock, whose place the last one takes. */
static uint32_t stock_get_locked(mtci_limbo *limbo, uint32_t at)
{
    mtci_heap *heap = limbo->pool->heap;
    mtci_limbo_list *stock = &limbo->stock;
    uint32_t ref = stock->refs[at];
    size_t size = size_of(limbo, stock->classes[at]);
    stock->count--;
    stock->bytes -= size;
    stock->refs[at] = stock->refs[stock->count];
    stock->classes[at] = stock->classes[stock->count];
    mtci_unpoison(mtci_heap_at(heap, ref), size);
    return ref;
}

/* The stock may be of sizes that nobody wants any more: its last goes. */
static void make_place_locked(mtci_limbo *limbo)
{
    if (limbo->stock.count == limbo->room)
        mtci_heap_give(limbo->pool->heap,
                       stock_get_locked(limbo, limbo->stock.count - 1));
}

/* One object from the heap, and others for the stock if they are to be had. */
static uint32_t refill_locked(mtci_limbo *limbo, unsigned class)
{
    uint32_t refs[TAKE_COUNT];
    size_t size = size_of(limbo, class);
    size_t count = TAKE_BYTES / size;
    size_t part = limbo->bytes_max / 4 / size;
    if (count > part)
        count = part;
    if (count > TAKE_COUNT)
        count = TAKE_COUNT;
    unsigned taken = mtci_heap_take_many(limbo->pool->heap, class, refs,
                                         count > 1 ? (unsigned)count : 1);
    for (unsigned i = taken; i > 1; i--) {
        make_place_locked(limbo);
        keep_locked(limbo, refs[i - 1], class);
    }
    return taken > 0 ? refs[0] : 0;
}

/* The lines that the next store will write. */
static void expect_last(const mtci_limbo *limbo)
{
    const mtci_limbo_list *stock = &limbo->stock;
    if (stock->count < 2)
        return;
    const char *next =
        mtci_heap_at(limbo->pool->heap, stock->refs[stock->count - 2]);
    __builtin_prefetch(next, 1);
    __builtin_prefetch(next + 64, 1);
    __builtin_prefetch(next + 128, 1);
}

static uint32_t take_locked(mtci_limbo *limbo, unsigned class)
{
    const mtci_limbo_list *stock = &limbo->stock;
    expect_last(limbo);
    for (uint32_t i = 0; i < LOOK_COUNT && i < stock->count; i++) {
        uint32_t at = stock->count - 1 - i;
        if (stock->classes[at] == class)
            return stock_get_locked(limbo, at);
    }
    return refill_locked(limbo, class);
}

/* -- entries ------------------------------------------------------------ */

static void turn_locked(mtci_limbo *limbo)
{
    mtci_pinned set;
    mtci_limbo_list *fresh = &limbo->fresh;
    atomic_store_explicit(&limbo->is_full, false, memory_order_relaxed);
    if (fresh->count == 0 && !limbo->held.first)
        return;
    mtci_pinned_note(&set, limbo->pool);
    mtci_retired_free(&limbo->held, limbo->pool, &set);
    for (uint32_t i = 0; i < fresh->count; i++) {
        uint32_t ref = fresh->refs[i];
        if (i + AHEAD < fresh->count)
            __builtin_prefetch(mtci_pool_entry(limbo->pool,
                                               fresh->refs[i + AHEAD]),
                               1);
        if (mtci_pinned_has(&set, ref))
            mtci_retired_add(&limbo->held, limbo->pool, ref);
        else if (mtci_pool_let_go(limbo->pool, ref))
            keep_locked(limbo, ref, fresh->classes[i]);
    }
    fresh->count = 0;
    fresh->bytes = 0;
}

static bool empty_locked(mtci_limbo *limbo)
{
    uint32_t held = limbo->held.count + limbo->fresh.count;
    bool has_stock = limbo->stock.count > 0;
    turn_locked(limbo);
    has_stock = has_stock || limbo->stock.count > 0;
    while (limbo->stock.count > 0)
        mtci_heap_give(limbo->pool->heap,
                       stock_get_locked(limbo, limbo->stock.count - 1));
    return has_stock || limbo->held.count < held;
}

/* -- the calls ---------------------------------------------------------- */

void mtci_limbo_add(mtci_limbo *limbo, uint32_t ref, unsigned class,
                    size_t size)
{
    mtci_limbo_list *fresh = &limbo->fresh;
    pthread_mutex_lock(&limbo->mutex);
    if (fresh->count < limbo->room)
        list_add(fresh, ref, class, size);
    else
        mtci_retired_add(&limbo->held, limbo->pool, ref);
    if (fresh->count == limbo->room || fresh->bytes > limbo->bytes_max)
        atomic_store_explicit(&limbo->is_full, true, memory_order_relaxed);
    pthread_mutex_unlock(&limbo->mutex);
}

uint32_t mtci_limbo_take(mtci_limbo *limbo, unsigned class, size_t size)
{
    if (class == MTCI_CLASS_RUN)
        return mtci_heap_take(limbo->pool->heap, size);
    pthread_mutex_lock(&limbo->mutex);
    uint32_t ref = take_locked(limbo, class);
    pthread_mutex_unlock(&limbo->mutex);
    return ref;
}

void mtci_limbo_turn(mtci_limbo *limbo)
{
    pthread_mutex_lock(&limbo->mutex);
    turn_locked(limbo);
    pthread_mutex_unlock(&limbo->mutex);
}

bool mtci_limbo_empty(mtci_limbo *limbo)
{
    pthread_mutex_lock(&limbo->mutex);
    bool has_given = empty_locked(limbo);
    pthread_mutex_unlock(&limbo->mutex);
    return has_given;
}

/* -- beginning and end -------------------------------------------------- */

size_t mtci_limbos_size(size_t count, uint32_t room)
{
    size_t lists = (size_t)2 * room * (sizeof(uint32_t) + sizeof(uint8_t));
    return count * (sizeof(mtci_limbo) + lists);
}

static bool limbo_init(mtci_limbo *limbo, mtci_pool *pool, uint32_t room,
                       size_t bytes_max)
{
    limbo->pool = pool;
    limbo->room = room;
    limbo->bytes_max = bytes_max;
    mtci_mutex_init(&limbo->mutex);
    return list_init(&limbo->fresh, room) && list_init(&limbo->stock, room);
}

bool mtci_limbos_init(mtci_limbos *limbos, mtci_pool *pool, size_t count,
                      uint32_t room, size_t bytes_max)
{
    size_t size = count * sizeof(*limbos->all);
    limbos->all = aligned_alloc(_Alignof(mtci_limbo), size);
    if (!limbos->all)
        return false;
    memset(limbos->all, 0, size);
    for (; limbos->count < count; limbos->count++) {
        mtci_limbo *limbo = &limbos->all[limbos->count];
        if (!limbo_init(limbo, pool, room, bytes_max)) {
            limbos->count++;
            return false;
        }
    }
    return true;
}

void mtci_limbos_fini(mtci_limbos *limbos, mtci_retired *left)
{
    for (size_t i = 0; i < limbos->count; i++) {
        mtci_limbo *limbo = &limbos->all[i];
        empty_locked(limbo);
        mtci_retired_move(left, limbo->pool, &limbo->held);
        list_fini(&limbo->fresh);
        list_fini(&limbo->stock);
        pthread_mutex_destroy(&limbo->mutex);
    }
    free(limbos->all);
    *limbos = (mtci_limbos){0};
}
