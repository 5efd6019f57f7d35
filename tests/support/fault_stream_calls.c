/*
 * The calls on streams and groups, over a Redis tier; see fault_rig.h.
 *
 * Each call opens its stream and publishes one entry before it does what it is
 * for: what earlier rounds left behind does not matter.
 */
#include "support/fault_rig.h"

#include "mtc/group.h"

typedef mtc_status (*use_stream)(mtc_stream *stream, const mtc_stream_id *id);
typedef mtc_status (*use_group)(mtc_group *group, const mtc_stream_id *id);

/* -- streams ------------------------------------------------------------ */

static mtc_status publish(mtc_stream *stream, mtc_stream_id *id)
{
    const mtc_field fields[] = {{mtc_str("a"), mtc_str("1")},
                                {mtc_str("b"), mtc_str("2")}};
    return mtc_stream_publish(stream, fields, 2, id);
}

static mtc_status with_stream(fault_rig *rig, use_stream use)
{
    mtc_stream *stream;
    mtc_stream_id id;
    mtc_stream_options options = MTC_STREAM_OPTIONS_INIT;
    options.deadline_ms = 5000;
    options.length_max = 10;
    options.flags = MTC_STREAM_TRIM_EXACTLY;
    mtc_status status =
        mtc_stream_open(rig->cache, mtc_str("x"), &options, NULL, &stream);
    if (status != MTC_OK)
        return status;
    status = publish(stream, &id);
    if (status == MTC_OK && use)
        status = use(stream, &id);
    mtc_stream_close(&stream);
    return status;
}

/* An entry of two fields, if there is a batch. */
static mtc_status batch_end(mtc_status status, mtc_stream_batch **batch)
{
    bool is_right = (*batch != NULL) == (status == MTC_OK);
    if (*batch)
        is_right = mtc_stream_batch_count(*batch) > 0 &&
                   mtc_stream_batch_field_count(*batch, 0) == 2;
    mtc_stream_batch_free(batch);
    return is_right ? status : MTC_E_CORRUPT;
}

static mtc_status publish_with(mtc_stream *stream, const mtc_stream_id *id)
{
    const mtc_field field = {mtc_str("a"), mtc_str("1")};
    mtc_publish_options options = MTC_PUBLISH_OPTIONS_INIT;
    options.flags = MTC_PUBLISH_EXISTING_ONLY;
    options.id = *id;
    mtc_status status =
        mtc_stream_publish_with(stream, &field, 1, &options, NULL);
    return status == MTC_EXISTS ? MTC_OK : status;
}

static mtc_status read_newest(mtc_stream *stream, const mtc_stream_id *id)
{
    mtc_stream_batch *batch;
    (void)id;
    mtc_status status = mtc_stream_read_newest(stream, 10, &batch);
    return batch_end(status, &batch);
}

static mtc_status read_range(mtc_stream *stream, const mtc_stream_id *id)
{
    mtc_stream_batch *batch;
    mtc_stream_id first = *id;
    mtc_status status =
        mtc_stream_read_range(stream, &first, MTC_STREAM_END, 10, &batch);
    return batch_end(status, &batch);
}

static mtc_status read_after(mtc_stream *stream, const mtc_stream_id *id)
{
    mtc_stream_batch *batch;
    mtc_stream_id cursor = *id;
    cursor.ms--;
    mtc_status status =
        mtc_stream_read_after(stream, &cursor, 10, 1000, &batch);
    return batch_end(status, &batch);
}

static mtc_status tail(mtc_stream *stream, const mtc_stream_id *id)
{
    mtc_tail *tail;
    mtc_stream_batch *batch;
    mtc_stream_id cursor = *id;
    size_t index;
    cursor.ms--;
    mtc_status status = mtc_tail_open(&stream, &cursor, 1, NULL, &tail);
    if (status != MTC_OK)
        return status;
    status = mtc_tail_read(tail, 10, 1000, &index, &batch);
    mtc_tail_close(&tail);
    return batch_end(status, &batch);
}

static mtc_status stream_publish(fault_rig *rig)
{
    return with_stream(rig, NULL);
}

static mtc_status stream_publish_with(fault_rig *rig)
{
    return with_stream(rig, publish_with);
}

static mtc_status stream_read_newest(fault_rig *rig)
{
    return with_stream(rig, read_newest);
}

static mtc_status stream_read_range(fault_rig *rig)
{
    return with_stream(rig, read_range);
}

static mtc_status stream_read_after(fault_rig *rig)
{
    return with_stream(rig, read_after);
}

static mtc_status stream_tail(fault_rig *rig)
{
    return with_stream(rig, tail);
}

/* -- groups ------------------------------------------------------------- */

