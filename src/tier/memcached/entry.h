/*
 * What memcached keeps of an entry: the key it is stored under, and a frame
 * that holds everything else.
 *
 * A frame carries the wall clock's time at which the entry ends, since
 * memcached does not tell what is left of a life. It is believed only when
 * what is left is more than nothing and no more than the entry ever had.
 * Stateless; any thread.
 */
#ifndef MTCI_TIER_MEMCACHED_ENTRY_H
#define MTCI_TIER_MEMCACHED_ENTRY_H

#include "mtc/tier.h"

/* The longest key of memcached. */
#define MTCI_MEMCACHED_KEY_MAX 250

/* memcached reads larger numbers of seconds as dates. */
#define MTCI_MEMCACHED_LIFE_MS_MAX  INT64_C(2592000000)
#define MTCI_MEMCACHED_LIFE_STEP_MS 1000

typedef struct mtci_memcached_key {
    size_t size;
    char bytes[MTCI_MEMCACHED_KEY_MAX];
} mtci_memcached_key;

/* The key as it is, or a hash of it where memcached might refuse it. */
void mtci_memcached_key_make(mtc_slice key, mtci_memcached_key *out);

/* What can be kept of a life of which left_ms are left: 0 for less than a
 * second. */
int64_t mtci_memcached_life_ms(const mtc_facts *facts, int64_t left_ms);

/* Writes an entry that ends at end_wall_ms; the caller frees *bytes. False:
 * out of memory. */
bool mtci_memcached_entry_write(const mtc_frame *frame, int64_t end_wall_ms,
                                void **bytes, size_t *size);

/* Reads an entry. MTC_OK: a new value, and facts whose etag lies in it.
 * MTC_MISS: its life has ended or is not to be believed, or it is another
 * key's. MTC_E_CORRUPT: damaged. MTC_E_NO_MEMORY. */
mtc_status mtci_memcached_entry_read(mtc_slice bytes, mtc_slice key,
                                     int64_t wall_ms, mtc_value *value,
                                     mtc_facts *facts);

#endif
