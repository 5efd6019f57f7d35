/*
 * A count-min sketch: how often a key was asked for lately, roughly.
 *
 * Four rows of counters of four bits; an addition raises only the lowest of a
 * key's four. After as many additions as ten times the entries it is made for
 * all counters are halved, a few at each addition. Whoever writes holds the
 * mutex of the shard; anyone may read, and sees each counter old or new.
 *
 * Source: Cormode & Muthukrishnan, "An Improved Data Stream Summary", 2005;
 * ageing: Einziger, Friedman, Manes, "TinyLFU", ACM ToS 2017.
 */
#ifndef MTCI_TIER_MEMORY_POLICY_SKETCH_H
#define MTCI_TIER_MEMORY_POLICY_SKETCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Counters of a row for each entry, and the fewest entries to be made for:
 * with fewer counters keys of a small cache would be taken for each other. */
#define MTCI_SKETCH_PER_ENTRY   4u
#define MTCI_SKETCH_ENTRIES_MIN 1024u

typedef struct mtci_sketch {
    _Atomic uint64_t *words; /* four rows, 16 counters a word */
    size_t row_words;
    uint64_t additions; /* since the last halving began */
    uint64_t halve_at;  /* additions */
    size_t halved;      /* words that this halving has done */
} mtci_sketch;

/* The entries that a sketch for so many is made for, and its bytes. */
size_t mtci_sketch_entries(size_t entries);
size_t mtci_sketch_size(size_t entries);

/* A sketch in zeroed room of mtci_sketch_size bytes. */
void mtci_sketch_init(mtci_sketch *sketch, void *room, size_t entries);

/* Fills a sketch that is twice as wide as another one, so that no estimate
 * changes. */
void mtci_sketch_widen(mtci_sketch *sketch, const mtci_sketch *narrow);

/* A key will be counted: fetches its counters. */
void mtci_sketch_expect(const mtci_sketch *sketch, uint32_t hash);

/* Counts a key n times. */
void mtci_sketch_add(mtci_sketch *sketch, uint32_t hash, unsigned n);

/* 0 to 15. A sketch without words: 0. */
unsigned mtci_sketch_estimate(const mtci_sketch *sketch, uint32_t hash);

#endif
