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
#include "loop.h"
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

/* One thread, of one caller that blocks or of many that do not. */
typedef struct thread {
    _Alignas(128) pthread_t id; /* first: callers_start */
    storm *run;
    struct caller *callers;
    unsigned count;
    unsigned waiting; /* of its callers */
    loop loop;        /* of those that do not block */
    _Atomic uint64_t ops;
    uint64_t failed;
    uint64_t sum; /* of first bytes, so that they are read */
    times times;
} thread;

typedef struct caller {
    thread *thread;
    uint64_t position; /* of its next draw */
    int64_t begun_ns;  /* 0: this request is not timed */
    bool is_asking;    /* its call has not returned */
} caller;

/* All of them. */
struct storm {
    bench *bench;
    thread *threads;
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

/* The key of a caller's next request, which begins now; written to text unless
 * it is hot. */
static mtc_slice next_key(caller *caller, char *text)
{
    storm *run = caller->thread->run;
    bool is_timed = caller->position % BENCH_SAMPLE_EVERY == 0;
    uint16_t draw = run->draws[caller->position++ & (BENCH_DRAWS - 1)];
    caller->begun_ns = is_timed ? times_now_ns() : 0;
    if (draw < DRAW_NEW)
        return bench_key(run->bench, draw);
    uint32_t number =
        atomic_fetch_add_explicit(&run->number, 1, memory_order_relaxed);
    if (draw == DRAW_COLD)
        return write_key(text, "cold:", number % COLD_KEYS, 8);
    return write_key(text, "new:", number, 10);
}

/* What a request came to. */
static void take(caller *caller, mtc_status status, const mtc_value *value)
{
    thread *thread = caller->thread;
    uint64_t ops = atomic_load_explicit(&thread->ops, memory_order_relaxed);
    atomic_store_explicit(&thread->ops, ops + 1, memory_order_relaxed);
    if (status == MTC_OK)
        thread->sum += *(const unsigned char *)value->data;
    else
        thread->failed++;
    if (caller->begun_ns > 0)
        times_add(&thread->times, times_now_ns() - caller->begun_ns);
}

static bool is_stopped(const storm *run)
{
    return atomic_load_explicit(&run->stop, memory_order_relaxed);
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
    mtc_slice key = next_key(caller, text);
    mtc_status status =
        mtc_cache_get_or_load(caller->thread->run->bench->cache, key,
                              &MTC_SHORT_TERM, load_soon, NULL, &value);
    take(caller, status, &value);
    mtc_value_free(&value);
}

static void answered(void *ctx, mtc_status status, mtc_value *value);

/* Asks until an answer comes later, the run is over, or a call is refused. */
static void ask_async(caller *caller)
{
    thread *thread = caller->thread;
    char text[CALLER_KEY_ROOM];
    mtc_status status = MTC_OK;
    mtc_call call = MTC_CALL_INIT;
    call.flags = MTC_CALL_AT_ONCE;
    call.strategy = &MTC_SHORT_TERM;
    caller->is_asking = true;
    while (status >= 0 && status != MTC_PENDING && !is_stopped(thread->run)) {
        mtc_slice key = next_key(caller, text);
        status = mtc_cache_get_or_load_async(thread->loop.queue, key, &call,
                                             loop_begin_load, &thread->loop,
                                             answered, caller);
    }
    caller->is_asking = false;
    thread->waiting += status == MTC_PENDING;
    thread->failed += status < 0;
}

/* At once, while the caller asks, or by a drain. */
static void answered(void *ctx, mtc_status status, mtc_value *value)
{
    caller *caller = ctx;
    take(caller, status, value);
    if (caller->is_asking)
        return;
    caller->thread->waiting--;
    ask_async(caller);
}

static void *work(void *ctx)
{
    thread *thread = ctx;
    gate_wait(&thread->run->begin, 0);
    while (!is_stopped(thread->run))
        ask(thread->callers);
    return NULL;
}

static void *work_async(void *ctx)
{
    thread *thread = ctx;
    gate_wait(&thread->run->begin, 0);
    for (unsigned i = 0; i < thread->count; i++)
        ask_async(&thread->callers[i]);
    while (thread->waiting > 0)
        loop_turn(&thread->loop);
    return NULL;
}

static uint64_t count_ops(const storm *run)
{
    uint64_t ops = 0;
    for (unsigned i = 0; i < run->bench->threads; i++)
        ops += atomic_load_explicit(&run->threads[i].ops, memory_order_relaxed);
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

static bool run_threads(storm *run)
{
    unsigned count = run->bench->threads;
    size_t size = sizeof *run->threads;
    unsigned started = callers_start(run->threads, size, count,
                                     run->bench->is_async ? work_async : work);
    if (started == count)
        measure(run);
    atomic_store(&run->stop, true);
    gate_open(&run->begin);
    callers_join(run->threads, size, started);
    return started == count;
}

static void sum_up(storm *run)
{
    bench_counts *counts = &run->bench->results[BENCH_WORKLOAD].counts;
    for (unsigned i = 0; i < run->bench->threads; i++) {
        counts->failed += run->threads[i].failed;
        counts->sum += run->threads[i].sum;
        times_merge(&counts->get_times, &run->threads[i].times);
    }
    bench_note_stats(run->bench);
}

/* The callers of a thread, each at a place of its own among the draws. */
static bool prepare_thread(storm *run, unsigned index)
{
    bench *bench = run->bench;
    thread *thread = &run->threads[index];
    unsigned first = callers_first(bench, index);
    thread->run = run;
    thread->callers = &run->callers[first];
    thread->count = callers_first(bench, index + 1) - first;
    for (unsigned i = 0; i < thread->count; i++) {
        thread->callers[i].thread = thread;
        thread->callers[i].position =
            (uint64_t)(first + i) * (BENCH_DRAWS / bench->callers);
    }
    return !bench->is_async ||
           loop_init(&thread->loop, bench->cache, thread->count, LOAD_NS);
}

static bool prepare(storm *run)
{
    bench *bench = run->bench;
    struct timespec now;
    size_t size = bench->threads * sizeof *run->threads;
    run->callers = calloc(bench->callers, sizeof *run->callers);
    run->threads = aligned_alloc(_Alignof(thread), size);
    if (run->threads == NULL)
        return false;
    memset(run->threads, 0, size);
    if (run->callers == NULL || !bench_keys_make(bench) || !draw_all(run))
        return false;
    for (unsigned i = 0; i < bench->threads; i++) {
        if (!prepare_thread(run, i))
            return false;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    atomic_store(&run->number, (uint32_t)(now.tv_sec * NUMBERS_PER_S));
    return true;
}

static void clean_up(storm *run)
{
    for (unsigned i = 0; run->threads && i < run->bench->threads; i++)
        loop_fini(&run->threads[i].loop);
    free(run->threads);
    free(run->callers);
    free(run->draws);
}

tool_exit bench_storm(bench *bench, const args *args)
{
    bench_below_args own;
    storm run = {.bench = bench};
    if (!bench_below_args_init(&own, bench, args))
        return TOOL_USAGE;
    tool_exit exit = bench_below_fill(bench, &own.args, "cold", COLD_KEYS);
    if (exit == TOOL_DONE)
        exit = session_open_for(&own.args, bench->callers, &bench->cache);
    if (exit != TOOL_DONE)
        return exit;
    if (prepare(&run) && run_threads(&run))
        sum_up(&run);
    else
        exit = callers_complain();
    clean_up(&run);
    return exit;
}
