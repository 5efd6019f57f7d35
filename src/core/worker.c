/*
 * Worker threads of a tier that blocks; see worker.h.
 */
#include "core/worker.h"

#include <errno.h>
#include <stdlib.h>

#include "base/spawn.h"

/* Submits ops[0 .. count) of one verb. What is already late is not begun. */
static void run_batch(const mtci_workers *pool, mtci_op *const *ops,
                      size_t count)
{
    mtc_request *requests[MTCI_WORKER_BATCH];
    int64_t now_ms = mtci_clock_ms(&pool->clock);
    mtc_verb verb = ops[0]->verb;
    size_t due = 0;
    for (size_t i = 0; i < count; i++) {
        mtc_request *request = &ops[i]->request;
        if (now_ms >= request->deadline_ms)
            mtc_request_complete(request, MTC_E_TIMEOUT,
                                 "deadline passed in the queue");
        else
            requests[due++] = request;
    }
    if (due > 0)
        pool->tier->ops->submit(pool->tier, verb, requests, due);
}

/* Whether a write whose key falls into the same of many bits came before;
 * notes it if this is one. */
static bool follows_write(uint64_t *written, const mtci_op *op)
{
    uint64_t at = op->request.hash / MTCI_WORKERS % MTCI_WORKER_BITS;
    uint64_t bit = UINT64_C(1) << at % 64;
    bool follows = written[at / 64] & bit;
    if (op->verb != MTC_VERB_READ)
        written[at / 64] |= bit;
    return follows;
}

/* Moves reads before the writes of other keys: a read then waits for no
 * write that does not concern it, and the writes are neighbours. */
static mtci_op *reads_first(mtci_op *op)
{
    uint64_t written[MTCI_WORKER_BITS / 64] = {0};
    mtci_op *reads = NULL, *rest = NULL;
    mtci_op **reads_end = &reads, **rest_end = &rest;
    for (; op; op = op->next) {
        bool stays = follows_write(written, op) || op->verb != MTC_VERB_READ;
        mtci_op ***end = stays ? &rest_end : &reads_end;
        **end = op;
        *end = &op->next;
    }
    *rest_end = NULL;
    *reads_end = rest;
    return reads;
}

/* Runs a list of operations, neighbours of one verb together. */
static void run_list(const mtci_workers *pool, mtci_op *op)
{
    mtci_op *batch[MTCI_WORKER_BATCH];
    while (op) {
        mtc_verb verb = op->verb;
        size_t count = 0;
        for (; op && op->verb == verb && count < MTCI_WORKER_BATCH;
             op = op->next)
            batch[count++] = op;
        run_batch(pool, batch, count);
    }
}

/* Waits for work: the list, or NULL when it is time to tend. */
static mtci_op *take(mtci_worker *worker, int64_t wait_ms, bool *is_stopping)
{
    struct timespec until = mtci_after_ms(wait_ms);
    pthread_mutex_lock(&worker->mutex);
    while (!worker->first && !worker->is_stopping) {
        if (pthread_cond_timedwait(&worker->wake, &worker->mutex, &until) ==
            ETIMEDOUT)
            break;
    }
    mtci_op *list = worker->first;
    worker->first = NULL;
    worker->last = &worker->first;
    worker->count = 0;
    *is_stopping = worker->is_stopping;
    pthread_mutex_unlock(&worker->mutex);
    return list;
}

static void pool_free(mtci_workers *pool)
{
    for (unsigned i = 0; i < MTCI_WORKERS; i++) {
        mtci_worker *worker = &pool->workers[i];
        if (!worker->pool)
            continue;
        pthread_mutex_destroy(&worker->mutex);
        pthread_cond_destroy(&worker->wake);
        pthread_cond_destroy(&worker->ended);
    }
    free(pool);
}

/* True for the last one. */
static bool pool_leave(mtci_workers *pool)
{
    return atomic_fetch_sub_explicit(&pool->users, 1, memory_order_acq_rel) ==
           1;
}

/* A thread ends. The last one cleans up if nobody waited for it. */
static void end_late(mtci_workers *pool)
{
    if (!pool_leave(pool))
        return;
    void (*ended)(void *ctx) = pool->ended;
    void *ctx = pool->ended_ctx;
    pool_free(pool);
    if (ended)
        ended(ctx);
}

