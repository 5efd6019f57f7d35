/*
 * mtc_rivals: libmtc beside what Debian packages, in one run.
 *
 * usage: mtc_rivals WORKLOAD THREADS SECONDS
 *        mtc_rivals memory RIVAL
 *
 * Libmtc, the ceiling and every rival take turns in five rounds. Each has as
 * many threads, and SECONDS in all; workloads, keys and their order are those
 * of mtc bench. One JSON object a line for each says its operations a second,
 * round by round. The main thread starts and joins all others.
 */
#include <stdio.h>
#include <stdlib.h>

#include "contestant.h"

#define WARM_UP_OPS 10000000
#define ROOM_READ   200000
#define ROOM_EVICT  100000
#define MEMORY_KEYS 1000000
#define THREADS_MAX 256
#define SECONDS_MAX 60

static const rival *const RIVALS[] = {
#ifdef RIVAL_HAS_URCU
    &RIVAL_URCU_QSBR,
    &RIVAL_URCU_BP,
#endif
#ifdef RIVAL_HAS_TBB
    &RIVAL_TBB,
#endif
#ifdef RIVAL_HAS_GLIB
    &RIVAL_GLIB,
    &RIVAL_GLIB_16,
#endif
    NULL,
};

#define RIVAL_COUNT (sizeof RIVALS / sizeof RIVALS[0] - 1)

/* The ceiling first, then libmtc, then the rivals. */
#define CONTESTANTS_MAX (2 + RIVAL_COUNT)

typedef struct contest {
    const bench_workload *workload;
    unsigned threads;
    int64_t turn_ns;
    contestant *contestants; /* owned */
    size_t count;
} contest;

static bool enter(contest *contest, contestant *contestant, const char *name,
                  bench_block block)
{
    bench *bench = &contestant->bench;
    bool is_limit = block == bench_block_limit;
    contestant->name = name;
    bench->workload = contest->workload;
    bench->threads = contest->threads;
    bench->batch = 1;
    contest->count++;
    return bench_keys_make(bench) &&
           bench_crew_init(&bench->results[BENCH_WORKLOAD].crew, bench,
                           contest->threads, block,
                           is_limit ? BENCH_READ_KEYS
                                    : contest->workload->drawn);
}

static bool enter_limit(contest *contest)
{
    contestant *contestant = &contest->contestants[contest->count];
    if (!enter(contest, contestant, "limit", bench_block_limit))
        return false;
    contestant->bench.limit =
        limit_table_new(&contestant->bench, BENCH_READ_KEYS);
    return contestant->bench.limit != NULL;
}

static bool enter_libmtc(contest *contest)
{
    contestant *contestant = &contest->contestants[contest->count];
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    if (!enter(contest, contestant, "libmtc", contest->workload->block))
        return false;
    options.tiers = contest->workload->tiers;
    if (mtc_cache_open(&options, NULL, &contestant->bench.cache) != MTC_OK)
        return false;
    if (contest->workload->is_filled)
        bench_fill(&contestant->bench);
    return true;
}

/* True, too, when the rival has no part in it. */
static bool enter_rival(contest *contest, const rival *rival)
{
    const bench_workload *workload = contest->workload;
    contestant *contestant = &contest->contestants[contest->count];
    bench_block block = contestant_block(rival, workload->name);
    if (block == NULL)
        return true;
    if (!enter(contest, contestant, rival->name, block))
        return false;
    contestant->rival = rival;
    contestant->table =
        rival->open(workload->is_warmed ? ROOM_EVICT : ROOM_READ);
    if (contestant->table == NULL)
        return false;
    if (workload->is_filled)
        contestant_fill(contestant, workload->keys);
    return true;
}

static bool enter_all(contest *contest)
{
    contest->contestants =
        calloc(CONTESTANTS_MAX, sizeof *contest->contestants);
    if (contest->contestants == NULL || !enter_limit(contest) ||
        !enter_libmtc(contest))
        return false;
    for (size_t i = 0; i < RIVAL_COUNT; i++) {
        if (!enter_rival(contest, RIVALS[i]))
            return false;
    }
    return true;
}

static bool warm_up(contestant *contestant)
{
    bench_result *result = &contestant->bench.results[BENCH_WORKLOAD];
    bench_counts *unused = calloc(1, sizeof *unused);
    int64_t took_ns = 0;
    bool is_done =
        unused != NULL &&
        bench_crew_work(&result->crew, 0, WARM_UP_OPS, unused, &took_ns);
    free(unused);
    return is_done;
}

