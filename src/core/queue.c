/*
 * The completion queue; see queue.h and task.h.
 */
#include "core/queue.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mutex.h"

/* -- calls ----------------------------------------------------------------- */

mtc_status mtci_queue_admit(const mtc_queue *queue)
{
    if (!queue)
        return MTC_E_INVALID;
    mtc_status status = mtci_cache_gate(queue->cache);
    if (status != MTC_OK)
        return status;
    if (queue->is_closing)
        return MTC_E_CLOSED;
    return queue->count < MTCI_QUEUE_CALLS_MAX ? MTC_OK : MTC_E_BUSY;
}

mtc_status mtci_queue_add(mtc_queue *queue, mtci_task *task)
{
    if (!mtci_timers_reserve(&queue->timers, queue->count + 1))
        return MTC_E_NO_MEMORY;
    task->queue = queue;
    task->next = queue->tasks;
    if (queue->tasks)
        queue->tasks->prior = task;
    queue->tasks = task;
    queue->count++;
    mtci_task_wake(task);
    return MTC_OK;
}

void mtci_queue_open_call(mtc_queue *queue)
{
    pthread_setcancelstate(queue->cancel_state, NULL);
}

void mtci_queue_close_call(mtc_queue *queue)
{
    (void)queue;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
}

/* -- draining -------------------------------------------------------------- */

/* Sends what is queued and takes in what has come. */
static void drive_lanes(mtc_queue *queue)
{
    mtc_cache *cache = queue->cache;
    queue->has_unsent = false;
    atomic_store_explicit(&cache->driven_ms, mtci_boot_ms(),
                          memory_order_relaxed);
    for (size_t i = cache->front_count; i < cache->lane_count; i++)
        mtci_lane_kick(&cache->lanes[i]);
}

static void wake_due(mtc_queue *queue, int64_t now_ms)
{
    mtci_timer *timer;
    while ((timer = mtci_timers_first(&queue->timers)) != NULL &&
           timer->due_ms <= now_ms) {
        mtci_timer_set(&queue->timers, timer, MTC_NO_END);
        mtci_task_wake((mtci_task *)timer);
    }
}

static void end_all(mtc_queue *queue, mtc_status why)
{
    for (mtci_task *task = queue->tasks; task; task = task->next) {
        if (task->why == MTC_OK)
            task->why = why;
        mtci_task_wake(task);
    }
}

/* A task that is ready; *has_left: it is only to be freed. */
static mtci_task *take_ready(mtc_queue *queue, bool *has_left)
{
    pthread_mutex_lock(&queue->mutex);
    mtci_task *task = queue->first;
    if (task) {
        mtci_queue_pull_locked(queue, task);
        *has_left = task->has_left;
        queue->left_count -= task->has_left;
    }
    pthread_mutex_unlock(&queue->mutex);
    return task;
}

/* Whether a callback has run. */
static bool step_one(mtc_queue *queue, mtci_task *task, bool has_left)
{
    if (has_left) {
        task->ops->free(task);
        return false;
    }
    int64_t now_ms = mtci_cache_now_ms(queue->cache);
    if (!task->ops->step(task, task->why, now_ms))
        return false;
    task->ops->tell(task);
    return true;
}

/* From here on whoever wakes a task need not signal. */
static void drain_begin(mtc_queue *queue)
{
    uint64_t count;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &queue->cancel_state);
    queue->is_draining = true;
    pthread_mutex_lock(&queue->mutex);
    bool is_signalled = queue->is_signalled;
    queue->is_signalled = false;
    queue->is_alerted = true;
    pthread_mutex_unlock(&queue->mutex);
    if (is_signalled && read(queue->wake_fd, &count, sizeof(count)) < 0)
        return; /* nothing is lost: the owner is looking */
}

/* Also when a callback does not return. */
static void drain_end(mtc_queue **draining)
{
    mtc_queue *queue = *draining;
    queue->is_draining = false;
    pthread_mutex_lock(&queue->mutex);
    queue->is_alerted = false;
    if (queue->first || queue->has_unsent)
        mtci_queue_alert_locked(queue);
    pthread_mutex_unlock(&queue->mutex);
    pthread_setcancelstate(queue->cancel_state, NULL);
}

