/*
 * mtc bench: workloads that anyone can repeat, shared by its parts.
 */
#ifndef MTC_CLI_BENCH_H
#define MTC_CLI_BENCH_H

#include <pthread.h>
#include <stdatomic.h>

#include "args.h"
#include "mtc/cache.h"
#include "output.h"
#include "times.h"
#include "zipf.h"

/* One call in so many is timed: odd, so that it falls in step with nothing
 * that a cache does every 64 calls. */
#define BENCH_SAMPLE_EVERY 61

/* Indices that a thread draws beforehand and then repeats: a power of two. */
#define BENCH_DRAWS (UINT32_C(1) << 20)

/* "user:00000042", and room for its end. */
#define BENCH_KEY_SIZE  13
#define BENCH_KEY_ROOM  16
#define BENCH_READ_KEYS 100000

/* Of the workloads below memory. */
#define BENCH_BELOW_KEYS 200000

#define BENCH_VALUE_SIZE 100

/* Workload and ceiling take turns so often. */
#define BENCH_ROUNDS 5

typedef struct bench bench;
typedef struct bench_worker bench_worker;
typedef struct limit_table limit_table;

/* Makes BENCH_SAMPLE_EVERY calls, one of them timed. */
typedef void (*bench_block)(bench_worker *worker);

/* What was counted; gets and sets that were not timed have no times. */
typedef struct bench_counts {
    uint64_t ops; /* keys got or set; a miss that is set then counts once */
    uint64_t gets;
    uint64_t hits;
    uint64_t failed;
    uint64_t sum; /* of first bytes, so that they are read */
    times get_times;
    times set_times;
} bench_counts;

/* One thread of a crew; kept from pass to pass, so that it goes on where it
 * was. On cache lines of its own. */
struct bench_worker {
    _Alignas(128) const bench *bench;
    uint32_t *draws; /* owned; BENCH_DRAWS of them, or NULL: all in order */
    mtc_item *items; /* owned; one for each key of a call */
    uint64_t position;
    bool is_done; /* has nothing left to do */
    bench_counts counts;

    struct bench_crew *crew;
    pthread_t thread;
    uint32_t index;
    int64_t begun_ns, ended_ns; /* of the last pass */
};

/* The threads that run one workload. */
typedef struct bench_crew {
    bench_block block;
    bench_worker *workers;
    unsigned count;
    uint64_t thread_ops_max; /* of the pass */
    pthread_mutex_t gate;    /* held while the threads of a pass are started */
    atomic_bool stop;
} bench_crew;

/* Which part of mtc bench runs a workload. */
typedef enum bench_kind {
    BENCH_OF_MEMORY,   /* a cache of its own, beside the limit: bench.c */
    BENCH_OF_BELOW,    /* memory over another tier: bench_below.c */
    BENCH_OF_STAMPEDE, /* many callers of one missing key: bench_stampede.c */
    BENCH_OF_STORM     /* many callers of many keys: bench_storm.c */
} bench_kind;

/* One workload: what is in the cache, and what is done with it. */
typedef struct bench_workload {
    const char *name;
    bench_kind kind;
    const char *tiers;    /* by default; NULL: it opens no cache, or its own */
    const char *front;    /* memory, where the tier below is named elsewhere */
    uint32_t keys;        /* that there are */
    uint32_t drawn;       /* of them, by the threads; 0: each, in order */
    bool is_filled;       /* every key is set beforehand */
    bool is_warmed;       /* before it is measured */
    bool is_against_one;  /* measured beside one thread alone, too */
    bench_block block;    /* NULL: the limit alone */
    bench_block in_batch; /* NULL: it takes no batch */
} bench_workload;

/* Who takes a turn in a round. */
typedef enum bench_side {
    BENCH_WORKLOAD,
    BENCH_LIMIT,
    BENCH_ONE_THREAD, /* the workload by one thread, when there are several */
    BENCH_SIDES
} bench_side;

/* What a side did in all of its turns. */
typedef struct bench_result {
    bench_crew crew; /* of no workers: it takes no turns */
    bench_counts counts;
    int64_t took_ns;
    double rates[BENCH_ROUNDS]; /* operations a second */
} bench_result;

/* Smallest, middle and largest of a few figures. */
typedef struct bench_spread {
    double min, median, max;
} bench_spread;

