/*
 * The loop of a thread of asynchronous callers: its completion queue, and
 * loads that take their time without a thread.
 */
#ifndef MTC_CLI_LOOP_H
#define MTC_CLI_LOOP_H

#include <stddef.h>
#include <stdint.h>

#include "mtc/queue.h"

/* A load that is to be answered. */
typedef struct loop_load {
    mtc_load *load;
    int64_t begun_ns;
} loop_load;

typedef struct loop {
    mtc_queue *queue;
    int64_t load_ns;    /* how long each load takes */
    int64_t took_ns;    /* what the last one did, */
    int64_t ended_ns;   /* and when it was answered */
    loop_load *waiting; /* a ring: all take as long, so the first is first */
    size_t room;
    size_t first;
    size_t count;
    uint64_t loads; /* begun */
} loop;

/* Opens a queue for so many callers, each of whom may wait for a load. False:
 * there is no memory or no descriptor. fini is due in any case. */
bool loop_init(loop *loop, mtc_cache *cache, size_t callers, int64_t load_ns);
void loop_fini(loop *loop);

/* The loader of all its callers; ctx is the loop. */
mtc_status loop_begin_load(mtc_load *load, void *ctx);

/* Answers the loads whose time has passed, sleeps until there is something to
 * do, and drains the queue. */
void loop_turn(loop *loop);

#endif
