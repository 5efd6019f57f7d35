/*
 * A program with an epoll loop of its own: one thread, many calls under way.
 */
#include <mtc.h>
#include <mtc/epoll.h>
#include <stdio.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define CALLS 200

typedef struct program {
    mtc_cache *cache;
    mtc_queue *queue;
    mtc_load *pending[CALLS];
    int pending_count, loads, done, wrong;
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
    program program = {0};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    struct itimerspec after = {{0, 20000000}, {0, 20000000}};
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    if (open_all(&program) != 0)
        return 1;
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer_fd, &event);
    timerfd_settime(timer_fd, 0, &after, NULL);
    mtc_epoll_add(epoll_fd, program.queue, program.queue);
    call_all(&program);
    while (program.done < CALLS) {
        int wait_ms = mtc_epoll_wait_ms(program.queue, -1);
        int count = epoll_wait(epoll_fd, &event, 1, wait_ms);
        uint64_t ticks;
        if (count > 0 && !event.data.ptr && read(timer_fd, &ticks, 8) > 0)
            answer_all(&program);
        mtc_queue_drain(program.queue);
    }
    close(timer_fd); /* stands for the source */
    close(epoll_fd);
    return close_all(&program);
}
