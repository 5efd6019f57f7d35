/*
 * Reading products from many threads, through the cache or without it.
 *
 * Each thread has its own sequence, connection and times; the main thread
 * shows the progress from counters that the threads publish.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "demo.h"
#include "output.h"

typedef struct reads_run {
    demo *demo;
    demo_reads *reads;
    int64_t end_ns;
    atomic_bool stop;
    atomic_uint running;
} reads_run;

typedef struct worker {
    reads_run *run;
    pthread_t thread;
    zipf zipf;
    source_reader *source;
    bool has_loaded; /* the loader ran in this thread's call */
    uint64_t wrong;
    uint64_t count;
    _Atomic uint64_t counts[OUTCOMES]; /* for the progress */
    times outcomes[OUTCOMES];
} worker;

static mtc_status load_product(mtc_load *load, void *ctx)
{
    worker *worker = ctx;
    char page[SOURCE_PAGE_SIZE];
    mtc_slice key = mtc_load_key(load);
    const char *digits = (const char *)key.data + key.size - 6;
    char id[7];
    memcpy(id, digits, 6);
    id[6] = '\0';
    worker->has_loaded = true;
    size_t size = source_read(worker->source, strtoull(id, NULL, 10), page);
    if (size == 0)
        return MTC_E_LOAD_FAILED;
    return mtc_load_set_value(load, mtc_bytes(page, size));
}

/* Whether the page is that of the product. */
static bool is_page_of(mtc_slice page, uint64_t id)
{
    char wanted[40];
    int size = snprintf(wanted, sizeof wanted, "{\"id\":%" PRIu64 ",", id);
    return page.size > (size_t)size &&
           memcmp(page.data, wanted, (size_t)size) == 0;
}

static demo_outcome outcome_of(const worker *worker, mtc_status status,
                               const mtc_value *value)
{
    mtc_value_info info = MTC_VALUE_INFO_INIT;
    if (status != MTC_OK || mtc_value_info_get(value, &info) != MTC_OK)
        return OUTCOME_FAILED;
    if (worker->has_loaded)
        return OUTCOME_LOAD;
    return info.tier == 0   ? OUTCOME_MEMORY
           : info.tier == 1 ? OUTCOME_SECOND
                            : OUTCOME_WAITED;
}

static void note_read(worker *worker, demo_outcome outcome, int64_t ns)
{
    times_add(&worker->outcomes[outcome], ns);
    worker->count++;
    uint64_t count = worker->outcomes[outcome].count;
    atomic_store_explicit(&worker->counts[outcome], count,
                          memory_order_relaxed);
}

static void read_cached(worker *worker, uint64_t id)
{
    static const mtc_strategy KEPT = MTC_STRATEGY_INIT(DEMO_TTL_MS);
    demo *demo = worker->run->demo;
    char buffer[DEMO_KEY_SIZE];
    mtc_value value = {0};
    mtc_slice key = demo_key(demo, id, buffer);
    worker->has_loaded = false;
    int64_t begun_ns = times_now_ns();
    mtc_status status = mtc_cache_get_or_load(demo->cache, key, &KEPT,
                                              load_product, worker, &value);
    int64_t ns = times_now_ns() - begun_ns;
    demo_outcome outcome = outcome_of(worker, status, &value);
    if (outcome != OUTCOME_FAILED && !is_page_of(mtc_value_slice(&value), id))
        worker->wrong++;
    note_read(worker, outcome, ns);
    mtc_value_free(&value);
}

static void read_uncached(worker *worker, uint64_t id)
{
    char page[SOURCE_PAGE_SIZE];
    int64_t begun_ns = times_now_ns();
    size_t size = source_read(worker->source, id, page);
    int64_t ns = times_now_ns() - begun_ns;
    note_read(worker, size > 0 ? OUTCOME_LOAD : OUTCOME_FAILED, ns);
}

