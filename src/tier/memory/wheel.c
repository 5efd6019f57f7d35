/*
 * The timer wheel; see wheel.h.
 */
#include "tier/memory/wheel.h"

#define TICK_BITS 6u /* 64 ms */
#define SLOT_BITS 6u
#define SLOT_MASK (MTCI_WHEEL_SLOTS - 1)

/* -- entries ------------------------------------------------------------ */

static unsigned char *entry_at(const mtci_wheel *wheel, uint32_t ref)
{
    return wheel->base + ((size_t)ref << wheel->shift);
}

static mtci_wheel_link *link_of(const mtci_wheel *wheel, uint32_t ref)
{
    return (mtci_wheel_link *)(void *)(entry_at(wheel, ref) + wheel->link_at);
}

static uint64_t end_of(const mtci_wheel *wheel, uint32_t ref)
{
    const _Atomic uint64_t *end =
        (const void *)(entry_at(wheel, ref) + wheel->end_at);
    return atomic_load_explicit(end, memory_order_relaxed) & MTCI_END_MASK;
}

static int64_t tick_of(const mtci_wheel *wheel, uint32_t ref)
{
    return (int64_t)(end_of(wheel, ref) >> TICK_BITS);
}

static int64_t tick_now(const mtci_wheel *wheel)
{
    return atomic_load_explicit(&wheel->tick, memory_order_relaxed);
}

/* -- lists -------------------------------------------------------------- */

static void push(mtci_wheel *wheel, uint32_t *list, uint32_t ref)
{
    *link_of(wheel, ref) = (mtci_wheel_link){*list, 0};
    if (*list)
        link_of(wheel, *list)->prev = ref;
    *list = ref;
}

static uint32_t pop(mtci_wheel *wheel, uint32_t *list)
{
    uint32_t ref = *list;
    *list = link_of(wheel, ref)->next;
    if (*list)
        link_of(wheel, *list)->prev = 0;
    *link_of(wheel, ref) = (mtci_wheel_link){0};
    return ref;
}

static unsigned slot_of(int64_t tick, unsigned level)
{
    return (unsigned)(tick >> (level * SLOT_BITS)) & SLOT_MASK;
}

/* Puts an entry where it belongs as of now. */
static void place(mtci_wheel *wheel, uint32_t ref)
{
    int64_t tick = tick_of(wheel, ref);
    int64_t ahead = tick - tick_now(wheel);
    unsigned level = 0;
    if (ahead < 0) {
        push(wheel, &wheel->over, ref);
        return;
    }
    while (level < MTCI_WHEEL_LEVELS && ahead >> ((level + 1) * SLOT_BITS) > 0)
        level++;
    if (level == MTCI_WHEEL_LEVELS) {
        push(wheel, &wheel->far, ref);
        return;
    }
    unsigned slot = slot_of(tick, level);
    push(wheel, &wheel->slots[level][slot], ref);
    wheel->used[level] |= UINT64_C(1) << slot;
}

/* The list that begins with this entry; NULL: none does. */
static uint32_t *list_with_first(mtci_wheel *wheel, uint32_t ref)
{
    int64_t tick = tick_of(wheel, ref);
    for (unsigned level = 0; level < MTCI_WHEEL_LEVELS; level++) {
        uint32_t *slot = &wheel->slots[level][slot_of(tick, level)];
        if (*slot == ref)
            return slot;
        if (wheel->moving[level] == ref)
            return &wheel->moving[level];
    }
    if (wheel->over == ref)
        return &wheel->over;
    return wheel->far == ref ? &wheel->far : NULL;
}

/* A slot that has become empty is no longer marked. */
static void unmark(mtci_wheel *wheel, const uint32_t *list)
{
    size_t at = (size_t)(list - &wheel->slots[0][0]);
    if (*list || at >= MTCI_WHEEL_LEVELS * MTCI_WHEEL_SLOTS)
        return;
    wheel->used[at / MTCI_WHEEL_SLOTS] &=
        ~(UINT64_C(1) << at % MTCI_WHEEL_SLOTS);
}

/* -- time --------------------------------------------------------------- */

