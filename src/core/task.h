/*
 * A task: one asynchronous call, from its beginning to its callback.
 *
 * A task belongs to a completion queue and is stepped by the owner of the
 * queue alone. Other threads wake it, when something that it waits for has
 * come about: flights, under the slot's lock, and operations. The memory of a
 * task stays until every operation that it has sent was answered or left.
 */
#ifndef MTCI_CORE_TASK_H
#define MTCI_CORE_TASK_H

#include "core/timers.h"
#include "mtc/status.h"

struct mtc_queue;
typedef struct mtci_task mtci_task;

typedef struct mtci_task_ops {
    /* Goes on as far as it can without blocking. why: MTC_OK, or what to end
     * with unless the result is there. True: it is over. */
    bool (*step)(mtci_task *task, mtc_status why, int64_t now_ms);
    /* It is over: takes what the callback needs, lets the task leave, and
     * calls back. */
    void (*tell)(mtci_task *task);
    void (*free)(mtci_task *task);
} mtci_task_ops;

struct mtci_task {
    mtci_timer timer; /* first: a timer is cast to its task */
    struct mtc_queue *queue;
    const mtci_task_ops *ops;
    void *ctx;               /* of the callback */
    mtci_task *next, *prior; /* of all that are outstanding */
    mtc_status why;          /* it is to end so */
    uint64_t sent;           /* operations that answer it */

    /* Under the queue's mutex. */
    mtci_task *ready_next, *ready_prior;
    bool is_ready;
    bool has_left;     /* and is freed with the last answer */
    uint64_t answered; /* operations that were answered or left */
};

/* -- for other threads ----------------------------------------------------- */

/* Something that it waits for has come about. It is not gone before the
 * caller's lock is free. */
void mtci_task_wake(mtci_task *task);

/* An operation of the task is complete. */
void mtci_task_answered(mtci_task *task);

/* -- for the owner --------------------------------------------------------- */

/* It has sent so many operations; it has left one before the answer. */
void mtci_task_sent(mtci_task *task, size_t count);
void mtci_task_left(mtci_task *task);

/* Is stepped at due_ms, if not earlier; MTC_NO_END: when it is woken. */
void mtci_task_await(mtci_task *task, int64_t due_ms);

/* Leaves the queue; the memory is gone, or somebody else's. */
void mtci_task_leave(mtci_task *task);

#endif
