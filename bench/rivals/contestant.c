/*
 * What a thread does with a rival: the workloads of mtc bench.
 *
 * Each worker is touched by its own thread alone while a pass lasts.
 */
#include "contestant.h"

/* In mixed, one call in so many is a set. */
#define SET_EVERY 4

/* A worker's hand in a block: what each step needs and counts. */
typedef struct hand {
    const rival *rival;
    void *table;
    const char (*keys)[BENCH_KEY_ROOM];
    const uint32_t *draws;
    uint64_t position;
    uint64_t gets;
    uint64_t hits;
    uint64_t failed;
    uint64_t sum;
} hand;

typedef void (*rival_step)(hand *hand);

static inline hand hand_of(const bench_worker *worker)
{
    const contestant *contestant = (const void *)worker->bench;
    return (hand){
        .rival = contestant->rival,
        .table = contestant->table,
        .keys = (const char(*)[BENCH_KEY_ROOM])worker->bench->keys,
        .draws = worker->draws,
        .position = worker->position,
    };
}

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

static inline bool get_key(hand *hand, mtc_slice key)
{
    bool is_hit = hand->rival->get(hand->table, key, &hand->sum);
    hand->gets++;
    hand->hits += is_hit;
    return is_hit;
}

static inline void set_key(hand *hand, mtc_slice key)
{
    hand->failed += !hand->rival->set(hand->table, key, bench_value());
}

static inline void step_get(hand *hand)
{
    get_key(hand, draw_key(hand));
}

static inline void step_mixed(hand *hand)
{
    bool is_set = hand->position % SET_EVERY == SET_EVERY - 1;
    mtc_slice key = draw_key(hand);
    if (is_set)
        set_key(hand, key);
    else
        get_key(hand, key);
}

static inline void step_get_set(hand *hand)
{
    mtc_slice key = draw_key(hand);
    if (!get_key(hand, key))
        set_key(hand, key);
}

static inline void enter(const rival *rival)
{
    if (rival->enter != NULL)
        rival->enter();
}

static inline void leave(const rival *rival)
{
    if (rival->leave != NULL)
        rival->leave();
}

/* Inline, so that a step costs no call through a pointer; timed like every
 * block of mtc bench, so that the clock costs all the same. */
static inline __attribute__((always_inline)) void
run_steps(bench_worker *worker, rival_step step)
{
    hand hand = hand_of(worker);
    enter(hand.rival);
    int64_t begun_ns = times_now_ns();
    step(&hand);
    times_add(&worker->counts.get_times, times_now_ns() - begun_ns);
    for (int i = 1; i < BENCH_SAMPLE_EVERY; i++)
        step(&hand);
    leave(hand.rival);
    note_hand(worker, &hand);
}

static void block_read(bench_worker *worker)
{
    run_steps(worker, step_get);
}

static void block_mixed(bench_worker *worker)
{
    run_steps(worker, step_mixed);
}

static void block_evict(bench_worker *worker)
{
    run_steps(worker, step_get_set);
}

bench_block contestant_block(const rival *rival, const char *workload)
{
    if (strcmp(workload, "read") == 0 || strcmp(workload, "hot") == 0)
        return block_read;
    if (strcmp(workload, "mixed") == 0)
        return block_mixed;
    if (strcmp(workload, "evict") == 0 && rival->evicts)
        return block_evict;
    return NULL;
}

void contestant_fill(contestant *contestant, uint32_t key_count)
{
    bench *bench = &contestant->bench;
    bench_counts *counts = &bench->results[BENCH_WORKLOAD].counts;
    enter(contestant->rival);
    for (uint32_t i = 0; i < key_count; i++)
        counts->failed +=
            !contestant->rival->set(contestant->table, bench_key(bench, i),
                                    bench_value());
    leave(contestant->rival);
}
