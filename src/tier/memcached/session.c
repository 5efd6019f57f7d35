/*
 * One submission at work. See session.h. One thread each.
 */
#include "tier/memcached/session.h"

#include <time.h>

#include "base/clock.h"

int64_t mtci_memcached_now_ms(const mtci_memcached *shared)
{
    const mtc_tier_host *host = shared->host;
    return host ? host->now_ms(host->ctx) : mtci_boot_ms();
}

int64_t mtci_memcached_wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool mtci_memcached_ready(mtci_memcached_session *session, int64_t deadline_ms,
                          mtc_status *status, const char **failure)
{
    int64_t left_ms = deadline_ms - mtci_memcached_now_ms(session->shared);
    *status = MTC_E_TIMEOUT;
    *failure = "the deadline passed before memcached was asked";
    if (left_ms <= 0)
        return false;
    if (!session->handle)
        session->handle = mtci_memcached_take(&session->shared->pool);
    *status = MTC_E_NO_MEMORY;
    *failure = "out of memory";
    if (!session->handle)
        return false;
    mtci_memcached_bound(session->handle, left_ms);
    return true;
}

bool mtci_memcached_ready_for(mtci_memcached_session *session,
                              mtc_request *request)
{
    mtc_status status;
    const char *failure;
    if (mtci_memcached_ready(session, request->deadline_ms, &status, &failure))
        return true;
    mtc_request_complete(request, status, failure);
    return false;
}

bool mtci_memcached_is_answer(memcached_return_t rc)
{
    return rc == MEMCACHED_SUCCESS || rc == MEMCACHED_STORED ||
           rc == MEMCACHED_DELETED || rc == MEMCACHED_END ||
           rc == MEMCACHED_NOTFOUND || rc == MEMCACHED_NOTSTORED ||
           rc == MEMCACHED_DATA_EXISTS;
}

memcached_return_t mtci_memcached_outcome(memcached_st *handle,
                                          memcached_return_t rc)
{
    bool is_vague = rc == MEMCACHED_SOME_ERRORS;
    if (rc == MEMCACHED_SUCCESS || rc == MEMCACHED_STORED ||
        (!is_vague && !mtci_memcached_is_answer(rc)))
        return rc;
    memcached_return_t noted = memcached_last_error(handle);
    return mtci_memcached_is_answer(noted) ? rc : noted;
}

static mtc_status status_of(memcached_return_t rc, bool is_late)
{
    switch (rc) {
    case MEMCACHED_TIMEOUT:
        return MTC_E_TIMEOUT;
    case MEMCACHED_AUTH_PROBLEM:
    case MEMCACHED_AUTH_FAILURE:
    case MEMCACHED_AUTH_CONTINUE:
        return MTC_E_DENIED;
    default:
        return is_late ? MTC_E_TIMEOUT : MTC_E_UNAVAILABLE;
    }
}

mtc_status mtci_memcached_fail(mtci_memcached_session *session,
                               memcached_return_t rc, int64_t deadline_ms)
{
    if (session->handle)
        mtci_memcached_discard(&session->shared->pool, session->handle);
    session->handle = NULL;
    return status_of(rc, mtci_memcached_now_ms(session->shared) >= deadline_ms);
}

void mtci_memcached_settle(mtci_memcached_session *session,
                           mtc_request *request, mtc_status answer,
                           memcached_return_t rc)
{
    if (mtci_memcached_is_answer(rc)) {
        mtc_request_complete(request, answer, NULL);
        return;
    }
    mtc_status status = mtci_memcached_fail(session, rc, request->deadline_ms);
    mtc_request_complete(request, status, memcached_strerror(NULL, rc));
}

void mtci_memcached_end(mtci_memcached_session *session)
{
    if (session->handle)
        mtci_memcached_give(&session->shared->pool, session->handle);
    session->handle = NULL;
}
