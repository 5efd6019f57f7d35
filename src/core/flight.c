/*
 * Flights: joining, ending, handing over; see flight.h.
 */
#include "core/flight.h"

#include <stdlib.h>

#include "base/sync.h"
#include "core/lease.h"
#include "core/task.h"

static mtci_flight *find_locked(mtci_slot *slot, mtc_slice key, uint64_t hash)
{
    mtci_flight *flight = slot->flights;
    for (; flight; flight = flight->next) {
        if (flight->hash == hash && !flight->is_void &&
            mtci_slices_equal(mtci_flight_key(flight), key))
            return flight;
    }
    return NULL;
}

bool mtci_flight_is_open_locked(mtci_slot *slot, mtc_slice key, uint64_t hash)
{
    return find_locked(slot, key, hash) != NULL;
}

static bool is_marked_locked(const mtci_slot *slot, mtc_slice key,
                             uint64_t hash)
{
    const mtci_mark *mark = slot->marks;
    for (; mark; mark = mark->next) {
        if (mark->hash == hash && mtci_slices_equal(mark->key, key))
            return true;
    }
    return false;
}

static mtci_flight *flight_new(mtci_slot *slot, mtc_slice key, uint64_t hash)
{
    mtci_flight *flight = calloc(1, sizeof(*flight) + key.size);
    if (!flight)
        return NULL;
    flight->slot = slot;
    flight->hash = hash;
    flight->last = &flight->parties;
    flight->key_size = key.size;
    if (key.size > 0)
        memcpy(flight->key, key.data, key.size);
    return flight;
}

static void open_locked(mtci_slot *slot, mtci_flight *flight, mtci_party *party)
{
    atomic_init(&flight->refs, 2); /* the slot's list, the leader */
    flight->is_marked =
        is_marked_locked(slot, mtci_flight_key(flight), flight->hash);
    flight->seat = party;
    party->is_opener = true;
    flight->next = slot->flights;
    slot->flights = flight;
}

void mtci_flight_follow_locked(mtci_flight *flight, mtci_party *party)
{
    party->next = NULL;
    party->is_listed = true;
    flight->has_tasks |= party->task != NULL;
    *flight->last = party;
    flight->last = &party->next;
}

mtci_flight *mtci_flight_enter(mtci_slots *slots, mtc_slice key, uint64_t hash,
                               mtci_party *party)
{
    mtci_slot *slot = mtci_slot_of(slots, hash);
    mtci_flight *fresh = NULL;
    pthread_mutex_lock(&slot->mutex);
    mtci_flight *flight = find_locked(slot, key, hash);
    if (flight) {
        atomic_fetch_add_explicit(&flight->refs, 1, memory_order_relaxed);
        mtci_flight_follow_locked(flight, party);
    } else {
        fresh = flight_new(slot, key, hash);
        if (fresh)
            open_locked(slot, fresh, party);
        flight = fresh;
    }
    pthread_mutex_unlock(&slot->mutex);
    return flight;
}

mtci_flight *mtci_flight_open(mtci_slots *slots, mtc_slice key, uint64_t hash,
                              mtci_party *party)
{
    mtci_slot *slot = mtci_slot_of(slots, hash);
    mtci_flight *flight = NULL;
    pthread_mutex_lock(&slot->mutex);
    if (!find_locked(slot, key, hash))
        flight = flight_new(slot, key, hash);
    if (flight)
        open_locked(slot, flight, party);
    pthread_mutex_unlock(&slot->mutex);
    return flight;
}

void mtci_flight_release(mtci_flight *flight)
{
    if (atomic_fetch_sub_explicit(&flight->refs, 1, memory_order_acq_rel) > 1)
        return;
    mtci_lease_drop(flight);
    mtc_value_free(&flight->result.value);
    mtc_value_free(&flight->load.value);
    mtc_value_free(&flight->load.etag);
    mtc_value_free(&flight->stale.value);
    free(flight);
}

static void wake_tasks_locked(mtci_flight *flight)
{
    mtci_party *party = flight->has_tasks ? flight->parties : NULL;
    while (party) {
        mtci_party *next = party->next;
        if (party->task)
            mtci_task_wake(party->task);
        party = next;
    }
}

