/*
 * Consuming: reading and claiming as a consumer of a group. Reading new
 * entries is for one thread at a time, the rest for any.
 */
#include <stdlib.h>

#include "stream/batch.h"
#include "stream/group.h"

/* How often a group is made again within one read. */
#define MAKES_MAX 3

/* -- reading --------------------------------------------------------------- */

typedef struct want {
    const mtc_group *group;
    size_t count;
    const mtc_stream_id *cursor; /* own pending behind it; NULL: new ones */
} want;

static mtci_redis_command *make_read(const void *ctx, int64_t wait_ms)
{
    const want *want = ctx;
    const mtc_group *group = want->group;
    mtci_redis_command *command =
        mtci_command_new(MTCI_REPLY_ARRAY | MTCI_REPLY_NIL);
    if (!command)
        return NULL;
    mtci_resp_begin(&command->bytes, wait_ms > 0 ? 11 : 9);
    mtci_resp_add_text(&command->bytes, "XREADGROUP");
    mtci_resp_add_text(&command->bytes, "GROUP");
    mtci_resp_add(&command->bytes, group->name);
    mtci_resp_add(&command->bytes, group->consumer);
    mtci_resp_add_text(&command->bytes, "COUNT");
    mtci_resp_add_number(&command->bytes, (int64_t)want->count);
    if (wait_ms > 0) {
        mtci_resp_add_text(&command->bytes, "BLOCK");
        mtci_resp_add_number(&command->bytes, wait_ms);
    }
    mtci_resp_add_text(&command->bytes, "STREAMS");
    mtci_resp_add(&command->bytes, mtci_stream_key(group->stream));
    if (want->cursor)
        mtci_stream_add_id(command, *want->cursor);
    else
        mtci_resp_add_text(&command->bytes, ">");
    /* Sent again, new entries would be given twice. */
    command->is_retryable = want->cursor != NULL;
    return command;
}

static mtc_status read_new(mtc_group *group, size_t count, int64_t wait_ms,
                           mtci_reply *entries)
{
    int64_t until_ms = mtci_stream_now_ms(group->stream) + wait_ms;
    const want want = {group, count, NULL};
    /* Entries that a lost reply gave are pending: not to be given again. */
    const mtci_link_read read = {make_read, &want, false};
    unsigned makes = 0;
    for (;;) {
        mtci_answer answer;
        int64_t left_ms = until_ms - mtci_stream_now_ms(group->stream);
        mtc_status status = mtci_link_ask(&group->link, &read,
                                          left_ms > 0 ? left_ms : 0, &answer);
        if (status < 0 && mtci_group_is_gone(&answer) && makes++ < MAKES_MAX) {
            status = mtci_group_make(group);
            if (status < 0)
                return status;
            continue;
        }
        if (status != MTC_OK)
            return status;
        atomic_store(&group->had_group, true);
        status = mtci_streams_take_only(&answer.reply, entries);
        if (status != MTC_MISS || left_ms <= 0)
            return status;
    }
}

mtc_status mtc_group_read(mtc_group *group, size_t count, int64_t wait_ms,
                          mtc_stream_batch **batch)
{
    int cancel_state;
    mtci_reply entries;
    if (!batch)
        return MTC_E_INVALID;
    *batch = NULL;
    if (!group || !mtci_stream_is_count(count) || !mtci_stream_is_wait(wait_ms))
        return MTC_E_INVALID;
    mtc_status status = mtci_stream_enter(group->stream, &cancel_state);
    if (status != MTC_OK)
        return status;
    status = read_new(group, count, wait_ms, &entries);
    mtci_stream_leave(group->stream, cancel_state);
    return status == MTC_OK ? mtci_batch_new(&entries, batch) : status;
}

/* Acknowledges those that the stream no longer has, which nobody can handle,
 * and makes a batch of the rest; takes the entries over. MTC_PENDING: there
 * was nothing but such. */
static mtc_status sift(mtc_group *group, mtci_reply *entries,
                       mtc_stream_id *last, mtc_stream_batch **batch)
{
    if (entries->type != MTCI_REPLY_ARRAY || entries->count == 0)
        return mtci_batch_new(entries, batch);
    mtc_stream_id *deleted = calloc(entries->count, sizeof *deleted);
    mtc_status status = deleted ? MTC_OK : MTC_E_NO_MEMORY;
    size_t count = 0;
    if (deleted)
        count = mtci_entries_sift(entries, deleted, last);
    if (count > 0)
        status = mtc_group_acknowledge(group, deleted, count, NULL);
    free(deleted);
    if (status >= 0 && entries->count > 0)
        return mtci_batch_new(entries, batch);
    mtci_reply_fini(entries);
    return status < 0 ? status : MTC_PENDING;
}