static size_t drain(mtc_queue *queue, size_t steps_max)
{
    __attribute__((cleanup(drain_end))) mtc_queue *draining = queue;
    mtci_task *task;
    bool has_left;
    size_t ran = 0;
    drain_begin(draining);
    drive_lanes(queue);
    wake_due(queue, mtci_cache_now_ms(queue->cache));
    for (size_t i = 0;
         i < steps_max && (task = take_ready(queue, &has_left)) != NULL; i++)
        ran += step_one(queue, task, has_left);
    if (queue->has_unsent)
        drive_lanes(queue);
    return ran;
}

size_t mtc_queue_drain(mtc_queue *queue)
{
    if (!queue || queue->is_draining)
        return 0;
    mtc_status gate = mtci_cache_gate(queue->cache);
    if (gate == MTC_E_FORKED)
        return 0;
    if (gate != MTC_OK && !queue->is_stopped) {
        queue->is_stopped = true;
        end_all(queue, gate);
    }
    return drain(queue, MTCI_QUEUE_STEPS_MAX);
}

/* -- waiting --------------------------------------------------------------- */

int mtc_queue_descriptor(const mtc_queue *queue)
{
    return queue ? queue->epoll_fd : -1;
}

/* Whether some tier does its I/O on the thread of whoever waits. */
static bool has_driven_lane(const mtc_cache *cache)
{
    for (size_t i = cache->front_count; i < cache->lane_count; i++) {
        if (cache->lanes[i].ops->drive)
            return true;
    }
    return false;
}

int64_t mtc_queue_wait_ms(mtc_queue *queue)
{
    if (!queue || mtci_cache_gate(queue->cache) == MTC_E_FORKED)
        return -1;
    pthread_mutex_lock(&queue->mutex);
    bool is_ready = queue->first || queue->is_signalled;
    bool is_under_way = queue->under_way > 0;
    pthread_mutex_unlock(&queue->mutex);
    if (is_ready || queue->has_unsent)
        return 0;
    int64_t wait_ms = -1;
    if (is_under_way && has_driven_lane(queue->cache))
        wait_ms = MTCI_QUEUE_LOOK_MS;
    const mtci_timer *timer = mtci_timers_first(&queue->timers);
    if (!timer)
        return wait_ms;
    int64_t left_ms = timer->due_ms - mtci_cache_now_ms(queue->cache);
    if (left_ms < 0)
        left_ms = 0;
    return wait_ms < 0 || left_ms < wait_ms ? left_ms : wait_ms;
}

mtc_status mtc_queue_wait(mtc_queue *queue, int64_t wait_ms)
{
    if (!queue || queue->is_draining)
        return MTC_E_INVALID;
    if (mtci_cache_gate(queue->cache) == MTC_E_FORKED)
        return MTC_E_FORKED;
    int64_t own_ms = mtc_queue_wait_ms(queue);
    bool is_own = own_ms >= 0 && (wait_ms < 0 || own_ms <= wait_ms);
    int64_t sleep_ms = is_own ? own_ms : wait_ms;
    if (sleep_ms > INT32_MAX)
        sleep_ms = INT32_MAX;
    struct pollfd fd = {.fd = queue->epoll_fd, .events = POLLIN};
    int count = poll(&fd, 1, (int)sleep_ms);
    if (count > 0 || is_own || (count < 0 && errno == EINTR))
        return MTC_OK;
    return MTC_E_TIMEOUT;
}

size_t mtc_queue_cancel(mtc_queue *queue, const void *ctx)
{
    size_t count = 0;
    if (!queue || mtci_cache_gate(queue->cache) == MTC_E_FORKED)
        return 0;
    for (mtci_task *task = queue->tasks; task; task = task->next) {
        if (task->ctx != ctx || task->why != MTC_OK)
            continue;
        task->why = MTC_E_CANCELLED;
        mtci_task_wake(task);
        count++;
    }
    return count;
}

/* -- beginning and end ----------------------------------------------------- */

void mtci_queues_alert(mtc_cache *cache)
{
    pthread_mutex_lock(&cache->queues_mutex);
    for (mtc_queue *queue = cache->queues; queue; queue = queue->next) {
        pthread_mutex_lock(&queue->mutex);
        mtci_queue_alert_locked(queue);
        pthread_mutex_unlock(&queue->mutex);
    }
    pthread_mutex_unlock(&cache->queues_mutex);
}

