/*
 * Window, main and ghost; see queues.h.
 */
#include "tier/memory/policy/queues.h"

/* In place: the queue, and above it the credit. */
#define PLACE_MAIN   1u
#define CREDIT_SHIFT 1u
#define CREDIT_MAX   3u

/* Hits in the window that take an entry to main by the S3-FIFO rule. */
#define PROMOTE_HITS 2u

/* Bounds on the work of one eviction: rounds, and entries of main that are
 * spared in one search. */
#define ROUNDS_MAX       16u
#define ROUNDS_OF_GROWTH 8u
#define SPARED_MAX       32u

/* Entries that one arrival moves from the window into the free room of main. */
#define FILL_MOVES 4u

/* -- one node ----------------------------------------------------------- */

static unsigned credit_of(const mtci_node *node)
{
    return node->place >> CREDIT_SHIFT;
}

static void set_place(mtci_node *node, unsigned queue, unsigned credit)
{
    node->place = (uint8_t)(queue | credit << CREDIT_SHIFT);
}

static mtci_node *node_at(const mtci_queues *queues, uint32_t ref)
{
    return mtci_node_at(queues->nodes, ref);
}

static mtci_queue *queue_of(mtci_queues *queues, const mtci_node *node)
{
    return node->place & PLACE_MAIN ? &queues->main : &queues->window;
}

/* Takes in the hits since the last look. */
static void inspect(mtci_queues *queues, mtci_node *node)
{
    unsigned hits = atomic_load_explicit(&node->hits, memory_order_relaxed);
    if (hits == 0)
        return;
    atomic_store_explicit(&node->hits, 0, memory_order_relaxed);
    unsigned credit = credit_of(node) + hits;
    set_place(node, node->place & PLACE_MAIN,
              credit < CREDIT_MAX ? credit : CREDIT_MAX);
    if (queues->sketch)
        mtci_sketch_add(queues->sketch, node->hash, hits);
}

/* The next one will be wanted soon. */
static void expect(const mtci_queues *queues, const mtci_node *node)
{
    if (node->newer)
        __builtin_prefetch(node_at(queues, node->newer));
}

static void to_main(mtci_queues *queues, uint32_t ref, unsigned credit)
{
    set_place(node_at(queues, ref), PLACE_MAIN, credit);
    mtci_queue_add(&queues->main, queues->nodes, ref);
}

static uint32_t forget(mtci_queues *queues, uint32_t ref, bool is_remembered)
{
    const mtci_node *node = node_at(queues, ref);
    mtci_queue_drop(queue_of(queues, node), queues->nodes, ref);
    if (is_remembered)
        mtci_ghost_add(&queues->ghost, node->hash);
    return ref;
}

/* -- who leaves --------------------------------------------------------- */

/* Main's candidate: the oldest that has no credit left. */
static uint32_t candidate(mtci_queues *queues)
{
    for (unsigned spared = 0;; spared++) {
        uint32_t ref = queues->main.oldest;
        mtci_node *node = node_at(queues, ref);
        inspect(queues, node);
        expect(queues, node);
        unsigned credit = credit_of(node);
        if (credit == 0 || spared == SPARED_MAX)
            return ref;
        mtci_queue_drop(&queues->main, queues->nodes, ref);
        to_main(queues, ref, credit - 1);
    }
}

/* By the TinyLFU rule: the oldest of the window against main's candidate. The
 * winner is the newest of main, so that it is not asked again at once. */
static uint32_t compete(mtci_queues *queues, uint32_t ref)
{
    uint32_t other = candidate(queues);
    mtci_node *node = node_at(queues, ref);
    bool wins = queues->estimate(queues->ctx, node) >
                queues->estimate(queues->ctx, node_at(queues, other));
    if (wins) {
        mtci_queue_drop(&queues->window, queues->nodes, ref);
        to_main(queues, ref, 0);
        return forget(queues, other, true);
    }
    mtci_queue_drop(&queues->main, queues->nodes, other);
    to_main(queues, other, credit_of(node_at(queues, other)));
    return forget(queues, ref, true);
}

static void stay_in_window(mtci_queues *queues, uint32_t ref)
{
    mtci_queue_drop(&queues->window, queues->nodes, ref);
    set_place(node_at(queues, ref), 0, 0);
    mtci_queue_add(&queues->window, queues->nodes, ref);
}

static void leave_window(mtci_queues *queues, uint32_t ref)
{
    mtci_queue_drop(&queues->window, queues->nodes, ref);
    to_main(queues, ref, 0);
}

