/*
 * Fuzz target: what streams make of a server's replies.
 *
 * The first byte chooses a call and the second RESP2 or RESP3; the rest is read
 * by our own reader, and its replies are the answers to the commands that the
 * call sends, one after the other. The build puts the functions called __wrap_
 * here in the place of those that would ask a server.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/cache.h"
#include "fuzz/target.h"
#include "redis/resp_reader.h"
#include "stream/group.h"

#define BULK_SIZE_MAX ((size_t)1 << 20)
#define COUNT         10

static mtci_resp_reader reader;
static const uint8_t *bytes; /* not fed yet */
static size_t bytes_size;

static void require(bool is_so)
{
    if (!is_so)
        abort();
}

/* -- the server ----------------------------------------------------------- */

/* The next reply that is no push. */
static mtc_status next_reply(mtci_reply *reply)
{
    for (;;) {
        mtc_status status = mtci_resp_reader_next(&reader, reply);
        if (status == MTC_OK && reply->type == MTCI_REPLY_PUSH) {
            mtci_reply_fini(reply);
            continue;
        }
        if (status != MTC_PENDING || bytes_size == 0)
            return status;
        size_t room;
        void *to = mtci_resp_reader_room(&reader, &room);
        size_t size = bytes_size < room ? bytes_size : room;
        memcpy(to, bytes, size);
        mtci_resp_reader_fed(&reader, size);
        bytes += size;
        bytes_size -= size;
    }
}

/* As a connection does: what fits the command, or the end of it. */
static mtc_status answer_with(mtci_redis_command *command,
                              char failure[MTCI_CALL_FAILURE_SIZE],
                              mtci_reply *reply)
{
    uint32_t expects = command->expects[0] | MTCI_REPLY_ERROR;
    mtc_status status = next_reply(reply);
    failure[0] = '\0';
    mtci_command_free(command);
    if (status == MTC_OK && !(reply->type & expects)) {
        mtci_reply_fini(reply);
        status = MTC_E_CORRUPT;
    }
    if (status != MTC_OK) {
        snprintf(failure, MTCI_CALL_FAILURE_SIZE, "the connection has ended");
        return MTC_E_UNAVAILABLE;
    }
    if (reply->type != MTCI_REPLY_ERROR)
        return MTC_OK;
    status = mtci_reply_error_status(reply);
    mtci_reply_error_text(reply, failure, MTCI_CALL_FAILURE_SIZE);
    mtci_reply_fini(reply);
    return status;
}

mtc_status __wrap_mtci_redis_call_at(const mtci_redis_target *target,
                                     mtci_redis_command *command,
                                     int64_t until_ms, char *failure,
                                     mtci_reply *reply);
mtc_status __wrap_mtci_redis_call_at(const mtci_redis_target *target,
                                     mtci_redis_command *command,
                                     int64_t until_ms, char *failure,
                                     mtci_reply *reply)
{
    (void)target;
    (void)until_ms;
    return answer_with(command, failure, reply);
}

mtc_status __wrap_mtci_redis_call_cancellable(mtci_redis_client *client,
                                              mtci_redis_command *command,
                                              int64_t until_ms,
                                              const _Atomic uint32_t *cancelled,
                                              mtci_answer *answer);
mtc_status __wrap_mtci_redis_call_cancellable(mtci_redis_client *client,
                                              mtci_redis_command *command,
                                              int64_t until_ms,
                                              const _Atomic uint32_t *cancelled,
                                              mtci_answer *answer)
{
    (void)client;
    (void)until_ms;
    (void)cancelled;
    return answer_with(command, answer->failure, &answer->reply);
}

static int64_t now_ms(void *ctx)
{
    (void)ctx;
    return 1000000;
}

/* -- the streams ---------------------------------------------------------- */

/* Of a cache streams want that it is open, and how large a value may be. */
static mtc_cache *open_gate(void)
{
    static _Atomic uint32_t gate = MTCI_GATE_OPEN;
    static mtc_cache cache;
    cache.gate = &gate;
    cache.value_size_max = BULK_SIZE_MAX;
    return &cache;
}

static mtc_stream *make_stream(const char *key)
{
    mtci_redis_settings settings = {.clock = {.now_ms = now_ms}};
    size_t size = strlen(key);
    mtc_stream *stream = calloc(1, sizeof *stream + size);
    require(stream != NULL);
    require(mtci_client_new(&settings, &stream->target.client) == MTC_OK);
    pthread_mutex_init(&stream->mutex, NULL);
    pthread_cond_init(&stream->left, NULL);
    stream->cache = open_gate();
    stream->pid = getpid();
    stream->options = (mtc_stream_options)MTC_STREAM_OPTIONS_INIT;
    stream->options.age_ms_max = 1000;
    stream->key_size = size;
    memcpy(stream->key, key, size);
    return stream;
}

