/*
 * Links: connections for commands that wait. See stream.h.
 *
 * The stream's mutex guards its list of links and a link's client pointer,
 * so that whoever cancels finds a client that is not being freed.
 */
#include <string.h>

#include "base/sync.h"
#include "core/cache.h"
#include "stream/stream.h"

void mtci_link_init(mtci_link *link, mtc_stream *stream)
{
    *link = (mtci_link){.stream = stream};
    pthread_mutex_lock(&stream->mutex);
    if (stream->rest_count > 0)
        link->client = stream->rest[--stream->rest_count];
    link->next = stream->links;
    if (link->next)
        link->next->former = link;
    stream->links = link;
    pthread_mutex_unlock(&stream->mutex);
}

static void unlist_locked(mtci_link *link)
{
    if (link->former)
        link->former->next = link->next;
    else
        link->stream->links = link->next;
    if (link->next)
        link->next->former = link->former;
}

void mtci_link_fini(mtci_link *link)
{
    int cancel_state;
    mtc_stream *stream = link->stream;
    if (!stream)
        return;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    bool is_child = getpid() != stream->pid;
    mtci_redis_client *client = link->client;
    if (!is_child) {
        pthread_mutex_lock(&stream->mutex);
        unlist_locked(link);
        if (client && !stream->is_closing &&
            stream->rest_count < MTCI_STREAM_LINKS_MAX) {
            stream->rest[stream->rest_count++] = client;
            client = NULL;
        }
        pthread_mutex_unlock(&stream->mutex);
    }
    mtci_client_free(client);
    link->stream = NULL;
    pthread_setcancelstate(cancel_state, NULL);
}

/* The mutex keeps the client; waking a thread is no I/O. */
void mtci_link_cancel_locked(mtci_link *link)
{
    atomic_store(&link->cancelled, 1);
    mtci_word_wake(&link->cancelled);
    if (link->client)
        mtci_client_interrupt(link->client);
}

void mtci_link_cancel(mtci_link *link)
{
    pthread_mutex_lock(&link->stream->mutex);
    mtci_link_cancel_locked(link);
    pthread_mutex_unlock(&link->stream->mutex);
}

static mtc_status end_of(mtc_stream *stream)
{
    pthread_mutex_lock(&stream->mutex);
    bool is_closing = stream->is_closing;
    pthread_mutex_unlock(&stream->mutex);
    return is_closing ? MTC_E_CLOSED : MTC_E_CANCELLED;
}

mtc_status mtci_link_state(mtci_link *link)
{
    if (atomic_load(&link->cancelled) != 0)
        return end_of(link->stream);
    return mtci_cache_gate(link->stream->cache);
}

static void set_client(mtci_link *link, mtci_redis_client *client)
{
    pthread_mutex_lock(&link->stream->mutex);
    link->client = client;
    pthread_mutex_unlock(&link->stream->mutex);
}

/* To the server, or to the node that has the stream as far as is known. */
static mtc_status connect(mtci_link *link)
{
    mtci_redis_client *client;
    mtci_redis_settings settings;
    const mtci_redis_target *target = &link->stream->target;
    if (link->client)
        return MTC_OK;
    if (target->client)
        settings = *mtci_client_settings(target->client);
    else
        mtci_cluster_settings_for(target->cluster, target->key, &settings);
    /* What its connection tells or loses is nobody's concern. */
    settings.push = NULL;
    mtc_status status = mtci_client_new(&settings, &client);
    explicit_bzero(&settings, sizeof settings);
    if (status == MTC_OK)
        set_client(link, client);
    return status;
}

static void drop_client(mtci_link *link)
{
    mtci_redis_client *client = link->client;
    set_client(link, NULL);
    mtci_client_free(client);
}

/* The cluster learns where the stream is now, if its node is gone, by asking
 * what changes nothing. What the answer is does not matter. */
static void look_for_node(const mtc_stream *stream)
{
    mtci_answer answer;
    mtci_redis_command *command = mtci_command_new(MTCI_REPLY_INTEGER);
    if (!command)
        return;
    mtci_resp_begin(&command->bytes, 2);
    mtci_resp_add_text(&command->bytes, "XLEN");
    mtci_resp_add(&command->bytes, mtci_stream_key(stream));
    command->is_retryable = true;
    mtci_stream_call(stream, command, &answer);
    mtci_reply_fini(&answer.reply);
}

/* A node of a cluster that did not serve; the next one may be another. */
static mtc_status leave_node(mtci_link *link, const mtci_answer *answer)
{
    mtci_redirection is =
        mtci_cluster_learn(link->stream->target.cluster,
                           mtci_client_settings(link->client), answer->failure);
    drop_client(link);
    if (is != MTCI_REDIRECT_NONE)
        return MTC_PENDING;
    look_for_node(link->stream);
    return MTC_E_UNAVAILABLE;
}

/* MTC_PENDING, in a cluster: nothing was done, for the slot has moved or is
 * moving; the next call goes where it is. */
static mtc_status call(mtci_link *link, mtci_redis_command *command,
                       int64_t wait_ms, mtci_answer *answer)
{
    const mtc_stream *stream = link->stream;
    *answer = (mtci_answer){0};
    if (!command)
        return MTC_E_NO_MEMORY;
    mtc_status status = mtci_link_state(link);
    if (status == MTC_OK)
        status = connect(link);
    if (status != MTC_OK) {
        mtci_command_free(command);
        return status;
    }
    int64_t until_ms =
        mtci_stream_now_ms(stream) + wait_ms + stream->options.deadline_ms;
    status = mtci_redis_call_cancellable(link->client, command, until_ms,
                                         &link->cancelled, answer);
    /* It still waits at the server; what came next would wait, too. */
    if (status == MTC_E_TIMEOUT || status == MTC_E_CANCELLED)
        drop_client(link);
    if (status == MTC_E_UNAVAILABLE && stream->target.cluster)
        status = leave_node(link, answer);
    else if (status == MTC_E_TIMEOUT && stream->target.cluster)
        look_for_node(stream);
    return status == MTC_E_CANCELLED ? mtci_link_state(link) : status;
}

mtc_status mtci_link_ask(mtci_link *link, const mtci_link_read *read,
                         int64_t wait_ms, mtci_answer *answer)
{
    const mtc_stream *stream = link->stream;
    if (wait_ms > MTCI_STREAM_BLOCK_MS_MAX)
        wait_ms = MTCI_STREAM_BLOCK_MS_MAX;
    mtc_status status =
        call(link, read->make(read->ctx, wait_ms), wait_ms, answer);
    bool is_lost = status == MTC_E_UNAVAILABLE && read->is_repeatable &&
                   stream->target.cluster;
    if (status != MTC_PENDING && !is_lost)
        return status;
    status = mtci_stream_call(stream, read->make(read->ctx, 0), answer);
    bool is_empty = status == MTC_OK && answer->reply.type == MTCI_REPLY_NIL;
    if (is_empty && wait_ms > 0)
        mtci_link_pause(link, MTCI_STREAM_FOLLOW_MS);
    return status;
}

void mtci_link_pause(mtci_link *link, int64_t wait_ms)
{
    mtci_word_wait(&link->cancelled, 0, wait_ms);
}

void mtci_link_back_off(mtci_link *link, int64_t left_ms, int64_t *pause_ms)
{
    mtci_link_pause(link, *pause_ms < left_ms ? *pause_ms : left_ms);
    *pause_ms *= 2;
    if (*pause_ms > MTCI_STREAM_PAUSE_MS_MAX)
        *pause_ms = MTCI_STREAM_PAUSE_MS_MAX;
}
