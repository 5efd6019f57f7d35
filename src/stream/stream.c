/*
 * Streams on a Redis tier: XADD, XREVRANGE and XREAD.
 *
 * What does not wait goes through the tier's own client, or in a cluster by the
 * node of the key. A read that waits takes a client of its own, with a
 * connection of its own; those at rest are kept for the next. Any thread.
 */
#include "mtc/stream.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "core/cache.h"
#include "core/sized.h"
#include "redis/call.h"
#include "stream/batch.h"
#include "tier/redis/redis.h"

#define PART "stream"

/* The server is asked to block at most so long at a time, so that a stream
 * can be closed under a reader. */
#define BLOCK_MS_MAX 1000
/* While a slot is on its way from node to node. */
#define FOLLOW_PAUSE_MS 20
/* Connections at rest that are kept. */
#define READERS_MAX 8

#define LENGTH_MAX_DEFAULT 1000
#define LENGTH_MAX_TOP     1000000000
#define DEADLINE_MS        250
#define DEADLINE_MS_TOP    600000
#define WAIT_MS_TOP        3600000
#define OPTIONS_SIZE_MIN   24u

struct mtc_stream {
    mtc_cache *cache;
    mtci_redis_target target; /* the tier's client or cluster */
    pid_t pid;                /* a forked child owns none of this */
    int64_t length_max;       /* -1: never trimmed */
    int64_t deadline_ms;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t left;   /* a call has ended */
    size_t calls;
    bool is_closing;
    size_t reader_count;
    mtci_redis_client *readers[READERS_MAX]; /* at rest */
    size_t key_size;
    char key[];
};

/* -- calls ---------------------------------------------------------------- */

static mtc_status state_of(mtc_stream *stream)
{
    if (getpid() != stream->pid)
        return MTC_E_FORKED;
    mtc_status status = mtci_cache_gate(stream->cache);
    if (status != MTC_OK)
        return status;
    pthread_mutex_lock(&stream->mutex);
    status = stream->is_closing ? MTC_E_CLOSED : MTC_OK;
    pthread_mutex_unlock(&stream->mutex);
    return status;
}

static mtc_status enter(mtc_stream *stream)
{
    mtc_status status = stream ? state_of(stream) : MTC_E_INVALID;
    if (status != MTC_OK)
        return status;
    pthread_mutex_lock(&stream->mutex);
    stream->calls++;
    pthread_mutex_unlock(&stream->mutex);
    return MTC_OK;
}

static void leave(mtc_stream *stream)
{
    pthread_mutex_lock(&stream->mutex);
    stream->calls--;
    pthread_cond_signal(&stream->left);
    pthread_mutex_unlock(&stream->mutex);
}

static int64_t now_ms(const mtc_stream *stream)
{
    const mtci_redis_target *target = &stream->target;
    const mtci_redis_settings *settings =
        target->client ? mtci_client_settings(target->client)
                       : mtci_cluster_settings(target->cluster);
    return mtci_clock_ms(&settings->clock);
}

static mtc_slice key_of(const mtc_stream *stream)
{
    return mtc_bytes(stream->key, stream->key_size);
}

/* Sends a command that does not wait. */
static mtc_status call(const mtc_stream *stream, mtci_redis_command *command,
                       mtci_reply *reply)
{
    char failure[MTCI_CALL_FAILURE_SIZE];
    *reply = (mtci_reply){0};
    if (!command)
        return MTC_E_NO_MEMORY;
    return mtci_redis_call_at(&stream->target, command,
                              now_ms(stream) + stream->deadline_ms, failure,
                              reply);
}

/* -- publish -------------------------------------------------------------- */

static mtc_status check_fields(const mtc_stream *stream,
                               const mtc_field *fields, size_t count)
{
    if (!fields || count == 0)
        return MTC_E_INVALID;
    if (count > MTC_STREAM_FIELDS_MAX)
        return MTC_E_TOO_LARGE;
    for (size_t i = 0; i < count; i++) {
        if (fields[i].name.size > stream->cache->value_size_max ||
            fields[i].value.size > stream->cache->value_size_max)
            return MTC_E_TOO_LARGE;
    }
    return MTC_OK;
}

