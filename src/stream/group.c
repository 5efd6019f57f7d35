/*
 * Groups: their commands, from opening to closing. See group.h; reading as a
 * consumer is in consume.c, the loop around it in loop.c, what is pending in
 * pending.c.
 */
#include "stream/group.h"

#include <stdlib.h>

#include "base/error.h"
#include "core/sized.h"

#define PART "group"

#define BATCH_COUNT      10
#define CLAIM_IDLE_MS    60000
#define CLAIM_EVERY_MS   30000
#define CLAIM_MS_TOP     INT64_C(31536000000)
#define NAME_SIZE_MAX    4096u
#define OPTIONS_SIZE_MIN 48u

/* -- commands -------------------------------------------------------------- */

static bool failed_with(const mtci_answer *answer, const char *beginning)
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

bool mtci_group_is_gone(const mtci_answer *answer)
{
    return failed_with(answer, "NOGROUP") ||
           failed_with(answer, "UNBLOCKED the stream key") ||
           strstr(answer->failure, "requires the key to exist");
}

mtc_status mtci_group_call(mtc_group *group, mtci_redis_command *command,
                           mtci_reply *reply)
{
    int cancel_state;
    mtci_answer answer;
    *reply = (mtci_reply){0};
    mtc_status status = mtci_stream_enter(group->stream, &cancel_state);
    if (status != MTC_OK) {
        mtci_command_free(command);
        return status;
    }
    status = mtci_stream_call(group->stream, command, &answer);
    mtci_stream_leave(group->stream, cancel_state);
    *reply = answer.reply;
    bool is_gone = status == MTC_E_INVALID && mtci_group_is_gone(&answer);
    return is_gone ? MTC_MISS : status;
}

/* The same for a command that an integer answers; 0 unless MTC_OK. */
static mtc_status call_count(mtc_group *group, mtci_redis_command *command,
                             size_t *count)
{
    mtci_reply reply;
    mtc_status status = mtci_group_call(group, command, &reply);
    *count = status == MTC_OK ? (size_t)reply.integer : 0;
    return status;
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
    if (status == MTC_E_INVALID && failed_with(&answer, "BUSYGROUP"))
        status = MTC_EXISTS;
    if (status >= 0)
        atomic_store(&group->had_group, true);
    return status;
}

mtc_status mtc_group_create(mtc_group *group)
{
    int cancel_state;
    if (!group)
        return MTC_E_INVALID;
    mtc_status status = mtci_stream_enter(group->stream, &cancel_state);
    if (status != MTC_OK)
        return status;
    status = mtci_group_make(group);
    mtci_stream_leave(group->stream, cancel_state);
    return status;
}

mtc_status mtc_group_remove(mtc_group *group)
{
    size_t count;
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
    size_t unwanted;
    if (dropped)
        *dropped = 0;
    if (!group)
        return MTC_E_INVALID;
    mtci_redis_command *command =
        mtci_group_command(group, MTCI_REPLY_INTEGER, "XGROUP DELCONSUMER", 1);
    if (command)
        mtci_resp_add(&command->bytes, group->consumer);
    return call_count(group, command, dropped ? dropped : &unwanted);
}

mtc_status mtc_group_acknowledge(mtc_group *group, const mtc_stream_id *ids,
                                 size_t count, size_t *acknowledged)
{
    size_t unwanted;
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
    return call_count(group, command, acknowledged ? acknowledged : &unwanted);
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
    int cancel_state;
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
    status = mtci_stream_enter(stream, &cancel_state);
    if (status != MTC_OK)
        return mtci_fail(error, status, PART, "%s", mtc_status_text(status));
    *group = group_new(stream, names->group, names->consumer, &known);
    mtci_stream_leave(stream, cancel_state);
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
