/*
 * A thousand callers of one missing key at the same moment.
 *
 * Each caller is a thread with a small stack; a gate holds them until all are
 * there.
 */
#include <stdlib.h>
#include <time.h>

#include "demo.h"
#include "output.h"

#define STACK_SIZE (128 << 10)

typedef struct stampede_run {
    demo *demo;
    mtc_slice key;
    atomic_uint loads;
    pthread_mutex_t mutex; /* guards is_open */
    pthread_cond_t opened;
    bool is_open;
} stampede_run;

typedef struct caller {
    stampede_run *run;
    pthread_t thread;
    mtc_status status;
    bool has_loaded;
    int64_t took_ns;
} caller;

static mtc_status load_slowly(mtc_load *load, void *ctx)
{
    static const struct timespec PAUSE = {0, DEMO_LOAD_MS * 1000000L};
    caller *caller = ctx;
    caller->has_loaded = true;
    atomic_fetch_add(&caller->run->loads, 1);
    nanosleep(&PAUSE, NULL);
    return mtc_load_set_value(load, mtc_str("worth waiting for"));
}

static void wait_for_gate(stampede_run *run)
{
    pthread_mutex_lock(&run->mutex);
    while (!run->is_open)
        pthread_cond_wait(&run->opened, &run->mutex);
    pthread_mutex_unlock(&run->mutex);
}

static void open_gate(stampede_run *run)
{
    pthread_mutex_lock(&run->mutex);
    run->is_open = true;
    pthread_cond_broadcast(&run->opened);
    pthread_mutex_unlock(&run->mutex);
}

static void *call(void *ctx)
{
    static const mtc_strategy KEPT = MTC_STRATEGY_INIT(DEMO_TTL_MS);
    caller *caller = ctx;
    stampede_run *run = caller->run;
    mtc_value value = {0};
    wait_for_gate(run);
    int64_t begun_ns = times_now_ns();
    caller->status = mtc_cache_get_or_load(run->demo->cache, run->key, &KEPT,
                                           load_slowly, caller, &value);
    caller->took_ns = times_now_ns() - begun_ns;
    mtc_value_free(&value);
    return NULL;
}

static unsigned start(stampede_run *run, caller *callers)
{
    pthread_attr_t attributes;
    unsigned count = 0;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    for (; count < DEMO_CALLERS; count++) {
        callers[count].run = run;
        if (pthread_create(&callers[count].thread, &attributes, call,
                           &callers[count]) != 0)
            break;
    }
    pthread_attr_destroy(&attributes);
    return count;
}

static void collect(demo_stampede *stampede, const caller *caller)
{
    if (caller->status != MTC_OK)
        stampede->failed++;
    else if (!caller->has_loaded)
        stampede->waited++;
    times_add(&stampede->answers, caller->took_ns);
}

bool demo_stampede_run(demo *demo)
{
    char buffer[DEMO_KEY_SIZE];
    demo_stampede *stampede = &demo->stampede;
    stampede_run run = {.demo = demo,
                        .key = demo_key(demo, demo->products, buffer),
                        .mutex = PTHREAD_MUTEX_INITIALIZER,
                        .opened = PTHREAD_COND_INITIALIZER};
    caller *callers = calloc(DEMO_CALLERS, sizeof *callers);
    if (callers == NULL) {
        complain("demo: out of memory");
        return false;
    }
    stampede->callers = start(&run, callers);
    int64_t begun_ns = times_now_ns();
    open_gate(&run);
    for (unsigned i = 0; i < stampede->callers; i++)
        pthread_join(callers[i].thread, NULL);
    stampede->duration_ns = times_now_ns() - begun_ns;
    for (unsigned i = 0; i < stampede->callers; i++)
        collect(stampede, &callers[i]);
    stampede->loads = atomic_load(&run.loads);
    free(callers);
    pthread_cond_destroy(&run.opened);
    pthread_mutex_destroy(&run.mutex);
    return demo_sleep_ms(demo, 0);
}