static mtc_status read_own(mtc_group *group, mtc_stream_id *cursor,
                           size_t count, mtc_stream_batch **batch)
{
    mtc_status status;
    do {
        mtci_answer answer;
        mtci_reply entries;
        mtc_stream_id last = *cursor;
        const want want = {group, count, cursor};
        status = mtci_stream_call(group->stream, make_read(&want, 0), &answer);
        if (status == MTC_E_INVALID && mtci_group_is_gone(&answer))
            return MTC_MISS;
        if (status == MTC_OK)
            status = mtci_streams_take_only(&answer.reply, &entries);
        if (status == MTC_OK)
            status = sift(group, &entries, &last, batch);
        /* Asked again, it would say the same. */
        if (status == MTC_PENDING && !mtci_id_is_before(*cursor, last))
            status = MTC_E_CORRUPT;
        if (status >= 0)
            *cursor = last;
    } while (status == MTC_PENDING);
    return status;
}

mtc_status mtc_group_read_own(mtc_group *group, mtc_stream_id *cursor,
                              size_t count, mtc_stream_batch **batch)
{
    int cancel_state;
    if (!batch)
        return MTC_E_INVALID;
    *batch = NULL;
    if (!group || !cursor || !mtci_stream_is_count(count))
        return MTC_E_INVALID;
    mtc_status status = mtci_stream_enter(group->stream, &cancel_state);
    if (status != MTC_OK)
        return status;
    status = read_own(group, cursor, count, batch);
    mtci_stream_leave(group->stream, cancel_state);
    return status;
}

/* -- claiming -------------------------------------------------------------- */

static mtci_redis_command *make_claim(const mtc_group *group, int64_t idle_ms,
                                      mtc_stream_id cursor, size_t count)
{
    mtci_redis_command *command =
        mtci_group_command(group, MTCI_REPLY_ARRAY, "XAUTOCLAIM", 5);
    if (!command)
        return NULL;
    mtci_resp_add(&command->bytes, group->consumer);
    mtci_resp_add_number(&command->bytes, idle_ms);
    mtci_stream_add_id(command, cursor);
    mtci_resp_add_text(&command->bytes, "COUNT");
    mtci_resp_add_number(&command->bytes, (int64_t)count);
    return command;
}

/* [cursor, entries], and in newer servers the ids of deleted entries, which
 * the server has already forgotten. */
static mtc_status take_claimed(mtc_group *group, mtci_reply *reply,
                               mtc_stream_id *cursor, mtc_stream_batch **batch)
{
    mtc_stream_id last;
    mtc_stream_id next;
    if (reply->count < 2 ||
        mtci_id_read(mtci_reply_slice(&reply->items[0]), &next) != MTC_OK) {
        mtci_reply_fini(reply);
        return MTC_E_CORRUPT;
    }
    mtci_reply entries = reply->items[1];
    reply->items[1] = (mtci_reply){0};
    mtci_reply_fini(reply);
    mtc_status status = sift(group, &entries, &last, batch);
    if (status >= 0)
        *cursor = next;
    return status == MTC_PENDING ? MTC_MISS : status;
}

mtc_status mtc_group_claim(mtc_group *group, int64_t idle_ms,
                           mtc_stream_id *cursor, size_t count,
                           mtc_stream_batch **batch)
{
    int cancel_state;
    mtci_answer answer;
    if (!batch)
        return MTC_E_INVALID;
    *batch = NULL;
    if (!group || !cursor || idle_ms < 0 || !mtci_stream_is_count(count))
        return MTC_E_INVALID;
    mtc_status status = mtci_stream_enter(group->stream, &cancel_state);
    if (status != MTC_OK)
        return status;
    status =
        mtci_stream_call(group->stream,
                         make_claim(group, idle_ms, *cursor, count), &answer);
    if (status == MTC_OK) {
        status = take_claimed(group, &answer.reply, cursor, batch);
    } else if (status == MTC_E_INVALID && mtci_group_is_gone(&answer)) {
        *cursor = (mtc_stream_id){0, 0};
        status = MTC_MISS;
    }
    mtci_stream_leave(group->stream, cancel_state);
    return status;
}
