/*
 * Groups: opening and closing, making and removing, acknowledging, and what
 * is pending. See group.h.
 */
#include "stream/group.h"

#include <stdlib.h>

#include "base/error.h"
#include "core/sized.h"
#include "stream/batch.h"

#define PART "group"

#define BATCH_COUNT      10
#define CLAIM_IDLE_MS    60000
#define CLAIM_EVERY_MS   30000
#define CLAIM_MS_TOP     INT64_C(31536000000)
#define NAME_SIZE_MAX    4096u
#define OPTIONS_SIZE_MIN 48u

/* -- commands -------------------------------------------------------------- */

bool mtci_failed_with(const mtci_answer *answer, const char *beginning)
{
    const char *text = answer->failure;
    /* A cluster names the node first. */
    const char *behind = strstr(text, ": ");
    size_t size = strlen(beginning);
    return strncmp(text, beginning, size) == 0 ||
           (behind && strncmp(behind + 2, beginning, size) == 0);
}

mtci_redis_command *mtci_group_command(const mtc_group *group, uint32_t expects,
                                       const char *words, size_t more)
{
    const char *space = strchr(words, ' ');
    mtci_redis_command *command = mtci_command_new(expects);
    if (!command)
        return NULL;
    mtci_resp_begin(&command->bytes, (space ? 4u : 3u) + more);
    mtci_resp_add(&command->bytes,
                  mtc_bytes(words,
                            space ? (size_t)(space - words) : strlen(words)));
    if (space)
        mtci_resp_add_text(&command->bytes, space + 1);
    mtci_resp_add(&command->bytes, mtci_stream_key(group->stream));
    mtci_resp_add(&command->bytes, group->name);
    return command;
}

/* Calls a command that an integer answers. A group that is not there has
 * nothing: MTC_MISS. */
static mtc_status call_count(mtc_group *group, mtci_redis_command *command,
                             int64_t *count)
{
    mtci_answer answer;
    *count = 0;
    mtc_status status =
        group ? mtci_stream_enter(group->stream) : MTC_E_INVALID;
    if (status != MTC_OK) {
        mtci_command_free(command);
        return status;
    }
    status = mtci_stream_call(group->stream, command, &answer);
    mtci_stream_leave(group->stream);
    if (status == MTC_OK)
        *count = answer.reply.integer;
    bool is_gone = mtci_failed_with(&answer, "NOGROUP") ||
                   strstr(answer.failure, "requires the key to exist");
    return status == MTC_E_INVALID && is_gone ? MTC_MISS : status;
}

/* -- the group itself ------------------------------------------------------ */

mtc_status mtci_group_make(mtc_group *group)
{
    mtci_answer answer;
    mtc_stream_id start = group->options.start;
    if (atomic_load(&group->had_group))
        start = (mtc_stream_id){0, 0};
    mtci_redis_command *command =
        mtci_group_command(group, MTCI_REPLY_STATUS, "XGROUP CREATE", 2);
    if (!command)
        return MTC_E_NO_MEMORY;
    if (mtci_id_is_end(start))
        mtci_resp_add_text(&command->bytes, "$");
    else
        mtci_stream_add_id(command, start);
    mtci_resp_add_text(&command->bytes, "MKSTREAM");
    mtc_status status = mtci_stream_call(group->stream, command, &answer);
    mtci_reply_fini(&answer.reply);
    if (status == MTC_E_INVALID && mtci_failed_with(&answer, "BUSYGROUP"))
        status = MTC_EXISTS;
    if (status >= 0)
        atomic_store(&group->had_group, true);
    return status;
}

mtc_status mtc_group_create(mtc_group *group)
{
    mtc_status status =
        group ? mtci_stream_enter(group->stream) : MTC_E_INVALID;
    if (status != MTC_OK)
        return status;
    status = mtci_group_make(group);
    mtci_stream_leave(group->stream);
    return status;
}

