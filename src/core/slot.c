/*
 * The table of slots and the fence; see slot.h.
 */
#include "core/slot.h"

#include "base/mutex.h"
#include "core/failure.h"
#include "core/flight.h"

void mtci_slots_init(mtci_slots *slots)
{
    for (size_t i = 0; i < MTCI_SLOTS; i++) {
        mtci_mutex_init(&slots->slots[i].mutex);
        slots->slots[i].flights = NULL;
        slots->slots[i].marks = NULL;
        slots->slots[i].failures = NULL;
        slots->slots[i].failure_count = 0;
    }
}

void mtci_slots_fini(mtci_slots *slots)
{
    for (size_t i = 0; i < MTCI_SLOTS; i++) {
        mtci_failures_fini(&slots->slots[i]);
        pthread_mutex_destroy(&slots->slots[i].mutex);
    }
}

void mtci_slot_void_locked(mtci_slot *slot, mtc_slice key, uint64_t hash)
{
    mtci_flight *flight = slot->flights;
    for (; flight; flight = flight->next) {
        if (flight->hash == hash &&
            mtci_slices_equal(mtci_flight_key(flight), key))
            flight->is_void = true;
    }
    mtci_failure_drop_locked(slot, key, hash);
}

void mtci_mark_begin_locked(mtci_slot *slot, mtci_mark *mark)
{
    mtci_slot_void_locked(slot, mark->key, mark->hash);
    mark->next = slot->marks;
    slot->marks = mark;
}

void mtci_mark_end_locked(mtci_slot *slot, mtci_mark *mark)
{
    mtci_mark **at = &slot->marks;
    while (*at != mark)
        at = &(*at)->next;
    *at = mark->next;
    mtci_slot_void_locked(slot, mark->key, mark->hash);
}
