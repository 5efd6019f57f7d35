/*
 * How long things took: percentiles within 3 %, the maximum exactly.
 */
#ifndef MTC_CLI_TIMES_H
#define MTC_CLI_TIMES_H

#include <stdint.h>

/* Each power of two is cut into this many equal parts. */
#define TIMES_PARTS   32
#define TIMES_BUCKETS (TIMES_PARTS * 40)

typedef struct times {
    uint64_t count;
    int64_t max_ns;
    uint32_t buckets[TIMES_BUCKETS];
} times;

/* Monotonic nanoseconds. */
int64_t times_now_ns(void);

void times_add(times *times, int64_t ns);
void times_merge(times *into, const times *from);

/* The time that a share (0 to 1) of the calls did not exceed; 0 without any
 * call. */
int64_t times_share_ns(const times *times, double share);

#endif
