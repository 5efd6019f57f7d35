/*
 * The contract of eviction policies, run on each of them: no node is lost or
 * leaves twice, with rooms refused at any time. Also the wheel and the heap
 * against trivial references. labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tier/memory/heap.h"
#include "tier/memory/policy/policy.h"
#include "tier/memory/wheel.h"

#define NODES 600u

static uint64_t seed = 88172645463325252u;

static uint32_t draw(uint32_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed >> 24) % below);
}

/* -- policies ----------------------------------------------------------- */

static bool refuses;

static void *room_new(void *ctx, size_t size)
{
    (void)ctx;
    return refuses && draw(2) ? NULL : calloc(1, size);
}

static void room_free(void *ctx, void *room, size_t size)
{
    (void)ctx;
    (void)size;
    free(room);
}

static mtci_node nodes[NODES + 1];
static bool is_in[NODES + 1];
static size_t in_count;

static mtci_policy_env env_of_nodes(void)
{
    return (mtci_policy_env){.nodes = {(unsigned char *)nodes, 4},
                             .shard_count = 1,
                             .shard_shift = 63,
                             .room_new = room_new,
                             .room_free = room_free};
}

static uint32_t unused_ref(void)
{
    for (;;) {
        uint32_t ref = 1 + draw(NODES);
        if (!is_in[ref])
            return ref;
    }
}

static uint32_t used_ref(void)
{
    for (;;) {
        uint32_t ref = 1 + draw(NODES);
        if (is_in[ref])
            return ref;
    }
}

static void leave(uint32_t ref)
{
    assert_in_range(ref, 1, NODES);
    assert_true(is_in[ref]);
    is_in[ref] = false;
    in_count--;
}

static void come(const mtci_policy_ops *ops, mtci_policy *policy,
                 uint64_t capacity)
{
    while (in_count >= capacity)
        leave(ops->evict(policy, capacity));
    uint32_t ref = unused_ref();
    uint64_t hash = (draw(2000) + 1) * UINT64_C(0x9e3779b97f4a7c15);
    nodes[ref] = (mtci_node){.hash = (uint32_t)hash};
    ops->add(policy, ref, hash, capacity);
    is_in[ref] = true;
    in_count++;
}

static void hit(const mtci_policy_ops *ops, mtci_policy *policy,
                mtci_policy_shared *shared)
{
    uint32_t ref = used_ref();
    if (nodes[ref].hits < MTCI_HITS_MAX)
        nodes[ref].hits++;
    if (ops->hit)
        ops->hit(policy, ref);
    if (ops->sample)
        ops->sample(shared, nodes[ref].hash);
}

static void replace(const mtci_policy_ops *ops, mtci_policy *policy)
{
    uint32_t old = used_ref();
    uint32_t ref = unused_ref();
    nodes[ref] = (mtci_node){.hash = nodes[old].hash};
    ops->swap(policy, old, ref);
    is_in[old] = false;
    is_in[ref] = true;
}

static void run(const mtci_policy_ops *ops)
{
    mtci_policy_env env = env_of_nodes();
    mtci_policy_shared *shared = ops->open(&env);
    mtci_policy *policy = ops->shard_open(shared, 0);
    memset(is_in, 0, sizeof(is_in));
    in_count = 0;
    for (int i = 0; i < 60000; i++) {
        uint64_t capacity = 1 + (uint64_t)(i / 5000 % 4) * 150;
        uint32_t what = in_count ? draw(10) : 0;
        if (what < 4) {
            come(ops, policy, capacity);
        } else if (what < 7) {
            hit(ops, policy, shared);
        } else if (what == 7) {
            replace(ops, policy);
        } else if (what == 8) {
            uint32_t ref = used_ref();
            ops->drop(policy, ref);
            leave(ref);
        }
    }
    while (in_count > 0)
        leave(ops->evict(policy, in_count));
    assert_int_equal(ops->evict(policy, 1), 0);
    ops->shard_close(policy);
    ops->close(shared);
}

static void no_policy_loses_or_doubles_a_node(void **state)
{
    (void)state;
    const mtci_policy_ops *ops;
    for (size_t i = 0; (ops = mtci_policy_at(i)) != NULL; i++) {
        refuses = false;
        run(ops);
        refuses = true;
        run(ops);
        assert_ptr_equal(mtci_policy_by_name(ops->name), ops);
    }
    assert_null(mtci_policy_by_name("none"));
}

