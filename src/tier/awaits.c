/*
 * Waiting for the end of leases; see awaits.h.
 */
#include "tier/awaits.h"

/* Takes those that match out, as a list. */
static mtc_request *extract(mtci_awaits *awaits, mtci_awaits_match match,
                            const void *ctx)
{
    mtc_request *taken = NULL;
    mtc_request *kept = NULL;
    mtc_request *next;
    int64_t due_ms = INT64_MAX;
    pthread_mutex_lock(&awaits->mutex);
    for (mtc_request *request = awaits->first; request; request = next) {
        mtc_request **list = match(ctx, request) ? &taken : &kept;
        next = request->link;
        request->link = *list;
        *list = request;
        if (list == &kept && request->lease_ms < due_ms)
            due_ms = request->lease_ms;
    }
    awaits->first = kept;
    atomic_store_explicit(&awaits->due_ms, due_ms, memory_order_release);
    pthread_mutex_unlock(&awaits->mutex);
    return taken;
}

static void complete_all(mtc_request *list, mtc_status status,
                         const char *failure)
{
    while (list) {
        mtc_request *request = list;
        list = request->link;
        mtc_request_complete(request, status, failure);
    }
}

void mtci_awaits_init(mtci_awaits *awaits)
{
    *awaits = (mtci_awaits){.first = NULL};
    pthread_mutex_init(&awaits->mutex, NULL);
    atomic_init(&awaits->due_ms, INT64_MAX);
}

/* A forked child may have inherited the mutex locked. */
void mtci_awaits_fini(mtci_awaits *awaits)
{
    complete_all(awaits->first, MTC_E_CLOSED, "closed");
    awaits->first = NULL;
}

bool mtci_awaits_add(mtci_awaits *awaits, mtc_request *request, int64_t left_ms,
                     int64_t now_ms)
{
    int64_t due_ms = request->deadline_ms;
    if (left_ms < due_ms - now_ms)
        due_ms = now_ms + left_ms;
    request->lease_ms = due_ms;
    pthread_mutex_lock(&awaits->mutex);
    request->link = awaits->first;
    awaits->first = request;
    bool is_earliest = due_ms < mtci_awaits_due_ms(awaits);
    if (is_earliest)
        atomic_store_explicit(&awaits->due_ms, due_ms, memory_order_release);
    pthread_mutex_unlock(&awaits->mutex);
    return is_earliest;
}

static bool is_due(const void *ctx, const mtc_request *request)
{
    return request->lease_ms <= *(const int64_t *)ctx;
}

void mtci_awaits_expire(mtci_awaits *awaits, int64_t now_ms)
{
    if (now_ms < mtci_awaits_due_ms(awaits))
        return;
    mtc_request *list = extract(awaits, is_due, &now_ms);
    while (list) {
        mtc_request *request = list;
        list = request->link;
        bool is_late = now_ms >= request->deadline_ms;
        mtc_request_complete(request, is_late ? MTC_E_TIMEOUT : MTC_OK,
                             is_late ? "the lease has not ended" : NULL);
    }
}

void mtci_awaits_wake(mtci_awaits *awaits, mtci_awaits_match match,
                      const void *ctx)
{
    if (mtci_awaits_any(awaits))
        complete_all(extract(awaits, match, ctx), MTC_OK, NULL);
}

static bool is_any(const void *ctx, const mtc_request *request)
{
    (void)ctx;
    (void)request;
    return true;
}

void mtci_awaits_wake_all(mtci_awaits *awaits)
{
    mtci_awaits_wake(awaits, is_any, NULL);
}

static bool is_it(const void *ctx, const mtc_request *request)
{
    return request == ctx;
}

void mtci_awaits_drop(mtci_awaits *awaits, const mtc_request *request)
{
    if (mtci_awaits_any(awaits))
        complete_all(extract(awaits, is_it, request), MTC_E_CANCELLED, NULL);
}
