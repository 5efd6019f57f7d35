/*
 * mtc bench storm: many callers in a closed loop, of keys that are mostly hot,
 * some only in the tier below memory, some new and loaded.
 *
 * The main thread fills the tier below, opens the gate and counts in five
 * parts of the time. Draws are shared and only read; each caller begins at a
 * place of its own. A thread writes its own part.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "callers.h"
#include "command.h"
#include "session.h"

#define COLD_KEYS 200000
#define LOAD_NS   INT64_C(5000000)

/* What a draw says beside the index of a hot key. */
#define DRAW_COLD UINT16_MAX
#define DRAW_NEW  (UINT16_MAX - 1)

/* Shares of the requests. */
#define SHARE_HOT  0.9
#define SHARE_COLD 0.05

/* The counter begins where the clock is, at a pace that no run keeps: a run
 * does not meet the new keys of the one before it, which live for 5 minutes. */
#define NUMBERS_PER_S 400000

typedef struct storm storm;

/* One caller. */
typedef struct caller {
    _Alignas(128) pthread_t id; /* first: callers_start */
    storm *run;
    uint64_t position;
    _Atomic uint64_t ops; /* written by its thread alone */
    uint64_t failed;
    uint64_t sum; /* of first bytes, so that they are read */
    times times;
} caller;

/* All of them. */
struct storm {
    bench *bench;
    caller *callers;
    uint16_t *draws; /* BENCH_DRAWS */
    gate begin;
    atomic_bool stop;
    _Alignas(128) _Atomic uint32_t number; /* of the next cold or new key */
};

static bool draw_all(storm *run)
{
    zipf zipf;
    zipf_shape shape;
    run->draws = calloc(BENCH_DRAWS, sizeof *run->draws);
    if (run->draws == NULL)
        return false;
    zipf_shape_init(&shape, run->bench->workload->keys);
    zipf_init(&zipf, &shape, 0);
    for (uint32_t i = 0; i < BENCH_DRAWS; i++) {
        double share = zipf_draw_share(&zipf);
        if (share < SHARE_HOT)
            run->draws[i] = (uint16_t)zipf_draw(&zipf);
        else
            run->draws[i] =
                share < SHARE_HOT + SHARE_COLD ? DRAW_COLD : DRAW_NEW;
    }
    return true;
}

/* "cold:" and so many digits. */
static mtc_slice write_key(char *text, const char *group, uint32_t number,
                           size_t digits)
{
    size_t size = strlen(group);
    memcpy(text, group, size);
    for (size_t at = size + digits; at > size; number /= 10)
        text[--at] = (char)('0' + number % 10);
    return mtc_bytes(text, size + digits);
}

/* The key of a caller's next request; written to text unless it is hot. */
static mtc_slice next_key(caller *caller, char *text)
{
    storm *run = caller->run;
    uint16_t draw = run->draws[caller->position++ & (BENCH_DRAWS - 1)];
    if (draw < DRAW_NEW)
        return bench_key(run->bench, draw);
    uint32_t number =
        atomic_fetch_add_explicit(&run->number, 1, memory_order_relaxed);
    if (draw == DRAW_COLD)
        return write_key(text, "cold:", number % COLD_KEYS, 8);
    return write_key(text, "new:", number, 10);
}

/* What a request came to. */
static void take(caller *caller, mtc_status status, mtc_value *value)
{
    uint64_t ops = atomic_load_explicit(&caller->ops, memory_order_relaxed);
    atomic_store_explicit(&caller->ops, ops + 1, memory_order_relaxed);
    if (status != MTC_OK)
        caller->failed++;
    else
        caller->sum += *(const unsigned char *)value->data;
    mtc_value_free(value);
}

static mtc_status load_soon(mtc_load *load, void *ctx)
{
    (void)ctx;
    return callers_load(load, LOAD_NS);
}

