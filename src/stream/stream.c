/*
 * Opening, closing and calling a stream. See stream.h; the other files are
 * what is done with one. Any thread.
 */
#include "stream/stream.h"

#include <stdlib.h>

#include "base/error.h"
#include "core/cache.h"
#include "core/sized.h"
#include "tier/redis/redis.h"

#define PART "stream"

#define LENGTH_MAX_DEFAULT 1000
#define LENGTH_MAX_TOP     1000000000
#define AGE_MS_TOP         INT64_C(31536000000000)
#define DEADLINE_MS        250
#define DEADLINE_MS_TOP    600000
#define OPTIONS_SIZE_MIN   24u

/* -- calls ---------------------------------------------------------------- */

mtc_status mtci_stream_enter(mtc_stream *stream, int *cancel_state)
{
    if (!stream)
        return MTC_E_INVALID;
    if (getpid() != stream->pid)
        return MTC_E_FORKED;
    mtc_status status = mtci_cache_gate(stream->cache);
    if (status != MTC_OK)
        return status;
    pthread_mutex_lock(&stream->mutex);
    if (stream->is_closing)
        status = MTC_E_CLOSED;
    else
        stream->calls++;
    pthread_mutex_unlock(&stream->mutex);
    if (status == MTC_OK)
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, cancel_state);
    return status;
}

void mtci_stream_leave(mtc_stream *stream, int cancel_state)
{
    pthread_mutex_lock(&stream->mutex);
    stream->calls--;
    pthread_cond_signal(&stream->left);
    pthread_mutex_unlock(&stream->mutex);
    pthread_setcancelstate(cancel_state, NULL);
}

int64_t mtci_stream_now_ms(const mtc_stream *stream)
{
    const mtci_redis_target *target = &stream->target;
    const mtci_redis_settings *settings =
        target->client ? mtci_client_settings(target->client)
                       : mtci_cluster_settings(target->cluster);
    return mtci_clock_ms(&settings->clock);
}

mtc_slice mtci_stream_key(const mtc_stream *stream)
{
    return mtc_bytes(stream->key, stream->key_size);
}

mtc_status mtci_stream_call(const mtc_stream *stream,
                            mtci_redis_command *command, mtci_answer *answer)
{
    *answer = (mtci_answer){0};
    if (!command)
        return MTC_E_NO_MEMORY;
    int64_t until_ms = mtci_stream_now_ms(stream) + stream->options.deadline_ms;
    return mtci_redis_call_at(&stream->target, command, until_ms,
                              answer->failure, &answer->reply);
}

void mtci_stream_add_id(mtci_redis_command *command, mtc_stream_id id)
{
    char text[MTC_STREAM_ID_SIZE];
    mtci_resp_add_text(&command->bytes, mtc_stream_id_format(id, text));
}

mtc_stream_id mtci_id_behind(mtc_stream_id id)
{
    if (mtci_id_is_end(id))
        return id;
    if (++id.sequence == 0)
        id.ms++;
    return id;
}

/* -- open and close ------------------------------------------------------- */

static mtc_status check_options(const mtc_stream_options *options,
                                mtc_error *error)
{
    if (options->flags & ~MTC_STREAM_TRIM_EXACTLY)
        return mtci_fail(error, MTC_E_INVALID, PART,
                         "flags is %u, not 0 or MTC_STREAM_TRIM_EXACTLY",
                         (unsigned)options->flags);
    if (options->length_max < -1 || options->length_max > LENGTH_MAX_TOP)
        return mtci_fail(error, MTC_E_INVALID, PART,
                         "length_max is %lld, not -1 to %d",
                         (long long)options->length_max, LENGTH_MAX_TOP);
    if (options->deadline_ms < 0 || options->deadline_ms > DEADLINE_MS_TOP)
        return mtci_fail(error, MTC_E_INVALID, PART,
                         "deadline_ms is %lld, not 1 to %d",
                         (long long)options->deadline_ms, DEADLINE_MS_TOP);
    if (options->age_ms_max < 0 || options->age_ms_max > AGE_MS_TOP)
        return mtci_fail(error, MTC_E_INVALID, PART,
                         "age_ms_max is %lld, not 0 to %lld",
                         (long long)options->age_ms_max, (long long)AGE_MS_TOP);
    if (options->age_ms_max > 0 && options->length_max > 0)
        return mtci_fail(error, MTC_E_INVALID, PART,
                         "length_max and age_ms_max are both set; the server "
                         "trims by one of them");
    return MTC_OK;
}

static mtc_status take_options(const mtc_stream_options *given,
                               mtc_error *error, mtc_stream_options *options)
{
    *options = (mtc_stream_options)MTC_STREAM_OPTIONS_INIT;
    if (given &&
        !mtci_sized_copy(options, sizeof *options, given, OPTIONS_SIZE_MIN))
        return mtci_fail(error, MTC_E_INVALID, PART,
                         "options: struct_size is wrong, or a field is set "
                         "that this version does not know");
    mtc_status status = check_options(options, error);
    if (options->length_max == 0 && options->age_ms_max == 0)
        options->length_max = LENGTH_MAX_DEFAULT;
    if (options->deadline_ms == 0)
        options->deadline_ms = DEADLINE_MS;
    return status;
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
    stream->options = *options;
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
    (*stream)->target.key = mtci_stream_key(*stream);
    mtci_cache_enter(cache);
    return MTC_OK;
}

static void cancel_links(mtc_stream *stream)
{
    pthread_mutex_lock(&stream->mutex);
    stream->is_closing = true;
    for (mtci_link *link = stream->links; link; link = link->next)
        mtci_link_cancel_locked(link);
    pthread_mutex_unlock(&stream->mutex);
}

static void wait_for_calls(mtc_stream *stream)
{
    pthread_mutex_lock(&stream->mutex);
    while (stream->calls > 0)
        pthread_cond_wait(&stream->left, &stream->mutex);
    pthread_mutex_unlock(&stream->mutex);
}

void mtc_stream_close(mtc_stream **variable)
{
    if (!variable || !*variable)
        return;
    int cancel_state;
    mtc_stream *stream = *variable;
    *variable = NULL;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    bool is_child = getpid() != stream->pid;
    if (!is_child) {
        cancel_links(stream);
        wait_for_calls(stream);
    }
    while (stream->rest_count > 0)
        mtci_client_free(stream->rest[--stream->rest_count]);
    if (!is_child)
        mtci_cache_leave(stream->cache);
    pthread_cond_destroy(&stream->left);
    pthread_mutex_destroy(&stream->mutex);
    free(stream);
    pthread_setcancelstate(cancel_state, NULL);
}
