/*
 * Leases: one process loads a key, the others take the result.
 *
 * A look-up with a lease takes one where the first tier that keeps them has no
 * fresh entry; the flight holds it. Whoever finds another's lease waits, on a
 * loader thread, until that has ended, and reads again. A value is stored
 * there first, and elsewhere only if that was accepted. The keeper renews
 * leases at half their life while their loads run.
 */
#ifndef MTCI_CORE_LEASE_H
#define MTCI_CORE_LEASE_H

#include "core/chain.h"

/* Notes what a read that asked for a lease said of it. The leader's. */
void mtci_lease_note(mtci_flight *flight, const mtci_lane *lane,
                     const mtc_request *request);

/* Whether another process has the lease of the flight's key. */
static inline bool mtci_lease_is_foreign(const mtci_flight *flight)
{
    return flight->lease.lane && flight->lease.ticket == 0;
}

/* Waits for another's lease to end, and looks again, until the key is found
 * (MTC_OK, look has it), the load is the caller's (MTC_MISS), or its time is
 * over: MTC_E_TIMEOUT, MTC_E_CLOSED. */
mtc_status mtci_lease_await(mtc_cache *cache, mtci_look *look,
                            int64_t until_ms);

/* The load begins: its lease is renewed until the flight has ended. */
void mtci_lease_hold(mtc_cache *cache, mtci_flight *flight);

/* The store of a value in the tier of the lease, with its ticket, to be
 * submitted with the slot held and waited for without; NULL: there is no
 * lease, or no memory. The lease is the store's then. */
mtci_op *mtci_lease_fill(mtci_flight *flight, const mtc_value *value,
                         const mtci_terms *terms);

/* Gives the lease back, if the flight still has it. drop: of a flight that
 * nobody has any more. */
void mtci_lease_give_back(mtci_flight *flight);
void mtci_lease_drop(mtci_flight *flight);

/* One that a read brought which nobody waited for any more. */
void mtci_lease_return(mtci_op *read);

/* The keeper's: renews what is due; when to look again, in milliseconds. */
int64_t mtci_lease_renew(mtc_cache *cache);

/* The end of the cache: nobody renews any more. */
void mtci_lease_forget(mtc_cache *cache);

#endif
