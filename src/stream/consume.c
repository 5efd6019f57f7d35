/*
 * Consuming: reading as a consumer of a group, and the loop around it. One
 * thread at a time for each group.
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

/* The stream or the group was taken away. */
static bool is_gone(const mtci_answer *answer)
{
    return mtci_failed_with(answer, "NOGROUP") ||
           mtci_failed_with(answer, "UNBLOCKED the stream key");
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
        if (status < 0 && is_gone(&answer) && makes++ < MAKES_MAX) {
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
    mtci_reply entries;
    if (!batch)
        return MTC_E_INVALID;
    *batch = NULL;
    if (!group || !mtci_stream_is_count(count) || !mtci_stream_is_wait(wait_ms))
        return MTC_E_INVALID;
    mtc_status status = mtci_stream_enter(group->stream);
    if (status != MTC_OK)
        return status;
    status = read_new(group, count, wait_ms, &entries);
    mtci_stream_leave(group->stream);
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
        if (status == MTC_E_INVALID && is_gone(&answer))
            return MTC_MISS;
        if (status == MTC_OK)
            status = mtci_streams_take_only(&answer.reply, &entries);
        if (status == MTC_OK)
            status = sift(group, &entries, &last, batch);
        if (status >= 0)
            *cursor = last;
    } while (status == MTC_PENDING);
    return status;
}

mtc_status mtc_group_read_own(mtc_group *group, mtc_stream_id *cursor,
                              size_t count, mtc_stream_batch **batch)
{
    if (!batch)
        return MTC_E_INVALID;
    *batch = NULL;
    if (!group || !cursor || !mtci_stream_is_count(count))
        return MTC_E_INVALID;
    mtc_status status = mtci_stream_enter(group->stream);
    if (status != MTC_OK)
        return status;
    status = read_own(group, cursor, count, batch);
    mtci_stream_leave(group->stream);
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
        mtc_stream_id_parse(mtci_reply_slice(&reply->items[0]), &next) !=
            MTC_OK) {
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
    mtci_answer answer;
    if (!batch)
        return MTC_E_INVALID;
    *batch = NULL;
    if (!group || !cursor || idle_ms < 0 || !mtci_stream_is_count(count))
        return MTC_E_INVALID;
    mtc_status status = mtci_stream_enter(group->stream);
    if (status != MTC_OK)
        return status;
    status =
        mtci_stream_call(group->stream,
                         make_claim(group, idle_ms, *cursor, count), &answer);
    if (status == MTC_OK) {
        status = take_claimed(group, &answer.reply, cursor, batch);
    } else if (status == MTC_E_INVALID && is_gone(&answer)) {
        *cursor = (mtc_stream_id){0, 0};
        status = MTC_MISS;
    }
    mtci_stream_leave(group->stream);
    return status;
}

/* -- the loop -------------------------------------------------------------- */

/* What the loop reads from next. */
typedef enum source { OWN, CLAIMED, NEW } source;

typedef struct loop {
    mtc_group *group;
    mtc_group_handler handler;
    void *ctx;
    source source;
    mtc_stream_id cursor; /* of OWN and CLAIMED */
    int64_t claim_ms;     /* when to claim next */
    int64_t pause_ms;     /* after a failure; doubles */
    mtc_stream_id *done;  /* batch_count of them: handled */
} loop;

static bool is_passing(mtc_status status)
{
    return status == MTC_E_UNAVAILABLE || status == MTC_E_TIMEOUT ||
           status == MTC_E_BUSY;
}

static void pause_loop(loop *loop)
{
    mtci_link_back_off(&loop->group->link, INT64_MAX, &loop->pause_ms);
}

/* What was handled is acknowledged, however long the server is away, so that
 * it need not be handled twice; when the loop is stopped, once. */
static mtc_status acknowledge(loop *loop, size_t count)
{
    mtc_status status;
    if (count == 0)
        return MTC_OK;
    for (;;) {
        status = mtc_group_acknowledge(loop->group, loop->done, count, NULL);
        if (!is_passing(status) || mtci_link_state(&loop->group->link) < 0)
            return status;
        pause_loop(loop);
    }
}

