/*
 * A completion queue in a libuv loop: callbacks run in the loop's thread.
 *
 *     mtc_uv adapter;
 *     mtc_uv_start(&adapter, loop, queue);
 *     ... mtc_cache_get_async(queue, ...), uv_run(loop, UV_RUN_DEFAULT) ...
 *     mtc_uv_stop(&adapter, NULL);
 *
 * Header only: a program that includes it brings libuv, which wants more than
 * plain C11 (-std=gnu11, or _GNU_SOURCE). Not part of mtc.h.
 */
#ifndef MTC_UV_H
#define MTC_UV_H

#include <uv.h>

#include "mtc/queue.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A queue in a loop; lives in the caller's storage from start until stopped
 *  was called. All fields are private but data. */
typedef struct mtc_uv {
    /** The caller's own. */
    void *data;
    /** Private. */
    mtc_queue *queue;
    /** Private. */
    uv_poll_t poll;
    /** Private. */
    uv_timer_t timer;
    /** Private. */
    uv_prepare_t prepare;
    /** Private: handles that libuv has not closed yet. */
    int open_count;
    /** Private. */
    void (*stopped)(struct mtc_uv *adapter);
} mtc_uv;

/**
 * Private: something came, or a deadline.
 *
 * @param adapter the adapter.
 *
 * **Returns** nothing.
 * **Threads** the loop's.
 * **Blocks** never.
 * **Since** 0.1
 */
static inline void mtc_uv_drain(mtc_uv *adapter)
{
    mtc_queue_drain(adapter->queue);
}

/**
 * Private: libuv tells of the descriptor.
 *
 * @param poll the handle.
 * @param status of libuv.
 * @param events of libuv.
 *
 * **Returns** nothing.
 * **Threads** the loop's.
 * **Blocks** never.
 * **Since** 0.1
 */
static inline void mtc_uv_polled(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    mtc_uv_drain((mtc_uv *)poll->data);
}

/**
 * Private: a deadline has come.
 *
 * @param timer the handle.
 *
 * **Returns** nothing.
 * **Threads** the loop's.
 * **Blocks** never.
 * **Since** 0.1
 */
static inline void mtc_uv_timed(uv_timer_t *timer)
{
    mtc_uv_drain((mtc_uv *)timer->data);
}

/**
 * Private: before the loop sleeps, which it may until the next deadline.
 *
 * @param prepare the handle.
 *
 * **Returns** nothing.
 * **Threads** the loop's.
 * **Blocks** never.
 * **Since** 0.1
 */
static inline void mtc_uv_prepared(uv_prepare_t *prepare)
{
    mtc_uv *adapter = (mtc_uv *)prepare->data;
    int64_t wait_ms = mtc_queue_wait_ms(adapter->queue);
    if (wait_ms < 0)
        uv_timer_stop(&adapter->timer);
    else
        uv_timer_start(&adapter->timer, mtc_uv_timed, (uint64_t)wait_ms, 0);
}

/**
 * Private: libuv has let go of a handle.
 *
 * @param handle the handle.
 *
 * **Returns** nothing.
 * **Threads** the loop's.
 * **Blocks** never.
 * **Since** 0.1
 */
static inline void mtc_uv_closed(uv_handle_t *handle)
{
    mtc_uv *adapter = (mtc_uv *)handle->data;
    if (--adapter->open_count == 0 && adapter->stopped)
        adapter->stopped(adapter);
}

/**
 * Lets a loop serve a queue. It keeps the loop running until it is stopped.
 *
 * @param adapter the caller's storage.
 * @param loop the loop.
 * @param queue the queue; close it after mtc_uv_stop.
 * @return 0, or a negative error of libuv, and nothing is started.
 *
 * **Returns** as above.
 * **Threads** the loop's.
 * **Blocks** never.
 * **Since** 0.1
 */
static inline int mtc_uv_start(mtc_uv *adapter, uv_loop_t *loop,
                               mtc_queue *queue)
{
    adapter->queue = queue;
    adapter->stopped = NULL;
    int error = uv_poll_init(loop, &adapter->poll, mtc_queue_descriptor(queue));
    if (error != 0)
        return error;
    uv_timer_init(loop, &adapter->timer);
    uv_prepare_init(loop, &adapter->prepare);
    adapter->open_count = 3;
    adapter->poll.data = adapter;
    adapter->timer.data = adapter;
    adapter->prepare.data = adapter;
    uv_poll_start(&adapter->poll, UV_READABLE, mtc_uv_polled);
    uv_prepare_start(&adapter->prepare, mtc_uv_prepared);
    return 0;
}

/**
 * Takes the queue out of its loop. The loop forgets it a round later.
 *
 * @param adapter one that was started, once.
 * @param stopped optional: called by the loop when the adapter's storage may
 *        be used for something else.
 *
 * **Returns** nothing.
 * **Threads** the loop's.
 * **Blocks** never.
 * **Since** 0.1
 */
static inline void mtc_uv_stop(mtc_uv *adapter,
                               void (*stopped)(mtc_uv *adapter))
{
    adapter->stopped = stopped;
    uv_close((uv_handle_t *)&adapter->poll, mtc_uv_closed);
    uv_close((uv_handle_t *)&adapter->timer, mtc_uv_closed);
    uv_close((uv_handle_t *)&adapter->prepare, mtc_uv_closed);
}

#ifdef __cplusplus
}
#endif

#endif
