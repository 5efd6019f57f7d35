/*
 * The ghost: keys that were evicted lately, without their values.
 *
 * Buckets of eight fingerprints of 16 bits with the time of their eviction,
 * counted in evictions. A key is taken for another one once in thousands of
 * times, which only costs a wrong guess. Guarded by whoever owns it.
 *
 * Source of the idea: Johnson & Shasha, "2Q", VLDB 1994.
 */
#ifndef MTCI_TIER_MEMORY_POLICY_GHOST_H
#define MTCI_TIER_MEMORY_POLICY_GHOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mtci_ghost_key {
    uint16_t print; /* 0: empty */
    uint16_t time;
} mtci_ghost_key;

typedef struct mtci_ghost {
    mtci_ghost_key *keys; /* NULL: remembers nothing */
    size_t bucket_count;
    uint64_t evictions;
    uint64_t window; /* evictions that it goes back */
    uint64_t step;   /* evictions to one count of time */
} mtci_ghost;

/* Bytes of the ghost of a cache of so many entries. */
size_t mtci_ghost_size(size_t entries);

/* A ghost in zeroed room of mtci_ghost_size bytes. */
void mtci_ghost_init(mtci_ghost *ghost, void *room, size_t entries);

/* The key was evicted. */
void mtci_ghost_add(mtci_ghost *ghost, uint32_t hash);

/* Whether the key was evicted lately; it is forgotten then. */
bool mtci_ghost_take(mtci_ghost *ghost, uint32_t hash);

#endif
