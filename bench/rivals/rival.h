/*
 * A rival: a table or cache of others, as make bench measures it.
 *
 * Every rival hashes with XXH3, as libmtc does. A value is read where it lies,
 * under the rival's lock or in its read-side section, and is not handed out:
 * that is the cheaper choice, in the rival's favour.
 */
#ifndef MTC_BENCH_RIVAL_H
#define MTC_BENCH_RIVAL_H

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "mtc/value.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rival {
    const char *name;
    bool evicts; /* the one used longest ago, when there is no room */

    /* Makes a table for so many entries. NULL without memory. */
    void *(*open)(size_t entries_max);
    void (*close)(void *table);

    /* Adds the first byte of the value to sum. False: it is not there. */
    bool (*get)(void *table, mtc_slice key, uint64_t *sum);

    /* False without memory. */
    bool (*set)(void *table, mtc_slice key, mtc_slice value);

    /* Around a few dozen calls of one thread; both or neither. */
    void (*enter)(void);
    void (*leave)(void);
} rival;

extern const rival RIVAL_GLIB, RIVAL_GLIB_16, RIVAL_TBB;
extern const rival RIVAL_URCU_QSBR, RIVAL_URCU_BP;

static inline uint64_t rival_hash(mtc_slice key)
{
    return XXH3_64bits(key.data, key.size);
}

static inline bool rival_is_same(mtc_slice one, mtc_slice other)
{
    return one.size == other.size &&
           memcmp(one.data, other.data, one.size) == 0;
}

#ifdef __cplusplus
}
#endif

#endif
