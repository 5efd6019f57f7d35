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
#include "loop.h"
#include "session.h"

#define KEYS    20
#define LOAD_NS INT64_C(100000000)

/* Until the threads of a turn sleep again. */
#define SETTLE_NS INT64_C(20000000)

typedef struct stampede stampede;

/* One thread, of one caller that blocks or of many that do not. */
typedef struct thread {
    pthread_t id; /* first: callers_start */
    stampede *run;
    struct caller *callers;
    unsigned count;
    unsigned waiting; /* of its callers */
    loop loop;        /* of those that do not block */
    int64_t woken_ns; /* by the last broadcast */
} thread;

typedef struct caller {
    thread *thread;
    int64_t begun_ns;
    int64_t took_ns; /* for the last key */
    uint64_t failed;
} caller;

/* All of them, and the key of the turn. */
struct stampede {
    bench *bench;
    thread *threads;
    caller *callers;
    gate turn; /* a key, a broadcast, a key, and so on; at last the end */
    gate end;  /* of a turn */
    _Atomic unsigned busy;
    _Atomic uint64_t loads;
    _Atomic int64_t load_ns;  /* what the last load took, */
    _Atomic int64_t ended_ns; /* and when it was over */
    bool is_over;
    char key[48];
    /* By key. */
    double over_load_ms[KEYS];
    double after_load_ms[KEYS];
    double floor_ms[KEYS];
    double of_floor[KEYS];
};

static void note_loads(stampede *run, uint64_t loads, int64_t took_ns,
                       int64_t ended_ns)
{
    if (loads == 0)
        return;
    atomic_fetch_add(&run->loads, loads);
    atomic_store(&run->load_ns, took_ns);
    atomic_store(&run->ended_ns, ended_ns);
}

static void take(caller *caller, mtc_status status)
{
    caller->took_ns = times_now_ns() - caller->begun_ns;
    caller->failed += status != MTC_OK;
}

static mtc_status load_slowly(mtc_load *load, void *ctx)
{
    int64_t begun_ns = times_now_ns();
    mtc_status status = callers_load(load, LOAD_NS);
    int64_t ended_ns = times_now_ns();
    note_loads(ctx, 1, ended_ns - begun_ns, ended_ns);
    return status;
}

static void ask(caller *caller)
{
    stampede *run = caller->thread->run;
    mtc_value value;
    caller->begun_ns = times_now_ns();
    take(caller,
         mtc_cache_get_or_load(run->bench->cache, mtc_str(run->key),
                               &MTC_SHORT_TERM, load_slowly, run, &value));
    mtc_value_free(&value);
}

static void answered(void *ctx, mtc_status status, mtc_value *value)
{
    caller *caller = ctx;
    (void)value;
    take(caller, status);
    caller->thread->waiting--;
}

static void begin(caller *caller)
{
    thread *thread = caller->thread;
    mtc_call call = MTC_CALL_INIT;
    call.strategy = &MTC_SHORT_TERM;
    caller->begun_ns = times_now_ns();
    mtc_status status =
        mtc_cache_get_or_load_async(thread->loop.queue,
                                    mtc_str(thread->run->key), &call,
                                    loop_begin_load, &thread->loop, answered,
                                    caller);
    if (status == MTC_PENDING)
        thread->waiting++;
    else
        take(caller, status);
}

/* All callers of the thread, side by side. */
static void ask_async(thread *thread)
{
    loop *loop = &thread->loop;
    uint64_t loads = loop->loads;
    for (unsigned i = 0; i < thread->count; i++)
        begin(&thread->callers[i]);
    while (thread->waiting > 0)
        loop_turn(loop);
    note_loads(thread->run, loop->loads - loads, loop->took_ns, loop->ended_ns);
}

