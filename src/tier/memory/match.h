/*
 * Comparing sixteen bytes with one at the same time, for the tags of a
 * bucket. The processor's own instructions are in match_sse2.h.
 */
#ifndef MTCI_TIER_MEMORY_MATCH_H
#define MTCI_TIER_MEMORY_MATCH_H

#include <stdint.h>

#ifdef __SSE2__
#include "tier/memory/match_sse2.h"
#else
/* Bit i of the result: byte i of word is tag. */
static inline uint32_t mtci_word_match(uint64_t word, uint8_t tag)
{
    const uint64_t low = UINT64_C(0x7f7f7f7f7f7f7f7f);
    uint64_t x = word ^ tag * UINT64_C(0x0101010101010101);
    uint64_t zeros = ~(((x & low) + low) | x | low);
    return (uint32_t)((zeros >> 7) * UINT64_C(0x0102040810204080) >> 56);
}

/* Bit i of the result: byte i of the two words is tag. */
static inline uint32_t mtci_bytes_match(uint64_t first, uint64_t second,
                                        uint8_t tag)
{
    return mtci_word_match(first, tag) | mtci_word_match(second, tag) << 8;
}
#endif

#endif
