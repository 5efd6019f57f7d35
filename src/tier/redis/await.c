/*
 * What Redis tells of the end of leases. See await.h.
 */
#include "tier/redis/await.h"

#include "tier/redis/lease.h"
#include "tier/redis/script.h"

#define MESSAGE_SIZE (MTCI_REDIS_LEASE_MESSAGE_SIZE - 1)

/* Whether a message is about the key of a request. */
static bool is_about(const void *message, const mtc_request *request)
{
    char own[MTCI_REDIS_LEASE_MESSAGE_SIZE];
    mtci_redis_lease_message(request->key, own);
    return memcmp(own, message, MESSAGE_SIZE) == 0;
}

void mtci_redis_await_end(mtci_awaits *awaits, mtc_slice key)
{
    char message[MTCI_REDIS_LEASE_MESSAGE_SIZE];
    if (!mtci_awaits_any(awaits))
        return;
    mtci_redis_lease_message(key, message);
    mtci_awaits_wake(awaits, is_about, message);
}

static bool is_text(const mtci_reply *item, const char *text)
{
    mtc_slice bytes = mtci_reply_slice(item);
    return bytes.size == strlen(text) &&
           memcmp(bytes.data, text, bytes.size) == 0;
}

bool mtci_redis_await_push(void *ctx, const mtci_reply *push)
{
    if (push->type == MTCI_REPLY_LOST) {
        mtci_awaits_wake_all(ctx);
        return true;
    }
    if (push->type != MTCI_REPLY_PUSH || push->count != 3 ||
        !is_text(&push->items[1], MTCI_REDIS_LEASE_CHANNEL))
        return false;
    mtc_slice message = mtci_reply_slice(&push->items[2]);
    if (is_text(&push->items[0], "message") && message.size == MESSAGE_SIZE)
        mtci_awaits_wake(ctx, is_about, message.data);
    return true;
}

bool mtci_redis_await_is_any(void *ctx)
{
    return mtci_awaits_any(ctx);
}
