/*
 * A program on libevent: the cache's callbacks run in its loop.
 */
#include <mtc.h>
#include <mtc/libevent.h>
#include <stdio.h>

#define CALLS 200

typedef struct program {
    mtc_cache *cache;
    mtc_queue *queue;
    mtc_load *pending[CALLS];
    int pending_count, loads, done, wrong;
    struct event_base *base; /* its timer stands for the source */
} program;

/* Asks the source, without waiting. */
static mtc_status begin_load(mtc_load *load, void *ctx)
{
    program *program = ctx;
    program->loads++;
    program->pending[program->pending_count++] = load;
    return MTC_PENDING;
}

/* The source has answered. */
static void answer_all(program *program)
{
    for (int i = 0; i < program->pending_count; i++) {
        mtc_load *load = program->pending[i];
        mtc_load_set_value(load, mtc_load_key(load));
        mtc_load_answer(load, MTC_OK);
    }
    program->pending_count = 0;
}

static void note_value(void *ctx, mtc_status status, mtc_value *value)
{
    program *program = ctx;
    program->done++;
    program->wrong += status != MTC_OK || value->size != 6;
    if (program->done == CALLS)
        event_base_loopbreak(program->base);
}

/* Twenty calls for each of ten keys: ten loads. */
static void call_all(program *program)
{
    char key[16];
    for (int i = 0; i < CALLS; i++) {
        snprintf(key, sizeof key, "user:%d", i % 10);
        if (mtc_cache_get_or_load_async(program->queue, mtc_str(key), NULL,
                                        begin_load, program, note_value,
                                        program) != MTC_PENDING)
            program->wrong++;
    }
}

static void source_answers(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what;
    answer_all(ctx);
}

static int open_all(program *program)
{
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    options.tiers = "memory";
    return mtc_cache_open(&options, NULL, &program->cache) != MTC_OK ||
           mtc_queue_open(program->cache, &program->queue) != MTC_OK;
}

static int close_all(program *program)
{
    printf("%d calls, %d loads\n", program->done, program->loads);
    mtc_queue_close(&program->queue);
    mtc_cache_close(&program->cache);
    return program->done != CALLS || program->loads != 10 || program->wrong;
}

int main(void)
{
    program program = {.base = event_base_new()};
    mtc_libevent adapter;
    struct timeval after = {0, 20000};
    struct event *source;
    if (open_all(&program) ||
        mtc_libevent_start(&adapter, program.base, program.queue))
        return 1;
    source = event_new(program.base, -1, EV_PERSIST, source_answers, &program);
    event_add(source, &after);
    call_all(&program);
    event_base_dispatch(program.base);
    event_free(source);
    mtc_libevent_stop(&adapter);
    event_base_free(program.base);
    return close_all(&program);
}
