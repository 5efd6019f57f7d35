/*
 * The loads of a cache: how many run at a time, and the threads of those that
 * run in nobody's call.
 *
 * Every load takes a turn first, wherever it runs, and gives it back when it
 * has been answered; a load that is started inside another one needs none.
 * Who finds no turn waits in one bounded queue. Jobs that have a turn run on
 * loader threads, which are started when they are first needed, block all
 * signals, and are never more than there are turns. Any thread, a slot held
 * or not; granted and run are called without a lock.
 */
#ifndef MTCI_CORE_LOADS_H
#define MTCI_CORE_LOADS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "mtc/status.h"

#define MTCI_LOADS_MAX       16u   /* turns, unless the options say */
#define MTCI_LOADS_TOP       65536 /* the most that they may say */
#define MTCI_LOADS_QUEUE_MAX 4096u /* who waits for one */
#define MTCI_LOADS_WAIT_MS   5000  /* for so long at most */

/* A load that waits for its turn; its owner keeps it in place. */
typedef struct mtci_turn {
    struct mtci_turn *next;
    int64_t due_ms;
    /* MTC_OK: it is the turn's; MTC_E_BUSY: it was due; MTC_E_CLOSED. */
    void (*granted)(struct mtci_turn *turn, mtc_status status);
} mtci_turn;

/* Something that has its turn and needs a thread. */
typedef struct mtci_errand {
    struct mtci_errand *next;
    void (*run)(struct mtci_errand *errand);
} mtci_errand;

typedef struct mtci_loader_thread {
    struct mtci_loader_thread *next;
    struct mtci_loads *loads;
    pthread_t id;
    bool is_over;  /* to be joined */
    bool is_alone; /* nobody joins it */
} mtci_loader_thread;

typedef struct mtci_loads {
    _Atomic uint32_t refs; /* the cache, each thread */
    unsigned turns_max;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t work;
    pthread_cond_t ended;
    unsigned running; /* turns that are taken */
    unsigned waiting;
    mtci_turn *first_turn, **last_turn;
    mtci_errand *first_errand, **last_errand;
    unsigned idle_count, errand_count;
    mtci_loader_thread *threads;
    bool is_closed, is_stopping;
} mtci_loads;

/* NULL: out of memory. */
mtci_loads *mtci_loads_new(unsigned turns_max);

/* MTC_OK: it has its turn. MTC_PENDING: granted will be called, soon after
 * due_ms at the latest, unless it is withdrawn. MTC_E_BUSY: the queue is full.
 * MTC_E_CLOSED. */
mtc_status mtci_loads_take(mtci_loads *loads, mtci_turn *turn, int64_t now_ms);

/* True: it does not wait any more, and granted will not be called. False:
 * granted was called, or is about to be. */
bool mtci_loads_withdraw(mtci_loads *loads, mtci_turn *turn);

/* Gives a turn back. */
void mtci_loads_give(mtci_loads *loads);

/* Runs an errand, which has its turn, on a loader thread. False: there is
 * none, and none can be started. */
bool mtci_loads_run(mtci_loads *loads, mtci_errand *errand);

/* Ends the waiting of turns that are due. */
void mtci_loads_tend(mtci_loads *loads, int64_t now_ms);

/* How many loads run and wait now. */
void mtci_loads_count(mtci_loads *loads, uint64_t *running, uint64_t *waiting);

/* Nobody gets a turn any more; who waits is told. */
void mtci_loads_close(mtci_loads *loads);

/* Ends the threads, which have nothing left to do, and gives the cache's
 * count back; one of them may call it. NULL is fine. */
void mtci_loads_stop(mtci_loads *loads);

#endif
