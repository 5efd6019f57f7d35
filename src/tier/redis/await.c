/*
 * Waiting for the end of leases. See await.h.
 */
#include "tier/redis/await.h"

#include "tier/redis/lease.h"
#include "tier/redis/script.h"

/* Which requests are meant; any field may be left out. */
typedef struct choice {
    bool is_all;
    int64_t now_ms;    /* those that are due by then */
    mtc_slice message; /* those it is about; empty: not asked for */
    const mtc_request *one;
} choice;

static bool is_meant(const mtc_request *request, const choice *choice)
{
    char message[MTCI_REDIS_LEASE_MESSAGE_SIZE];
    if (choice->is_all || request == choice->one ||
        request->lease_ms <= choice->now_ms)
        return true;
    if (choice->message.size != sizeof message - 1)
        return false;
    mtci_redis_lease_message(request->key, message);
    return memcmp(message, choice->message.data, sizeof message - 1) == 0;
}

/* The requests that are meant, as a list. */
static mtc_request *extract(mtci_redis_awaits *awaits, const choice *choice)
{
    mtc_request *taken = NULL;
    mtc_request *kept = NULL;
    mtc_request *next;
    int64_t due_ms = INT64_MAX;
    pthread_mutex_lock(&awaits->mutex);
    for (mtc_request *request = awaits->first; request; request = next) {
        mtc_request **list = is_meant(request, choice) ? &taken : &kept;
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

static void wake(mtci_redis_awaits *awaits, const choice *choice)
{
    if (mtci_redis_awaits_any(awaits))
        complete_all(extract(awaits, choice), MTC_OK, NULL);
}

void mtci_redis_awaits_init(mtci_redis_awaits *awaits)
{
    *awaits = (mtci_redis_awaits){.first = NULL};
    pthread_mutex_init(&awaits->mutex, NULL);
    atomic_init(&awaits->due_ms, INT64_MAX);
}

/* A forked child may have inherited the mutex locked. */
void mtci_redis_awaits_fini(mtci_redis_awaits *awaits)
{
    complete_all(awaits->first, MTC_E_CLOSED, "closed");
    awaits->first = NULL;
}

void mtci_redis_awaits_add(mtci_redis_awaits *awaits, mtc_request *request,
                           int64_t left_ms, int64_t now_ms)
{
    int64_t due_ms = request->deadline_ms;
    if (left_ms < due_ms - now_ms)
        due_ms = now_ms + left_ms;
    request->lease_ms = due_ms;
    pthread_mutex_lock(&awaits->mutex);
    request->link = awaits->first;
    awaits->first = request;
    if (due_ms < mtci_redis_awaits_due_ms(awaits))
        atomic_store_explicit(&awaits->due_ms, due_ms, memory_order_release);
    pthread_mutex_unlock(&awaits->mutex);
}

void mtci_redis_awaits_expire(mtci_redis_awaits *awaits, int64_t now_ms)
{
    const choice due = {.now_ms = now_ms};
    if (now_ms < mtci_redis_awaits_due_ms(awaits))
        return;
    mtc_request *list = extract(awaits, &due);
    while (list) {
        mtc_request *request = list;
        list = request->link;
        bool is_late = now_ms >= request->deadline_ms;
        mtc_request_complete(request, is_late ? MTC_E_TIMEOUT : MTC_OK,
                             is_late ? "the lease has not ended" : NULL);
    }
}

void mtci_redis_awaits_wake(mtci_redis_awaits *awaits, mtc_slice key)
{
    char message[MTCI_REDIS_LEASE_MESSAGE_SIZE];
    if (!mtci_redis_awaits_any(awaits))
        return;
    mtci_redis_lease_message(key, message);
    const choice of_key = {
        .now_ms = INT64_MIN,
        .message = mtc_bytes(message, sizeof message - 1),
    };
    wake(awaits, &of_key);
}

void mtci_redis_awaits_drop(mtci_redis_awaits *awaits,
                            const mtc_request *request)
{
    const choice one = {.now_ms = INT64_MIN, .one = request};
    if (mtci_redis_awaits_any(awaits))
        complete_all(extract(awaits, &one), MTC_E_CANCELLED, NULL);
}

static bool is_text(const mtci_reply *item, const char *text)
{
    mtc_slice bytes = mtci_reply_slice(item);
    return bytes.size == strlen(text) &&
           memcmp(bytes.data, text, bytes.size) == 0;
}

bool mtci_redis_awaits_push(void *ctx, const mtci_reply *push)
{
    static const choice ALL = {.is_all = true};
    choice of_message = {.now_ms = INT64_MIN};
    if (push->type == MTCI_REPLY_LOST) {
        wake(ctx, &ALL);
        return true;
    }
    if (push->type != MTCI_REPLY_PUSH || push->count != 3 ||
        !is_text(&push->items[1], MTCI_REDIS_LEASE_CHANNEL))
        return false;
    if (is_text(&push->items[0], "message")) {
        of_message.message = mtci_reply_slice(&push->items[2]);
        wake(ctx, &of_message);
    }
    return true;
}

bool mtci_redis_awaits_any(void *ctx)
{
    return mtci_redis_awaits_due_ms(ctx) != INT64_MAX;
}