static mtci_redis_command *make_add(const mtc_stream *stream,
                                    const mtc_field *fields, size_t count)
{
    mtci_redis_command *command = mtci_command_new(MTCI_REPLY_BULK);
    if (!command)
        return NULL;
    bool is_trimmed = stream->length_max > 0;
    mtci_resp_begin(&command->bytes, 3u + (is_trimmed ? 3u : 0u) + 2u * count);
    mtci_resp_add_text(&command->bytes, "XADD");
    mtci_resp_add(&command->bytes, key_of(stream));
    if (is_trimmed) {
        mtci_resp_add_text(&command->bytes, "MAXLEN");
        mtci_resp_add_text(&command->bytes, "~");
        mtci_resp_add_number(&command->bytes, stream->length_max);
    }
    mtci_resp_add_text(&command->bytes, "*");
    for (size_t i = 0; i < count; i++) {
        mtci_resp_add(&command->bytes, fields[i].name);
        mtci_resp_add(&command->bytes, fields[i].value);
    }
    return command;
}

static mtc_status publish(mtc_stream *stream, const mtc_field *fields,
                          size_t count, mtc_stream_id *id)
{
    mtci_reply reply;
    mtc_status status = check_fields(stream, fields, count);
    if (status != MTC_OK)
        return status;
    status = call(stream, make_add(stream, fields, count), &reply);
    if (status == MTC_OK &&
        mtc_stream_id_parse(mtci_reply_slice(&reply), id) != MTC_OK)
        status = MTC_E_CORRUPT;
    mtci_reply_fini(&reply);
    return status;
}

mtc_status mtc_stream_publish(mtc_stream *stream, const mtc_field *fields,
                              size_t count, mtc_stream_id *id)
{
    mtc_stream_id unwanted;
    mtc_status status = enter(stream);
    if (status != MTC_OK)
        return status;
    status = publish(stream, fields, count, id ? id : &unwanted);
    leave(stream);
    return status;
}

/* -- read ----------------------------------------------------------------- */

static mtc_status read_newest(mtc_stream *stream, size_t count,
                              mtc_stream_batch **batch)
{
    mtci_reply reply;
    mtci_redis_command *command = mtci_command_new(MTCI_REPLY_ARRAY);
    if (!command)
        return MTC_E_NO_MEMORY;
    mtci_resp_begin(&command->bytes, 6);
    mtci_resp_add_text(&command->bytes, "XREVRANGE");
    mtci_resp_add(&command->bytes, key_of(stream));
    mtci_resp_add_text(&command->bytes, "+");
    mtci_resp_add_text(&command->bytes, "-");
    mtci_resp_add_text(&command->bytes, "COUNT");
    mtci_resp_add_number(&command->bytes, (int64_t)count);
    command->is_retryable = true;
    mtc_status status = call(stream, command, &reply);
    return status == MTC_OK ? mtci_batch_new(&reply, batch) : status;
}

mtc_status mtc_stream_read_newest(mtc_stream *stream, size_t count,
                                  mtc_stream_batch **batch)
{
    if (!batch)
        return MTC_E_INVALID;
    *batch = NULL;
    if (count == 0 || count > MTC_STREAM_COUNT_MAX)
        return MTC_E_INVALID;
    mtc_status status = enter(stream);
    if (status != MTC_OK)
        return status;
    status = read_newest(stream, count, batch);
    leave(stream);
    return status;
}

/* What read_after asks for. */
typedef struct reading {
    mtc_stream_id *cursor;
    size_t count;
    int64_t wait_ms;
    /* While it waits. */
    mtci_redis_client *reader;
    unsigned moves; /* to other nodes */
    char failure[MTCI_CALL_FAILURE_SIZE];
} reading;