static bool watch(const mtc_queue *queue, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};
    return epoll_ctl(queue->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* A tier may have been built against a table without it. */
static bool has_descriptor(const mtc_tier_ops *ops)
{
    return ops->struct_size > offsetof(mtc_tier_ops, descriptor) &&
           ops->drive && ops->descriptor;
}

/* A tier that cannot tell is driven now and then. */
static bool open_descriptors(mtc_queue *queue)
{
    const mtc_cache *cache = queue->cache;
    queue->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    queue->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (queue->epoll_fd < 0 || queue->wake_fd < 0 ||
        !watch(queue, queue->wake_fd))
        return false;
    for (size_t i = cache->front_count; i < cache->lane_count; i++) {
        const mtci_lane *lane = &cache->lanes[i];
        int fd = -1;
        if (has_descriptor(lane->ops))
            fd = lane->ops->descriptor(lane->tier);
        if (fd >= 0 && !watch(queue, fd))
            return false;
    }
    return true;
}

static void queue_free(mtc_queue *queue)
{
    if (queue->epoll_fd >= 0)
        close(queue->epoll_fd);
    if (queue->wake_fd >= 0)
        close(queue->wake_fd);
    mtci_timers_fini(&queue->timers);
    pthread_mutex_destroy(&queue->mutex);
    free(queue);
}

mtc_status mtc_queue_open(mtc_cache *cache, mtc_queue **out)
{
    if (!out)
        return MTC_E_INVALID;
    *out = NULL;
    if (!cache)
        return MTC_E_INVALID;
    mtc_status status = mtci_cache_gate(cache);
    if (status != MTC_OK)
        return status;
    mtc_queue *queue = calloc(1, sizeof(*queue));
    if (!queue)
        return MTC_E_NO_MEMORY;
    queue->cache = cache;
    mtci_mutex_init(&queue->mutex);
    if (!open_descriptors(queue)) {
        queue_free(queue);
        return MTC_E_UNAVAILABLE;
    }
    mtci_cache_enter(cache);
    atomic_fetch_add_explicit(&cache->queue_count, 1, memory_order_relaxed);
    pthread_mutex_lock(&cache->queues_mutex);
    queue->next = cache->queues;
    cache->queues = queue;
    pthread_mutex_unlock(&cache->queues_mutex);
    *out = queue;
    return MTC_OK;
}

/* Ends every call. What has left waits for an answer that is on its way. */
static void finish(mtc_queue *queue)
{
    size_t left_count = 0;
    do {
        struct pollfd fd = {.fd = queue->wake_fd, .events = POLLIN};
        end_all(queue, MTC_E_CANCELLED);
        drain(queue, SIZE_MAX);
        pthread_mutex_lock(&queue->mutex);
        left_count = queue->left_count;
        pthread_mutex_unlock(&queue->mutex);
        if (left_count > 0)
            poll(&fd, 1, MTCI_QUEUE_LOOK_MS);
    } while (queue->count > 0 || left_count > 0);
}

static void unlist(mtc_queue *queue)
{
    mtc_cache *cache = queue->cache;
    pthread_mutex_lock(&cache->queues_mutex);
    mtc_queue **at = &cache->queues;
    while (*at != queue)
        at = &(*at)->next;
    *at = queue->next;
    pthread_mutex_unlock(&cache->queues_mutex);
}

/* In a forked child other threads' locks may be held for ever. */
static void abandon(mtc_queue *queue)
{
    mtci_task *next;
    for (mtci_task *task = queue->tasks; task; task = next) {
        next = task->next;
        task->ops->free(task);
    }
    queue_free(queue);
}

static void close_open(mtc_queue *queue)
{
    int cancel_state;
    mtc_cache *cache = queue->cache;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    queue->is_closing = true;
    finish(queue);
    unlist(queue);
    queue_free(queue);
    atomic_fetch_sub_explicit(&cache->queue_count, 1, memory_order_relaxed);
    mtci_cache_leave(cache);
    pthread_setcancelstate(cancel_state, NULL);
}

mtc_status mtc_queue_close(mtc_queue **variable)
{
    if (!variable || !*variable)
        return MTC_E_INVALID;
    mtc_queue *queue = *variable;
    if (queue->is_draining)
        return MTC_E_DEADLOCK;
    *variable = NULL;
    if (mtci_cache_gate(queue->cache) == MTC_E_FORKED)
        abandon(queue);
    else
        close_open(queue);
    return MTC_OK;
}
