/*
 * The loop of a thread of asynchronous callers; one thread each.
 *
 * It sleeps in ppoll on the descriptor of the queue, as an event loop would,
 * because the milliseconds of mtc_queue_wait are coarse beside a load of five.
 */
#include "loop.h"

#include <poll.h>
#include <stdlib.h>

#include "bench.h"

bool loop_init(loop *loop, mtc_cache *cache, size_t callers, int64_t load_ns)
{
    *loop = (struct loop){.load_ns = load_ns, .room = callers};
    loop->waiting = calloc(callers, sizeof *loop->waiting);
    return loop->waiting != NULL &&
           mtc_queue_open(cache, &loop->queue) == MTC_OK;
}

void loop_fini(loop *loop)
{
    if (loop->queue != NULL)
        mtc_queue_close(&loop->queue);
    free(loop->waiting);
    loop->waiting = NULL;
}

mtc_status loop_begin_load(mtc_load *load, void *ctx)
{
    loop *loop = ctx;
    if (loop->count == loop->room)
        return MTC_E_BUSY;
    size_t at = (loop->first + loop->count++) % loop->room;
    loop->waiting[at] = (loop_load){load, times_now_ns()};
    loop->loads++;
    return MTC_PENDING;
}

/* Nanoseconds until the next load is to be answered; INT64_MAX: none waits. */
static int64_t next_due_ns(const loop *loop, int64_t now_ns)
{
    if (loop->count == 0)
        return INT64_MAX;
    int64_t due_ns = loop->waiting[loop->first].begun_ns + loop->load_ns;
    return due_ns > now_ns ? due_ns - now_ns : 0;
}

static void answer_first(loop *loop)
{
    loop_load first = loop->waiting[loop->first];
    loop->first = (loop->first + 1) % loop->room;
    loop->count--;
    mtc_status status = mtc_load_set_value(first.load, bench_value());
    loop->ended_ns = times_now_ns();
    loop->took_ns = loop->ended_ns - first.begun_ns;
    mtc_load_answer(first.load, status);
}

static void sleep_ns(const loop *loop, int64_t ns)
{
    struct pollfd ready = {mtc_queue_descriptor(loop->queue), POLLIN, 0};
    struct timespec wait = {ns / 1000000000, ns % 1000000000};
    ppoll(&ready, 1, ns == INT64_MAX ? NULL : &wait, NULL);
}

void loop_turn(loop *loop)
{
    int64_t now_ns = times_now_ns();
    int64_t wait_ms = mtc_queue_wait_ms(loop->queue);
    int64_t wait_ns = next_due_ns(loop, now_ns);
    if (wait_ms >= 0 && wait_ms < wait_ns / 1000000)
        wait_ns = wait_ms * 1000000;
    if (wait_ns > 0)
        sleep_ns(loop, wait_ns);
    now_ns = times_now_ns();
    while (next_due_ns(loop, now_ns) == 0)
        answer_first(loop);
    mtc_queue_drain(loop->queue);
}