/* Puts the id of the newest entry in place of MTC_STREAM_END. */
static mtc_status resolve_end(mtc_stream *stream, mtc_stream_id *cursor)
{
    mtc_stream_batch *newest;
    if (cursor->ms != UINT64_MAX || cursor->sequence != UINT64_MAX)
        return MTC_OK;
    mtc_status status = read_newest(stream, 1, &newest);
    if (status < 0)
        return status;
    *cursor = mtc_stream_batch_id(newest, 0);
    mtc_stream_batch_free(&newest);
    return MTC_OK;
}

/* block_ms 0: do not wait. */
static mtci_redis_command *make_read(const mtc_stream *stream,
                                     const reading *reading, int64_t block_ms)
{
    char id[MTC_STREAM_ID_SIZE];
    mtci_redis_command *command =
        mtci_command_new(MTCI_REPLY_ARRAY | MTCI_REPLY_NIL);
    if (!command)
        return NULL;
    mtci_resp_begin(&command->bytes, block_ms > 0 ? 8 : 6);
    mtci_resp_add_text(&command->bytes, "XREAD");
    mtci_resp_add_text(&command->bytes, "COUNT");
    mtci_resp_add_number(&command->bytes, (int64_t)reading->count);
    if (block_ms > 0) {
        mtci_resp_add_text(&command->bytes, "BLOCK");
        mtci_resp_add_number(&command->bytes, block_ms);
    }
    mtci_resp_add_text(&command->bytes, "STREAMS");
    mtci_resp_add(&command->bytes, key_of(stream));
    mtci_resp_add_text(&command->bytes,
                       mtc_stream_id_format(*reading->cursor, id));
    command->is_retryable = true;
    return command;
}

static mtc_status read_now(mtc_stream *stream, const reading *reading,
                           mtc_stream_batch **batch)
{
    mtci_reply reply;
    mtc_status status = call(stream, make_read(stream, reading, 0), &reply);
    return status == MTC_OK ? mtci_batch_new_keyed(&reply, batch) : status;
}

/* On a connection of its own; its time is the deadline's beside its wait. */
static mtc_status read_blocking(mtc_stream *stream, reading *reading,
                                int64_t block_ms, mtc_stream_batch **batch)
{
    mtci_reply reply;
    mtci_redis_command *command = make_read(stream, reading, block_ms);
    if (!command)
        return MTC_E_NO_MEMORY;
    mtc_status status =
        mtci_redis_call(reading->reader, command,
                        now_ms(stream) + block_ms + stream->deadline_ms,
                        reading->failure, &reply);
    return status == MTC_OK ? mtci_batch_new_keyed(&reply, batch) : status;
}

/* A client to the node of the key. */
static mtc_status reader_new(const mtc_stream *stream, mtci_redis_client **out)
{
    const mtci_redis_target *target = &stream->target;
    mtci_redis_settings settings;
    if (target->client)
        settings = *mtci_client_settings(target->client);
    else
        mtci_cluster_settings_for(target->cluster, target->key, &settings);
    /* What its connection tells or loses is nobody's concern. */
    settings.push = NULL;
    mtc_status status = mtci_client_new(&settings, out);
    explicit_bzero(&settings, sizeof settings);
    return status;
}

static mtc_status take_reader(mtc_stream *stream, mtci_redis_client **out)
{
    *out = NULL;
    pthread_mutex_lock(&stream->mutex);
    if (stream->reader_count > 0)
        *out = stream->readers[--stream->reader_count];
    pthread_mutex_unlock(&stream->mutex);
    if (*out)
        return MTC_OK;
    return reader_new(stream, out);
}

/* One that failed may still owe a reply: it is not used again. */
static void return_reader(mtc_stream *stream, mtci_redis_client *reader,
                          mtc_status status)
{
    pthread_mutex_lock(&stream->mutex);
    if (status >= 0 && stream->reader_count < READERS_MAX) {
        stream->readers[stream->reader_count++] = reader;
        reader = NULL;
    }
    pthread_mutex_unlock(&stream->mutex);
    mtci_client_free(reader);
}

/* Another reader where the map now says. */
static mtc_status change_reader(mtc_stream *stream, reading *reading)
{
    return_reader(stream, reading->reader, MTC_E_UNAVAILABLE);
    reading->reader = NULL;
    return reader_new(stream, &reading->reader);
}