static mtc_status with_group(fault_rig *rig, use_group use)
{
    const mtc_group_names names = {mtc_str("g"), mtc_str("one")};
    mtc_group_options options = MTC_GROUP_OPTIONS_INIT;
    mtc_stream_options stream_options = MTC_STREAM_OPTIONS_INIT;
    mtc_stream *stream;
    mtc_stream_id id;
    mtc_group *group = NULL;
    stream_options.deadline_ms = 5000;
    mtc_status status = mtc_stream_open(rig->cache, mtc_str("x"),
                                        &stream_options, NULL, &stream);
    if (status != MTC_OK)
        return status;
    status = publish(stream, &id);
    if (status == MTC_OK)
        status = mtc_group_open(stream, &names, &options, NULL, &group);
    if (status == MTC_OK)
        status = mtc_group_create(group);
    if (status == MTC_OK || status == MTC_EXISTS)
        status = use(group, &id);
    mtc_group_close(&group);
    mtc_stream_close(&stream);
    return status;
}

static mtc_status create_and_remove(mtc_group *group, const mtc_stream_id *id)
{
    size_t dropped;
    (void)id;
    mtc_status status = mtc_group_remove_consumer(group, &dropped);
    return status == MTC_OK ? mtc_group_remove(group) : status;
}

static mtc_status read_own(mtc_group *group, const mtc_stream_id *id)
{
    mtc_stream_batch *batch;
    mtc_stream_id cursor = {0, 0};
    (void)id;
    mtc_status status = mtc_group_read(group, 10, 1000, &batch);
    status = batch_end(status, &batch);
    if (status != MTC_OK)
        return status;
    status = mtc_group_read_own(group, &cursor, 10, &batch);
    return batch_end(status, &batch);
}

static mtc_status acknowledge(mtc_group *group, const mtc_stream_id *id)
{
    size_t count;
    return mtc_group_acknowledge(group, id, 1, &count);
}

/* What reading left pending, this consumer can take from itself. */
static mtc_status claim(mtc_group *group, const mtc_stream_id *id)
{
    mtc_stream_batch *batch;
    mtc_stream_id cursor = {0, 0};
    (void)id;
    mtc_status status = mtc_group_claim(group, 0, &cursor, 10, &batch);
    return batch_end(status, &batch);
}

static mtc_status pending(mtc_group *group, const mtc_stream_id *id)
{
    mtc_pending_list *list;
    mtc_group_summary summary;
    mtc_stream_id first = {0, 0};
    (void)id;
    mtc_status status = mtc_group_pending(group, &summary);
    if (status != MTC_OK)
        return status;
    status = mtc_group_list_pending(group, &first, 10, &list);
    bool is_right = (list != NULL) == (status == MTC_OK);
    mtc_pending_list_free(&list);
    return is_right ? status : MTC_E_CORRUPT;
}

static mtc_status stop(const mtc_stream_batch *batch, size_t index, void *ctx)
{
    (void)batch;
    (void)index;
    mtc_group_stop(ctx);
    return MTC_OK;
}

static mtc_status run(mtc_group *group, const mtc_stream_id *id)
{
    (void)id;
    return mtc_group_run(group, stop, group);
}

static mtc_status group_create(fault_rig *rig)
{
    return with_group(rig, create_and_remove);
}

static mtc_status group_read(fault_rig *rig)
{
    return with_group(rig, read_own);
}

static mtc_status group_acknowledge(fault_rig *rig)
{
    return with_group(rig, acknowledge);
}

static mtc_status group_claim(fault_rig *rig)
{
    return with_group(rig, claim);
}

static mtc_status group_pending(fault_rig *rig)
{
    return with_group(rig, pending);
}

static mtc_status group_run(fault_rig *rig)
{
    return with_group(rig, run);
}

const fault_call fault_stream_calls[] = {
    {"publish", stream_publish, MTC_OK, FAULT_NOTHING, false},
    {"publish with an id", stream_publish_with, MTC_OK, FAULT_NOTHING, false},
    {"read_newest", stream_read_newest, MTC_OK, FAULT_NOTHING, false},
    {"read_range", stream_read_range, MTC_OK, FAULT_NOTHING, false},
    {"read_after", stream_read_after, MTC_OK, FAULT_NOTHING, false},
    {"tail", stream_tail, MTC_OK, FAULT_NOTHING, true},
    {"group create, remove", group_create, MTC_OK, FAULT_NOTHING, false},
    {"group read", group_read, MTC_OK, FAULT_NOTHING, false},
    {"group acknowledge", group_acknowledge, MTC_OK, FAULT_NOTHING, false},
    {"group claim", group_claim, MTC_OK, FAULT_NOTHING, false},
    {"group pending", group_pending, MTC_OK, FAULT_NOTHING, false},
    {"group run", group_run, MTC_OK, FAULT_NOTHING, true},
    {0},
};
