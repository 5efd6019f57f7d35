/*
 * One call on many keys: what it is made of and how it is noted, as of one key
 * in world.h. Its keys follow each other, so that none comes twice.
 */
#ifndef SOAK_CALLS_MANY_H
#define SOAK_CALLS_MANY_H

#include "soak/world.h"

#define SOAK_MANY_MAX 12

typedef struct soak_many {
    soak_call calls[SOAK_MANY_MAX]; /* the options of the first are for all */
    mtc_item items[SOAK_MANY_MAX];
    size_t count;
} soak_many;

/* Of keys that may be loaded; of keys that may be written. */
void soak_begin_reads(soak_world *world, soak_many *many, uint64_t *seed);
void soak_begin_writes(soak_world *world, soak_many *many, mtct_deed_kind kind,
                       uint64_t *seed);

/* It has returned; values are looked at and given back. */
void soak_end_many(soak_world *world, soak_many *many, const char *what);

#endif
