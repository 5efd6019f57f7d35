/*
 * Keyed hashing of bytes (XXH3). The seed is drawn per cache from the
 * kernel, so that nobody outside can make keys collide. Random numbers begin
 * with a seed, too. Stateless.
 */
#ifndef MTCI_BASE_HASH_H
#define MTCI_BASE_HASH_H

/* Compiled in: the call would cost as much as hashing a short key. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "mtc/value.h"

static inline uint64_t mtci_hash(mtc_slice bytes, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes.data, bytes.size, seed);
}

/* 64 random bits from getrandom; from clock and address where it fails. */
uint64_t mtci_seed(void);

/* The next number of a random sequence (xorshift), whose state begins as any
 * number but 0. For choices that nobody gains by guessing. */
static inline uint64_t mtci_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

#endif
