/*
 * The workloads of mtc bench: what a thread does with the cache.
 *
 * Each worker is touched by its own thread alone while a pass lasts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

/* A day: nothing expires in a run. */
#define TTL_MS (24 * 3600 * 1000)

/* In mixed, one call in so many is a set. */
#define SET_EVERY 4

/* Entries and bytes: entries are what counts. */
#define ROOM(entries) "memory?entries=" entries "&size=1GiB"

static const mtc_strategy KEPT = MTC_STRATEGY_INIT(TTL_MS);

/* A worker's hand in a block: what each step needs and counts, kept where the
 * compiler can hold it in registers; a cache hides nothing behind it. */
typedef struct hand {
    mtc_cache *cache;
    const char (*keys)[BENCH_KEY_ROOM];
    const uint32_t *draws;
    mtc_item *items;
    size_t batch;
    uint64_t position;
    uint64_t gets;
    uint64_t hits;
    uint64_t failed;
    uint64_t sum;
} hand;

/* One call. */
typedef void (*bench_step)(hand *hand);

mtc_slice bench_value(void)
{
    static const char VALUE[] =
        "a value of one hundred bytes, the same under every key, as long as "
        "a short record of a user may be....";
    _Static_assert(sizeof VALUE > BENCH_VALUE_SIZE, "it is long enough");
    return mtc_bytes(VALUE, BENCH_VALUE_SIZE);
}

bool bench_keys_make(bench *bench)
{
    uint32_t count = bench->workload->keys;
    bench->keys = calloc(count, sizeof *bench->keys);
    if (bench->keys == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++)
        snprintf(bench->keys[i], BENCH_KEY_ROOM, "user:%08u", i);
    return true;
}

static bool is_stored(mtc_cache *cache, mtc_slice key)
{
    return mtc_cache_set(cache, key, bench_value(), &KEPT) == MTC_OK;
}

void bench_fill(bench *bench)
{
    bench_counts *counts = &bench->results[BENCH_WORKLOAD].counts;
    for (uint32_t i = 0; i < bench->workload->keys; i++)
        counts->failed += !is_stored(bench->cache, bench_key(bench, i));
}

static inline hand hand_of(const bench_worker *worker)
{
    const bench *bench = worker->bench;
    return (hand){
        .cache = bench->cache,
        .keys = (const char(*)[BENCH_KEY_ROOM])bench->keys,
        .draws = worker->draws,
        .items = worker->items,
        .batch = bench->batch,
        .position = worker->position,
    };
}

/* Every operation drew one key. */
static inline void note_hand(bench_worker *worker, const hand *hand)
{
    bench_counts *counts = &worker->counts;
    counts->ops += hand->position - worker->position;
    counts->gets += hand->gets;
    counts->hits += hand->hits;
    counts->failed += hand->failed;
    counts->sum += hand->sum;
    worker->position = hand->position;
}

static inline mtc_slice draw_key(hand *hand)
{
    uint32_t index = hand->draws[hand->position++ & (BENCH_DRAWS - 1)];
    return mtc_bytes(hand->keys[index], BENCH_KEY_SIZE);
}

static inline void set_key(hand *hand, mtc_slice key)
{
    hand->failed += !is_stored(hand->cache, key);
}

/* What a get came to: its first byte is read, and it is given back. */
static inline bool take_value(hand *hand, mtc_status status, mtc_value *value)
{
    hand->gets++;
    hand->failed += status < 0;
    if (status != MTC_OK)
        return false;
    hand->sum += *(const unsigned char *)value->data;
    hand->hits++;
    mtc_value_free(value);
    return true;
}

static inline bool get_key(hand *hand, mtc_slice key)
{
    mtc_value value;
    mtc_status status = mtc_cache_get(hand->cache, key, &value);
    return take_value(hand, status, &value);
}

static inline void step_get(hand *hand)
{
    get_key(hand, draw_key(hand));
}

static inline void step_get_set(hand *hand)
{
    mtc_slice key = draw_key(hand);
    if (!get_key(hand, key))
        set_key(hand, key);
}

static inline void step_batch(hand *hand)
{
    mtc_item *items = hand->items;
    for (size_t i = 0; i < hand->batch; i++)
        items[i].key = draw_key(hand);
    mtc_status status = mtc_cache_get_many(hand->cache, items, hand->batch);
    for (size_t i = 0; i < hand->batch; i++) {
        if (status < 0)
            items[i].status = status;
        take_value(hand, items[i].status, &items[i].value);
    }
}

static inline void step_batch_set(hand *hand)
{
    step_batch(hand);
    for (size_t i = 0; i < hand->batch; i++) {
        if (hand->items[i].status == MTC_MISS)
            set_key(hand, hand->items[i].key);
    }
}

/* Inline, so that a step costs no call through a pointer. */
static inline __attribute__((always_inline)) void
run_steps(bench_worker *worker, bench_step step)
{
    hand hand = hand_of(worker);
    int64_t begun_ns = times_now_ns();
    step(&hand);
    times_add(&worker->counts.get_times, times_now_ns() - begun_ns);
    for (int i = 1; i < BENCH_SAMPLE_EVERY; i++)
        step(&hand);
    note_hand(worker, &hand);
}

static void block_read(bench_worker *worker)
{
    run_steps(worker, step_get);
}

static void block_read_batch(bench_worker *worker)
{
    run_steps(worker, step_batch);
}

static void block_evict(bench_worker *worker)
{
    run_steps(worker, step_get_set);
}

static void block_evict_batch(bench_worker *worker)
{
    run_steps(worker, step_batch_set);
}

/* True: it was a set. */
static inline bool step_mixed(hand *hand)
{
    bool is_set = hand->position % SET_EVERY == SET_EVERY - 1;
    mtc_slice key = draw_key(hand);
    if (is_set)
        set_key(hand, key);
    else
        get_key(hand, key);
    return is_set;
}

