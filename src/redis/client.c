/*
 * The pipeline: commands are taken in, refused, and given back. See client.h
 * and client_state.h. Any thread.
 */
#include "redis/client_state.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/hash.h"

void mtci_client_tell_answered(mtci_redis_client *client)
{
    pthread_mutex_lock(&client->mutex);
    mtci_waiter *answered = mtci_role_answered_locked(&client->role);
    pthread_mutex_unlock(&client->mutex);
    mtci_role_tell(&client->role, answered);
}

void mtci_client_deliver(mtci_redis_client *client,
                         mtci_command_queue *finished)
{
    size_t count = 0;
    size_t bytes = 0;
    mtci_redis_command *command;
    if (!finished->first)
        return;
    while ((command = mtci_queue_pop(finished)) != NULL) {
        count += !command->is_own;
        bytes += command->size;
        command->done(command);
    }
    pthread_mutex_lock(&client->mutex);
    client->open_count -= count;
    client->open_bytes -= bytes;
    pthread_mutex_unlock(&client->mutex);
    mtci_client_tell_answered(client);
}

mtc_status mtci_client_new(const mtci_redis_settings *settings,
                           mtci_redis_client **out)
{
    *out = NULL;
    mtci_redis_client *client = calloc(1, sizeof *client);
    if (!client)
        return MTC_E_NO_MEMORY;
    client->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (client->wake_fd < 0) {
        free(client);
        return MTC_E_UNAVAILABLE;
    }
    pthread_mutex_init(&client->mutex, NULL);
    client->role.mutex = &client->mutex;
    client->settings = *settings;
    client->queued_due_ms = INT64_MAX;
    client->random = mtci_seed() | 1;
    mtc_status status = MTC_OK;
    if (settings->sentinels)
        status = mtci_master_new(&client->settings, &client->master);
    mtci_conn_init(&client->conn, client->master
                                      ? mtci_master_found(client->master)
                                      : &client->settings);
    if (status == MTC_OK)
        *out = client;
    else
        mtci_client_free(client);
    return status;
}

void mtci_client_free(mtci_redis_client *client)
{
    if (!client)
        return;
    mtci_command_queue finished = {0};
    mtci_redis_command *command;
    mtci_conn_close(&client->conn, MTC_E_CLOSED, "closed", &finished);
    mtci_queue_append(&client->conn.unsent, &client->queued);
    mtci_queue_fail(&client->conn.unsent, MTC_E_CLOSED, "closed", &finished);
    while ((command = mtci_queue_pop(&finished)) != NULL)
        command->done(command);
    mtci_conn_fini(&client->conn);
    mtci_master_free(client->master);
    close(client->wake_fd);
    pthread_mutex_destroy(&client->mutex);
    explicit_bzero(&client->settings, sizeof client->settings);
    free(client);
}

mtci_redis_settings *mtci_client_settings(mtci_redis_client *client)
{
    return &client->settings;
}

void mtci_client_watch(mtci_redis_client *client, mtci_watch *watch)
{
    client->watch = watch;
    client->conn.watch = watch;
    client->conn.dial.watch = watch;
}

/* Takes a command in, or says why not. */
static mtc_status admit_locked(mtci_redis_client *client,
                               mtci_redis_command *command, int64_t now_ms)
{
    command->size = mtci_command_size(command);
    if (command->bytes.status != MTC_OK)
        return command->bytes.status;
    if (now_ms < client->retry_ms)
        return client->away;
    if (client->open_count >= MTCI_CLIENT_COMMANDS_MAX ||
        (client->open_count > 0 &&
         client->open_bytes + command->size > MTCI_CLIENT_BYTES_MAX))
        return MTC_E_BUSY;
    client->open_count++;
    client->open_bytes += command->size;
    if (command->deadline_ms < client->queued_due_ms)
        client->queued_due_ms = command->deadline_ms;
    mtci_queue_push(&client->queued, command);
    return MTC_OK;
}

static void wake_driver(mtci_redis_client *client)
{
    uint64_t one = 1;
    ssize_t written = write(client->wake_fd, &one, sizeof one);
    (void)written; /* refused only when the counter says "wake" already */
}

static const char *refusal(mtc_status status, const char *away_text)
{
    if (status == MTC_E_BUSY)
        return "too many commands or bytes in flight";
    if (status == MTC_E_NO_MEMORY)
        return "out of memory";
    return away_text;
}

void mtci_client_submit(mtci_redis_client *client, mtci_command_queue *commands)
{
    mtci_command_queue refused = {0};
    mtci_redis_command *command;
    char away_text[sizeof client->away_text];
    int64_t now_ms = mtci_clock_ms(&client->settings.clock);
    pthread_mutex_lock(&client->mutex);
    while ((command = mtci_queue_pop(commands)) != NULL) {
        command->status = admit_locked(client, command, now_ms);
        if (command->status != MTC_OK)
            mtci_queue_push(&refused, command);
    }
    bool must_wake = client->is_asleep && client->queued.first;
    if (must_wake)
        client->is_asleep = false;
    if (refused.first)
        memcpy(away_text, client->away_text, sizeof away_text);
    pthread_mutex_unlock(&client->mutex);
    if (must_wake)
        wake_driver(client);
    while ((command = mtci_queue_pop(&refused)) != NULL) {
        command->failure = refusal(command->status, away_text);
        command->done(command);
    }
}

bool mtci_client_is_away(mtci_redis_client *client)
{
    pthread_mutex_lock(&client->mutex);
    bool is_away = client->retry_ms > 0;
    pthread_mutex_unlock(&client->mutex);
    return is_away;
}

bool mtci_client_has_pushes(const mtci_redis_client *client)
{
    return !client->conn.reader.is_resp2;
}

uint64_t mtci_client_pushes_unknown(const mtci_redis_client *client)
{
    return atomic_load_explicit(&client->conn.pushes_unknown,
                                memory_order_relaxed);
}

void mtci_client_interrupt(mtci_redis_client *client)
{
    wake_driver(client);
}

static bool is_given_up(const mtci_redis_command *command, const void *what)
{
    return command->give_up ? command->give_up(command, what)
                            : command->ctx == what;
}

void mtci_client_abandon(mtci_redis_client *client, const void *what)
{
    mtci_command_queue left = {0};
    mtci_command_queue finished = {0};
    pthread_mutex_lock(&client->mutex);
    mtci_queue_extract(&client->queued, is_given_up, what, &left);
    pthread_mutex_unlock(&client->mutex);
    mtci_queue_fail(&left, MTC_E_CANCELLED, NULL, &finished);
    mtci_client_deliver(client, &finished);
}