bool mtci_flight_has_task_locked(const mtci_flight *flight)
{
    const mtci_party *party = flight->has_tasks ? flight->parties : NULL;
    while (party && !party->task)
        party = party->next;
    return party != NULL;
}

void mtci_flight_keep_stale(mtci_flight *flight, mtc_value *value,
                            const mtci_copy *copy)
{
    mtci_stale *stale = &flight->stale;
    bool is_older = stale->value.ops && stale->copy.age_ms <= copy->age_ms;
    if (is_older || mtc_value_detach(value) != MTC_OK)
        return;
    mtc_value older = stale->value;
    pthread_mutex_lock(&flight->slot->mutex);
    *stale = (mtci_stale){*value, *copy};
    atomic_fetch_add_explicit(&flight->word, 2, memory_order_release);
    wake_tasks_locked(flight);
    pthread_mutex_unlock(&flight->slot->mutex);
    mtci_flight_wake(flight);
    *value = (mtc_value){0};
    mtc_value_free(&older);
}

static void unlink_locked(mtci_flight *flight)
{
    mtci_flight **at = &flight->slot->flights;
    while (*at != flight)
        at = &(*at)->next;
    *at = flight->next;
    mtci_flight_release(flight);
}

void mtci_flight_finish_locked(mtci_flight *flight, const mtci_result *result)
{
    flight->result = *result;
    flight->result.value = (mtc_value){0};
    bool is_awaited = flight->parties || flight->seat;
    if (is_awaited && result->value.ops &&
        mtc_value_share(&result->value, &flight->result.value) != MTC_OK) {
        flight->result.status = MTC_E_NO_MEMORY;
        flight->result.outcome = MTCI_OUTCOME_ERROR;
    }
    wake_tasks_locked(flight);
    flight->seat = NULL;
    flight->parties = NULL;
    flight->last = &flight->parties;
    atomic_fetch_or_explicit(&flight->word, MTCI_FLIGHT_DONE,
                             memory_order_release);
    unlink_locked(flight);
}

static void answer_plain_locked(mtci_flight *flight, const mtci_result *answer)
{
    mtci_party **at = &flight->parties;
    while (*at) {
        mtci_party *party = *at;
        if (party->has_loader) {
            at = &party->next;
            continue;
        }
        *at = party->next;
        party->is_answered = true;
        party->result = *answer;
        if (party->task)
            mtci_task_wake(party->task);
    }
    flight->last = at;
}

static mtci_party *first_with_loader_locked(mtci_flight *flight)
{
    mtci_party *party = flight->parties;
    while (party && !party->has_loader)
        party = party->next;
    return party;
}

static void seat_locked(mtci_flight *flight, mtci_party *heir)
{
    mtci_flight_leave_locked(flight, heir);
    flight->seat = heir;
    atomic_fetch_add_explicit(&flight->word, 2, memory_order_release);
    if (heir->task)
        mtci_task_wake(heir->task);
}

void mtci_flight_pass_locked(mtci_flight *flight, const mtci_result *answer,
                             const mtci_result *otherwise)
{
    mtci_party *heir = first_with_loader_locked(flight);
    if (!heir) {
        mtci_flight_finish_locked(flight, otherwise);
        return;
    }
    if (answer)
        answer_plain_locked(flight, answer);
    seat_locked(flight, heir);
}

void mtci_flight_resign_locked(mtci_flight *flight,
                               const mtci_result *otherwise)
{
    mtci_party *heir = flight->parties;
    while (heir && !heir->can_look)
        heir = heir->next;
    if (heir)
        seat_locked(flight, heir);
    else
        mtci_flight_finish_locked(flight, otherwise);
}

void mtci_flight_leave_locked(mtci_flight *flight, mtci_party *party)
{
    mtci_party **at = &flight->parties;
    while (*at && *at != party)
        at = &(*at)->next;
    if (!*at)
        return;
    *at = party->next;
    if (flight->last == &party->next)
        flight->last = at;
}

void mtci_flight_wake(mtci_flight *flight)
{
    /* Adding nothing: a look that the change of the word comes before. */
    if (atomic_fetch_add_explicit(&flight->sleepers, 0, memory_order_seq_cst) >
        0)
        mtci_word_wake(&flight->word);
}