static void lru_evicts_in_the_order_of_last_use(void **state)
{
    (void)state;
    mtci_policy_env env = env_of_nodes();
    const mtci_policy_ops *ops = &mtci_policy_lru;
    mtci_policy_shared *shared = ops->open(&env);
    mtci_policy *policy = ops->shard_open(shared, 0);
    for (uint32_t ref = 1; ref <= 3; ref++)
        ops->add(policy, ref, ref, 3);
    ops->hit(policy, 1);
    assert_int_equal(ops->evict(policy, 3), 2);
    assert_int_equal(ops->evict(policy, 3), 3);
    assert_int_equal(ops->evict(policy, 3), 1);
    ops->shard_close(policy);
    ops->close(shared);
}

/* -- the wheel ---------------------------------------------------------- */

typedef struct timed {
    _Atomic uint64_t end;
    mtci_wheel_link link;
} timed;

#define FIRST MTCI_WHEEL_REF_MIN
#define TIMED 300u

static timed timers[FIRST + TIMED];
static bool is_set[FIRST + TIMED];

static uint32_t some_timer(void)
{
    return FIRST + draw(TIMED);
}

static int64_t some_end(int64_t now_ms)
{
    static const int64_t spans[] = {50,        5000,       600000,
                                    100000000, 5000000000, 400000000000};
    return now_ms + (int64_t)(seed >> 8) % spans[draw(6)] + 1;
}

static void take_all(mtci_wheel *wheel, int64_t now_ms)
{
    for (;;) {
        size_t work = 1 + draw(50);
        uint32_t ref = mtci_wheel_next(wheel, now_ms, &work);
        if (!ref && work > 0)
            break;
        if (!ref)
            continue;
        assert_true(is_set[ref]);
        assert_true((int64_t)timers[ref].end <= now_ms);
        is_set[ref] = false;
    }
    for (uint32_t ref = FIRST; ref < FIRST + TIMED; ref++)
        assert_true(!is_set[ref] || (int64_t)timers[ref].end + 64 > now_ms);
}

static void add_or_drop(mtci_wheel *wheel, int64_t now_ms)
{
    uint32_t ref = some_timer();
    mtci_wheel_drop(wheel, ref);
    is_set[ref] = draw(3) > 0;
    if (!is_set[ref])
        return;
    timers[ref].end = (uint64_t)some_end(now_ms);
    mtci_wheel_add(wheel, ref);
}

/* One timer in the place of another, which may not have been set. */
static void swap(mtci_wheel *wheel, int64_t now_ms)
{
    uint32_t old = some_timer();
    uint32_t ref = some_timer();
    if (old == ref)
        return;
    mtci_wheel_drop(wheel, ref);
    timers[ref].end = (uint64_t)some_end(now_ms);
    mtci_wheel_swap(wheel, old, ref);
    is_set[old] = false;
    is_set[ref] = true;
}

static void the_wheel_agrees_with_a_list(void **state)
{
    (void)state;
    static mtci_wheel wheel;
    int64_t now_ms = 1000000;
    memset(timers, 0, sizeof(timers));
    memset(is_set, 0, sizeof(is_set));
    mtci_wheel_init(&wheel, (unsigned char *)timers, 4, offsetof(timed, link),
                    offsetof(timed, end));
    for (int i = 0; i < 80000; i++) {
        if (draw(2) > 0)
            add_or_drop(&wheel, now_ms);
        else
            swap(&wheel, now_ms);
        if (draw(4) > 0)
            continue;
        now_ms = draw(40) ? now_ms + draw(3000) : some_end(now_ms);
        take_all(&wheel, now_ms);
    }
}

static void what_never_ends_is_not_on_the_wheel(void **state)
{
    (void)state;
    static mtci_wheel wheel;
    size_t work = 1000;
    memset(timers, 0, sizeof(timers));
    mtci_wheel_init(&wheel, (unsigned char *)timers, 4, offsetof(timed, link),
                    offsetof(timed, end));
    timers[FIRST].end = MTCI_END_NEVER;
    mtci_wheel_add(&wheel, FIRST);
    assert_false(mtci_wheel_is_due(&wheel, INT64_C(1) << 45));
    assert_int_equal(mtci_wheel_next(&wheel, INT64_C(1) << 45, &work), 0);
    mtci_wheel_drop(&wheel, FIRST);
}

