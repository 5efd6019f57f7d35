/*
 * Debts of one tier: keys whose removal it has not acknowledged.
 *
 * Such a key must not be read from the tier before it was removed there. The
 * list is bounded; what does not fit is refused, so that the caller learns
 * that nothing was promised. Any thread.
 */
#ifndef MTCI_CORE_DEBT_H
#define MTCI_CORE_DEBT_H

#include <pthread.h>
#include <stdatomic.h>

#include "mtc/value.h"

#define MTCI_DEBTS_MAX    65536u
#define MTCI_DEBT_BUCKETS 4096u

typedef struct mtci_debt {
    struct mtci_debt *next;
    uint64_t hash;
    uint64_t order; /* of the youngest write that was not acknowledged */
    size_t key_size;
    char key[];
} mtci_debt;

typedef struct mtci_debts {
    pthread_mutex_t mutex; /* guards all but the atomic ones */
    mtci_debt **buckets;   /* allocated with the first debt */
    size_t next_bucket;    /* where paying goes on */
    _Atomic size_t count;
    _Atomic uint64_t last_order;
} mtci_debts;

void mtci_debts_init(mtci_debts *debts);
void mtci_debts_fini(mtci_debts *debts);

/* Whether the key is owed. Costs one load while there are no debts. */
bool mtci_debts_has(mtci_debts *debts, mtc_slice key, uint64_t hash);

/* The place of a write of the tier among all of them, whether it is sent or
 * not; 1 and up. Writes of one key take theirs in the order in which they
 * count. */
uint64_t mtci_debts_order(mtci_debts *debts);

/* Owes the key from now on, for the write of this order. False: no room. */
bool mtci_debts_add(mtci_debts *debts, mtc_slice key, uint64_t hash,
                    uint64_t order);

/* Pays the debt of a key, unless it is for a write that came after the one of
 * this order, which was acknowledged. */
void mtci_debts_pay(mtci_debts *debts, mtc_slice key, uint64_t hash,
                    uint64_t order);

/* Copies the key of some debt, another one with each call while there are
 * several, into key (MTC_KEY_SIZE_MAX bytes). False: there is none. */
bool mtci_debts_pick(mtci_debts *debts, char *key, size_t *size,
                     uint64_t *hash);

static inline size_t mtci_debts_count(mtci_debts *debts)
{
    return atomic_load_explicit(&debts->count, memory_order_relaxed);
}

#endif