mtc_status mtc_group_remove(mtc_group *group)
{
    int64_t count;
    if (!group)
        return MTC_E_INVALID;
    mtc_status status = call_count(group,
                                   mtci_group_command(group, MTCI_REPLY_INTEGER,
                                                      "XGROUP DESTROY", 0),
                                   &count);
    return status == MTC_OK && count == 0 ? MTC_MISS : status;
}

mtc_status mtc_group_remove_consumer(mtc_group *group, size_t *dropped)
{
    int64_t count;
    if (!group)
        return MTC_E_INVALID;
    mtci_redis_command *command =
        mtci_group_command(group, MTCI_REPLY_INTEGER, "XGROUP DELCONSUMER", 1);
    if (command)
        mtci_resp_add(&command->bytes, group->consumer);
    mtc_status status = call_count(group, command, &count);
    if (dropped)
        *dropped = (size_t)count;
    return status;
}

mtc_status mtc_group_acknowledge(mtc_group *group, const mtc_stream_id *ids,
                                 size_t count, size_t *acknowledged)
{
    int64_t done;
    if (acknowledged)
        *acknowledged = 0;
    if (!group || !ids || !mtci_stream_is_count(count))
        return MTC_E_INVALID;
    mtci_redis_command *command =
        mtci_group_command(group, MTCI_REPLY_INTEGER, "XACK", count);
    for (size_t i = 0; command && i < count; i++)
        mtci_stream_add_id(command, ids[i]);
    if (command)
        command->is_retryable = true; /* twice is as good as once */
    mtc_status status = call_count(group, command, &done);
    if (acknowledged)
        *acknowledged = (size_t)done;
    return status;
}

/* -- what is pending ------------------------------------------------------- */

struct mtc_pending_list {
    mtci_reply rows; /* checked: [[id, consumer, idle, deliveries], ...] */
};

static mtc_status call_pending(mtc_group *group, mtci_redis_command *command,
                               mtci_reply *reply)
{
    mtci_answer answer = {0};
    *reply = (mtci_reply){0};
    mtc_status status = mtci_stream_enter(group->stream);
    if (status != MTC_OK) {
        mtci_command_free(command);
        return status;
    }
    if (command)
        command->is_retryable = true;
    status = mtci_stream_call(group->stream, command, &answer);
    mtci_stream_leave(group->stream);
    *reply = answer.reply;
    bool is_gone =
        status == MTC_E_INVALID && mtci_failed_with(&answer, "NOGROUP");
    return is_gone ? MTC_MISS : status;
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
    return mtc_stream_id_parse(mtci_reply_slice(&reply->items[1]),
                               &summary->first) == MTC_OK &&
           mtc_stream_id_parse(mtci_reply_slice(&reply->items[2]),
                               &summary->last) == MTC_OK;
}

mtc_status mtc_group_pending(mtc_group *group, mtc_group_summary *summary)
{
    mtci_reply reply;
    if (!group || !summary)
        return MTC_E_INVALID;
    *summary = (mtc_group_summary){0};
    mtc_status status =
        call_pending(group,
                     mtci_group_command(group, MTCI_REPLY_ARRAY, "XPENDING", 0),
                     &reply);
    if (status == MTC_OK && !read_summary(&reply, summary))
        status = MTC_E_CORRUPT;
    mtci_reply_fini(&reply);
    return status;
}