static bool work_round(contest *contest, int round)
{
    for (size_t i = 0; i < contest->count; i++) {
        bench *bench = &contest->contestants[i].bench;
        bench_result *result = &bench->results[BENCH_WORKLOAD];
        if (!bench_turn(result, round, contest->turn_ns))
            return false;
    }
    return true;
}

static void report(const contestant *contestant)
{
    const bench *bench = &contestant->bench;
    const bench_result *result = &bench->results[BENCH_WORKLOAD];
    printf("{\"workload\": \"%s\", \"threads\": %u, \"system\": \"%s\", "
           "\"hit_ratio\": %.4f, \"failed\": %llu, \"rounds\": [",
           bench->workload->name, bench->threads, contestant->name,
           (double)result->counts.hits / (double)result->counts.gets,
           (unsigned long long)result->counts.failed);
    for (int i = 0; i < BENCH_ROUNDS; i++)
        printf("%s%.0f", i > 0 ? ", " : "", result->rates[i]);
    printf("]}\n");
}

static bool run(contest *contest)
{
    if (!enter_all(contest))
        return false;
    for (size_t i = 1; contest->workload->is_warmed && i < contest->count; i++)
        if (!warm_up(&contest->contestants[i]))
            return false;
    for (int i = 0; i < BENCH_ROUNDS; i++) {
        if (!work_round(contest, i))
            return false;
    }
    for (size_t i = 0; i < contest->count; i++)
        report(&contest->contestants[i]);
    return true;
}

static void clean_up(contest *contest)
{
    for (size_t i = 0; i < contest->count; i++) {
        contestant *contestant = &contest->contestants[i];
        bench_crew_fini(&contestant->bench.results[BENCH_WORKLOAD].crew);
        limit_table_free(contestant->bench.limit);
        if (contestant->bench.cache != NULL)
            mtc_cache_close(&contestant->bench.cache);
        if (contestant->table != NULL)
            contestant->rival->close(contestant->table);
        free(contestant->bench.keys);
    }
    free(contest->contestants);
}

static const rival *rival_find(const char *name)
{
    for (size_t i = 0; i < RIVAL_COUNT; i++) {
        if (strcmp(RIVALS[i]->name, name) == 0)
            return RIVALS[i];
    }
    return NULL;
}

/* What a rival's memory grows by, an entry, beyond key and value. */
static bool measure_memory(const rival *rival)
{
    static contestant contestant;
    contestant.rival = rival;
    contestant.bench.workload = bench_workload_find("memory");
    if (!bench_keys_make(&contestant.bench))
        return false;
    int64_t before = bench_resident_bytes();
    contestant.table = rival->open(MEMORY_KEYS);
    if (contestant.table == NULL)
        return false;
    contestant_fill(&contestant, MEMORY_KEYS);
    int64_t growth = bench_resident_bytes() - before;
    printf("{\"workload\": \"memory\", \"system\": \"%s\", "
           "\"overhead_bytes_per_entry\": %.1f}\n",
           rival->name,
           (double)growth / MEMORY_KEYS - BENCH_KEY_SIZE - BENCH_VALUE_SIZE);
    rival->close(contestant.table);
    free(contestant.bench.keys);
    return true;
}

/* Whether the words make sense; fills in the contest. */
static bool is_sensible(contest *contest, char **words)
{
    double seconds = strtod(words[2], NULL);
    contest->workload = bench_workload_find(words[0]);
    contest->threads = (unsigned)strtoul(words[1], NULL, 10);
    contest->turn_ns = (int64_t)(seconds * 1e9 / BENCH_ROUNDS);
    return contest->workload != NULL && contest->workload->tiers != NULL &&
           contest->workload->drawn > 0 && contest->threads > 0 &&
           contest->threads <= THREADS_MAX && seconds > 0 &&
           seconds <= SECONDS_MAX;
}

int main(int argc, char **argv)
{
    contest contest = {0};
    if (argc == 3 && strcmp(argv[1], "memory") == 0 &&
        rival_find(argv[2]) != NULL)
        return !measure_memory(rival_find(argv[2]));
    if (argc != 4 || !is_sensible(&contest, argv + 1)) {
        fprintf(stderr, "usage: mtc_rivals WORKLOAD THREADS SECONDS\n"
                        "       mtc_rivals memory RIVAL\n");
        return 2;
    }
    bool is_done = run(&contest);
    clean_up(&contest);
    if (!is_done)
        fprintf(stderr, "mtc_rivals: no memory or threads for it\n");
    return !is_done;
}
