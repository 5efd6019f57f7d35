/*
 * The demo: what it measures, shared by its parts.
 */
#ifndef MTC_CLI_DEMO_H
#define MTC_CLI_DEMO_H

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "demo_source.h"
#include "mtc/stats.h"
#include "times.h"
#include "zipf.h"

#define DEMO_THREADS       8
#define DEMO_CALLERS       1000
#define DEMO_LOAD_MS       100
#define DEMO_MEMORY_MIB    4
#define DEMO_KEY_SIZE      64
#define DEMO_ODDITIES_MAX  8
#define DEMO_ODDITY_SIZE   160
#define DEMO_TTL_MS        600000 /* in a Redis: gone by then at the latest */
#define DEMO_REPEATS       25000  /* reads of each thread after reopening */
#define DEMO_WITHOUT_SHARE 2      /* without the cache: half of the time */
#define DEMO_AGAIN_NS      INT64_C(5000000000) /* at most, after reopening */

/* What answered a read. */
typedef enum demo_outcome {
    OUTCOME_MEMORY,
    OUTCOME_SECOND,
    OUTCOME_LOAD,   /* this caller ran the load */
    OUTCOME_WAITED, /* for another caller's load */
    OUTCOME_FAILED,
    OUTCOMES
} demo_outcome;

/* Reads by DEMO_THREADS threads; in, then out. */
typedef struct demo_reads {
    const char *title;
    bool is_uncached; /* ask the source itself */
    int64_t duration_ns_max;
    uint64_t thread_reads_max; /* 0: no such limit */
    /* Out. */
    int64_t duration_ns;
    uint64_t fewest; /* reads of the slowest thread */
    uint64_t wrong;  /* values that were another product's */
    times outcomes[OUTCOMES];
    times all;
} demo_reads;

/* Callers of one missing key; out. */
typedef struct demo_stampede {
    unsigned callers;
    unsigned loads;
    unsigned waited;
    unsigned failed;
    int64_t duration_ns;
    times answers;
} demo_stampede;

typedef struct demo {
    bool is_json;
    bool is_redis;
    uint64_t products;
    int64_t duration_ms;
    sigset_t signals; /* blocked everywhere, taken while waiting */
    int signal;       /* which came; 0: none */
    char folder[PATH_MAX - 64];
    char source_path[PATH_MAX];
    char tiers[PATH_MAX * 3 + 128];
    char key_prefix[32];
    char second[16]; /* scheme of the second tier */
    zipf_shape shape;
    mtc_cache *cache;
    /* Results. */
    int64_t begun_ns;
    int64_t created_ns;
    int64_t closing_ns;
    int64_t opening_ns;
    demo_reads cached;
    demo_reads uncached;
    demo_reads again;
    demo_stampede stampede;
    mtc_stats stats;       /* behind the cached reads */
    mtc_stats again_stats; /* behind the reads after reopening */
    uint64_t warm_entries;
    char oddities[DEMO_ODDITIES_MAX][DEMO_ODDITY_SIZE];
    unsigned oddity_count;
    bool is_broken; /* some promise did not hold */
} demo;

/* Notes something that is not as it should be; is_broken: a promise is. */
void demo_note(demo *demo, bool is_broken, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Sleeps, or returns early with false when a signal asks for the end. */
bool demo_sleep_ms(demo *demo, int64_t ms);

/* "PREFIX:product:000042" into key; returns it as a slice. */
mtc_slice demo_key(const demo *demo, uint64_t id, char *key);

/* Fills reads; false when it could not even begin, or a signal came. */
bool demo_read(demo *demo, demo_reads *reads);

/* Fills demo->stampede. */
bool demo_stampede_run(demo *demo);

/* One line of what is going on, on standard error. */
void demo_progress(const demo_reads *reads, const char *second,
                   const uint64_t *counts, int64_t passed_ns);
void demo_progress_end(void);
int64_t demo_progress_step_ms(void);

/* What was measured, part by part for a person, or all of it as JSON. */
void demo_report_start(const demo *demo);
void demo_report_reads(const demo *demo);
void demo_report_stampede(const demo *demo);
void demo_report_again(const demo *demo);
void demo_report_end(const demo *demo);
void demo_report_json(const demo *demo);

#endif
