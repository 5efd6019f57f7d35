/*
 * A program on libuv: the cache's callbacks run in its loop.
 */
#include <mtc.h>
#include <mtc/uv.h>
#include <stdio.h>

#define CALLS 200

typedef struct program {
    mtc_cache *cache;
    mtc_queue *queue;
    mtc_load *pending[CALLS];
    int pending_count, loads, done, wrong;
    mtc_uv adapter;
    uv_timer_t timer; /* stands for the source */
} program;

/* Asks the source, without waiting. */
static mtc_status begin_load(mtc_load *load, void *ctx)
{
    program *program = ctx;
    program->loads++;
    program->pending[program->pending_count++] = load;
    return MTC_PENDING;
}

/* The source has answered all that was asked until now. */
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
    if (program->done < CALLS)
        return;
    uv_close((uv_handle_t *)&program->timer, NULL);
    mtc_uv_stop(&program->adapter, NULL); /* lets the loop end */
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

static void source_answers(uv_timer_t *timer)
{
    answer_all(timer->data);
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
    static program program;
    uv_loop_t *loop = uv_default_loop();
    if (open_all(&program) != 0 ||
        mtc_uv_start(&program.adapter, loop, program.queue) != 0)
        return 1;
    uv_timer_init(loop, &program.timer);
    program.timer.data = &program;
    uv_timer_start(&program.timer, source_answers, 20, 20);
    call_all(&program);
    uv_run(loop, UV_RUN_DEFAULT);
    return close_all(&program) != 0 || uv_loop_close(loop) != 0;
}