/* -- the heap ----------------------------------------------------------- */

#define OBJECTS 20000u

typedef struct object {
    uint32_t ref;
    size_t size;
} object;

static object objects[OBJECTS];

static void check_and_give(mtci_heap *heap, object *object, size_t *live)
{
    const unsigned char *bytes = mtci_heap_at(heap, object->ref);
    unsigned char mark = (unsigned char)(object->ref ^ object->size);
    assert_int_equal(bytes[0], mark);
    assert_int_equal(bytes[object->size - 1], mark);
    *live -= object->size;
    mtci_heap_give(heap, object->ref);
    object->ref = 0;
}

/* Sizes from 1 byte to 1 MiB, as many between 1 and 2 as between 2 and 4. */
static size_t mixed_size(void)
{
    size_t top = (size_t)1 << (1 + draw(20));
    return top / 2 + draw((uint32_t)top / 2);
}

/* What an object occupies, by the record of its page. */
static size_t object_size(const mtci_heap *heap, uint32_t ref)
{
    size_t at = (size_t)ref << heap->arena.shift;
    const mtci_page *page = &heap->arena.pages[at >> MTCI_PAGE_SHIFT];
    if (page->class == MTCI_CLASS_RUN)
        return (size_t)page->length << MTCI_PAGE_SHIFT;
    return heap->classes[page->class].size;
}

static void a_growing_arena_commits_ahead_within_the_budget(void **state)
{
    (void)state;
    mtci_arena arena;
    uint64_t budget = 64u << 20;
    assert_int_equal(mtci_arena_init(&arena, budget), MTC_OK);
    uint32_t first = mtci_arena_take(&arena, 1);
    uint64_t committed = atomic_load(&arena.committed);
    for (uint32_t i = 1; i < 16; i++)
        assert_int_equal(mtci_arena_take(&arena, 1), first + i);
    assert_int_equal(atomic_load(&arena.committed), committed);
    assert_int_equal(mtci_arena_take(&arena, 1), first + 16);
    assert_true(atomic_load(&arena.committed) > committed);
    size_t taken = 17;
    while (mtci_arena_take(&arena, 1)) {
        taken++;
        assert_true(atomic_load(&arena.committed) <= budget);
    }
    size_t records = atomic_load(&arena.record_bytes);
    assert_int_equal(taken, (budget - records) >> MTCI_PAGE_SHIFT);
    mtci_arena_fini(&arena);
}

static void mixed_sizes_fill_the_budget(void **state)
{
    (void)state;
    mtci_heap *heap;
    size_t oldest = 0;
    size_t newest = 0;
    size_t live = 0;
    double least = 1;
    uint64_t budget = 64u << 20;
    assert_int_equal(mtci_heap_open(budget, &heap), MTC_OK);
    for (int i = 0; i < 60000; i++) {
        object *object = &objects[newest++ % OBJECTS];
        object->size = mixed_size();
        while (!(object->ref = mtci_heap_take(heap, object->size)))
            check_and_give(heap, &objects[oldest++ % OBJECTS], &live);
        unsigned char *bytes = mtci_heap_at(heap, object->ref);
        unsigned char mark = (unsigned char)(object->ref ^ object->size);
        bytes[0] = mark;
        bytes[object->size - 1] = mark;
        live += object->size;
        assert_true(object_size(heap, object->ref) >= object->size);
        assert_true(mtci_heap_committed(heap) <= budget);
        double part = (double)live / (double)budget;
        if (i > 10000 && part < least)
            least = part;
    }
    print_message("least share of the budget in use: %.3f\n", least);
    assert_true(least > 0.85);
    while (oldest != newest)
        check_and_give(heap, &objects[oldest++ % OBJECTS], &live);
    assert_int_equal(mtci_heap_resize(heap, 1u << 20), MTC_OK);
    assert_true(mtci_heap_committed(heap) <= 1u << 20);
    mtci_heap_close(heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_policy_loses_or_doubles_a_node),
        cmocka_unit_test(lru_evicts_in_the_order_of_last_use),
        cmocka_unit_test(the_wheel_agrees_with_a_list),
        cmocka_unit_test(what_never_ends_is_not_on_the_wheel),
        cmocka_unit_test(a_growing_arena_commits_ahead_within_the_budget),
        cmocka_unit_test(mixed_sizes_fill_the_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
