/*
 * The loop of a consumer: own pending entries, then new ones, and now and then
 * those that others left. One thread at a time for each group.
 */
#include <pthread.h>
#include <stdlib.h>

#include "stream/group.h"

/* What the loop reads from next. */
typedef enum source { OWN, CLAIMED, NEW } source;

typedef struct loop {
    mtc_group *group;
    mtc_group_handler handler;
    void *ctx;
    source source;
    mtc_stream_id cursor; /* of OWN and CLAIMED */
    int64_t claim_ms;     /* when to claim next */
    int64_t pause_ms;     /* after a failure; doubles */
    mtc_stream_id *done;  /* batch_count of them: handled */
    mtc_stream_batch *batch;
    int cancel_state; /* the caller's */
} loop;

static bool is_passing(mtc_status status)
{
    return status == MTC_E_UNAVAILABLE || status == MTC_E_TIMEOUT ||
           status == MTC_E_BUSY;
}

static void pause_loop(loop *loop)
{
    mtci_link_back_off(&loop->group->link, INT64_MAX, &loop->pause_ms);
}

/* What was handled is acknowledged, however long the server is away, so that
 * it need not be handled twice; when the loop is stopped, once. */
static mtc_status acknowledge(loop *loop, size_t count)
{
    mtc_status status;
    if (count == 0)
        return MTC_OK;
    for (;;) {
        status = mtc_group_acknowledge(loop->group, loop->done, count, NULL);
        if (!is_passing(status) || mtci_link_state(&loop->group->link) < 0)
            return status;
        pause_loop(loop);
    }
}

/* The handler may be cancelled, or end its thread; leave sees to the rest. */
static mtc_status call_handler(const loop *loop, size_t index)
{
    pthread_setcancelstate(loop->cancel_state, NULL);
    mtc_status status = loop->handler(loop->batch, index, loop->ctx);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    return status;
}

static mtc_status handle(loop *loop)
{
    const mtc_stream_batch *batch = loop->batch;
    size_t count = mtc_stream_batch_count(batch);
    size_t done = 0;
    if (count > (size_t)loop->group->options.batch_count)
        return MTC_E_CORRUPT;
    for (size_t i = 0; i < count; i++) {
        if (mtci_link_state(&loop->group->link) != MTC_OK)
            break;
        if (call_handler(loop, i) == MTC_OK)
            loop->done[done++] = mtc_stream_batch_id(batch, i);
    }
    return acknowledge(loop, done);
}

static mtc_status read_next(loop *loop, mtc_stream_batch **batch)
{
    mtc_group *group = loop->group;
    size_t count = (size_t)group->options.batch_count;
    int64_t wait_ms = MTCI_STREAM_WAIT_MS_MAX;
    int64_t now_ms = mtci_stream_now_ms(group->stream);
    if (loop->source == OWN)
        return mtc_group_read_own(group, &loop->cursor, count, batch);
    if (loop->source == CLAIMED)
        return mtc_group_claim(group, group->options.claim_idle_ms,
                               &loop->cursor, count, batch);
    if (loop->claim_ms - now_ms < wait_ms)
        wait_ms = loop->claim_ms > now_ms ? loop->claim_ms - now_ms : 0;
    return mtc_group_read(group, count, wait_ms, batch);
}

static void turn_to(loop *loop, source source)
{
    loop->source = source;
    loop->cursor = (mtc_stream_id){0, 0};
}

/* Own pending entries first, then new ones, and when it is time those that
 * others left. */
static void choose(loop *loop, mtc_status status)
{
    int64_t now_ms = mtci_stream_now_ms(loop->group->stream);
    int64_t every_ms = loop->group->options.claim_every_ms;
    bool is_through = mtci_id_is_zero(loop->cursor);
    if (loop->source == OWN && status == MTC_MISS) {
        turn_to(loop, NEW);
    } else if (loop->source == CLAIMED && is_through) {
        loop->claim_ms = now_ms + every_ms;
        turn_to(loop, NEW);
    } else if (loop->source == NEW && now_ms >= loop->claim_ms) {
        turn_to(loop, CLAIMED);
    }
}

static mtc_status run_once(loop *loop)
{
    mtc_status status = read_next(loop, &loop->batch);
    if (status >= 0)
        loop->pause_ms = MTCI_STREAM_PAUSE_MS_MIN;
    mtc_status handled = status == MTC_OK ? handle(loop) : status;
    mtc_stream_batch_free(&loop->batch);
    if (status >= 0)
        choose(loop, status);
    return handled;
}

/* After a failure it begins with its own pending entries: what the server
 * gave and the connection lost is among them. */
static mtc_status run(loop *loop)
{
    mtc_status status = MTC_OK;
    while (mtci_link_state(&loop->group->link) == MTC_OK) {
        status = run_once(loop);
        if (status >= 0)
            continue;
        if (!is_passing(status))
            break;
        turn_to(loop, OWN);
        pause_loop(loop);
    }
    if (is_passing(status) || status > 0)
        status = MTC_OK;
    mtc_status end = mtci_link_state(&loop->group->link);
    if (end == MTC_E_CANCELLED)
        return status == MTC_E_CANCELLED ? MTC_OK : status;
    return end != MTC_OK ? end : status;
}

/* Also by unwinding out of the handler. */
static void leave(loop *loop)
{
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    mtc_stream_batch_free(&loop->batch);
    free(loop->done);
    mtci_stream_leave(loop->group->stream, loop->cancel_state);
}

static mtc_status run_entered(mtc_group *group, mtc_group_handler handler,
                              void *ctx, int cancel_state)
{
    __attribute__((cleanup(leave)))
    loop loop = {.group = group,
                 .handler = handler,
                 .ctx = ctx,
                 .pause_ms = MTCI_STREAM_PAUSE_MS_MIN,
                 .cancel_state = cancel_state};
    loop.done = calloc((size_t)group->options.batch_count, sizeof *loop.done);
    loop.claim_ms = INT64_MAX;
    if (group->options.claim_every_ms > 0)
        loop.claim_ms = mtci_stream_now_ms(group->stream);
    /* The cleanup frees it.
     * NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    return loop.done ? run(&loop) : MTC_E_NO_MEMORY;
}

mtc_status mtc_group_run(mtc_group *group, mtc_group_handler handler, void *ctx)
{
    int cancel_state;
    if (!group || !handler)
        return MTC_E_INVALID;
    mtc_status status = mtci_stream_enter(group->stream, &cancel_state);
    if (status != MTC_OK)
        return status;
    return run_entered(group, handler, ctx, cancel_state);
}
