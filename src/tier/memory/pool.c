/*
 * The pool, its values and its retired entries; see pool.h.
 */
#include "tier/memory/pool.h"

#include <stdlib.h>

#include "base/clock.h"

/* -- pins --------------------------------------------------------------- */

static void note_pin(void *ctx, void *object)
{
    mtci_pinned *set = ctx;
    const mtci_heap *heap = set->heap;
    size_t at = (size_t)((unsigned char *)object - heap->arena.base);
    if ((unsigned char *)object < heap->arena.base ||
        at >> heap->arena.shift > UINT32_MAX)
        return;
    uint64_t bit = ((uint32_t)(at >> heap->arena.shift) * set->salt) >> 49;
    set->bits[bit / 64] |= UINT64_C(1) << bit % 64;
}

void mtci_pinned_note(mtci_pinned *set, const mtci_pool *pool)
{
    mtci_pins_fence();
    memset(set->bits, 0, sizeof(set->bits));
    set->heap = pool->heap;
    /* Another one each time, so that nothing is taken for pinned for ever. */
    set->salt = (uint64_t)mtci_boot_us() * UINT64_C(0x9e3779b97f4a7c15) | 1;
    mtci_pins_each(note_pin, set);
}

/* -- letting go --------------------------------------------------------- */

static void pool_leave(mtci_pool *pool)
{
    if (atomic_fetch_sub_explicit(&pool->user_count, 1, memory_order_acq_rel) >
        1)
        return;
    mtci_heap_close(pool->heap);
    free(pool);
}

bool mtci_pool_let_go(mtci_pool *pool, uint32_t ref)
{
    mtci_entry *entry = mtci_pool_entry(pool, ref);
    if (atomic_load_explicit(&entry->holds, memory_order_acquire) == 1)
        return true;
    atomic_fetch_add_explicit(&pool->user_count, 1, memory_order_relaxed);
    if (atomic_fetch_sub_explicit(&entry->holds, 1, memory_order_acq_rel) > 1)
        return false;
    atomic_fetch_sub_explicit(&pool->user_count, 1, memory_order_relaxed);
    return true;
}

void mtci_retired_add(mtci_retired *list, const mtci_pool *pool, uint32_t ref)
{
    mtci_pool_entry(pool, ref)->node.older = list->first;
    list->first = ref;
    list->count++;
}

void mtci_retired_move(mtci_retired *list, const mtci_pool *pool,
                       mtci_retired *other)
{
    while (other->first) {
        uint32_t ref = other->first;
        other->first = mtci_pool_entry(pool, ref)->node.older;
        mtci_retired_add(list, pool, ref);
    }
    *other = (mtci_retired){0};
}

void mtci_retired_free(mtci_retired *list, mtci_pool *pool,
                       const mtci_pinned *set)
{
    uint32_t ref = list->first;
    *list = (mtci_retired){0};
    while (ref) {
        uint32_t next = mtci_pool_entry(pool, ref)->node.older;
        if (mtci_pinned_has(set, ref))
            mtci_retired_add(list, pool, ref);
        else if (mtci_pool_let_go(pool, ref))
            mtci_heap_give(pool->heap, ref);
        ref = next;
    }
}

/* -- values ------------------------------------------------------------- */