/* Judges the oldest of the window; 0: it stays, somewhere. room is what main
 * may still take. */
static uint32_t judge(mtci_queues *queues, mtci_rule rule, bool has_room)
{
    uint32_t ref = queues->window.oldest;
    mtci_node *node = node_at(queues, ref);
    inspect(queues, node);
    expect(queues, node);
    unsigned credit = credit_of(node);
    if (rule == MTCI_RULE_S3FIFO) {
        if (credit < PROMOTE_HITS)
            return forget(queues, ref, true);
        leave_window(queues, ref);
        return 0;
    }
    if (credit > 0) {
        stay_in_window(queues, ref);
        return 0;
    }
    if (has_room || queues->main.count == 0) {
        leave_window(queues, ref);
        return 0;
    }
    return compete(queues, ref);
}

static size_t target_of(mtci_setup setup, size_t capacity)
{
    size_t target = (size_t)((uint64_t)capacity * setup.window / MTCI_WHOLE);
    if (target >= capacity)
        target = capacity > 1 ? capacity - 1 : 1;
    return target > 0 ? target : 1;
}

/* Main is being drained: its oldest leaves unless it was asked for. */
static uint32_t drain(mtci_queues *queues)
{
    uint32_t ref = queues->main.oldest;
    mtci_node *node = node_at(queues, ref);
    queues->drain--;
    inspect(queues, node);
    unsigned credit = credit_of(node);
    if (credit == 0)
        return forget(queues, ref, true);
    mtci_queue_drop(&queues->main, queues->nodes, ref);
    to_main(queues, ref, credit - 1);
    return 0;
}

/* Bounded work has found nobody: the oldest leaves as it is. */
static uint32_t give_up(mtci_queues *queues, size_t target)
{
    bool is_window =
        queues->window.count > 0 &&
        (queues->window.count >= target || queues->main.count == 0);
    return forget(queues,
                  is_window ? queues->window.oldest : queues->main.oldest,
                  true);
}

uint32_t mtci_queues_evict(mtci_queues *queues, mtci_setup setup,
                           size_t capacity)
{
    size_t target = target_of(setup, capacity);
    mtci_queue *window = &queues->window;
    for (unsigned round = 1; window->count + queues->main.count > 0; round++) {
        uint32_t ref = 0;
        if (round > ROUNDS_MAX)
            return give_up(queues, target);
        if (queues->drain > 0 && setup.rule == MTCI_RULE_S3FIFO && round == 1 &&
            queues->main.count > 0 && window->count >= target)
            ref = drain(queues);
        if (ref)
            return ref;
        if (window->count == 0 ||
            (window->count < target && queues->main.count > 0))
            return forget(queues, candidate(queues), false);
        bool has_room =
            queues->main.count + target < capacity && round <= ROUNDS_OF_GROWTH;
        ref = judge(queues, setup.rule, has_room);
        if (ref)
            return ref;
    }
    return 0;
}

/* -- coming and going --------------------------------------------------- */

void mtci_queues_add(mtci_queues *queues, uint32_t ref, mtci_setup setup,
                     size_t capacity)
{
    mtci_node *node = node_at(queues, ref);
    size_t target = target_of(setup, capacity);
    for (unsigned i = 0; i < FILL_MOVES && setup.rule == MTCI_RULE_TINYLFU &&
                         queues->window.count + queues->main.count < capacity &&
                         queues->window.count >= target &&
                         queues->main.count + target < capacity;
         i++)
        judge(queues, setup.rule, true);
    set_place(node, 0, 0);
    if (setup.rule == MTCI_RULE_S3FIFO &&
        mtci_ghost_take(&queues->ghost, node->hash))
        to_main(queues, ref, 0);
    else
        mtci_queue_add(&queues->window, queues->nodes, ref);
}

void mtci_queues_drop(mtci_queues *queues, uint32_t ref)
{
    forget(queues, ref, false);
}

void mtci_queues_swap(mtci_queues *queues, uint32_t old, uint32_t ref)
{
    const mtci_node *before = node_at(queues, old);
    mtci_node *node = node_at(queues, ref);
    uint8_t hits = atomic_load_explicit(&before->hits, memory_order_relaxed);
    if (hits < MTCI_HITS_MAX)
        hits++;
    atomic_store_explicit(&node->hits, hits, memory_order_relaxed);
    node->place = before->place;
    mtci_queue_swap(queue_of(queues, before), queues->nodes, old, ref);
}
