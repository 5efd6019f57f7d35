/*
 * What is pending in a group: XPENDING, and the lists that it answers, which
 * are immutable. Any thread.
 */
#include <stdlib.h>

#include "stream/group.h"

struct mtc_pending_list {
    mtci_reply rows; /* checked: [[id, consumer, idle, deliveries], ...] */
};

static mtci_redis_command *make_pending(const mtc_group *group, size_t more)
{
    mtci_redis_command *command =
        mtci_group_command(group, MTCI_REPLY_ARRAY, "XPENDING", more);
    if (command)
        command->is_retryable = true;
    return command;
}

static bool read_summary(const mtci_reply *reply, mtc_group_summary *summary)
{
    if (reply->count != 4 || reply->items[0].type != MTCI_REPLY_INTEGER)
        return false;
    summary->count = (uint64_t)reply->items[0].integer;
    if (summary->count == 0)
        return true;
    if (reply->items[3].type == MTCI_REPLY_ARRAY)
        summary->consumer_count = reply->items[3].count;
    return mtci_id_read(mtci_reply_slice(&reply->items[1]), &summary->first) ==
               MTC_OK &&
           mtci_id_read(mtci_reply_slice(&reply->items[2]), &summary->last) ==
               MTC_OK;
}

mtc_status mtc_group_pending(mtc_group *group, mtc_group_summary *summary)
{
    mtci_reply reply;
    if (!group || !summary)
        return MTC_E_INVALID;
    *summary = (mtc_group_summary){0};
    mtc_status status = mtci_group_call(group, make_pending(group, 0), &reply);
    if (status == MTC_OK && !read_summary(&reply, summary))
        status = MTC_E_CORRUPT;
    mtci_reply_fini(&reply);
    return status;
}

static bool is_pending_row(const mtci_reply *row)
{
    mtc_stream_id id;
    return row->type == MTCI_REPLY_ARRAY && row->count == 4 &&
           mtci_id_read(mtci_reply_slice(&row->items[0]), &id) == MTC_OK &&
           row->items[1].type == MTCI_REPLY_BULK &&
           row->items[2].type == MTCI_REPLY_INTEGER &&
           row->items[3].type == MTCI_REPLY_INTEGER;
}

/* Takes the reply over when it is a list with rows. */
static mtc_status list_new(mtci_reply *reply, mtc_pending_list **list)
{
    for (size_t i = 0; i < reply->count; i++) {
        if (!is_pending_row(&reply->items[i]))
            return MTC_E_CORRUPT;
    }
    if (reply->count == 0)
        return MTC_MISS;
    *list = calloc(1, sizeof **list);
    if (!*list)
        return MTC_E_NO_MEMORY;
    (*list)->rows = *reply;
    *reply = (mtci_reply){0};
    return MTC_OK;
}

mtc_status mtc_group_list_pending(mtc_group *group, mtc_stream_id *first,
                                  size_t count, mtc_pending_list **list)
{
    mtci_reply reply;
    if (list)
        *list = NULL;
    if (!group || !first || !list || !mtci_stream_is_count(count))
        return MTC_E_INVALID;
    if (mtci_id_is_end(*first))
        return MTC_MISS;
    mtci_redis_command *command = make_pending(group, 3);
    if (command) {
        mtci_stream_add_id(command, *first);
        mtci_resp_add_text(&command->bytes, "+");
        mtci_resp_add_number(&command->bytes, (int64_t)count);
    }
    mtc_status status = mtci_group_call(group, command, &reply);
    if (status == MTC_OK)
        status = list_new(&reply, list);
    mtci_reply_fini(&reply);
    if (status == MTC_OK)
        *first = mtci_id_behind(
            mtc_pending_list_at(*list, mtc_pending_list_count(*list) - 1).id);
    return status;
}

size_t mtc_pending_list_count(const mtc_pending_list *list)
{
    return list ? list->rows.count : 0;
}

mtc_pending mtc_pending_list_at(const mtc_pending_list *list, size_t index)
{
    mtc_pending pending = {{0, 0}, {NULL, 0}, 0, 0};
    if (index >= mtc_pending_list_count(list))
        return pending;
    const mtci_reply *row = list->rows.items[index].items;
    mtci_id_read(mtci_reply_slice(&row[0]), &pending.id);
    pending.consumer = mtci_reply_slice(&row[1]);
    pending.idle_ms = row[2].integer;
    pending.deliveries = (uint64_t)row[3].integer;
    return pending;
}

void mtc_pending_list_free(mtc_pending_list **list)
{
    if (!list || !*list)
        return;
    mtci_reply_fini(&(*list)->rows);
    free(*list);
    *list = NULL;
}