static void *worker_main(void *arg)
{
    mtci_worker *worker = arg;
    mtci_workers *pool = worker->pool;
    const mtc_tier_ops *ops = pool->tier->ops;
    bool tends = worker == &pool->workers[0] && ops->tend;
    int64_t tended_ms = 0;
    int64_t wait_ms = MTCI_WORKER_TEND_MS;
    bool is_stopping = false;
    while (!is_stopping) {
        mtci_op *list = take(worker, wait_ms, &is_stopping);
        wait_ms = list ? MTCI_WORKER_TEND_MS : MTCI_WORKER_IDLE_MS;
        run_list(pool, reads_first(list));
        int64_t now_ms = mtci_boot_ms();
        if (tends && now_ms - tended_ms >= MTCI_WORKER_TEND_MS) {
            ops->tend(pool->tier, mtci_clock_ms(&pool->clock));
            tended_ms = now_ms;
        }
    }
    pthread_mutex_lock(&worker->mutex);
    worker->has_ended = true;
    pthread_cond_signal(&worker->ended);
    pthread_mutex_unlock(&worker->mutex);
    end_late(pool);
    return NULL;
}

static bool worker_start(mtci_workers *pool, mtci_worker *worker)
{
    worker->pool = pool;
    pthread_mutex_init(&worker->mutex, NULL);
    mtci_cond_init(&worker->wake);
    mtci_cond_init(&worker->ended);
    worker->last = &worker->first;
    atomic_fetch_add_explicit(&pool->users, 1, memory_order_relaxed);
    worker->is_started = mtci_spawn(&worker->thread, worker_main, worker);
    if (!worker->is_started)
        pool_leave(pool);
    return worker->is_started;
}

mtci_workers *mtci_workers_start(mtc_tier *tier, mtci_clock clock)
{
    mtci_workers *workers = calloc(1, sizeof(*workers));
    if (!workers)
        return NULL;
    workers->tier = tier;
    workers->clock = clock;
    atomic_init(&workers->users, 1);
    for (unsigned i = 0; i < MTCI_WORKERS; i++) {
        if (worker_start(workers, &workers->workers[i]))
            continue;
        mtci_workers_stop(workers, MTCI_WORKER_IDLE_MS, NULL, NULL);
        return NULL;
    }
    return workers;
}

bool mtci_workers_submit(mtci_workers *workers, mtci_op *op)
{
    mtci_worker *worker = &workers->workers[op->request.hash % MTCI_WORKERS];
    op->next = NULL;
    pthread_mutex_lock(&worker->mutex);
    bool has_room = worker->count < MTCI_WORKER_QUEUE_MAX;
    if (has_room) {
        *worker->last = op;
        worker->last = &op->next;
        if (worker->count++ == 0)
            pthread_cond_signal(&worker->wake);
    }
    pthread_mutex_unlock(&worker->mutex);
    return has_room;
}

static void worker_ask_to_stop(mtci_worker *worker)
{
    if (!worker->is_started)
        return;
    pthread_mutex_lock(&worker->mutex);
    worker->is_stopping = true;
    pthread_cond_signal(&worker->wake);
    pthread_mutex_unlock(&worker->mutex);
}

/* Joins the worker if it has ended by then. */
static void worker_join(mtci_worker *worker, const struct timespec *until)
{
    if (!worker->is_started)
        return;
    int late = 0;
    pthread_mutex_lock(&worker->mutex);
    while (!worker->has_ended && !late)
        late = pthread_cond_timedwait(&worker->ended, &worker->mutex, until);
    bool has_ended = worker->has_ended;
    pthread_mutex_unlock(&worker->mutex);
    if (has_ended)
        pthread_join(worker->thread, NULL);
    else
        pthread_detach(worker->thread);
}

bool mtci_workers_stop(mtci_workers *workers, int64_t wait_ms,
                       void (*ended)(void *ctx), void *ctx)
{
    if (!workers)
        return true;
    struct timespec until = mtci_after_ms(wait_ms);
    workers->ended = ended;
    workers->ended_ctx = ctx;
    for (unsigned i = 0; i < MTCI_WORKERS; i++)
        worker_ask_to_stop(&workers->workers[i]);
    for (unsigned i = 0; i < MTCI_WORKERS; i++)
        worker_join(&workers->workers[i], &until);
    if (!pool_leave(workers))
        return false;
    pool_free(workers);
    return true;
}
