/*
 * How long things took: a histogram of nanoseconds. One thread each.
 */
#include "times.h"

#include <math.h>
#include <time.h>

int64_t times_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Below TIMES_PARTS each nanosecond has its bucket; from there each power of
 * two has TIMES_PARTS of them. */
static unsigned bucket_of(uint64_t ns)
{
    if (ns < TIMES_PARTS)
        return (unsigned)ns;
    unsigned power = 63 - (unsigned)__builtin_clzll(ns);
    unsigned part = (unsigned)(ns >> (power - 5)) & (TIMES_PARTS - 1);
    unsigned bucket = (power - 4) * TIMES_PARTS + part;
    return bucket < TIMES_BUCKETS ? bucket : TIMES_BUCKETS - 1;
}

/* The middle of a bucket. */
static int64_t middle_of(unsigned bucket)
{
    if (bucket < TIMES_PARTS)
        return bucket;
    unsigned power = bucket / TIMES_PARTS + 4;
    uint64_t part = bucket % TIMES_PARTS;
    uint64_t width = UINT64_C(1) << (power - 5);
    return (int64_t)((TIMES_PARTS + part) * width + width / 2);
}

void times_add(times *times, int64_t ns)
{
    times->count++;
    times->buckets[bucket_of((uint64_t)ns)]++;
    if (ns > times->max_ns)
        times->max_ns = ns;
}

void times_merge(times *into, const times *from)
{
    into->count += from->count;
    for (unsigned i = 0; i < TIMES_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
    if (from->max_ns > into->max_ns)
        into->max_ns = from->max_ns;
}

int64_t times_share_ns(const times *times, double share)
{
    uint64_t wanted = (uint64_t)ceil(share * (double)times->count);
    uint64_t seen = 0;
    for (unsigned i = 0; i < TIMES_BUCKETS && wanted > 0; i++) {
        seen += times->buckets[i];
        if (seen < wanted)
            continue;
        int64_t middle = middle_of(i);
        return middle < times->max_ns ? middle : times->max_ns;
    }
    return 0;
}
