/*
 * Leases in Redis: requests that take, renew, fill, give back or await one, as
 * commands. script.h has what the server does. Stateless; any thread.
 */
#ifndef MTCI_TIER_REDIS_LEASE_H
#define MTCI_TIER_REDIS_LEASE_H

#include "tier/redis/entry.h"

/* Whether a request is about a lease, and not an entry's. */
bool mtci_redis_lease_is(mtc_verb verb, const mtc_request *request);

/* The command for such a request, as mtci_redis_entry_command. A READ has its
 * ticket already. */
mtci_redis_command *mtci_redis_lease_command(const mtci_redis_form *form,
                                             mtc_verb verb,
                                             mtc_request *request);

/* Before a READ is sent: whether it may take its lease. */
void mtci_redis_lease_allow(mtci_redis_command *command, bool may_take);

/* Judges the answer to a READ that was no error, as mtci_redis_entry_found.
 * The ticket stays if the lease was taken. */
mtc_status mtci_redis_lease_found(const mtci_redis_form *form,
                                  mtc_request *request, mtci_reply *answer,
                                  char failure[MTCI_REDIS_FAILURE_SIZE]);

/* What is told on the channel of a key. */
#define MTCI_REDIS_LEASE_MESSAGE_SIZE 17
void mtci_redis_lease_message(mtc_slice key,
                              char text[MTCI_REDIS_LEASE_MESSAGE_SIZE]);

#endif
