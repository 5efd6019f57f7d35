/*
 * The threads of mtc bench: made ready once, let loose pass by pass.
 *
 * Owns the workers with their draws. The main thread alone calls in here; a
 * worker is its own thread's while a pass lasts.
 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool draw_all(bench_worker *worker, const zipf_shape *shape)
{
    zipf zipf;
    worker->draws = calloc(BENCH_DRAWS, sizeof *worker->draws);
    if (worker->draws == NULL)
        return false;
    zipf_init(&zipf, shape, worker->index);
    for (uint32_t i = 0; i < BENCH_DRAWS; i++)
        worker->draws[i] = (uint32_t)zipf_draw(&zipf);
    return true;
}

/* In cache lines of their own: a worker writes them all the time. */
static mtc_item *items_new(size_t count)
{
    size_t line = _Alignof(bench_worker);
    size_t size = (count * sizeof(mtc_item) + line - 1) / line * line;
    mtc_item *items = aligned_alloc(line, size);
    if (items != NULL)
        memset(items, 0, size);
    return items;
}

bool bench_crew_init(bench_crew *crew, const bench *bench, unsigned count,
                     bench_block block, uint32_t drawn)
{
    zipf_shape shape;
    size_t size = count * sizeof *crew->workers;
    crew->workers = aligned_alloc(_Alignof(bench_worker), size);
    if (crew->workers == NULL)
        return false;
    memset(crew->workers, 0, size);
    crew->block = block;
    crew->count = count;
    if (drawn > 0)
        zipf_shape_init(&shape, drawn);
    for (uint32_t i = 0; i < crew->count; i++) {
        bench_worker *worker = &crew->workers[i];
        worker->bench = bench;
        worker->crew = crew;
        worker->index = i;
        worker->items = items_new(bench->batch);
        if (worker->items == NULL || (drawn > 0 && !draw_all(worker, &shape)))
            return false;
    }
    return true;
}

void bench_crew_fini(bench_crew *crew)
{
    for (unsigned i = 0; i < crew->count; i++) {
        free(crew->workers[i].draws);
        free(crew->workers[i].items);
    }
    free(crew->workers);
    crew->workers = NULL;
    crew->count = 0;
}

static void *work(void *ctx)
{
    bench_worker *worker = ctx;
    bench_crew *crew = worker->crew;
    uint64_t ops_max = crew->thread_ops_max;
    pthread_mutex_lock(&crew->gate);
    pthread_mutex_unlock(&crew->gate);
    worker->begun_ns = times_now_ns();
    /* At least once, however late it came to run: a pass has a rate. */
    do {
        crew->block(worker);
    } while (!atomic_load_explicit(&crew->stop, memory_order_relaxed) &&
             worker->counts.ops < ops_max && !worker->is_done);
    worker->ended_ns = times_now_ns();
    return NULL;
}

/* Starts every thread behind the gate, or as many as can be started. */
static unsigned start_locked(bench_crew *crew)
{
    for (unsigned i = 0; i < crew->count; i++) {
        bench_worker *worker = &crew->workers[i];
        memset(&worker->counts, 0, sizeof worker->counts);
        if (pthread_create(&worker->thread, NULL, work, worker) != 0)
            return i;
    }
    return crew->count;
}

static void add_counts(bench_counts *to, const bench_counts *from)
{
    to->ops += from->ops;
    to->gets += from->gets;
    to->hits += from->hits;
    to->failed += from->failed;
    to->sum += from->sum;
    times_merge(&to->get_times, &from->get_times);
    times_merge(&to->set_times, &from->set_times);
}

/* From the first that began to the last that ended. */
static int64_t time_of_pass(const bench_crew *crew)
{
    int64_t begun_ns = crew->workers[0].begun_ns;
    int64_t ended_ns = crew->workers[0].ended_ns;
    for (unsigned i = 1; i < crew->count; i++) {
        const bench_worker *worker = &crew->workers[i];
        if (worker->begun_ns < begun_ns)
            begun_ns = worker->begun_ns;
        if (worker->ended_ns > ended_ns)
            ended_ns = worker->ended_ns;
    }
    return ended_ns - begun_ns;
}

static void pause_ns(int64_t ns)
{
    struct timespec pause = {ns / 1000000000, ns % 1000000000};
    nanosleep(&pause, NULL);
}

bool bench_crew_work(bench_crew *crew, int64_t duration_ns, uint64_t ops_max,
                     bench_counts *counts, int64_t *took_ns)
{
    crew->thread_ops_max = ops_max == 0 ? UINT64_MAX : ops_max / crew->count;
    atomic_store(&crew->stop, false);
    pthread_mutex_init(&crew->gate, NULL);
    pthread_mutex_lock(&crew->gate);
    unsigned started = start_locked(crew);
    if (started < crew->count)
        atomic_store(&crew->stop, true);
    pthread_mutex_unlock(&crew->gate);
    if (ops_max == 0 && started == crew->count) {
        pause_ns(duration_ns);
        atomic_store(&crew->stop, true);
    }
    for (unsigned i = 0; i < started; i++) {
        pthread_join(crew->workers[i].thread, NULL);
        add_counts(counts, &crew->workers[i].counts);
    }
    pthread_mutex_destroy(&crew->gate);
    if (started < crew->count)
        return false;
    *took_ns += time_of_pass(crew);
    return true;
}
