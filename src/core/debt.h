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
    uint64_t id; /* grows with each debt; what pays must be younger */
    size_t key_size;
    char key[];
} mtci_debt;

typedef struct mtci_debts {
    pthread_mutex_t mutex; /* guards all but count */
    mtci_debt **buckets;   /* allocated with the first debt */
    uint64_t last_id;
    size_t next_bucket; /* where paying goes on */
    _Atomic size_t count;
} mtci_debts;

void mtci_debts_init(mtci_debts *debts);
void mtci_debts_fini(mtci_debts *debts);

/* Whether the key is owed. Costs one load while there are no debts. */
bool mtci_debts_has(mtci_debts *debts, mtc_slice key, uint64_t hash);

/* Owes the key from now on. Returns the debt's id; 0: no room. */
uint64_t mtci_debts_add(mtci_debts *debts, mtc_slice key, uint64_t hash);

/* The id of the youngest debt: a command that is sent now pays debts up to
 * it when it is acknowledged. */
uint64_t mtci_debts_last(mtci_debts *debts);

/* Pays the debt of a key if its id is at most id. */
void mtci_debts_pay(mtci_debts *debts, mtc_slice key, uint64_t hash,
                    uint64_t id);

/* Copies the key of some debt, another one with each call while there are
 * several, into key (MTC_KEY_SIZE_MAX bytes). False: there is none. */
bool mtci_debts_pick(mtci_debts *debts, char *key, size_t *size,
                     uint64_t *hash);

static inline size_t mtci_debts_count(mtci_debts *debts)
{
    return atomic_load_explicit(&debts->count, memory_order_relaxed);
}

#endif