/* In a cluster the slot of the key may have moved, or its node be gone. MOVED
 * says where to; else the cluster's own pipelines look, which also learn the
 * map anew. MTC_MISS: go on waiting. */
static mtc_status follow(mtc_stream *stream, reading *reading,
                         mtc_stream_batch **batch)
{
    mtci_redis_cluster *cluster = stream->target.cluster;
    const struct timespec pause = {0, FOLLOW_PAUSE_MS * 1000000L};
    mtc_status status = MTC_MISS;
    if (mtci_cluster_learn(cluster, mtci_client_settings(reading->reader),
                           reading->failure) != MTCI_REDIRECT_MOVED ||
        reading->moves++ >= MTCI_CLUSTER_REDIRECTS_MAX) {
        reading->moves = 0;
        status = read_now(stream, reading, batch);
        if (status == MTC_MISS)
            nanosleep(&pause, NULL);
    }
    if (status != MTC_MISS)
        return status;
    mtc_status changed = change_reader(stream, reading);
    return changed == MTC_OK ? MTC_MISS : changed;
}

static mtc_status read_waiting(mtc_stream *stream, reading *reading,
                               mtc_stream_batch **batch)
{
    int64_t until_ms = now_ms(stream) + reading->wait_ms;
    int64_t left_ms = reading->wait_ms;
    mtc_status status = take_reader(stream, &reading->reader);
    if (status != MTC_OK)
        return status;
    do {
        int64_t block_ms = left_ms < BLOCK_MS_MAX ? left_ms : BLOCK_MS_MAX;
        status = read_blocking(stream, reading, block_ms, batch);
        if (status == MTC_E_UNAVAILABLE && stream->target.cluster)
            status = follow(stream, reading, batch);
        left_ms = until_ms - now_ms(stream);
        if (status == MTC_MISS && left_ms > 0 && state_of(stream) != MTC_OK)
            status = MTC_E_CLOSED;
    } while (status == MTC_MISS && left_ms > 0);
    return_reader(stream, reading->reader, status);
    return status;
}

static mtc_status read_after(mtc_stream *stream, reading *reading,
                             mtc_stream_batch **batch)
{
    mtc_status status = resolve_end(stream, reading->cursor);
    if (status != MTC_OK)
        return status;
    status = reading->wait_ms > 0 ? read_waiting(stream, reading, batch)
                                  : read_now(stream, reading, batch);
    if (status == MTC_OK)
        *reading->cursor =
            mtc_stream_batch_id(*batch, mtc_stream_batch_count(*batch) - 1);
    return status;
}

mtc_status mtc_stream_read_after(mtc_stream *stream, mtc_stream_id *cursor,
                                 size_t count, int64_t wait_ms,
                                 mtc_stream_batch **batch)
{
    if (!batch)
        return MTC_E_INVALID;
    *batch = NULL;
    if (!cursor || count == 0 || count > MTC_STREAM_COUNT_MAX || wait_ms < 0 ||
        wait_ms > WAIT_MS_TOP)
        return MTC_E_INVALID;
    mtc_status status = enter(stream);
    if (status != MTC_OK)
        return status;
    reading reading = {.cursor = cursor, .count = count, .wait_ms = wait_ms};
    status = read_after(stream, &reading, batch);
    leave(stream);
    return status;
}

/* -- open and close ------------------------------------------------------- */

static mtc_status take_options(const mtc_stream_options *given,
                               mtc_error *error, mtc_stream_options *options)
{
    *options = (mtc_stream_options)MTC_STREAM_OPTIONS_INIT;
    if (given &&
        (!mtci_sized_copy(options, sizeof *options, given, OPTIONS_SIZE_MIN) ||
         options->reserved != 0))
        return mtci_fail(error, MTC_E_INVALID, PART,
                         "options: struct_size is wrong, or a field is set "
                         "that this version does not know");
    if (options->length_max < -1 || options->length_max > LENGTH_MAX_TOP)
        return mtci_fail(error, MTC_E_INVALID, PART,
                         "length_max is %lld, not -1 to %d",
                         (long long)options->length_max, LENGTH_MAX_TOP);
    if (options->deadline_ms < 0 || options->deadline_ms > DEADLINE_MS_TOP)
        return mtci_fail(error, MTC_E_INVALID, PART,
                         "deadline_ms is %lld, not 1 to %d",
                         (long long)options->deadline_ms, DEADLINE_MS_TOP);
    if (options->length_max == 0)
        options->length_max = LENGTH_MAX_DEFAULT;
    if (options->deadline_ms == 0)
        options->deadline_ms = DEADLINE_MS;
    return MTC_OK;
}

