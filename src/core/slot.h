/*
 * Slots: flight, fence and order of writes of a key, under one lock.
 *
 * A fixed table of slots, each a mutex with the open flights and the writes
 * under way of the keys that hash to it. Hits in memory never touch it. A
 * slot is held while memory changes and commands are queued, never during I/O
 * and never while user code runs. Lock order: slot, then whatever a tier's
 * submit takes; two slots are never held together.
 */
#ifndef MTCI_CORE_SLOT_H
#define MTCI_CORE_SLOT_H

#include <pthread.h>
#include <stdalign.h>

#include "base/slice.h"

#define MTCI_SLOTS 512u

struct mtci_flight;
struct mtci_failure;

/* A set, remove or expire under way. While it is, flights of its key that
 * open store nothing: they may have read what it replaces. */
typedef struct mtci_mark {
    struct mtci_mark *next;
    mtc_slice key;
    uint64_t hash;
} mtci_mark;

typedef struct mtci_slot {
    alignas(64) pthread_mutex_t mutex; /* guards the lists and the fields of
                                          their flights */
    struct mtci_flight *flights;
    mtci_mark *marks;
    struct mtci_failure *failures;
    uint32_t failure_count;
} mtci_slot;

typedef struct mtci_slots {
    mtci_slot slots[MTCI_SLOTS];
} mtci_slots;

void mtci_slots_init(mtci_slots *slots);
void mtci_slots_fini(mtci_slots *slots);

static inline mtci_slot *mtci_slot_of(mtci_slots *slots, uint64_t hash)
{
    return &slots->slots[(hash >> 20) % MTCI_SLOTS];
}

/* A write that is done while the slot is held: the key's flights become void,
 * and that its load failed is forgotten. */
void mtci_slot_void_locked(mtci_slot *slot, mtc_slice key, uint64_t hash);

/* A write begins: the key's flights become void, later ones are born unable
 * to store. */
void mtci_mark_begin_locked(mtci_slot *slot, mtci_mark *mark);

/* A write ends, every tier having answered or timed out: flights that opened
 * meanwhile become void as well. */
void mtci_mark_end_locked(mtci_slot *slot, mtci_mark *mark);

#endif
