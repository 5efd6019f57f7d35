/*
 * Drawing indices in Zipf order: few are asked for often, many seldom.
 */
#ifndef MTC_CLI_ZIPF_H
#define MTC_CLI_ZIPF_H

#include <stdint.h>

/* The numbers that all threads share; they depend on the count alone. */
typedef struct zipf_shape {
    uint64_t count;
    double zetan;
    double alpha;
    double eta;
} zipf_shape;

/* One thread's sequence. */
typedef struct zipf {
    const zipf_shape *shape;
    uint64_t state;
} zipf;

/* Exponent of the order. */
#define ZIPF_EXPONENT 0.99

void zipf_shape_init(zipf_shape *shape, uint64_t count);

/* The sequence of a thread always begins and goes on the same way. */
void zipf_init(zipf *zipf, const zipf_shape *shape, unsigned thread);

/* From the same sequence, evenly: 0 and up, below 1. */
double zipf_draw_share(zipf *zipf);

/* The next index, 0 to count - 1. */
uint64_t zipf_draw(zipf *zipf);

#endif
