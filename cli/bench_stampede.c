/*
 * mtc bench stampede: many callers of one missing key, whose loader takes long.
 *
 * Twenty keys, one after the other. Between two of them the same threads are
 * woken by a bare broadcast: no library can wake them sooner. The main thread
 * opens the gate and reads what the threads left; each writes its own part.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "callers.h"
#include "command.h"
#include "session.h"

#define KEYS    20
#define LOAD_NS INT64_C(100000000)

/* Until the threads of a turn sleep again. */
#define SETTLE_NS INT64_C(20000000)

typedef struct stampede stampede;

/* One caller. */
typedef struct caller {
    pthread_t id; /* first: callers_start */
    stampede *run;
    int64_t took_ns;  /* for its last key */
    int64_t woken_ns; /* by the last broadcast */
    uint64_t failed;
} caller;

/* All of them, and the key of the turn. */
struct stampede {
    bench *bench;
    caller *callers;
    gate turn; /* a key, a broadcast, a key, and so on; at last the end */
    gate end;  /* of a turn */
    _Atomic unsigned busy;
    _Atomic uint64_t loads;
    _Atomic int64_t load_ns; /* what the last load took */
    bool is_over;
    char key[48];
    /* By key. */
    double over_load_ms[KEYS];
    double floor_ms[KEYS];
    double of_floor[KEYS];
};

static mtc_status load_slowly(mtc_load *load, void *ctx)
{
    stampede *run = ctx;
    int64_t begun_ns = times_now_ns();
    atomic_fetch_add(&run->loads, 1);
    mtc_status status = callers_load(load, LOAD_NS);
    atomic_store(&run->load_ns, times_now_ns() - begun_ns);
    return status;
}

static void ask(caller *caller)
{
    stampede *run = caller->run;
    mtc_value value;
    int64_t begun_ns = times_now_ns();
    mtc_status status =
        mtc_cache_get_or_load(run->bench->cache, mtc_str(run->key),
                              &MTC_SHORT_TERM, load_slowly, run, &value);
    caller->took_ns = times_now_ns() - begun_ns;
    caller->failed += status != MTC_OK;
    mtc_value_free(&value);
}

static void *work(void *ctx)
{
    caller *caller = ctx;
    stampede *run = caller->run;
    for (uint32_t turn = 0;; turn++) {
        gate_wait(&run->turn, turn);
        caller->woken_ns = times_now_ns();
        if (run->is_over)
            return NULL;
        if (turn % 2 == 0)
            ask(caller);
        if (atomic_fetch_sub(&run->busy, 1) == 1)
            gate_open(&run->end);
    }
}

/* Lets all threads loose and waits until each has done its turn. When they
 * were. */
static int64_t take_turn(stampede *run)
{
    uint32_t seen = gate_opened(&run->end);
    callers_pause_ns(SETTLE_NS);
    atomic_store(&run->busy, run->bench->callers);
    int64_t begun_ns = times_now_ns();
    gate_open(&run->turn);
    gate_wait(&run->end, seen);
    return begun_ns;
}

/* How long the slowest caller waited for a key that was never there. */
static int64_t measure_key(stampede *run)
{
    struct timespec now;
    bench_counts *counts = &run->bench->results[BENCH_WORKLOAD].counts;
    int64_t slowest_ns = 0;
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(run->key, sizeof run->key, "stampede:%lld.%09ld",
             (long long)now.tv_sec, now.tv_nsec);
    take_turn(run);
    for (unsigned i = 0; i < run->bench->callers; i++) {
        int64_t took_ns = run->callers[i].took_ns;
        times_add(&counts->get_times, took_ns);
        slowest_ns = took_ns > slowest_ns ? took_ns : slowest_ns;
    }
    counts->ops += run->bench->callers;
    return slowest_ns;
}

/* How long after a bare broadcast the slowest thread ran. */
static int64_t measure_floor(stampede *run)
{
    int64_t begun_ns = take_turn(run);
    int64_t last_ns = begun_ns;
    for (unsigned i = 0; i < run->bench->callers; i++) {
        int64_t woken_ns = run->callers[i].woken_ns;
        last_ns = woken_ns > last_ns ? woken_ns : last_ns;
    }
    return last_ns - begun_ns;
}

static void measure(stampede *run)
{
    bench_result *result = &run->bench->results[BENCH_WORKLOAD];
    int64_t begun_ns = times_now_ns();
    for (int i = 0; i < KEYS; i++) {
        int64_t over_ns = measure_key(run) - atomic_load(&run->load_ns);
        int64_t floor_ns = measure_floor(run);
        run->over_load_ms[i] = (double)over_ns / 1e6;
        run->floor_ms[i] = (double)floor_ns / 1e6;
        run->of_floor[i] = run->over_load_ms[i] / run->floor_ms[i];
    }
    result->took_ns = times_now_ns() - begun_ns;
}

static void sum_up(stampede *run)
{
    bench *bench = run->bench;
    bench->waits = (bench_waits){
        .over_load_ms = bench_spread_of(run->over_load_ms, KEYS),
        .floor_ms = bench_spread_of(run->floor_ms, KEYS),
        .of_floor = bench_spread_of(run->of_floor, KEYS),
        .keys = KEYS,
    };
    for (unsigned i = 0; i < bench->callers; i++)
        bench->results[BENCH_WORKLOAD].counts.failed += run->callers[i].failed;
    bench_note_stats(bench);
    bench->loads = atomic_load(&run->loads);
}

/* Starts the threads, measures, and ends them. */
static tool_exit run_threads(stampede *run)
{
    unsigned count = run->bench->callers;
    for (unsigned i = 0; i < count; i++)
        run->callers[i].run = run;
    unsigned started =
        callers_start(run->callers, sizeof *run->callers, count, work);
    if (started == count)
        measure(run);
    run->is_over = true;
    gate_open(&run->turn);
    callers_join(run->callers, sizeof *run->callers, started);
    if (started == count)
        return TOOL_DONE;
    complain("bench: no threads for it");
    return TOOL_FAILED;
}

tool_exit bench_stampede(bench *bench, const args *args)
{
    bench_below_args own;
    stampede run = {.bench = bench};
    if (!bench_below_args_init(&own, bench, args))
        return TOOL_USAGE;
    tool_exit exit = session_open(&own.args, &bench->cache);
    if (exit != TOOL_DONE)
        return exit;
    run.callers = calloc(bench->callers, sizeof *run.callers);
    if (run.callers == NULL) {
        complain("bench: no memory for it");
        return TOOL_FAILED;
    }
    exit = run_threads(&run);
    if (exit == TOOL_DONE)
        sum_up(&run);
    free(run.callers);
    return exit;
}
