/*
 * Completion queues: the outstanding calls of one thread that does not block.
 *
 * A queue is its owner's, one thread at a time; any thread wakes its tasks.
 * It drives the connections of the tiers, steps what is ready or due, and runs
 * the callbacks. Its descriptor is readable when there is something to do: an
 * eventfd says that a task is ready, tiers say themselves what they have.
 */
#ifndef MTCI_CORE_QUEUE_H
#define MTCI_CORE_QUEUE_H

#include <pthread.h>

#include "core/cache.h"
#include "core/task.h"

/* Calls that may be outstanding on a queue; beyond: BUSY. */
#define MTCI_QUEUE_CALLS_MAX 32768u
/* Tasks that one drain steps: others of the event loop want their turn. */
#define MTCI_QUEUE_STEPS_MAX 1024u
/* How often connections are driven while something is under way in a tier,
 * whatever the descriptor says: for what only time brings about there. */
#define MTCI_QUEUE_LOOK_MS 20

struct mtc_queue {
    mtc_cache *cache;
    mtc_queue *next; /* under the cache's queues_mutex */
    int epoll_fd, wake_fd;

    /* The owner's. */
    mtci_task *tasks;
    size_t count;
    mtci_timers timers;
    int cancel_state;
    bool is_draining, is_closing, is_stopped;
    bool has_unsent; /* something was queued in a tier */

    /* Leaf: taken with a slot held, nothing is taken with it. Writing to the
     * eventfd never waits. */
    pthread_mutex_t mutex; /* guards what follows */
    mtci_task *first, *last;
    size_t left_count; /* tasks that have left and wait for answers */
    int64_t under_way; /* operations in tiers */
    bool is_alerted;   /* the owner will look */
    bool is_signalled; /* the eventfd is readable */
};

/* Whether a call may begin: MTC_OK, MTC_E_INVALID, MTC_E_CLOSED, MTC_E_FORKED,
 * MTC_E_BUSY. */
mtc_status mtci_queue_admit(const mtc_queue *queue);

/* Takes a zeroed task in; ops and ctx are set. MTC_OK, MTC_E_NO_MEMORY. */
mtc_status mtci_queue_add(mtc_queue *queue, mtci_task *task);

/* Makes the descriptor readable, unless the owner is about to look. Takes a
 * task out of those that are ready, if it is one. */
void mtci_queue_alert_locked(mtc_queue *queue);
void mtci_queue_pull_locked(mtc_queue *queue, mtci_task *task);

/* Around a callback: the thread may be cancelled there. */
void mtci_queue_open_call(mtc_queue *queue);
void mtci_queue_close_call(mtc_queue *queue);

/* The cache closes: every owner is to look. */
void mtci_queues_alert(mtc_cache *cache);

#endif
