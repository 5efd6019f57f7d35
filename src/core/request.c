/*
 * Completing requests: the one way from a tier back to whoever asked.
 *
 * done may free the request; state is set before it, for a driver that keeps
 * the request in place and looks at it.
 */
#include "mtc/tier.h"

#define STATE_COMPLETE 1u

void mtc_request_complete(mtc_request *request, mtc_status status,
                          const char *failure)
{
    request->status = status;
    request->failure = failure;
    __atomic_store_n(&request->state, STATE_COMPLETE, __ATOMIC_RELEASE);
    request->done(request);
}

bool mtc_request_is_complete(const mtc_request *request)
{
    return __atomic_load_n(&request->state, __ATOMIC_ACQUIRE) == STATE_COMPLETE;
}