/* Two of one server, made once. */
static mtc_stream *const *streams(void)
{
    static mtc_stream *both[2];
    if (!both[0]) {
        both[0] = make_stream("s");
        both[1] = make_stream("t");
        mtci_client_free(both[1]->target.client);
        both[1]->target.client = both[0]->target.client;
    }
    both[0]->clock_read_ms = 0;
    return both;
}

/* -- what comes out ------------------------------------------------------- */

static void touch(mtc_slice slice)
{
    static volatile unsigned char sum;
    const unsigned char *at = slice.data;
    for (size_t i = 0; i < slice.size; i++)
        sum = (unsigned char)(sum + at[i]);
}

/* There is a batch, with entries, if and only if the status says so. */
static void check_batch(mtc_status status, mtc_stream_batch *batch)
{
    size_t count = mtc_stream_batch_count(batch);
    require((status == MTC_OK) == (batch != NULL));
    require((status == MTC_OK) == (count > 0));
    for (size_t i = 0; i <= count; i++) {
        size_t fields = mtc_stream_batch_field_count(batch, i);
        mtc_stream_batch_id(batch, i);
        for (size_t j = 0; j <= fields; j++) {
            mtc_field field = mtc_stream_batch_field(batch, i, j);
            touch(field.name);
            touch(field.value);
        }
    }
    mtc_stream_batch_free(&batch);
}

static void check_pending(mtc_status status, mtc_pending_list *list)
{
    size_t count = mtc_pending_list_count(list);
    require((status == MTC_OK) == (count > 0));
    for (size_t i = 0; i <= count; i++)
        touch(mtc_pending_list_at(list, i).consumer);
    mtc_pending_list_free(&list);
}

/* -- calls ---------------------------------------------------------------- */

static void read_stream(unsigned call, mtc_stream *stream)
{
    mtc_stream_batch *batch = NULL;
    mtc_stream_id id = {call % 2, 0};
    mtc_status status;
    if (call < 2)
        status = mtc_stream_read_newest(stream, COUNT, &batch);
    else if (call < 4)
        status =
            mtc_stream_read_range(stream, &id, MTC_STREAM_END, COUNT, &batch);
    else {
        id = call == 4 ? MTC_STREAM_END : id;
        status = mtc_stream_read_after(stream, &id, COUNT, 0, &batch);
    }
    check_batch(status, batch);
}

/* As long as there is something to hand out. */
static void read_tail(mtc_stream *const *both)
{
    mtc_tail *tail;
    mtc_status status;
    size_t index = 0;
    const mtc_stream_id cursors[] = {{5, 1}, MTC_STREAM_END};
    require(mtc_tail_open(both, cursors, 2, NULL, &tail) == MTC_OK);
    do {
        mtc_stream_batch *batch = NULL;
        status = mtc_tail_read(tail, COUNT, 0, &index, &batch);
        require(index < 2);
        check_batch(status, batch);
    } while (status == MTC_OK);
    mtc_tail_close(&tail);
}

static void publish(mtc_stream *stream)
{
    mtc_stream_id id = {0, 0};
    const mtc_field field = {mtc_str("name"), mtc_str("value")};
    mtc_stream_publish(stream, &field, 1, &id);
}

static void read_group(unsigned call, mtc_group *group)
{
    mtc_stream_batch *batch = NULL;
    mtc_stream_id cursor = {0, 0};
    mtc_status status;
    if (call < 9)
        status = mtc_group_read(group, COUNT, 0, &batch);
    else if (call < 11)
        status = mtc_group_read_own(group, &cursor, COUNT, &batch);
    else
        status = mtc_group_claim(group, 0, &cursor, COUNT, &batch);
    check_batch(status, batch);
}

static void list_pending(unsigned call, mtc_group *group)
{
    mtc_pending_list *list = NULL;
    mtc_group_summary summary;
    mtc_stream_id first = {0, 0};
    if (call < 14) {
        mtc_group_pending(group, &summary);
        return;
    }
    mtc_status status = mtc_group_list_pending(group, &first, COUNT, &list);
    check_pending(status, list);
}

static void call_group(unsigned call, mtc_stream *stream)
{
    mtc_group *group;
    const mtc_group_names names = {mtc_str("group"), mtc_str("consumer")};
    require(mtc_group_open(stream, &names, NULL, NULL, &group) == MTC_OK);
    if (call < 13)
        read_group(call, group);
    else
        list_pending(call, group);
    mtc_group_close(&group);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    unsigned call = data[0] % 16u;
    mtc_stream *const *both = streams();
    require(mtci_resp_reader_init(&reader, BULK_SIZE_MAX) == MTC_OK);
    reader.is_resp2 = data[1] % 2 == 0;
    bytes = data + 2;
    bytes_size = size - 2;
    if (call < 6)
        read_stream(call, both[0]);
    else if (call == 6)
        read_tail(both);
    else if (call == 7)
        publish(both[0]);
    else
        call_group(call, both[0]);
    mtci_resp_reader_fini(&reader);
    return 0;
}