static mtc_status handle(loop *loop, mtc_stream_batch *batch)
{
    size_t count = mtc_stream_batch_count(batch);
    size_t done = 0;
    if (count > (size_t)loop->group->options.batch_count)
        return MTC_E_CORRUPT;
    for (size_t i = 0; i < count; i++) {
        if (mtci_link_state(&loop->group->link) != MTC_OK)
            break;
        if (loop->handler(batch, i, loop->ctx) == MTC_OK)
            loop->done[done++] = mtc_stream_batch_id(batch, i);
    }
    return acknowledge(loop, done);
}

static mtc_status read_next(loop *loop, mtc_stream_batch **batch)
{
    mtc_group *group = loop->group;
    size_t count = (size_t)group->options.batch_count;
    int64_t wait_ms = MTCI_STREAM_WAIT_MS_MAX;
    int64_t now_ms = mtci_stream_now_ms(group->stream);
    if (loop->source == OWN)
        return mtc_group_read_own(group, &loop->cursor, count, batch);
    if (loop->source == CLAIMED)
        return mtc_group_claim(group, group->options.claim_idle_ms,
                               &loop->cursor, count, batch);
    if (loop->claim_ms - now_ms < wait_ms)
        wait_ms = loop->claim_ms > now_ms ? loop->claim_ms - now_ms : 0;
    return mtc_group_read(group, count, wait_ms, batch);
}

static void turn_to(loop *loop, source source)
{
    loop->source = source;
    loop->cursor = (mtc_stream_id){0, 0};
}

/* Own pending entries first, then new ones, and when it is time those that
 * others left. */
static void choose(loop *loop, mtc_status status)
{
    int64_t now_ms = mtci_stream_now_ms(loop->group->stream);
    int64_t every_ms = loop->group->options.claim_every_ms;
    bool is_through = mtci_id_is_zero(loop->cursor);
    if (loop->source == OWN && status == MTC_MISS) {
        turn_to(loop, NEW);
    } else if (loop->source == CLAIMED && is_through) {
        loop->claim_ms = now_ms + every_ms;
        turn_to(loop, NEW);
    } else if (loop->source == NEW && now_ms >= loop->claim_ms) {
        turn_to(loop, CLAIMED);
    }
}

static mtc_status run_once(loop *loop)
{
    mtc_stream_batch *batch = NULL;
    mtc_status status = read_next(loop, &batch);
    if (status >= 0)
        loop->pause_ms = MTCI_STREAM_PAUSE_MS_MIN;
    mtc_status handled = status == MTC_OK ? handle(loop, batch) : status;
    mtc_stream_batch_free(&batch);
    if (status >= 0)
        choose(loop, status);
    return handled;
}

/* After a failure it begins with its own pending entries: what the server
 * gave and the connection lost is among them. */
static mtc_status run(loop *loop)
{
    mtc_status status = MTC_OK;
    while (mtci_link_state(&loop->group->link) == MTC_OK) {
        status = run_once(loop);
        if (status >= 0)
            continue;
        if (!is_passing(status))
            break;
        turn_to(loop, OWN);
        pause_loop(loop);
    }
    if (is_passing(status) || status > 0)
        status = MTC_OK;
    mtc_status end = mtci_link_state(&loop->group->link);
    if (end == MTC_E_CANCELLED)
        return status == MTC_E_CANCELLED ? MTC_OK : status;
    return end != MTC_OK ? end : status;
}

mtc_status mtc_group_run(mtc_group *group, mtc_group_handler handler, void *ctx)
{
    if (!group || !handler)
        return MTC_E_INVALID;
    mtc_status status = mtci_stream_enter(group->stream);
    if (status != MTC_OK)
        return status;
    loop loop = {.group = group,
                 .handler = handler,
                 .ctx = ctx,
                 .pause_ms = MTCI_STREAM_PAUSE_MS_MIN};
    loop.done = calloc((size_t)group->options.batch_count, sizeof *loop.done);
    loop.claim_ms = INT64_MAX;
    if (group->options.claim_every_ms > 0)
        loop.claim_ms = mtci_stream_now_ms(group->stream);
    status = loop.done ? run(&loop) : MTC_E_NO_MEMORY;
    free(loop.done);
    mtci_stream_leave(group->stream);
    return status;
}
