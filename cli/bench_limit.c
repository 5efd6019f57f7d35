/*
 * The ceiling of mtc bench: the least that finding a key can cost.
 *
 * An open-addressing table that is only read once it is made: no locks, no
 * statistics, no references. All threads read it.
 */
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "bench.h"

/* Size of an entry: whole cache lines, so that key and first byte of the
 * value share one. */
#define ENTRY_SIZE 128

/* As a cache has them: sizes, key, value. */
typedef struct entry {
    uint32_t key_size;
    uint32_t value_size;
    char bytes[ENTRY_SIZE - 8];
} entry;

_Static_assert(BENCH_KEY_SIZE + BENCH_VALUE_SIZE <= ENTRY_SIZE - 8,
               "key and value fit");

struct limit_table {
    entry **slots;
    uint64_t mask;
    entry *entries;
};

static inline entry **find(const limit_table *table, mtc_slice key)
{
    uint64_t at = XXH3_64bits(key.data, key.size);
    for (;; at++) {
        entry **slot = &table->slots[at & table->mask];
        entry *entry = *slot;
        if (entry == NULL || (entry->key_size == key.size &&
                              memcmp(entry->bytes, key.data, key.size) == 0))
            return slot;
    }
}

static void add(limit_table *table, entry *entry, mtc_slice key)
{
    mtc_slice value = bench_value();
    entry->key_size = (uint32_t)key.size;
    entry->value_size = (uint32_t)value.size;
    memcpy(entry->bytes, key.data, key.size);
    memcpy(entry->bytes + key.size, value.data, value.size);
    *find(table, key) = entry;
}

limit_table *limit_table_new(const bench *bench, uint32_t key_count)
{
    size_t slots = 1;
    while (slots < (size_t)key_count * 2)
        slots *= 2;
    limit_table *table = calloc(1, sizeof *table);
    if (table == NULL)
        return NULL;
    table->mask = slots - 1;
    table->slots = calloc(slots, sizeof(entry *));
    table->entries = aligned_alloc(ENTRY_SIZE, key_count * sizeof(entry));
    if (table->slots == NULL || table->entries == NULL) {
        limit_table_free(table);
        return NULL;
    }
    for (uint32_t i = 0; i < key_count; i++)
        add(table, &table->entries[i], bench_key(bench, i));
    return table;
}

void limit_table_free(limit_table *table)
{
    if (table == NULL)
        return;
    free(table->slots);
    free(table->entries);
    free(table);
}

/* Looks for the next key that the worker draws; 1: it was there, and the
 * first byte of its value is added to sum. */
static inline uint64_t step(const limit_table *table, bench_worker *worker,
                            uint64_t *sum)
{
    mtc_slice key = bench_key(worker->bench, bench_draw(worker));
    const entry *entry = *find(table, key);
    if (entry == NULL)
        return 0;
    *sum += (unsigned char)entry->bytes[BENCH_KEY_SIZE];
    return 1;
}

void bench_block_limit(bench_worker *worker)
{
    const limit_table *table = worker->bench->limit;
    bench_counts *counts = &worker->counts;
    uint64_t sum = 0;
    int64_t begun_ns = times_now_ns();
    uint64_t hits = step(table, worker, &sum);
    times_add(&counts->get_times, times_now_ns() - begun_ns);
    for (int i = 1; i < BENCH_SAMPLE_EVERY; i++)
        hits += step(table, worker, &sum);
    counts->ops += BENCH_SAMPLE_EVERY;
    counts->gets += BENCH_SAMPLE_EVERY;
    counts->hits += hits;
    counts->sum += sum;
}