/* Time has reached tick: what waits for it in upper levels is to move. */
static void reach(mtci_wheel *wheel, int64_t tick)
{
    atomic_store_explicit(&wheel->tick, tick, memory_order_relaxed);
    for (unsigned level = 1; level < MTCI_WHEEL_LEVELS; level++) {
        unsigned bits = level * SLOT_BITS;
        if (tick & ((INT64_C(1) << bits) - 1))
            return;
        unsigned slot = slot_of(tick, level);
        wheel->moving[level] = wheel->slots[level][slot];
        wheel->slots[level][slot] = 0;
        wheel->used[level] &= ~(UINT64_C(1) << slot);
    }
    if (slot_of(tick, MTCI_WHEEL_LEVELS - 1) == 0) {
        wheel->moving[0] = wheel->far;
        wheel->far = 0;
    }
}

/* Moves one entry that time has reached; false: there is none. */
static bool move_one(mtci_wheel *wheel)
{
    for (unsigned level = MTCI_WHEEL_LEVELS; level-- > 0;) {
        if (wheel->moving[level]) {
            place(wheel, pop(wheel, &wheel->moving[level]));
            return true;
        }
    }
    return false;
}

/* The next tick at which a level has something to do. */
static int64_t next_of_level(const mtci_wheel *wheel, unsigned level)
{
    unsigned bits = level * SLOT_BITS;
    int64_t block = tick_now(wheel) >> bits;
    unsigned from = ((unsigned)block + 1) & SLOT_MASK;
    uint64_t used = wheel->used[level];
    if (used == 0)
        return INT64_MAX;
    /* Slots in the order in which they come, the present one last. */
    uint64_t turned =
        from ? used >> from | used << (MTCI_WHEEL_SLOTS - from) : used;
    return (block + 1 + __builtin_ctzll(turned)) << bits;
}

/* Goes on to the next tick that matters, at most to target. */
static void skip(mtci_wheel *wheel, int64_t target)
{
    const unsigned bits = MTCI_WHEEL_LEVELS * SLOT_BITS;
    int64_t next = target;
    for (unsigned level = 0; level < MTCI_WHEEL_LEVELS; level++) {
        int64_t tick = next_of_level(wheel, level);
        if (tick < next)
            next = tick;
    }
    int64_t turn = ((tick_now(wheel) >> bits) + 1) << bits;
    if (wheel->far && turn < next)
        next = turn;
    reach(wheel, next);
}

/* -- the calls ---------------------------------------------------------- */

void mtci_wheel_init(mtci_wheel *wheel, unsigned char *base, unsigned shift,
                     size_t link_at, size_t end_at)
{
    *wheel = (mtci_wheel){.base = base,
                          .shift = shift,
                          .link_at = (uint32_t)link_at,
                          .end_at = (uint32_t)end_at};
}

static void count(mtci_wheel *wheel, size_t change)
{
    size_t now = atomic_load_explicit(&wheel->count, memory_order_relaxed);
    atomic_store_explicit(&wheel->count, now + change, memory_order_relaxed);
}

void mtci_wheel_add(mtci_wheel *wheel, uint32_t ref)
{
    if (end_of(wheel, ref) == MTCI_END_NEVER)
        return;
    place(wheel, ref);
    count(wheel, 1);
}

void mtci_wheel_drop(mtci_wheel *wheel, uint32_t ref)
{
    mtci_wheel_link *link = link_of(wheel, ref);
    uint32_t *list = NULL;
    if (!link->prev) {
        list = list_with_first(wheel, ref);
        if (!list)
            return;
        *list = link->next;
        unmark(wheel, list);
    } else {
        link_of(wheel, link->prev)->next = link->next;
    }
    if (link->next)
        link_of(wheel, link->next)->prev = link->prev;
    *link = (mtci_wheel_link){0};
    count(wheel, (size_t)-1);
}

uint32_t mtci_wheel_next(mtci_wheel *wheel, int64_t now_ms, size_t *work)
{
    int64_t target = now_ms >> TICK_BITS;
    while (*work > 0) {
        --*work;
        uint32_t *slot = &wheel->slots[0][slot_of(tick_now(wheel), 0)];
        bool is_past = tick_now(wheel) < target;
        uint32_t *list = wheel->over ? &wheel->over : NULL;
        if (!list && move_one(wheel))
            continue;
        if (!list && is_past && *slot)
            list = slot;
        if (list) {
            uint32_t ref = pop(wheel, list);
            unmark(wheel, list);
            count(wheel, (size_t)-1);
            return ref;
        }
        if (!is_past)
            return 0;
        skip(wheel, target);
    }
    return 0;
}

bool mtci_wheel_is_due(const mtci_wheel *wheel, int64_t now_ms)
{
    return atomic_load_explicit(&wheel->count, memory_order_relaxed) > 0 &&
           now_ms >> TICK_BITS > tick_now(wheel);
}