static void *work(void *ctx)
{
    thread *thread = ctx;
    stampede *run = thread->run;
    for (uint32_t turn = 0;; turn++) {
        gate_wait(&run->turn, turn);
        thread->woken_ns = times_now_ns();
        if (run->is_over)
            return NULL;
        if (turn % 2 == 0 && run->bench->is_async)
            ask_async(thread);
        else if (turn % 2 == 0)
            ask(thread->callers);
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
    atomic_store(&run->busy, run->bench->threads);
    int64_t begun_ns = times_now_ns();
    gate_open(&run->turn);
    gate_wait(&run->end, seen);
    return begun_ns;
}

static double ms_of(int64_t ns)
{
    return (double)ns / 1e6;
}

/* How long callers waited for a key that was never there. */
static void measure_key(stampede *run, int key)
{
    struct timespec now;
    bench_counts *counts = &run->bench->results[BENCH_WORKLOAD].counts;
    int64_t slowest_ns = 0, last_ns = 0;
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(run->key, sizeof run->key, "stampede:%lld.%09ld",
             (long long)now.tv_sec, now.tv_nsec);
    take_turn(run);
    for (unsigned i = 0; i < run->bench->callers; i++) {
        int64_t took_ns = run->callers[i].took_ns;
        int64_t ended_ns = run->callers[i].begun_ns + took_ns;
        times_add(&counts->get_times, took_ns);
        slowest_ns = took_ns > slowest_ns ? took_ns : slowest_ns;
        last_ns = ended_ns > last_ns ? ended_ns : last_ns;
    }
    counts->ops += run->bench->callers;
    run->over_load_ms[key] = ms_of(slowest_ns - atomic_load(&run->load_ns));
    run->after_load_ms[key] = ms_of(last_ns - atomic_load(&run->ended_ns));
}

/* How long after a bare broadcast the slowest thread ran. */
static int64_t measure_floor(stampede *run)
{
    int64_t begun_ns = take_turn(run);
    int64_t last_ns = begun_ns;
    for (unsigned i = 0; i < run->bench->threads; i++) {
        int64_t woken_ns = run->threads[i].woken_ns;
        last_ns = woken_ns > last_ns ? woken_ns : last_ns;
    }
    return last_ns - begun_ns;
}

static void measure(stampede *run)
{
    bench_result *result = &run->bench->results[BENCH_WORKLOAD];
    int64_t begun_ns = times_now_ns();
    for (int i = 0; i < KEYS; i++) {
        measure_key(run, i);
        run->floor_ms[i] = ms_of(measure_floor(run));
        run->of_floor[i] = run->over_load_ms[i] / run->floor_ms[i];
    }
    result->took_ns = times_now_ns() - begun_ns;
}

static void sum_up(stampede *run)
{
    bench *bench = run->bench;
    bench->waits = (bench_waits){
        .over_load_ms = bench_spread_of(run->over_load_ms, KEYS),
        .after_load_ms = bench_spread_of(run->after_load_ms, KEYS),
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
static bool run_threads(stampede *run)
{
    unsigned count = run->bench->threads;
    size_t size = sizeof *run->threads;
    unsigned started = callers_start(run->threads, size, count, work);
    if (started == count)
        measure(run);
    run->is_over = true;
    gate_open(&run->turn);
    callers_join(run->threads, size, started);
    return started == count;
}

/* Shares the callers out to the threads. */
static bool prepare(stampede *run)
{
    bench *bench = run->bench;
    run->threads = calloc(bench->threads, sizeof *run->threads);
    run->callers = calloc(bench->callers, sizeof *run->callers);
    if (run->threads == NULL || run->callers == NULL)
        return false;
    for (unsigned i = 0; i < bench->threads; i++) {
        thread *thread = &run->threads[i];
        unsigned first = callers_first(bench, i);
        thread->run = run;
        thread->callers = &run->callers[first];
        thread->count = callers_first(bench, i + 1) - first;
        for (unsigned k = 0; k < thread->count; k++)
            thread->callers[k].thread = thread;
        if (bench->is_async &&
            !loop_init(&thread->loop, bench->cache, thread->count, LOAD_NS))
            return false;
    }
    return true;
}

static void clean_up(stampede *run)
{
    for (unsigned i = 0; run->threads && i < run->bench->threads; i++)
        loop_fini(&run->threads[i].loop);
    free(run->threads);
    free(run->callers);
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
    if (prepare(&run) && run_threads(&run))
        sum_up(&run);
    else
        exit = callers_complain();
    clean_up(&run);
    return exit;
}
