/*
 * A contestant: libmtc, a rival, or the ceiling, ready for one workload.
 */
#ifndef MTC_BENCH_CONTESTANT_H
#define MTC_BENCH_CONTESTANT_H

#include "bench.h"
#include "rival.h"

/* Its bench comes first: a worker's bench is the contestant. */
typedef struct contestant {
    bench bench;
    const char *name;
    const rival *rival; /* NULL: libmtc or the ceiling */
    void *table;        /* owned; the rival's */
} contestant;

/* What a thread does with a rival under the workload, as with libmtc under
 * mtc bench. NULL: the rival cannot do it. */
bench_block contestant_block(const rival *rival, const char *workload);

/* Stores so many keys in the rival's table. */
void contestant_fill(contestant *contestant, uint32_t key_count);

#endif