bool mtci_entry_hold(mtci_entry *entry)
{
    uint16_t holds = atomic_load_explicit(&entry->holds, memory_order_relaxed);
    do {
        if (holds >= MTCI_HOLDS_MAX)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&entry->holds, &holds,
                                                    (uint16_t)(holds + 1),
                                                    memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

static mtci_pool *pool_of_pinned(const mtc_value *value)
{
    return (mtci_pool *)((char *)(uintptr_t)value->ops -
                         offsetof(mtci_pool, pinned));
}

static mtci_pool *pool_of_counted(const mtc_value *value)
{
    return (mtci_pool *)((char *)(uintptr_t)value->ops -
                         offsetof(mtci_pool, counted));
}

static mtc_status share(const mtc_value *value, mtci_pool *pool,
                        mtci_entry *entry, mtc_value *out)
{
    if (!mtci_entry_hold(entry))
        return mtc_value_copy(mtc_value_slice(value), out);
    *out = (mtc_value){value->data, value->size, &pool->counted, entry};
    return MTC_OK;
}

static void tell(const mtci_pool *pool, const mtci_entry *entry, int64_t now_ms,
                 mtc_value_info *info)
{
    mtc_facts facts;
    mtci_entry_facts(entry, now_ms, &facts);
    info->tier = atomic_load_explicit(&pool->tier, memory_order_relaxed);
    info->etag = facts.etag;
    info->ttl_ms = facts.ttl_ms;
    info->window_ms = facts.window_ms;
    info->load_ms = facts.load_ms;
    info->age_ms = -1;
    info->left_ms = facts.left_ms;
    if (facts.left_ms == MTC_NO_END)
        return;
    info->is_stale = facts.left_ms <= facts.window_ms;
    int64_t age_ms =
        facts.ttl_ms + facts.window_ms - facts.left_ms - MTCI_TICK_MS;
    if (facts.ttl_ms > 0)
        info->age_ms = age_ms > 0 ? age_ms : 0;
    if (facts.left_ms < 0)
        info->left_ms = 0;
}

static mtci_entry *pinned_entry(const mtc_value *value)
{
    _Atomic(void *) *slot = value->owner;
    return atomic_load_explicit(slot, memory_order_relaxed);
}

static void pinned_free(mtc_value *value)
{
    mtci_pin_drop(value->owner);
}

static mtc_status pinned_share(const mtc_value *value, mtc_value *out)
{
    return share(value, pool_of_pinned(value), pinned_entry(value), out);
}

static void pinned_info(const mtc_value *value, int64_t now_ms,
                        mtc_value_info *info)
{
    tell(pool_of_pinned(value), pinned_entry(value), now_ms, info);
}

/* The last one: the tier has let the entry go before. */
static void counted_free(mtc_value *value)
{
    mtci_pool *pool = pool_of_counted(value);
    mtci_entry *entry = value->owner;
    if (atomic_fetch_sub_explicit(&entry->holds, 1, memory_order_acq_rel) > 1)
        return;
    mtci_heap_give(pool->heap, mtci_heap_ref(pool->heap, entry));
    pool_leave(pool);
}

static mtc_status counted_share(const mtc_value *value, mtc_value *out)
{
    return share(value, pool_of_counted(value), value->owner, out);
}

static void counted_info(const mtc_value *value, int64_t now_ms,
                         mtc_value_info *info)
{
    tell(pool_of_counted(value), value->owner, now_ms, info);
}

/* -- beginning and end -------------------------------------------------- */

mtc_status mtci_pool_open(uint64_t budget_bytes, mtci_pool **out)
{
    mtci_pool *pool = calloc(1, sizeof(*pool));
    if (!pool)
        return MTC_E_NO_MEMORY;
    mtc_status status = mtci_heap_open(budget_bytes, &pool->heap);
    if (status != MTC_OK) {
        free(pool);
        return status;
    }
    pool->pinned = (mtc_value_ops){.struct_size = sizeof(mtc_value_ops),
                                   .free = pinned_free,
                                   .share = pinned_share,
                                   .info = pinned_info};
    pool->counted = (mtc_value_ops){.struct_size = sizeof(mtc_value_ops),
                                    .free = counted_free,
                                    .share = counted_share,
                                    .info = counted_info};
    atomic_init(&pool->user_count, 1);
    *out = pool;
    return MTC_OK;
}

static bool try_end(mtci_waiter *waiter)
{
    mtci_pool *pool =
        (mtci_pool *)((char *)waiter - offsetof(mtci_pool, waiter));
    mtci_pinned set;
    mtci_pinned_note(&set, pool);
    mtci_retired_free(&pool->left, pool, &set);
    if (pool->left.first)
        return false;
    pool_leave(pool);
    return true;
}

void mtci_pool_close(mtci_pool *pool, const mtci_retired *left)
{
    pool->left = *left;
    pool->waiter.try_end = try_end;
    mtci_pins_await(&pool->waiter);
}
