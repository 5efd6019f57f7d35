/*
 * A completion queue in a libevent loop: callbacks run in the loop's thread.
 *
 *     mtc_libevent adapter;
 *     mtc_libevent_start(&adapter, base, queue);
 *     ... mtc_cache_get_async(queue, ...), event_base_dispatch(base) ...
 *     mtc_libevent_stop(&adapter);
 *
 * Header only: a program that includes it brings libevent. Not part of mtc.h.
 */
#ifndef MTC_LIBEVENT_H
#define MTC_LIBEVENT_H

#include <event2/event.h>

#include "mtc/queue.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A queue in a loop, in the caller's storage. All fields are private. */
typedef struct mtc_libevent {
    /** Private. */
    mtc_queue *queue;
    /** Private. */
    struct event *readable;
    /** Private. */
    struct event *timer;
} mtc_libevent;

/**
 * Private: something came, or a deadline; then until the next deadline.
 *
 * @param fd of libevent.
 * @param what of libevent.
 * @param ctx the adapter.
 *
 * **Returns** nothing.
 * **Threads** the loop's.
 * **Blocks** never.
 * **Since** 0.1
 */
static inline void mtc_libevent_drain(evutil_socket_t fd, short what, void *ctx)
{
    mtc_libevent *adapter = (mtc_libevent *)ctx;
    struct timeval wait;
    (void)fd;
    (void)what;
    mtc_queue_drain(adapter->queue);
    int64_t wait_ms = mtc_queue_wait_ms(adapter->queue);
    if (wait_ms < 0) {
        event_del(adapter->timer);
        return;
    }
    wait.tv_sec = (time_t)(wait_ms / 1000);
    wait.tv_usec = (suseconds_t)(wait_ms % 1000 * 1000);
    event_add(adapter->timer, &wait);
}

/**
 * Takes the queue out of its loop; a zeroed adapter is fine.
 *
 * @param adapter the adapter.
 *
 * **Returns** nothing.
 * **Threads** the loop's.
 * **Blocks** never.
 * **Since** 0.1
 */
static inline void mtc_libevent_stop(mtc_libevent *adapter)
{
    if (adapter->readable)
        event_free(adapter->readable);
    if (adapter->timer)
        event_free(adapter->timer);
    adapter->readable = NULL;
    adapter->timer = NULL;
}

/**
 * Lets a loop serve a queue. It keeps the loop running until it is stopped.
 *
 * @param adapter the caller's storage.
 * @param base the loop.
 * @param queue the queue; close it after mtc_libevent_stop.
 * @return 0; -1 when libevent refuses, and nothing is started.
 *
 * **Returns** as above.
 * **Threads** the loop's.
 * **Blocks** never.
 * **Since** 0.1
 */
static inline int mtc_libevent_start(mtc_libevent *adapter,
                                     struct event_base *base, mtc_queue *queue)
{
    adapter->queue = queue;
    adapter->readable =
        event_new(base, mtc_queue_descriptor(queue), EV_READ | EV_PERSIST,
                  mtc_libevent_drain, adapter);
    adapter->timer = event_new(base, -1, 0, mtc_libevent_drain, adapter);
    if (adapter->readable && adapter->timer &&
        event_add(adapter->readable, NULL) == 0)
        return 0;
    mtc_libevent_stop(adapter);
    return -1;
}

#ifdef __cplusplus
}
#endif

#endif