static bool goes_on(const worker *worker)
{
    const demo_reads *reads = worker->run->reads;
    if (atomic_load_explicit(&worker->run->stop, memory_order_relaxed))
        return false;
    return reads->thread_reads_max == 0 ||
           worker->count < reads->thread_reads_max;
}

static void *work(void *ctx)
{
    worker *worker = ctx;
    while (goes_on(worker)) {
        uint64_t id = zipf_draw(&worker->zipf);
        if (worker->run->reads->is_uncached)
            read_uncached(worker, id);
        else
            read_cached(worker, id);
    }
    atomic_fetch_sub(&worker->run->running, 1);
    return NULL;
}

static void show_progress(const worker *workers, int64_t passed_ns)
{
    uint64_t counts[OUTCOMES] = {0};
    for (unsigned i = 0; i < DEMO_THREADS; i++) {
        for (unsigned j = 0; j < OUTCOMES; j++)
            counts[j] += atomic_load_explicit(&workers[i].counts[j],
                                              memory_order_relaxed);
    }
    const reads_run *run = workers[0].run;
    demo_progress(run->reads, run->demo->second, counts, passed_ns);
}

/* Shows the progress until the threads are done, the time is over, or a
 * signal comes; the threads stop soon afterwards. */
static void watch(reads_run *run, const worker *workers, int64_t begun_ns)
{
    int64_t shown_ns = begun_ns;
    int64_t step_ns = demo_progress_step_ms() * 1000000;
    while (atomic_load(&run->running) > 0 && demo_sleep_ms(run->demo, 20)) {
        int64_t now_ns = times_now_ns();
        if (now_ns >= run->end_ns)
            break;
        if (now_ns - shown_ns < step_ns)
            continue;
        show_progress(workers, now_ns - begun_ns);
        shown_ns = now_ns;
    }
    atomic_store(&run->stop, true);
}

/* Starts the threads that can be started; how many. */
static unsigned start(reads_run *run, worker *workers)
{
    for (unsigned i = 0; i < DEMO_THREADS; i++) {
        workers[i].run = run;
        zipf_init(&workers[i].zipf, &run->demo->shape, i);
        workers[i].source = source_open(run->demo->source_path);
        if (workers[i].source == NULL)
            return i;
        atomic_fetch_add(&run->running, 1);
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0)
            continue;
        atomic_fetch_sub(&run->running, 1);
        source_close(workers[i].source);
        return i;
    }
    return DEMO_THREADS;
}

static void collect(demo_reads *reads, const worker *workers, unsigned count)
{
    reads->fewest = count > 0 ? UINT64_MAX : 0;
    for (unsigned i = 0; i < count; i++) {
        for (unsigned j = 0; j < OUTCOMES; j++) {
            times_merge(&reads->outcomes[j], &workers[i].outcomes[j]);
            times_merge(&reads->all, &workers[i].outcomes[j]);
        }
        reads->wrong += workers[i].wrong;
        if (workers[i].count < reads->fewest)
            reads->fewest = workers[i].count;
    }
}

bool demo_read(demo *demo, demo_reads *reads)
{
    worker *workers = calloc(DEMO_THREADS, sizeof *workers);
    if (workers == NULL) {
        complain("demo: out of memory");
        return false;
    }
    int64_t begun_ns = times_now_ns();
    reads_run run = {demo, reads, begun_ns + reads->duration_ns_max, false, 0};
    unsigned started = start(&run, workers);
    if (started == DEMO_THREADS)
        watch(&run, workers, begun_ns);
    atomic_store(&run.stop, true);
    for (unsigned i = 0; i < started; i++) {
        pthread_join(workers[i].thread, NULL);
        source_close(workers[i].source);
    }
    demo_progress_end();
    reads->duration_ns = times_now_ns() - begun_ns;
    collect(reads, workers, started);
    free(workers);
    if (started < DEMO_THREADS)
        complain("demo: only %u of %d threads could be started", started,
                 DEMO_THREADS);
    return started == DEMO_THREADS && demo->signal == 0;
}
