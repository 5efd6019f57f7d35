/*
 * The table of debts of one tier; see debt.h.
 */
#include "core/debt.h"

#include <stdlib.h>

#include "base/slice.h"

void mtci_debts_init(mtci_debts *debts)
{
    *debts = (mtci_debts){0};
    pthread_mutex_init(&debts->mutex, NULL);
}

static void bucket_free(mtci_debt *debt)
{
    while (debt) {
        mtci_debt *next = debt->next;
        free(debt);
        debt = next;
    }
}

void mtci_debts_fini(mtci_debts *debts)
{
    for (size_t i = 0; debts->buckets && i < MTCI_DEBT_BUCKETS; i++)
        bucket_free(debts->buckets[i]);
    free(debts->buckets);
    pthread_mutex_destroy(&debts->mutex);
}

/* The link that points to the key's debt, or to NULL at the end. */
static mtci_debt **find_locked(mtci_debts *debts, mtc_slice key, uint64_t hash)
{
    mtci_debt **at = &debts->buckets[hash % MTCI_DEBT_BUCKETS];
    while (*at) {
        mtci_debt *debt = *at;
        if (debt->hash == hash &&
            mtci_slices_equal(mtc_bytes(debt->key, debt->key_size), key))
            break;
        at = &debt->next;
    }
    return at;
}

bool mtci_debts_has(mtci_debts *debts, mtc_slice key, uint64_t hash)
{
    if (mtci_debts_count(debts) == 0)
        return false;
    pthread_mutex_lock(&debts->mutex);
    bool has = *find_locked(debts, key, hash) != NULL;
    pthread_mutex_unlock(&debts->mutex);
    return has;
}

static mtci_debt *insert_locked(mtci_debts *debts, mtc_slice key, uint64_t hash)
{
    if (!debts->buckets)
        debts->buckets = calloc(MTCI_DEBT_BUCKETS, sizeof(*debts->buckets));
    if (!debts->buckets)
        return NULL;
    mtci_debt **at = find_locked(debts, key, hash);
    if (*at)
        return *at;
    if (mtci_debts_count(debts) >= MTCI_DEBTS_MAX)
        return NULL;
    mtci_debt *debt = malloc(sizeof(*debt) + key.size);
    if (!debt)
        return NULL;
    *debt = (mtci_debt){.hash = hash, .key_size = key.size};
    if (key.size > 0)
        memcpy(debt->key, key.data, key.size);
    *at = debt;
    atomic_fetch_add_explicit(&debts->count, 1, memory_order_release);
    return debt;
}

uint64_t mtci_debts_order(mtci_debts *debts)
{
    return atomic_fetch_add_explicit(&debts->last_order, 1,
                                     memory_order_relaxed) +
           1;
}

bool mtci_debts_add(mtci_debts *debts, mtc_slice key, uint64_t hash,
                    uint64_t order)
{
    pthread_mutex_lock(&debts->mutex);
    mtci_debt *debt = insert_locked(debts, key, hash);
    if (debt && debt->order < order)
        debt->order = order;
    pthread_mutex_unlock(&debts->mutex);
    return debt != NULL;
}

void mtci_debts_pay(mtci_debts *debts, mtc_slice key, uint64_t hash,
                    uint64_t order)
{
    if (mtci_debts_count(debts) == 0)
        return;
    pthread_mutex_lock(&debts->mutex);
    mtci_debt **at = find_locked(debts, key, hash);
    mtci_debt *debt = *at;
    if (debt && debt->order <= order) {
        *at = debt->next;
        free(debt);
        atomic_fetch_sub_explicit(&debts->count, 1, memory_order_release);
    }
    pthread_mutex_unlock(&debts->mutex);
}

/* Moves the first debt of a bucket to its end, and returns it. */
static mtci_debt *turn_locked(mtci_debt **bucket)
{
    mtci_debt *first = *bucket;
    mtci_debt **end = bucket;
    while (*end)
        end = &(*end)->next;
    *end = first;
    *bucket = first->next;
    first->next = NULL;
    return first;
}

static mtci_debt *pick_locked(mtci_debts *debts)
{
    for (size_t i = 0; i < MTCI_DEBT_BUCKETS; i++) {
        size_t at = (debts->next_bucket + i) % MTCI_DEBT_BUCKETS;
        if (!debts->buckets[at])
            continue;
        debts->next_bucket = at + 1;
        return turn_locked(&debts->buckets[at]);
    }
    return NULL;
}

bool mtci_debts_pick(mtci_debts *debts, char *key, size_t *size, uint64_t *hash)
{
    if (mtci_debts_count(debts) == 0)
        return false;
    pthread_mutex_lock(&debts->mutex);
    const mtci_debt *debt = pick_locked(debts);
    if (debt) {
        memcpy(key, debt->key, debt->key_size);
        *size = debt->key_size;
        *hash = debt->hash;
    }
    pthread_mutex_unlock(&debts->mutex);
    return debt != NULL;
}
