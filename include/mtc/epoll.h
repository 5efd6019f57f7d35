/*
 * A completion queue in an epoll loop of your own.
 *
 *     mtc_epoll_add(epoll_fd, queue, queue);
 *     for (;;) {
 *         int wait_ms = mtc_epoll_wait_ms(queue, -1);
 *         int count = epoll_wait(epoll_fd, events, EVENTS, wait_ms);
 *         ... what else your loop serves ...
 *         mtc_queue_drain(queue);
 *     }
 *
 * Header only. Not part of mtc.h.
 */
#ifndef MTC_EPOLL_H
#define MTC_EPOLL_H

#include <errno.h>
#include <limits.h>
#include <sys/epoll.h>

#include "mtc/queue.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Has an epoll set report the queue's descriptor, level-triggered.
 *
 * @param epoll_fd the set.
 * @param queue the queue; take it out of the set before it is closed.
 * @param data comes back as the data.ptr of its events.
 * @return 0; -1 with errno as epoll_ctl sets it.
 *
 * **Returns** as above.
 * **Threads** owner.
 * **Blocks** never.
 * **Since** 0.1
 */
static inline int mtc_epoll_add(int epoll_fd, mtc_queue *queue, void *data)
{
    struct epoll_event event;
    event.events = EPOLLIN;
    event.data.ptr = data;
    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, mtc_queue_descriptor(queue),
                     &event);
}

/**
 * Takes the queue's descriptor out of an epoll set.
 *
 * @param epoll_fd the set.
 * @param queue the queue.
 * @return 0; -1 with errno as epoll_ctl sets it.
 *
 * **Returns** as above.
 * **Threads** owner.
 * **Blocks** never.
 * **Since** 0.1
 */
static inline int mtc_epoll_remove(int epoll_fd, mtc_queue *queue)
{
    struct epoll_event event = {0, {0}};
    return epoll_ctl(epoll_fd, EPOLL_CTL_DEL, mtc_queue_descriptor(queue),
                     &event);
}

/**
 * How long epoll_wait may sleep: until the queue's next deadline, and no
 * longer than the loop itself wants to.
 *
 * @param queue the queue.
 * @param wait_ms what the loop wants, -1: for ever.
 * @return milliseconds for epoll_wait; -1: for ever.
 *
 * **Returns** always.
 * **Threads** owner.
 * **Blocks** never.
 * **Since** 0.1
 */
static inline int mtc_epoll_wait_ms(mtc_queue *queue, int wait_ms)
{
    int64_t own_ms = mtc_queue_wait_ms(queue);
    if (own_ms < 0)
        return wait_ms;
    if (own_ms > INT_MAX)
        own_ms = INT_MAX;
    return wait_ms < 0 || own_ms < wait_ms ? (int)own_ms : wait_ms;
}

#ifdef __cplusplus
}
#endif

#endif
