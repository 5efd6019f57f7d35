/*
 * Keyed hashing of bytes (XXH3). The seed is drawn per cache from the
 * kernel, so that nobody outside can make keys collide. Stateless.
 */
#ifndef MTCI_BASE_HASH_H
#define MTCI_BASE_HASH_H

#include "mtc/value.h"

uint64_t mtci_hash(mtc_slice bytes, uint64_t seed);

/* 64 random bits from getrandom; from clock and address where it fails. */
uint64_t mtci_seed(void);

#endif
