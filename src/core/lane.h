/*
 * A lane: one tier of a cache, guarded.
 *
 * Everything that goes to a tier passes its lane, which adds the prefix, cuts
 * lives, refuses what the tier cannot hold, keeps deadlines, closes the tier
 * off while it is sick, remembers what it still has to remove, and counts. It
 * owns the workers of a tier that blocks. Any thread.
 */
#ifndef MTCI_CORE_LANE_H
#define MTCI_CORE_LANE_H

#include <pthread.h>

#include "core/debt.h"
#include "core/op.h"
#include "core/worker.h"

#define MTCI_LANE_LOOK_MS       100 /* how soon a reader sees a close */
#define MTCI_LANE_SAMPLES       100u
#define MTCI_DEADLINE_MS        250
#define MTCI_PREFIX_SIZE_MAX    255u
#define MTCI_LANE_TTL_SHARED_MS 300000 /* memory over a shared tier */

struct mtci_keeper;

typedef struct mtci_lane {
    mtc_tier *tier;
    const mtc_tier_ops *ops;
    mtci_workers *workers; /* NULL unless the tier blocks */
    struct mtci_keeper *keeper;
    mtci_clock clock;
    int index;
    size_t prefix_size;
    char prefix[MTCI_PREFIX_SIZE_MAX + 1];
    double ttl_scale;
    int64_t ttl_ms_max; /* MTC_NO_END: none */
    int64_t deadline_ms;
    int64_t promote_one_in; /* -1: never */

    mtci_debts debts;
    _Atomic bool is_down;  /* set by whoever sees it fail, cleared by the
                             keeper's probe */
    _Atomic uint64_t open; /* operations under way */
    _Atomic int64_t silent_since_ms; /* the first call that was left without
                                        an answer since the last answer; 0:
                                        none */
    _Atomic uint64_t reads;
    _Atomic uint64_t errors;
    _Atomic uint64_t timeouts;
    _Atomic uint64_t skipped;
    _Atomic uint64_t sample_count;
    _Atomic uint32_t samples_us[MTCI_LANE_SAMPLES];

    pthread_mutex_t mutex; /* guards the last error */
    mtc_status last_error;
    int64_t last_error_ms;
    char last_error_text[160];
} mtci_lane;

void mtci_lane_init(mtci_lane *lane, const mtc_tier_config *config,
                    mtci_clock clock);

/* Starts the workers of a tier that blocks, once it has joined the cache. */
mtc_status mtci_lane_start(mtci_lane *lane);

/* Stops them. Those that do not end within wait_ms hold the cache until they
 * do. */
void mtci_lane_stop(mtci_lane *lane, int64_t wait_ms);

/* After stop; the tier itself is closed by the cache that owns it. */
void mtci_lane_fini(mtci_lane *lane);

/* Whether the tier answers at once and is looked at before anything else. */
static inline bool mtci_lane_is_front(const mtci_lane *lane)
{
    return lane->ops->find != NULL;
}

static inline bool mtci_lane_is_down(const mtci_lane *lane)
{
    return atomic_load_explicit(&lane->is_down, memory_order_relaxed);
}

/* What the tier knows of itself. */
mtc_tier_usage mtci_lane_usage(const mtci_lane *lane);

/* Whether some part of the tier is up. A tier without parts has none. */
bool mtci_lane_has_part_up(const mtci_lane *lane);

/* The life of an entry in this tier, from a strategy's ttl. */
int64_t mtci_lane_life(const mtci_lane *lane, int64_t ttl_ms);

/* Sends operations of one verb, or completes them at once where the tier
 * cannot or must not be asked. Only queues: the slot may be held. */
void mtci_lane_submit(mtci_lane *lane, mtci_op *const *ops, size_t count);

/* A set, remove or expire of a tier that answers at once, without an
 * operation: the request needs key, hash, value and facts; sent_ms 0: it
 * leaves now. MTC_OK, MTC_PARTIAL; negative: not done, to be sent as an
 * operation. */
mtc_status mtci_lane_write_now(mtci_lane *lane, mtc_verb verb,
                               mtc_request *request);

/* Waits until the operation is complete, at most until its deadline and
 * until_ms, and tells how it ended. A caller that leaves before the answer
 * gets MTC_E_TIMEOUT, or MTC_E_CLOSED because the cache closes. */
mtc_status mtci_lane_wait(mtci_lane *lane, mtci_op *op, int64_t until_ms);

/* The same for a set, remove or expire: what the tier did not acknowledge
 * becomes a debt. MTC_OK; MTC_PARTIAL: not stored, and gone; MTC_PENDING:
 * owed; MTC_E_BUSY: no room for the debt. */
mtc_status mtci_lane_settle(mtci_lane *lane, mtci_op *op, int64_t until_ms);

/* For a caller that does not block: leaves an operation before its answer, why
 * being what it ends with, is_due that the tier had its whole deadline. False:
 * it was just answered. */
bool mtci_lane_depart(mtci_lane *lane, mtci_op *op, mtc_status why,
                      bool is_due);

/* The same two for a set, remove or expire: what settle says of one that was
 * answered, and of one whose caller leaves. *has_left: as depart. */
mtc_status mtci_lane_settle_answered(mtci_lane *lane, mtci_op *op);
mtc_status mtci_lane_settle_early(mtci_lane *lane, mtci_op *op, mtc_status why,
                                  bool is_due, bool *has_left);

/* Nobody waits for this operation any more. */
void mtci_lane_leave(mtci_lane *lane, mtci_op *op);

/* Sends what is queued without waiting. */
void mtci_lane_kick(mtci_lane *lane);

#endif
