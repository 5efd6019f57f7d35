/*
 * One submission at work: it holds a handle for as long as it lasts, and
 * knows what the outcomes of libmemcached mean.
 *
 * What submissions share (pool, host, counter) is the tier's; a session is
 * its thread's.
 */
#ifndef MTCI_TIER_MEMCACHED_SESSION_H
#define MTCI_TIER_MEMCACHED_SESSION_H

#include "mtc/tier.h"
#include "tier/memcached/entry.h"
#include "tier/memcached/pool.h"

/* What all sessions of a tier share. */
typedef struct mtci_memcached {
    const mtc_tier_host *host;
    mtci_memcached_pool pool;
    size_t item_size; /* the servers' limit, all counted */
    _Atomic uint64_t damaged;
} mtci_memcached;

typedef struct mtci_memcached_session {
    mtci_memcached *shared;
    memcached_st *handle; /* NULL: none yet, or none any more */
} mtci_memcached_session;

int64_t mtci_memcached_now_ms(const mtci_memcached *shared);
int64_t mtci_memcached_wall_ms(void);

/* Sees to a handle whose waits end with the deadline. If there is none, says
 * false, and why. */
bool mtci_memcached_ready(mtci_memcached_session *session, int64_t deadline_ms,
                          mtc_status *status, const char **failure);

/* The same for one request, which is completed if there is none. */
bool mtci_memcached_ready_for(mtci_memcached_session *session,
                              mtc_request *request);

/* Whether a server gave an answer, after which its connection is in step. */
bool mtci_memcached_is_answer(memcached_return_t rc);

/* What became of a call that returned rc: one that could not read an answer
 * may say that the key was not found, and the cause is then noted beside. */
memcached_return_t mtci_memcached_outcome(memcached_st *handle,
                                          memcached_return_t rc);

/* The error that stands for an outcome that is no answer; drops the handle.
 */
mtc_status mtci_memcached_fail(mtci_memcached_session *session,
                               memcached_return_t rc, int64_t deadline_ms);

/* Completes a request with answer, or with the error if rc is none. */
void mtci_memcached_settle(mtci_memcached_session *session,
                           mtc_request *request, mtc_status answer,
                           memcached_return_t rc);

/* Gives the handle back for others to use. */
void mtci_memcached_end(mtci_memcached_session *session);

#endif