static void ask(caller *caller)
{
    char text[CALLER_KEY_ROOM];
    mtc_value value;
    bool is_timed = caller->position % BENCH_SAMPLE_EVERY == 0;
    mtc_slice key = next_key(caller, text);
    int64_t begun_ns = is_timed ? times_now_ns() : 0;
    mtc_status status =
        mtc_cache_get_or_load(caller->run->bench->cache, key, &MTC_SHORT_TERM,
                              load_soon, NULL, &value);
    if (is_timed)
        times_add(&caller->times, times_now_ns() - begun_ns);
    take(caller, status, &value);
}

static void *work(void *ctx)
{
    caller *caller = ctx;
    storm *run = caller->run;
    gate_wait(&run->begin, 0);
    while (!atomic_load_explicit(&run->stop, memory_order_relaxed))
        ask(caller);
    return NULL;
}

static uint64_t count_ops(const storm *run)
{
    uint64_t ops = 0;
    for (unsigned i = 0; i < run->bench->callers; i++)
        ops += atomic_load_explicit(&run->callers[i].ops, memory_order_relaxed);
    return ops;
}

/* Opens the gate and counts, part by part. */
static void measure(storm *run)
{
    bench_result *result = &run->bench->results[BENCH_WORKLOAD];
    int64_t begun_ns = times_now_ns();
    gate_open(&run->begin);
    for (int i = 0; i < BENCH_ROUNDS; i++) {
        uint64_t ops = result->counts.ops;
        int64_t took_ns = result->took_ns;
        callers_pause_ns(run->bench->duration_ns / BENCH_ROUNDS);
        result->counts.ops = count_ops(run);
        result->took_ns = times_now_ns() - begun_ns;
        result->rates[i] = (double)(result->counts.ops - ops) * 1e9 /
                           (double)(result->took_ns - took_ns);
    }
}

static tool_exit run_threads(storm *run)
{
    unsigned count = run->bench->callers;
    unsigned started =
        callers_start(run->callers, sizeof *run->callers, count, work);
    if (started == count)
        measure(run);
    atomic_store(&run->stop, true);
    gate_open(&run->begin);
    callers_join(run->callers, sizeof *run->callers, started);
    if (started == count)
        return TOOL_DONE;
    complain("bench: no threads for it");
    return TOOL_FAILED;
}

static void sum_up(storm *run)
{
    bench_counts *counts = &run->bench->results[BENCH_WORKLOAD].counts;
    for (unsigned i = 0; i < run->bench->callers; i++) {
        counts->failed += run->callers[i].failed;
        counts->sum += run->callers[i].sum;
        times_merge(&counts->get_times, &run->callers[i].times);
    }
    bench_note_stats(run->bench);
}

static bool prepare(storm *run)
{
    bench *bench = run->bench;
    struct timespec now;
    size_t size = bench->callers * sizeof *run->callers;
    run->callers = aligned_alloc(_Alignof(caller), size);
    if (run->callers == NULL || !bench_keys_make(bench) || !draw_all(run))
        return false;
    memset(run->callers, 0, size);
    for (unsigned i = 0; i < bench->callers; i++) {
        run->callers[i].run = run;
        run->callers[i].position = (uint64_t)i * (BENCH_DRAWS / bench->callers);
    }
    clock_gettime(CLOCK_REALTIME, &now);
    atomic_store(&run->number, (uint32_t)(now.tv_sec * NUMBERS_PER_S));
    return true;
}

static tool_exit run_storm(storm *run, const args *args)
{
    bench *bench = run->bench;
    if (!prepare(run)) {
        complain("bench: no memory for it");
        return TOOL_FAILED;
    }
    tool_exit exit = bench_below_fill(bench, args, "cold", COLD_KEYS);
    if (exit == TOOL_DONE)
        exit = session_open_for(args, bench->callers, &bench->cache);
    if (exit == TOOL_DONE)
        exit = run_threads(run);
    if (exit == TOOL_DONE)
        sum_up(run);
    return exit;
}

tool_exit bench_storm(bench *bench, const args *args)
{
    bench_below_args own;
    storm run = {.bench = bench};
    if (!bench_below_args_init(&own, bench, args))
        return TOOL_USAGE;
    tool_exit exit = run_storm(&run, &own.args);
    free(run.draws);
    free(run.callers);
    return exit;
}
