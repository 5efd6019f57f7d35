/*
 * Comparing sixteen bytes with one, on processors with SSE2. See match.h.
 */
#ifndef MTCI_TIER_MEMORY_MATCH_SSE2_H
#define MTCI_TIER_MEMORY_MATCH_SSE2_H

#include <emmintrin.h>
#include <stdint.h>

static inline uint32_t mtci_bytes_match(uint64_t first, uint64_t second,
                                        uint8_t tag)
{
    __m128i bytes = _mm_set_epi64x((long long)second, (long long)first);
    __m128i equal = _mm_cmpeq_epi8(bytes, _mm_set1_epi8((char)tag));
    return (uint32_t)_mm_movemask_epi8(equal);
}

#endif
