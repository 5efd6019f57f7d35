/*
 * The workloads of mtc bench: what a thread does with the cache.
 *
 * Each worker is touched by its own thread alone while a pass lasts.
 */
#include <string.h>

#include "bench.h"

/* A day: nothing expires in a run. */
#define TTL_MS (24 * 3600 * 1000)

/* In mixed, one call in so many is a set. */
#define SET_EVERY 4

/* Entries and bytes: entries are what counts. */
#define ROOM(entries) "memory?entries=" entries "&size=1GiB"

static const mtc_strategy KEPT = MTC_STRATEGY_INIT(TTL_MS);

/* One call. */
typedef void (*bench_step)(bench_worker *worker);

mtc_slice bench_value(void)
{
    static const char VALUE[] =
        "a value of one hundred bytes, the same under every key, as long as "
        "a short record of a user may be....";
    _Static_assert(sizeof VALUE > BENCH_VALUE_SIZE, "it is long enough");
    return mtc_bytes(VALUE, BENCH_VALUE_SIZE);
}

static void set_key(bench_worker *worker, mtc_slice key)
{
    mtc_status status =
        mtc_cache_set(worker->bench->cache, key, bench_value(), &KEPT);
    if (status != MTC_OK)
        worker->counts.failed++;
}

void bench_fill(bench *bench)
{
    for (uint32_t i = 0; i < bench->workload->keys; i++) {
        if (mtc_cache_set(bench->cache, bench_key(bench, i), bench_value(),
                          &KEPT) != MTC_OK)
            bench->counts.failed++;
    }
}

/* What a get came to: its first byte is read, and it is given back. */
static inline bool take_value(bench_worker *worker, mtc_status status,
                              mtc_value *value)
{
    bench_counts *counts = &worker->counts;
    if (status < 0)
        counts->failed++;
    if (status != MTC_OK)
        return false;
    counts->sum += *(const unsigned char *)value->data;
    counts->hits++;
    mtc_value_free(value);
    return true;
}

static inline bool get_key(bench_worker *worker, mtc_slice key)
{
    mtc_value value;
    mtc_status status = mtc_cache_get(worker->bench->cache, key, &value);
    worker->counts.gets++;
    return take_value(worker, status, &value);
}

static inline mtc_slice draw_key(bench_worker *worker)
{
    worker->counts.ops++;
    return bench_key(worker->bench, bench_draw(worker));
}

static inline void step_get(bench_worker *worker)
{
    get_key(worker, draw_key(worker));
}

static inline void step_get_set(bench_worker *worker)
{
    mtc_slice key = draw_key(worker);
    if (!get_key(worker, key))
        set_key(worker, key);
}

static void step_batch(bench_worker *worker)
{
    mtc_cache *cache = worker->bench->cache;
    size_t count = worker->bench->batch;
    mtc_item *items = worker->items;
    for (size_t i = 0; i < count; i++)
        items[i].key = draw_key(worker);
    worker->counts.gets += count;
    if (mtc_cache_get_many(cache, items, count) < 0) {
        worker->counts.failed += count;
        return;
    }
    for (size_t i = 0; i < count; i++)
        take_value(worker, items[i].status, &items[i].value);
}

static void step_batch_set(bench_worker *worker)
{
    step_batch(worker);
    for (size_t i = 0; i < worker->bench->batch; i++) {
        if (worker->items[i].status == MTC_MISS)
            set_key(worker, worker->items[i].key);
    }
}

/* Inline, so that a step costs no call through a pointer. */
static inline __attribute__((always_inline)) void
run_steps(bench_worker *worker, bench_step step)
{
    int64_t begun_ns = times_now_ns();
    step(worker);
    times_add(&worker->counts.get_times, times_now_ns() - begun_ns);
    for (int i = 1; i < BENCH_SAMPLE_EVERY; i++)
        step(worker);
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
static inline bool step_mixed(bench_worker *worker)
{
    bool is_set = worker->position % SET_EVERY == SET_EVERY - 1;
    mtc_slice key = draw_key(worker);
    if (is_set)
        set_key(worker, key);
    else
        get_key(worker, key);
    return is_set;
}

static void block_mixed(bench_worker *worker)
{
    bench_counts *counts = &worker->counts;
    int64_t begun_ns = times_now_ns();
    bool is_set = step_mixed(worker);
    int64_t took_ns = times_now_ns() - begun_ns;
    times_add(is_set ? &counts->set_times : &counts->get_times, took_ns);
    for (int i = 1; i < BENCH_SAMPLE_EVERY; i++)
        step_mixed(worker);
}

/* The next key of those that fall to the worker. */
static void step_store(bench_worker *worker)
{
    const bench *bench = worker->bench;
    uint64_t index = worker->index + worker->position * bench->threads;
    worker->position++;
    worker->counts.ops++;
    set_key(worker, bench_key(bench, (uint32_t)index));
    worker->is_done = index + bench->threads >= bench->workload->keys;
}

static void block_store(bench_worker *worker)
{
    int64_t begun_ns = times_now_ns();
    step_store(worker);
    times_add(&worker->counts.set_times, times_now_ns() - begun_ns);
    for (int i = 1; i < BENCH_SAMPLE_EVERY && !worker->is_done; i++)
        step_store(worker);
}

static const bench_workload WORKLOADS[] = {
    {"read", ROOM("200000"), BENCH_READ_KEYS, BENCH_READ_KEYS, true, false,
     block_read, block_read_batch},
    {"mixed", ROOM("200000"), BENCH_READ_KEYS, BENCH_READ_KEYS, true, false,
     block_mixed, NULL},
    {"evict", ROOM("100000"), 1000000, 1000000, false, true, block_evict,
     block_evict_batch},
    {"hot", ROOM("200000"), BENCH_READ_KEYS, 1, true, false, block_read,
     block_read_batch},
    {"memory", ROOM("2000000"), 1000000, 0, false, false, block_store, NULL},
    {"limit", NULL, BENCH_READ_KEYS, BENCH_READ_KEYS, false, false, NULL, NULL},
};

const bench_workload *bench_workload_find(const char *name)
{
    for (size_t i = 0; i < sizeof WORKLOADS / sizeof WORKLOADS[0]; i++) {
        if (strcmp(WORKLOADS[i].name, name) == 0)
            return &WORKLOADS[i];
    }
    return NULL;
}
