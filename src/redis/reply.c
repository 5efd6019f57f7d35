/*
 * Giving replies back, and what error replies mean. Stateless; any thread.
 */
#include "redis/reply.h"

#include <stdlib.h>

#include "base/slice.h"

/* Errors by how they begin; the first that fits counts. */
static const struct {
    const char *beginning;
    mtc_status status;
} ERRORS[] = {
    {"LOADING", MTC_E_UNAVAILABLE},
    {"BUSY ", MTC_E_UNAVAILABLE},
    {"MASTERDOWN", MTC_E_UNAVAILABLE},
    {"CLUSTERDOWN", MTC_E_UNAVAILABLE},
    {"READONLY", MTC_E_UNAVAILABLE},
    {"NOREPLICAS", MTC_E_UNAVAILABLE},
    {"MISCONF", MTC_E_UNAVAILABLE},
    {"OOM", MTC_E_UNAVAILABLE},
    {"MOVED", MTC_E_UNAVAILABLE},
    {"ASK", MTC_E_UNAVAILABLE},
    {"TRYAGAIN", MTC_E_UNAVAILABLE},
    {"UNBLOCKED", MTC_E_UNAVAILABLE},
    {"EXECABORT", MTC_E_UNAVAILABLE},
    {"ERR max number of clients", MTC_E_UNAVAILABLE},
    {"NOAUTH", MTC_E_DENIED},
    {"WRONGPASS", MTC_E_DENIED},
    /* The key alone, in the words of up to 7.0 and of later ones. */
    {"NOPERM this user has no permissions to access", MTC_E_INVALID},
    {"NOPERM No permissions to access a key", MTC_E_INVALID},
    {"NOPERM", MTC_E_DENIED},
    {"ERR AUTH", MTC_E_DENIED},
    {"ERR invalid password", MTC_E_DENIED},
    {"WRONGTYPE", MTC_E_INVALID},
    {"CROSSSLOT", MTC_E_INVALID},
    {MTCI_REPLY_OVERSIZE, MTC_E_TOO_LARGE},
    {"NOGROUP", MTC_E_INVALID},
    {"BUSYGROUP", MTC_E_INVALID},
    {"ERR unknown command", MTC_E_UNSUPPORTED},
    {"NOPROTO", MTC_E_UNSUPPORTED},
    {"ERR", MTC_E_INVALID},
};

#define ERROR_COUNT (sizeof ERRORS / sizeof *ERRORS)

_Static_assert(ERROR_COUNT < MTCI_REPLY_ERROR_KINDS,
               "the last number is for those that are not in the table");

static void free_tree(mtci_reply *reply)
{
    if (reply->type == MTCI_REPLY_ARRAY || reply->type == MTCI_REPLY_PUSH) {
        for (size_t i = 0; i < reply->count; i++)
            mtci_reply_fini(&reply->items[i]);
        free(reply->items);
        return;
    }
    if (reply->type & (MTCI_REPLY_STATUS | MTCI_REPLY_ERROR | MTCI_REPLY_BULK))
        mtc_value_free(&reply->bytes);
}

static void copy_text(mtc_slice from, char *text, size_t size)
{
    const unsigned char *bytes = from.data;
    size_t count = from.size < size - 1 ? from.size : size - 1;
    for (size_t i = 0; i < count; i++)
        text[i] = bytes[i] < ' ' || bytes[i] > '~' ? '?' : (char)bytes[i];
    text[count] = '\0';
}

/* Depth is bounded by the reader. */
void mtci_reply_fini(mtci_reply *reply)
{
    free_tree(reply);
    *reply = (mtci_reply){0};
}

mtc_slice mtci_reply_slice(const mtci_reply *reply)
{
    if (reply->type & (MTCI_REPLY_STATUS | MTCI_REPLY_ERROR | MTCI_REPLY_BULK))
        return mtc_value_slice(&reply->bytes);
    return mtc_bytes(NULL, 0);
}

size_t mtci_reply_error_kind(const mtci_reply *reply)
{
    mtc_slice text = mtci_reply_slice(reply);
    for (size_t i = 0; i < ERROR_COUNT; i++)
        if (mtci_slice_begins(text, ERRORS[i].beginning))
            return i;
    return ERROR_COUNT;
}

mtc_status mtci_reply_error_status(const mtci_reply *reply)
{
    size_t kind = mtci_reply_error_kind(reply);
    return kind < ERROR_COUNT ? ERRORS[kind].status : MTC_E_UNAVAILABLE;
}

bool mtci_reply_is_readonly(const mtci_reply *reply)
{
    return reply->type == MTCI_REPLY_ERROR &&
           mtci_slice_begins(mtci_reply_slice(reply), "READONLY");
}

void mtci_reply_error_text(const mtci_reply *reply, char *text, size_t size)
{
    copy_text(mtci_reply_slice(reply), text, size);
}

void mtci_reply_error_code(const mtci_reply *reply, char *text, size_t size)
{
    mtc_slice whole = mtci_reply_slice(reply);
    const char *space =
        whole.size > 0 ? memchr(whole.data, ' ', whole.size) : NULL;
    if (space)
        whole.size = (size_t)(space - (const char *)whole.data);
    copy_text(whole, text, size);
}
