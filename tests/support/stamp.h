/*
 * Stamped values: bytes that say which write of which key they are.
 *
 * All bytes follow from key, stamp and size. From MTCT_STAMP_SIZE_MIN bytes
 * on they begin with the stamp and a checksum over everything, so that a
 * reader who knows the key alone finds out whether the value is whole and
 * which write it came from. Stateless; any thread.
 */
#ifndef MTCT_STAMP_H
#define MTCT_STAMP_H

#include "mtc/value.h"

#define MTCT_STAMP_SIZE_MIN 16u

/* Writes the bytes. */
void mtct_stamp_write(void *bytes, size_t size, uint32_t key, uint32_t stamp);

/* Whether these are the bytes of that write; any size. */
bool mtct_stamp_is(mtc_slice bytes, uint32_t key, uint32_t stamp);

/* Whether they are the whole bytes of some write of the key, and of which. */
bool mtct_stamp_read(mtc_slice bytes, uint32_t key, uint32_t *stamp);

#endif