/* Whether the cache has a Redis tier. */
static bool find_target(mtc_cache *cache, mtci_redis_target *target)
{
    mtc_tier *tier;
    for (size_t i = 0; (tier = mtci_cache_tier_at(cache, i)) != NULL; i++) {
        target->client = mtci_redis_tier_client(tier);
        target->cluster = mtci_redis_tier_cluster(tier);
        if (target->client || target->cluster)
            return true;
    }
    return false;
}

static mtc_stream *stream_new(mtc_cache *cache, mtc_slice key,
                              const mtc_stream_options *options)
{
    mtc_stream *stream = calloc(1, sizeof *stream + key.size);
    if (!stream)
        return NULL;
    stream->cache = cache;
    stream->pid = getpid();
    stream->length_max = options->length_max;
    stream->deadline_ms = options->deadline_ms;
    stream->key_size = key.size;
    if (key.size > 0)
        memcpy(stream->key, key.data, key.size);
    pthread_mutex_init(&stream->mutex, NULL);
    pthread_cond_init(&stream->left, NULL);
    return stream;
}

mtc_status mtc_stream_open(mtc_cache *cache, mtc_slice key,
                           const mtc_stream_options *options, mtc_error *error,
                           mtc_stream **stream)
{
    mtc_stream_options known;
    if (error)
        *error = (mtc_error){0};
    if (stream)
        *stream = NULL;
    if (!cache || !stream || (!key.data && key.size > 0))
        return mtci_fail(error, MTC_E_INVALID, PART, "an argument is NULL");
    mtc_status status = mtci_cache_gate(cache);
    if (status != MTC_OK)
        return mtci_fail(error, status, PART, "%s", mtc_status_text(status));
    if (key.size > MTC_KEY_SIZE_MAX)
        return mtci_fail(error, MTC_E_TOO_LARGE, PART,
                         "the key has %zu bytes, more than %u", key.size,
                         MTC_KEY_SIZE_MAX);
    status = take_options(options, error, &known);
    if (status != MTC_OK)
        return status;
    mtci_redis_target target = {.client = NULL};
    if (!find_target(cache, &target))
        return mtci_fail(error, MTC_E_UNSUPPORTED, PART,
                         "streams need a Redis tier: set REDIS_URL, or name "
                         "one among the tiers");
    *stream = stream_new(cache, key, &known);
    if (!*stream)
        return mtci_fail(error, MTC_E_NO_MEMORY, PART, "out of memory");
    (*stream)->target = target;
    (*stream)->target.key = key_of(*stream);
    mtci_cache_enter(cache);
    return MTC_OK;
}

static void wait_for_calls(mtc_stream *stream)
{
    pthread_mutex_lock(&stream->mutex);
    stream->is_closing = true;
    while (stream->calls > 0)
        pthread_cond_wait(&stream->left, &stream->mutex);
    pthread_mutex_unlock(&stream->mutex);
}

void mtc_stream_close(mtc_stream **variable)
{
    if (!variable || !*variable)
        return;
    mtc_stream *stream = *variable;
    *variable = NULL;
    bool is_child = getpid() != stream->pid;
    if (!is_child)
        wait_for_calls(stream);
    while (stream->reader_count > 0)
        mtci_client_free(stream->readers[--stream->reader_count]);
    if (!is_child)
        mtci_cache_leave(stream->cache);
    pthread_cond_destroy(&stream->left);
    pthread_mutex_destroy(&stream->mutex);
    free(stream);
}