static bool is_pending_row(const mtci_reply *row)
{
    mtc_stream_id id;
    return row->type == MTCI_REPLY_ARRAY && row->count == 4 &&
           mtc_stream_id_parse(mtci_reply_slice(&row->items[0]), &id) ==
               MTC_OK &&
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
    mtci_redis_command *command =
        mtci_group_command(group, MTCI_REPLY_ARRAY, "XPENDING", 3);
    if (command) {
        mtci_stream_add_id(command, *first);
        mtci_resp_add_text(&command->bytes, "+");
        mtci_resp_add_number(&command->bytes, (int64_t)count);
    }
    mtc_status status = call_pending(group, command, &reply);
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
    mtc_stream_id_parse(mtci_reply_slice(&row[0]), &pending.id);
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

/* -- open and close -------------------------------------------------------- */

static mtc_status take_options(const mtc_group_options *given, mtc_error *error,
                               mtc_group_options *options)
{
    *options = (mtc_group_options)MTC_GROUP_OPTIONS_INIT;
    if (given &&
        (!mtci_sized_copy(options, sizeof *options, given, OPTIONS_SIZE_MIN) ||
         options->reserved != 0))
        return mtci_fail(error, MTC_E_INVALID, PART,
                         "options: struct_size is wrong, or a field is set "
                         "that this version does not know");
    if (options->batch_count < 0 ||
        options->batch_count > (int64_t)MTC_STREAM_COUNT_MAX)
        return mtci_fail(error, MTC_E_INVALID, PART,
                         "batch_count is %lld, not 1 to %u",
                         (long long)options->batch_count, MTC_STREAM_COUNT_MAX);
    if (options->claim_idle_ms < 0 || options->claim_idle_ms > CLAIM_MS_TOP ||
        options->claim_every_ms < -1 || options->claim_every_ms > CLAIM_MS_TOP)
        return mtci_fail(error, MTC_E_INVALID, PART,
                         "claim_idle_ms is %lld, claim_every_ms %lld: not up "
                         "to %lld",
                         (long long)options->claim_idle_ms,
                         (long long)options->claim_every_ms,
                         (long long)CLAIM_MS_TOP);
    if (options->batch_count == 0)
        options->batch_count = BATCH_COUNT;
    if (options->claim_idle_ms == 0)
        options->claim_idle_ms = CLAIM_IDLE_MS;
    if (options->claim_every_ms == 0)
        options->claim_every_ms = CLAIM_EVERY_MS;
    return MTC_OK;
}

static mtc_group *group_new(mtc_stream *stream, mtc_slice name,
                            mtc_slice consumer,
                            const mtc_group_options *options)
{
    mtc_group *group = calloc(1, sizeof *group + name.size + consumer.size);
    if (!group)
        return NULL;
    char *bytes = (char *)(group + 1);
    memcpy(bytes, name.data, name.size);
    memcpy(bytes + name.size, consumer.data, consumer.size);
    group->name = mtc_bytes(bytes, name.size);
    group->consumer = mtc_bytes(bytes + name.size, consumer.size);
    group->stream = stream;
    group->options = *options;
    mtci_link_init(&group->link, stream);
    return group;
}

static bool is_name(mtc_slice name)
{
    return name.data && name.size > 0 && name.size <= NAME_SIZE_MAX;
}

mtc_status mtc_group_open(mtc_stream *stream, const mtc_group_names *names,
                          const mtc_group_options *options, mtc_error *error,
                          mtc_group **group)
{
    mtc_group_options known;
    if (error)
        *error = (mtc_error){0};
    if (group)
        *group = NULL;
    if (!stream || !group || !names || !is_name(names->group) ||
        !is_name(names->consumer))
        return mtci_fail(error, MTC_E_INVALID, PART,
                         "an argument is NULL, or a name has not 1 to %u bytes",
                         NAME_SIZE_MAX);
    mtc_status status = take_options(options, error, &known);
    if (status != MTC_OK)
        return status;
    status = mtci_stream_enter(stream);
    if (status != MTC_OK)
        return mtci_fail(error, status, PART, "%s", mtc_status_text(status));
    *group = group_new(stream, names->group, names->consumer, &known);
    mtci_stream_leave(stream);
    return *group ? MTC_OK
                  : mtci_fail(error, MTC_E_NO_MEMORY, PART, "out of memory");
}

void mtc_group_stop(mtc_group *group)
{
    if (group && getpid() == group->stream->pid)
        mtci_link_cancel(&group->link);
}

void mtc_group_close(mtc_group **group)
{
    if (!group || !*group)
        return;
    mtci_link_fini(&(*group)->link);
    free(*group);
    *group = NULL;
}
