/*
 * Following. See follow.h. One thread at a time.
 */
#include "stream/follow.h"

#include <string.h>

#include "base/slice.h"

/* The newest id, once: asked again, what came in between would be lost. */
static mtc_status resolve_end(mtci_followed *item)
{
    mtc_stream_batch *newest = NULL;
    if (!mtci_id_is_end(item->cursor))
        return MTC_OK;
    mtc_status status = mtc_stream_read_newest(item->stream, 1, &newest);
    if (status < 0)
        return status;
    item->cursor = mtc_stream_batch_id(newest, 0);
    mtc_stream_batch_free(&newest);
    return MTC_OK;
}

/* What make_read makes its command of. */
typedef struct reading {
    const mtci_follow *follow;
    size_t entries_max;
} reading;

static mtci_redis_command *make_read(const void *ctx, int64_t wait_ms)
{
    const reading *reading = ctx;
    const mtci_follow *follow = reading->follow;
    mtci_redis_command *command =
        mtci_command_new(MTCI_REPLY_ARRAY | MTCI_REPLY_NIL);
    if (!command)
        return NULL;
    mtci_resp_begin(&command->bytes,
                    4u + (wait_ms > 0 ? 2u : 0u) + 2u * follow->count);
    mtci_resp_add_text(&command->bytes, "XREAD");
    mtci_resp_add_text(&command->bytes, "COUNT");
    mtci_resp_add_number(&command->bytes, (int64_t)reading->entries_max);
    if (wait_ms > 0) {
        mtci_resp_add_text(&command->bytes, "BLOCK");
        mtci_resp_add_number(&command->bytes, wait_ms);
    }
    mtci_resp_add_text(&command->bytes, "STREAMS");
    for (size_t i = 0; i < follow->count; i++)
        mtci_resp_add(&command->bytes,
                      mtci_stream_key(follow->items[i].stream));
    for (size_t i = 0; i < follow->count; i++)
        mtci_stream_add_id(command, follow->items[i].cursor);
    command->is_retryable = wait_ms == 0;
    return command;
}

static mtc_status read_once(const mtci_follow *follow, size_t entries_max,
                            int64_t wait_ms, mtci_reply *reply)
{
    mtci_answer answer;
    mtc_status status;
    const reading reading = {follow, entries_max};
    const mtci_link_read read = {make_read, &reading, true};
    if (follow->link)
        status = mtci_link_ask(follow->link, &read, wait_ms, &answer);
    else
        status = mtci_stream_call(follow->items[0].stream,
                                  make_read(&reading, 0), &answer);
    *reply = answer.reply;
    return status == MTC_OK && reply->type == MTCI_REPLY_NIL ? MTC_MISS
                                                             : status;
}

/* "last-generated-id" among the names and values of XINFO STREAM. */
static mtc_status find_last(const mtci_reply *info, mtc_stream_id *last)
{
    for (size_t i = 0; i + 1 < info->count; i += 2) {
        if (mtci_slices_equal(mtci_reply_slice(&info->items[i]),
                              mtc_str("last-generated-id")))
            return mtci_id_read(mtci_reply_slice(&info->items[i + 1]), last);
    }
    return MTC_E_CORRUPT;
}

/* A blocked XREAD says nothing when its stream is deleted, nor when one with
 * smaller ids takes its place. Who may not ask does not notice. */
static mtc_status look_for_restart(mtci_followed *item, bool *has_restarted)
{
    mtci_answer answer;
    mtc_stream_id last = {0, 0};
    mtci_redis_command *command = mtci_command_new(MTCI_REPLY_ARRAY);
    if (!command)
        return MTC_E_NO_MEMORY;
    mtci_resp_begin(&command->bytes, 3);
    mtci_resp_add_text(&command->bytes, "XINFO");
    mtci_resp_add_text(&command->bytes, "STREAM");
    mtci_resp_add(&command->bytes, mtci_stream_key(item->stream));
    command->is_retryable = true;
    mtc_status status = mtci_stream_call(item->stream, command, &answer);
    if (status == MTC_E_DENIED || status == MTC_E_UNSUPPORTED)
        return MTC_OK;
    if (status == MTC_OK)
        status = find_last(&answer.reply, &last);
    else if (strstr(answer.failure, "no such key"))
        status = MTC_OK;
    mtci_reply_fini(&answer.reply);
    if (status == MTC_OK && mtci_id_is_before(last, item->cursor)) {
        item->cursor = (mtc_stream_id){0, 0};
        *has_restarted = true;
    }
    return status;
}

static mtc_status look_for_restarts(const mtci_follow *follow,
                                    bool *has_restarted)
{
    mtc_status status = MTC_OK;
    *has_restarted = false;
    for (size_t i = 0; i < follow->count && status == MTC_OK; i++) {
        mtci_followed *item = &follow->items[i];
        if (!mtci_id_is_zero(item->cursor))
            status = look_for_restart(item, has_restarted);
    }
    return status;
}

mtc_status mtci_follow_read(const mtci_follow *follow, size_t entries_max,
                            int64_t wait_ms, mtci_reply *reply)
{
    const mtc_stream *first = follow->items[0].stream;
    int64_t until_ms = mtci_stream_now_ms(first) + wait_ms;
    int64_t left_ms = wait_ms;
    mtc_status status = MTC_OK;
    *reply = (mtci_reply){0};
    for (size_t i = 0; i < follow->count && status == MTC_OK; i++)
        status = resolve_end(&follow->items[i]);
    while (status == MTC_OK) {
        bool has_restarted;
        status = read_once(follow, entries_max, left_ms, reply);
        if (status != MTC_MISS)
            return status;
        status = look_for_restarts(follow, &has_restarted);
        left_ms = until_ms - mtci_stream_now_ms(first);
        if (status == MTC_OK && left_ms <= 0 && !has_restarted)
            return MTC_MISS;
        if (left_ms < 0)
            left_ms = 0;
    }
    return status;
}
