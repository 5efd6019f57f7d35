/*
 * Links: connections for commands that wait. See stream.h.
 *
 * The stream's mutex guards its list of links and a link's client pointer,
 * so that whoever cancels finds a client that is not being freed.
 */
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
    mtc_stream *stream = link->stream;
    if (!stream)
        return;
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

static mtc_status connect(mtci_link *link)
{
    mtci_redis_client *client;
    if (link->client)
        return MTC_OK;
    mtc_status status =
        mtci_client_new(mtci_client_settings(mtci_stream_client(link->stream)),
                        &client);
    if (status == MTC_OK)
        set_client(link, client);
    return status;
}

mtc_status mtci_link_call(mtci_link *link, mtci_redis_command *command,
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
    if (status == MTC_E_TIMEOUT || status == MTC_E_CANCELLED) {
        /* It still waits at the server; what came next would wait, too. */
        mtci_redis_client *client = link->client;
        set_client(link, NULL);
        mtci_client_free(client);
    }
    return status == MTC_E_CANCELLED ? mtci_link_state(link) : status;
}

void mtci_link_pause(mtci_link *link, int64_t wait_ms)
{
    mtci_word_wait(&link->cancelled, 0, wait_ms);
}
