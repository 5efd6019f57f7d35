/*
 * Reading from memcached: many keys in one question, and one with what it
 * takes to put it back. Any thread, each with its own session.
 */
#ifndef MTCI_TIER_MEMCACHED_READ_H
#define MTCI_TIER_MEMCACHED_READ_H

#include "tier/memcached/session.h"

/* Asks for the keys of READ requests and completes them. */
void mtci_memcached_read(mtci_memcached_session *session,
                         mtc_request *const *requests, size_t count);

/* An entry as it was found. */
typedef struct mtci_memcached_found {
    mtc_value value; /* zeroed: there is none */
    mtc_facts facts;
    uint64_t cas; /* says whether it was changed since */
} mtci_memcached_found;

/* Finds one key for a session that is ready. */
memcached_return_t mtci_memcached_find(mtci_memcached_session *session,
                                       mtc_slice key,
                                       const mtci_memcached_key *stored_key,
                                       mtci_memcached_found *found);

#endif
