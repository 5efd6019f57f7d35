/*
 * A completion queue for tests: callbacks that note what they got, and a loop
 * that drains until something is so.
 */
#ifndef MTCT_QUEUE_RIG_H
#define MTCT_QUEUE_RIG_H

#include "mtc/queue.h"
#include "support/cache_fixture.h"
#include "support/mute_tier.h"

/* One asynchronous call and what came of it; the ctx of its callback. */
typedef struct mtct_heard {
    unsigned count; /* how often it was called back */
    mtc_status status;
    char text[32];
} mtct_heard;

/* The callbacks. */
void mtct_hear(void *ctx, mtc_status status, mtc_value *value);
void mtct_hear_many(void *ctx, mtc_status status, mtc_item *items,
                    size_t count);

/* Memory over a tier that keeps reads until the test answers, and a queue. */
typedef struct mtct_queue_rig {
    mtct_mute *mute;
    mtct_clock now;
    mtc_cache *cache;
    mtc_queue *queue;
} mtct_queue_rig;

void mtct_queue_rig_init(mtct_queue_rig *rig);

/* Closes what the test has not closed. */
void mtct_queue_rig_fini(mtct_queue_rig *rig);

/* Sends what was begun, answers it, and takes the answer in. */
void mtct_queue_rig_answer(mtct_queue_rig *rig, mtc_status status);

/* Drains until the call was called back; ten seconds at most. */
void mtct_drain_until(mtc_queue *queue, const mtct_heard *heard);

/* Drains as long as there is something to do at once. */
void mtct_drain_all(mtc_queue *queue);

/* A thread that owns the queue, its ctx, for a while, and does not come back:
 * a loader or a callback ends it. Else its result is not NULL. */
void *mtct_drain_to_the_end(void *queue);

/* Asserts how a call ended, once; text NULL: no matter. */
#define mtct_assert_heard(heard, status, text)                                 \
    mtct_check_heard((heard), (status), (text), __FILE__, __LINE__)
void mtct_check_heard(const mtct_heard *heard, mtc_status status,
                      const char *text, const char *file, int line);

#endif