static void block_mixed(bench_worker *worker)
{
    bench_counts *counts = &worker->counts;
    hand hand = hand_of(worker);
    int64_t begun_ns = times_now_ns();
    bool is_set = step_mixed(&hand);
    int64_t took_ns = times_now_ns() - begun_ns;
    times_add(is_set ? &counts->set_times : &counts->get_times, took_ns);
    for (int i = 1; i < BENCH_SAMPLE_EVERY; i++)
        step_mixed(&hand);
    note_hand(worker, &hand);
}

/* The index of the next key of those that fall to the worker. */
static uint32_t next_of_all(bench_worker *worker)
{
    const bench *bench = worker->bench;
    uint64_t index = worker->index + worker->position * bench->threads;
    worker->position++;
    worker->is_done = index + bench->threads >= bench->workload->keys;
    return (uint32_t)index;
}

static void store_next(bench_worker *worker, const mtc_strategy *strategy)
{
    const bench *bench = worker->bench;
    mtc_slice key = bench_key(bench, next_of_all(worker));
    worker->counts.ops++;
    worker->counts.failed +=
        mtc_cache_set(bench->cache, key, bench_value(), strategy) != MTC_OK;
}

static void step_store(bench_worker *worker)
{
    store_next(worker, &KEPT);
}

static void step_set_next(bench_worker *worker)
{
    store_next(worker, &MTC_SHORT_TERM);
}

static void take_next(bench_worker *worker, mtc_status status, mtc_value *value)
{
    bench_counts *counts = &worker->counts;
    counts->ops++;
    counts->gets++;
    counts->failed += status < 0;
    if (status != MTC_OK)
        return;
    counts->hits++;
    counts->sum += *(const unsigned char *)value->data;
    mtc_value_free(value);
}

static void step_get_next(bench_worker *worker)
{
    mtc_value value;
    const bench *bench = worker->bench;
    mtc_slice key = bench_key(bench, next_of_all(worker));
    take_next(worker, mtc_cache_get(bench->cache, key, &value), &value);
}

static void step_get_next_batch(bench_worker *worker)
{
    const bench *bench = worker->bench;
    mtc_item *items = worker->items;
    size_t count = 0;
    while (count < bench->batch && !worker->is_done)
        items[count++].key = bench_key(bench, next_of_all(worker));
    mtc_status status = mtc_cache_get_many(bench->cache, items, count);
    for (size_t i = 0; i < count; i++)
        take_next(worker, status < 0 ? status : items[i].status,
                  &items[i].value);
}

/* A block of steps, the first of which is timed. */
static inline void run_next(bench_worker *worker, times *times,
                            void (*step)(bench_worker *worker))
{
    int64_t begun_ns = times_now_ns();
    step(worker);
    times_add(times, times_now_ns() - begun_ns);
    for (int i = 1; i < BENCH_SAMPLE_EVERY && !worker->is_done; i++)
        step(worker);
}

static void block_store(bench_worker *worker)
{
    run_next(worker, &worker->counts.set_times, step_store);
}

static void block_set_all(bench_worker *worker)
{
    run_next(worker, &worker->counts.set_times, step_set_next);
}

static void block_get_all(bench_worker *worker)
{
    run_next(worker, &worker->counts.get_times, step_get_next);
}

static void block_get_all_batch(bench_worker *worker)
{
    run_next(worker, &worker->counts.get_times, step_get_next_batch);
}

static const bench_workload WORKLOADS[] = {
    {.name = "read",
     .tiers = ROOM("200000"),
     .keys = BENCH_READ_KEYS,
     .drawn = BENCH_READ_KEYS,
     .is_filled = true,
     .block = block_read,
     .in_batch = block_read_batch},
    {.name = "mixed",
     .tiers = ROOM("200000"),
     .keys = BENCH_READ_KEYS,
     .drawn = BENCH_READ_KEYS,
     .is_filled = true,
     .block = block_mixed},
    {.name = "evict",
     .tiers = ROOM("100000"),
     .keys = 1000000,
     .drawn = 1000000,
     .is_warmed = true,
     .block = block_evict,
     .in_batch = block_evict_batch},
    {.name = "hot",
     .tiers = ROOM("200000"),
     .keys = BENCH_READ_KEYS,
     .drawn = 1,
     .is_filled = true,
     .is_against_one = true,
     .block = block_read,
     .in_batch = block_read_batch},
    {.name = "memory",
     .tiers = ROOM("2000000"),
     .keys = 1000000,
     .block = block_store},
    {.name = "l2-get",
     .kind = BENCH_OF_BELOW,
     .front = "memory?size=1GiB",
     .keys = BENCH_BELOW_KEYS,
     .is_filled = true,
     .block = block_get_all,
     .in_batch = block_get_all_batch},
    {.name = "l2-set",
     .kind = BENCH_OF_BELOW,
     .front = "memory?size=1GiB",
     .keys = BENCH_BELOW_KEYS,
     .block = block_set_all},
    {.name = "stampede", .kind = BENCH_OF_STAMPEDE, .front = "memory"},
    {.name = "storm",
     .kind = BENCH_OF_STORM,
     .front = "memory?entries=5000",
     .keys = 1500},
    {.name = "limit", .keys = BENCH_READ_KEYS, .drawn = BENCH_READ_KEYS},
};

const bench_workload *bench_workload_find(const char *name)
{
    for (size_t i = 0; i < sizeof WORKLOADS / sizeof WORKLOADS[0]; i++) {
        if (strcmp(WORKLOADS[i].name, name) == 0)
            return &WORKLOADS[i];
    }
    return NULL;
}
