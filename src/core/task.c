/*
 * Waking, counting and freeing tasks; see task.h. Others' threads and the
 * owner of the queue.
 */
#include "core/task.h"

#include <unistd.h>

#include "core/queue.h"

/* -- ready ----------------------------------------------------------------- */

void mtci_queue_alert_locked(mtc_queue *queue)
{
    uint64_t one = 1;
    if (queue->is_alerted)
        return;
    queue->is_alerted = true;
    queue->is_signalled = true;
    ssize_t written = write(queue->wake_fd, &one, sizeof(one));
    (void)written; /* refused only when it is readable already */
}

static void push_locked(mtc_queue *queue, mtci_task *task)
{
    if (task->is_ready)
        return;
    task->is_ready = true;
    task->ready_next = NULL;
    task->ready_prior = queue->last;
    if (queue->last)
        queue->last->ready_next = task;
    else
        queue->first = task;
    queue->last = task;
    mtci_queue_alert_locked(queue);
}

void mtci_queue_pull_locked(mtc_queue *queue, mtci_task *task)
{
    if (!task->is_ready)
        return;
    task->is_ready = false;
    if (task->ready_prior)
        task->ready_prior->ready_next = task->ready_next;
    else
        queue->first = task->ready_next;
    if (task->ready_next)
        task->ready_next->ready_prior = task->ready_prior;
    else
        queue->last = task->ready_prior;
}

/* Whether nobody will touch the task any more. */
static bool is_free_locked(const mtci_task *task)
{
    return task->has_left && task->answered == task->sent;
}

void mtci_task_wake(mtci_task *task)
{
    mtc_queue *queue = task->queue;
    pthread_mutex_lock(&queue->mutex);
    push_locked(queue, task);
    pthread_mutex_unlock(&queue->mutex);
}

void mtci_task_answered(mtci_task *task)
{
    mtc_queue *queue = task->queue;
    pthread_mutex_lock(&queue->mutex);
    task->answered++;
    queue->under_way--;
    if (!task->has_left || is_free_locked(task))
        push_locked(queue, task);
    pthread_mutex_unlock(&queue->mutex);
}

/* -- a task ---------------------------------------------------------------- */

void mtci_task_sent(mtci_task *task, size_t count)
{
    mtc_queue *queue = task->queue;
    queue->has_unsent = true;
    pthread_mutex_lock(&queue->mutex);
    task->sent += count;
    queue->under_way += (int64_t)count;
    pthread_mutex_unlock(&queue->mutex);
}

void mtci_task_left(mtci_task *task)
{
    mtc_queue *queue = task->queue;
    pthread_mutex_lock(&queue->mutex);
    task->answered++;
    queue->under_way--;
    pthread_mutex_unlock(&queue->mutex);
}

void mtci_task_await(mtci_task *task, int64_t due_ms)
{
    mtci_timer_set(&task->queue->timers, &task->timer, due_ms);
}

static void unlink_task(mtc_queue *queue, mtci_task *task)
{
    if (task->prior)
        task->prior->next = task->next;
    else
        queue->tasks = task->next;
    if (task->next)
        task->next->prior = task->prior;
    queue->count--;
}

void mtci_task_leave(mtci_task *task)
{
    mtc_queue *queue = task->queue;
    mtci_task_await(task, MTC_NO_END);
    unlink_task(queue, task);
    pthread_mutex_lock(&queue->mutex);
    task->has_left = true;
    mtci_queue_pull_locked(queue, task);
    bool is_free = is_free_locked(task);
    queue->left_count += !is_free;
    pthread_mutex_unlock(&queue->mutex);
    if (is_free)
        task->ops->free(task);
}
