/*
 * Worker threads for a tier whose library blocks.
 *
 * Operations of one key always go to the same worker, in order. Each worker
 * has a bounded queue, takes what is there in one go, reads before the writes
 * of other keys, and does the tier's housekeeping in between. Threads block
 * all signals.
 */
#ifndef MTCI_CORE_WORKER_H
#define MTCI_CORE_WORKER_H

#include <pthread.h>

#include "base/clock.h"
#include "core/op.h"

#define MTCI_WORKERS          4u
#define MTCI_WORKER_QUEUE_MAX 4096u
#define MTCI_WORKER_BATCH     64u
#define MTCI_WORKER_BITS      1024u /* tell keys that are written from others */
#define MTCI_WORKER_TEND_MS   100
#define MTCI_WORKER_IDLE_MS   1000

struct mtci_workers;

typedef struct mtci_worker {
    struct mtci_workers *pool;
    pthread_t thread;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t wake;   /* there is work, or an end */
    pthread_cond_t ended;
    mtci_op *first;
    mtci_op **last;
    unsigned count;
    bool is_stopping;
    bool has_ended;
    bool is_started; /* the pool's own */
} mtci_worker;

typedef struct mtci_workers {
    mtc_tier *tier;
    mtci_clock clock;
    _Atomic unsigned users;   /* threads, and whoever has not stopped them */
    void (*ended)(void *ctx); /* called by the last thread if it was late */
    void *ended_ctx;
    mtci_worker workers[MTCI_WORKERS];
} mtci_workers;

/* Starts the threads. NULL: out of memory or threads. */
mtci_workers *mtci_workers_start(mtc_tier *tier, mtci_clock clock);

/* Queues an operation; false: its worker's queue is full. */
bool mtci_workers_submit(mtci_workers *workers, mtci_op *op);

/* Runs what is queued, then ends the threads and frees. False: a worker was
 * still inside the tier after wait_ms; it frees when it comes out, and then
 * calls ended unless it is NULL. */
bool mtci_workers_stop(mtci_workers *workers, int64_t wait_ms,
                       void (*ended)(void *ctx), void *ctx);

#endif
