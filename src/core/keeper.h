/*
 * The keeper: the cache's one thread of its own.
 *
 * It drives tiers when something is outstanding and nobody waits, asks a
 * tier that fell whether it is back, pays debts, lets tiers that do not block
 * do their housekeeping, and takes back from memory what a lower tier refused
 * as outdated. It blocks all signals. The functions may be called by any
 * thread, with a slot held.
 */
#ifndef MTCI_CORE_KEEPER_H
#define MTCI_CORE_KEEPER_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/op.h"
#include "mtc/cache.h"

#define MTCI_KEEPER_DRIVE_MS     5    /* while something is outstanding */
#define MTCI_KEEPER_BUSY_MS      50   /* while a tier is down or owes */
#define MTCI_KEEPER_TICK_MS      100  /* while the cache is used */
#define MTCI_KEEPER_IDLE_MS      1000 /* otherwise */
#define MTCI_KEEPER_PROBE_MS_MIN 50
#define MTCI_KEEPER_PROBE_MS_MAX 1000
#define MTCI_KEEPER_REASONS      16
#define MTCI_KEEPER_TELL_MS      60000 /* between lines on one tier */
#define MTCI_KEEPER_PAY_BATCH    64u

struct mtc_cache;

/* What the log was told last of a tier that fell. */
typedef struct mtci_told_fall {
    int64_t due_ms[MTCI_KEEPER_REASONS]; /* of the next line, by -status */
    uint64_t untold;                     /* falls since the last line */
    bool is_told;                        /* the one it lies in now */
} mtci_told_fall;

typedef struct mtci_keeper {
    struct mtc_cache *cache;
    pthread_t thread;
    bool is_started;
    pthread_mutex_t mutex; /* guards what follows, up to is_watching */
    pthread_cond_t cond;
    bool is_woken;
    bool is_stopping;
    mtci_op *refused;
    _Atomic bool is_watching; /* awake often: no need to wake it */

    /* The keeper's own. */
    uint64_t seen_requests;
    int64_t tended_ms;
    int64_t probe_at_ms[MTC_TIERS_MAX];
    int64_t probe_gap_ms[MTC_TIERS_MAX];
    int64_t fell_ms[MTC_TIERS_MAX];
    mtci_told_fall told[MTC_TIERS_MAX];
    char key[MTC_KEY_SIZE_MAX]; /* of the debt that is being paid */
} mtci_keeper;

void mtci_keeper_init(mtci_keeper *keeper, struct mtc_cache *cache);
void mtci_keeper_fini(mtci_keeper *keeper);

mtc_status mtci_keeper_start(mtci_keeper *keeper);
void mtci_keeper_stop(mtci_keeper *keeper);

/* Whether the calling thread is the keeper. */
bool mtci_keeper_is_here(const mtci_keeper *keeper);

/* Something is to be done soon: a debt, a tier that fell, the end. */
void mtci_keeper_wake(mtci_keeper *keeper);

/* Something is outstanding that nobody waits for. Cheap. */
void mtci_keeper_watch(mtci_keeper *keeper);

/* A fill was refused as outdated: its key leaves memory as well. Takes one
 * count of the operation. */
void mtci_keeper_take_refused(mtci_keeper *keeper, mtci_op *op);

#endif
