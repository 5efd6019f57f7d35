/*
 * Numbers as people read them: 1,234,567, 1.5 MiB, 12.3 us.
 */
#ifndef MTC_CLI_FIGURES_H
#define MTC_CLI_FIGURES_H

#include <stdint.h>

/* Room for every figure. */
typedef struct figure {
    char text[32];
} figure;

figure figure_count(uint64_t count);
figure figure_bytes(uint64_t bytes);
figure figure_ns(int64_t ns);
figure figure_ms(int64_t ms);
figure figure_share(uint64_t part, uint64_t whole);

#endif
