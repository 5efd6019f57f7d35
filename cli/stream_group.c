/*
 * mtc stream group: consumers that share the entries of a stream.
 *
 * One thread.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "mtc/group.h"
#include "stream_session.h"

#define IDLE_MS_DEFAULT 60000

/* What an action works on; words stand behind STREAM and GROUP. */
typedef struct job {
    const args *args;
    mtc_group *group;
    char **words;
} job;

static mtc_status report_status(const job *job, mtc_status status)
{
    if (status >= 0 && job->args->json) {
        json json = session_json(status);
        session_json_end(&json);
    }
    return status;
}

static mtc_status create(const job *job)
{
    return report_status(job, mtc_group_create(job->group));
}

static mtc_status report_batch(const job *job, mtc_status status,
                               mtc_stream_batch *batch)
{
    if (status >= 0)
        stream_session_report(job->args, status, batch, false);
    mtc_stream_batch_free(&batch);
    return status;
}

static mtc_status read_group(const job *job)
{
    mtc_stream_batch *batch = NULL;
    mtc_status status =
        mtc_group_read(job->group, stream_session_count(job->args),
                       job->args->wait_ms, &batch);
    return report_batch(job, status, batch);
}

/* Until something is claimed or all was looked at. */
static mtc_status claim(const job *job)
{
    mtc_stream_batch *batch = NULL;
    mtc_stream_id cursor = {0, 0};
    mtc_status status;
    int64_t idle_ms =
        job->args->idle_ms > 0 ? job->args->idle_ms : IDLE_MS_DEFAULT;
    do {
        status = mtc_group_claim(job->group, idle_ms, &cursor,
                                 stream_session_count(job->args), &batch);
    } while (status == MTC_MISS && (cursor.ms != 0 || cursor.sequence != 0));
    return report_batch(job, status, batch);
}

static mtc_status report_count(const job *job, mtc_status status, size_t count)
{
    if (status < 0)
        return status;
    if (job->args->json) {
        json json = session_json(status);
        json_int(&json, "count", (int64_t)count);
        session_json_end(&json);
    } else {
        printf("%zu\n", count);
    }
    return status;
}

static mtc_status acknowledge(const job *job)
{
    size_t count = 0;
    size_t done = 0;
    while (job->words[count] != NULL)
        count++;
    mtc_stream_id *ids = calloc(count, sizeof *ids);
    if (ids == NULL)
        return MTC_E_NO_MEMORY;
    for (size_t i = 0; i < count; i++)
        mtc_stream_id_parse(mtc_str(job->words[i]), &ids[i]);
    mtc_status status = mtc_group_acknowledge(job->group, ids, count, &done);
    free(ids);
    return report_count(job, status, done);
}

static void write_pending(const mtc_pending *pending)
{
    char id[MTC_STREAM_ID_SIZE];
    printf("%s\t%.*s\t%" PRId64 "\t%" PRIu64 "\n",
           mtc_stream_id_format(pending->id, id), (int)pending->consumer.size,
           (const char *)pending->consumer.data, pending->idle_ms,
           pending->deliveries);
}

static void write_pending_json(json *json, const mtc_pending *pending)
{
    char id[MTC_STREAM_ID_SIZE];
    json_open(json, NULL, '{');
    json_text(json, "id", mtc_stream_id_format(pending->id, id));
    json_bytes(json, "consumer", pending->consumer);
    json_int(json, "idle_ms", pending->idle_ms);
    json_int(json, "deliveries", (int64_t)pending->deliveries);
    json_close(json, '}');
}

static mtc_status list_pending(const job *job)
{
    mtc_pending_list *list = NULL;
    mtc_stream_id first = {0, 0};
    json json = {0};
    mtc_status status =
        mtc_group_list_pending(job->group, &first,
                               stream_session_count(job->args), &list);
    if (status < 0)
        return status;
    if (job->args->json) {
        json = session_json(status);
        json_open(&json, "pending", '[');
    }
    for (size_t i = 0; i < mtc_pending_list_count(list); i++) {
        mtc_pending pending = mtc_pending_list_at(list, i);
        if (job->args->json)
            write_pending_json(&json, &pending);
        else
            write_pending(&pending);
    }
    if (job->args->json) {
        json_close(&json, ']');
        session_json_end(&json);
    }
    mtc_pending_list_free(&list);
    return status;
}

static mtc_status remove_group(const job *job)
{
    size_t dropped = 0;
    if (job->words[0] == NULL)
        return report_status(job, mtc_group_remove(job->group));
    mtc_status status = mtc_group_remove_consumer(job->group, &dropped);
    return report_count(job, status, dropped);
}

typedef struct action {
    const char *name;
    size_t words_min, words_max; /* behind STREAM and GROUP */
    bool has_consumer;           /* the first of them */
    bool has_ids;                /* all of them */
    mtc_status (*run)(const job *job);
} action;

static const action ACTIONS[] = {
    {"create", 0, 0, false, false, create},
    {"read", 1, 1, true, false, read_group},
    {"ack", 1, SIZE_MAX, false, true, acknowledge},
    {"pending", 0, 0, false, false, list_pending},
    {"claim", 1, 1, true, false, claim},
    {"remove", 0, 1, true, false, remove_group},
};

static const action *find_action(char **words)
{
    size_t count = 0;
    while (words[count] != NULL)
        count++;
    for (size_t i = 0; i < sizeof ACTIONS / sizeof *ACTIONS; i++) {
        const action *action = &ACTIONS[i];
        if (strcmp(action->name, words[0]) == 0 &&
            count - 3 >= action->words_min && count - 3 <= action->words_max)
            return action;
    }
    complain("stream group: %s with %zu words is no action; see mtc help "
             "stream group",
             words[0], count - 1);
    return NULL;
}

static bool check_ids(const action *action, char **words)
{
    mtc_stream_id id;
    while (action->has_ids && *words != NULL) {
        if (!stream_session_id(action->name, *words++, &id))
            return false;
    }
    return true;
}

tool_exit command_group(const args *args, char **words)
{
    stream_session session;
    mtc_error error;
    mtc_group_options options = MTC_GROUP_OPTIONS_INIT;
    job job = {args, NULL, words + 3};
    const action *action = find_action(words);
    if (action == NULL || !check_ids(action, job.words) ||
        !stream_session_place("--after", args->after, &options.start))
        return TOOL_USAGE;
    bool has_consumer = action->has_consumer && job.words[0] != NULL;
    const mtc_group_names names = {mtc_str(words[2]),
                                   mtc_str(has_consumer ? job.words[0]
                                                        : "mtc")};
    tool_exit exit =
        stream_session_open(args, "stream group", words[1], &session);
    if (exit != TOOL_DONE)
        return exit;
    mtc_status status =
        mtc_group_open(session.stream, &names, &options, &error, &job.group);
    if (status != MTC_OK) {
        exit = stream_session_refuse(status, &error);
        stream_session_end(&session, MTC_OK);
        return exit;
    }
    status = action->run(&job);
    mtc_group_close(&job.group);
    return stream_session_end(&session, status);
}