/* What many callers of one missing key came to, key by key. */
typedef struct bench_waits {
    bench_spread over_load_ms;  /* the slowest caller, less the load */
    bench_spread after_load_ms; /* the last answer, from the load's end */
    bench_spread floor_ms;      /* the slowest thread after a bare broadcast */
    bench_spread of_floor;      /* one as a share of the other */
    uint32_t keys;
} bench_waits;

/* One run: what was asked for, and what came out. */
struct bench {
    const bench_workload *workload;
    bool is_json;
    unsigned threads;
    unsigned callers; /* stampede, storm; else 0 */
    bool is_async;    /* they do not block */
    size_t batch;
    int64_t duration_ns;

    mtc_cache *cache;
    char (*keys)[BENCH_KEY_ROOM];
    limit_table *limit;
    bench_result results[BENCH_SIDES];

    uint64_t warm_up_ops;
    uint64_t entries;     /* memory: held at the end */
    int64_t growth_bytes; /* memory: of what is resident */
    bench_waits waits;    /* stampede */
    uint64_t loads;       /* stampede, storm: loaders that were run */
    uint64_t reads_below; /* of them: keys that the second tier was asked for */
};

/* NULL when there is none of the name. */
const bench_workload *bench_workload_find(const char *name);

/* Makes the keys of the workload. False when memory runs out. */
bool bench_keys_make(bench *bench);

/* Stores every key of the workload once; counts what fails. */
void bench_fill(bench *bench);

/* The key of an index. */
static inline mtc_slice bench_key(const bench *bench, uint32_t index)
{
    return mtc_bytes(bench->keys[index], BENCH_KEY_SIZE);
}

/* The value that every key has. */
mtc_slice bench_value(void);

/* The next index that a worker draws. */
static inline uint32_t bench_draw(bench_worker *worker)
{
    return worker->draws[worker->position++ & (BENCH_DRAWS - 1)];
}

/* Makes so many workers, their draws among the first keys (0: none) and room
 * for batches. False when memory runs out; fini is due in any case. */
bool bench_crew_init(bench_crew *crew, const bench *bench, unsigned count,
                     bench_block block, uint32_t drawn);
void bench_crew_fini(bench_crew *crew);

/* Lets the crew work for a time; or, with ops_max, until each thread has made
 * its share of them or has nothing left to do. Adds to counts and took_ns.
 * False when the threads cannot be started. */
bool bench_crew_work(bench_crew *crew, int64_t duration_ns, uint64_t ops_max,
                     bench_counts *counts, int64_t *took_ns);

/* The ceiling: a table of all keys that is only read. NULL without memory. */
limit_table *limit_table_new(const bench *bench, uint32_t key_count);
void limit_table_free(limit_table *table);
void bench_block_limit(bench_worker *worker);

/* Bytes of this process that are in memory now; -1: not known. */
int64_t bench_resident_bytes(void);

/* Stores every key of the memory workload and measures what that took. */
bool bench_memory(bench *bench);

/* The command line with the tiers of a workload of memory over another. */
typedef struct bench_below_args {
    args args;
    char tiers[1024];
} bench_below_args;

/* Finds out which they are. False: none is named below memory; it complains. */
bool bench_below_args_init(bench_below_args *own, const bench *bench,
                           const args *args);

/* Stores the keys GROUP:00000000 and so on in every tier, through a cache that
 * is closed again. TOOL_DONE, or it complains. */
tool_exit bench_below_fill(bench *bench, const args *args, const char *group,
                           uint32_t count);

/* Each measures a workload of its kind. TOOL_DONE, or it complains. */
tool_exit bench_below(bench *bench, const args *args);
tool_exit bench_stampede(bench *bench, const args *args);
tool_exit bench_storm(bench *bench, const args *args);

/* Takes over the counters of the cache: requests, hits, loads, reads. */
void bench_note_stats(bench *bench);

/* One turn of a side. False when its threads cannot be started. */
bool bench_turn(bench_result *result, int round, int64_t turn_ns);

/* Operations a second, over all turns. */
double bench_rate(const bench_result *result);

/* Of at least one figure; it sorts them. */
bench_spread bench_spread_of(double *figures, size_t count);

/* How fast one side was beside another, round by round. */
bench_spread bench_beside(const bench_result *one, const bench_result *other);

void bench_report(const bench *bench);
void bench_report_json(const bench *bench);

#endif
