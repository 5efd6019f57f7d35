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

static unsigned slot_of(int64_t tick, unsigned level)
{
    return (unsigned)(tick >> (level * SLOT_BITS)) & SLOT_MASK;
}

static uint32_t slot_list(unsigned level, unsigned slot)
{
    return 1 + level * MTCI_WHEEL_SLOTS + slot;
}

static void set_used(mtci_wheel *wheel, uint32_t list, bool is_used)
{
    if (list >= MTCI_WHEEL_MOVING)
        return;
    uint64_t bit = UINT64_C(1) << (list - 1) % MTCI_WHEEL_SLOTS;
    uint64_t *used = &wheel->used[(list - 1) / MTCI_WHEEL_SLOTS];
    *used = is_used ? *used | bit : *used & ~bit;
}

static void push(mtci_wheel *wheel, uint32_t list, uint32_t ref)
{
    uint32_t next = wheel->lists[list];
    *link_of(wheel, ref) = (mtci_wheel_link){next, list};
    if (next)
        link_of(wheel, next)->prev = ref;
    else
        set_used(wheel, list, true);
    wheel->lists[list] = ref;
}

/* Makes next what follows prev, which may be a list. */
static void join(mtci_wheel *wheel, uint32_t prev, uint32_t next)
{
    if (prev < MTCI_WHEEL_REF_MIN) {
        wheel->lists[prev] = next;
        if (!next)
            set_used(wheel, prev, false);
    } else {
        link_of(wheel, prev)->next = next;
    }
    if (next)
        link_of(wheel, next)->prev = prev;
}

static void take_out(mtci_wheel *wheel, uint32_t ref)
{
    mtci_wheel_link *link = link_of(wheel, ref);
    join(wheel, link->prev, link->next);
    *link = (mtci_wheel_link){0};
}

/* Where an entry belongs as of now. */
static uint32_t list_for(const mtci_wheel *wheel, uint32_t ref)
{
    int64_t tick = tick_of(wheel, ref);
    int64_t ahead = tick - tick_now(wheel);
    unsigned level = 0;
    if (ahead < 0)
        return MTCI_WHEEL_OVER;
    while (level < MTCI_WHEEL_LEVELS && ahead >> ((level + 1) * SLOT_BITS) > 0)
        level++;
    if (level == MTCI_WHEEL_LEVELS)
        return MTCI_WHEEL_FAR;
    return slot_list(level, slot_of(tick, level));
}

/* -- time --------------------------------------------------------------- */

/* Moves a whole list to one that is empty. */
static void move_list(mtci_wheel *wheel, uint32_t from, uint32_t to)
{
    uint32_t first = wheel->lists[from];
    if (!first)
        return;
    wheel->lists[from] = 0;
    set_used(wheel, from, false);
    wheel->lists[to] = first;
    link_of(wheel, first)->prev = to;
}

/* Time has reached tick: what waits for it in upper levels is to move. */
static void reach(mtci_wheel *wheel, int64_t tick)
{
    atomic_store_explicit(&wheel->tick, tick, memory_order_relaxed);
    for (unsigned level = 1; level < MTCI_WHEEL_LEVELS; level++) {
        unsigned bits = level * SLOT_BITS;
        if (tick & ((INT64_C(1) << bits) - 1))
            return;
        move_list(wheel, slot_list(level, slot_of(tick, level)),
                  MTCI_WHEEL_MOVING + level);
    }
    if (slot_of(tick, MTCI_WHEEL_LEVELS - 1) == 0)
        move_list(wheel, MTCI_WHEEL_FAR, MTCI_WHEEL_MOVING);
}

/* The first entry that time has reached on an upper level; 0: none. */
static uint32_t first_moving(const mtci_wheel *wheel)
{
    for (unsigned level = MTCI_WHEEL_LEVELS; level-- > 0;) {
        if (wheel->lists[MTCI_WHEEL_MOVING + level])
            return wheel->lists[MTCI_WHEEL_MOVING + level];
    }
    return 0;
}

static void move(mtci_wheel *wheel, uint32_t ref)
{
    take_out(wheel, ref);
    push(wheel, list_for(wheel, ref), ref);
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
    if (wheel->lists[MTCI_WHEEL_FAR] && turn < next)
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
    push(wheel, list_for(wheel, ref), ref);
    count(wheel, 1);
}

void mtci_wheel_drop(mtci_wheel *wheel, uint32_t ref)
{
    if (!link_of(wheel, ref)->prev)
        return;
    take_out(wheel, ref);
    count(wheel, (size_t)-1);
}

void mtci_wheel_swap(mtci_wheel *wheel, uint32_t old, uint32_t ref)
{
    mtci_wheel_link *link = link_of(wheel, old);
    if (!link->prev || end_of(wheel, ref) < end_of(wheel, old) ||
        end_of(wheel, ref) == MTCI_END_NEVER) {
        mtci_wheel_drop(wheel, old);
        mtci_wheel_add(wheel, ref);
        return;
    }
    *link_of(wheel, ref) = *link;
    if (link->next)
        link_of(wheel, link->next)->prev = ref;
    if (link->prev < MTCI_WHEEL_REF_MIN)
        wheel->lists[link->prev] = ref;
    else
        link_of(wheel, link->prev)->next = ref;
    *link = (mtci_wheel_link){0};
}

uint32_t mtci_wheel_next(mtci_wheel *wheel, int64_t now_ms, size_t *work)
{
    int64_t target = now_ms >> TICK_BITS;
    while (*work > 0) {
        --*work;
        bool is_past = tick_now(wheel) < target;
        uint32_t ref = wheel->lists[MTCI_WHEEL_OVER];
        uint32_t moving = ref ? 0 : first_moving(wheel);
        if (!ref && !moving && is_past)
            ref = wheel->lists[slot_list(0, slot_of(tick_now(wheel), 0))];
        if (ref && tick_of(wheel, ref) >= target)
            moving = ref; /* replaced by one that ends later */
        if (moving) {
            move(wheel, moving);
        } else if (ref) {
            mtci_wheel_drop(wheel, ref);
            return ref;
        } else if (!is_past) {
            return 0;
        } else {
            skip(wheel, target);
        }
    }
    return 0;
}

bool mtci_wheel_is_due(const mtci_wheel *wheel, int64_t now_ms)
{
    return atomic_load_explicit(&wheel->count, memory_order_relaxed) > 0 &&
           now_ms >> TICK_BITS > tick_now(wheel);
}
