/*
 * Driving a client: the connection comes and goes, commands are sent, replies
 * taken in. See client.h and client_state.h. The thread that has the role.
 */
#include "redis/client_state.h"

#include <poll.h>
#include <unistd.h>

#include "base/hash.h"
#include "redis/pause.h"

/* -- what is late --------------------------------------------------------- */

static int64_t earliest(const mtci_command_queue *queue)
{
    int64_t due_ms = INT64_MAX;
    for (const mtci_redis_command *c = queue->first; c; c = c->next)
        if (c->deadline_ms < due_ms)
            due_ms = c->deadline_ms;
    return due_ms;
}

static void expire(mtci_redis_client *client, int64_t now_ms,
                   mtci_command_queue *finished)
{
    mtci_command_queue late = {0};
    mtci_conn_expire(&client->conn, now_ms, finished);
    pthread_mutex_lock(&client->mutex);
    if (now_ms >= client->queued_due_ms) {
        mtci_queue_extract(&client->queued, mtci_command_is_late, &now_ms,
                           &late);
        client->queued_due_ms = earliest(&client->queued);
    }
    pthread_mutex_unlock(&client->mutex);
    mtci_queue_fail(&late, MTC_E_TIMEOUT, MTCI_COMMAND_LATE, finished);
}

/* -- the connection comes and goes --------------------------------------- */

static void tell_log(mtci_redis_client *client, mtc_log_level level,
                     const char *text)
{
    if (client->settings.log)
        client->settings.log(client->settings.log_ctx, level, text);
}

static int64_t pause_ms(mtci_redis_client *client)
{
    int64_t bound_ms =
        mtci_pause_bound_ms(client->attempts_failed - 1,
                            MTCI_CLIENT_PAUSE_MS_MIN, MTCI_CLIENT_PAUSE_MS_MAX);
    return mtci_pause_ms(bound_ms, mtci_random(&client->random));
}

/* The connection ended. One that has served is made anew at once, and what
 * was not sent waits for that; else all fail, and a pause begins. */
static void note_end(mtci_redis_client *client, int64_t now_ms,
                     mtci_command_queue *finished)
{
    mtci_redis_conn *conn = &client->conn;
    mtci_command_queue failed = {0};
    client->attempts_failed =
        conn->has_answered ? 0 : client->attempts_failed + 1;
    bool is_away = client->attempts_failed > 0;
    pthread_mutex_lock(&client->mutex);
    mtci_queue_append(&conn->unsent, &client->queued);
    client->retry_ms = is_away ? now_ms + pause_ms(client) : 0;
    client->away =
        conn->status == MTC_E_DENIED ? MTC_E_DENIED : MTC_E_UNAVAILABLE;
    memcpy(client->away_text, conn->failure, sizeof client->away_text);
    mtci_queue_append(is_away ? &failed : &client->queued, &conn->unsent);
    client->queued_due_ms = earliest(&client->queued);
    pthread_mutex_unlock(&client->mutex);
    mtci_queue_fail(&failed, client->away, conn->failure, finished);
    bool is_silent = conn->status == MTC_E_TIMEOUT;
    if ((is_away || is_silent) && !client->is_lost) {
        client->is_lost = true;
        tell_log(client, MTC_LOG_WARNING, conn->failure);
    }
}

/* After what the connection answered was delivered. */
static void tell_lost(mtci_redis_client *client)
{
    static const mtci_reply LOST = {.type = MTCI_REPLY_LOST};
    const mtci_redis_settings *settings = &client->settings;
    if (client->conn.was_lost && settings->push) {
        settings->push(settings->push_ctx, &LOST);
        mtci_client_tell_answered(client);
    }
    client->conn.was_lost = false;
}

static void note_ready(mtci_redis_client *client)
{
    pthread_mutex_lock(&client->mutex);
    client->retry_ms = 0;
    pthread_mutex_unlock(&client->mutex);
    if (client->is_lost)
        tell_log(client, MTC_LOG_INFO, "connected again");
    client->is_lost = false;
}

static bool is_wanted(mtci_redis_client *client, int64_t now_ms)
{
    pthread_mutex_lock(&client->mutex);
    bool is_wanted = client->queued.first && now_ms >= client->retry_ms;
    pthread_mutex_unlock(&client->mutex);
    return is_wanted;
}

/* -- where the server is -------------------------------------------------- */

/* Begins to connect once it is known where to; false: not yet. */
static bool open_conn(mtci_redis_client *client, int64_t now_ms)
{
    mtc_status status = MTC_OK;
    if (client->master)
        status = mtci_master_find(client->master, now_ms);
    if (status == MTC_OK)
        mtci_conn_open(&client->conn, now_ms);
    else if (status != MTC_PENDING)
        mtci_conn_refuse(&client->conn, status,
                         mtci_master_failure(client->master));
    return status != MTC_PENDING;
}

#define IS_REPLICA "the server is a replica now"
#define HAS_MOVED  "the master has moved"

/* Ends a connection that did what it could: the next is made at once. */
static void leave_server(mtci_redis_client *client, const char *why,
                         int64_t now_ms, mtci_command_queue *finished)
{
    client->conn.has_answered = true;
    mtci_conn_close(&client->conn, MTC_E_UNAVAILABLE, why, finished);
    note_end(client, now_ms, finished);
}

/* A server that was demoted, or the name of which may mean another one by
 * now, is left; one that is meant to be a replica not too often. */
static void heed_replica(mtci_redis_client *client, int64_t now_ms,
                         mtci_command_queue *finished)
{
    mtci_redis_conn *conn = &client->conn;
    bool is_replica = conn->is_readonly;
    conn->is_readonly = false;
    if (!is_replica || conn->state != MTCI_CONN_READY ||
        now_ms < client->replica_ms)
        return;
    client->replica_ms = now_ms + MTCI_CLIENT_REPLICA_MS;
    if (now_ms >= client->replica_told_ms) {
        client->replica_told_ms = now_ms + MTCI_CLIENT_TELL_MS;
        tell_log(client, MTC_LOG_WARNING, IS_REPLICA);
    }
    leave_server(client, IS_REPLICA, now_ms, finished);
}

/* Hears before anything is sent that the master has moved. */
static void heed_master(mtci_redis_client *client, int64_t now_ms,
                        mtci_command_queue *finished)
{
    if (!client->master || now_ms < mtci_master_due_ms(client->master))
        return;
    mtci_master_step(client->master, now_ms);
    if (client->conn.state != MTCI_CONN_CLOSED &&
        mtci_master_is_elsewhere(client->master)) {
        tell_log(client, MTC_LOG_WARNING, HAS_MOVED);
        leave_server(client, HAS_MOVED, now_ms, finished);
    }
}

/* Moves commands from the queue to the connection, those past their time to
 * finished. Whether there were any. */
static bool refill(mtci_redis_client *client, int64_t now_ms,
                   mtci_command_queue *finished)
{
    mtci_command_queue taken = {0};
    mtci_command_queue late = {0};
    mtci_redis_command *command;
    pthread_mutex_lock(&client->mutex);
    while (taken.count < MTCI_CONN_BATCH &&
           (command = mtci_queue_pop(&client->queued)) != NULL)
        mtci_queue_push(&taken, command);
    if (!client->queued.first)
        client->queued_due_ms = INT64_MAX;
    pthread_mutex_unlock(&client->mutex);
    bool is_any = taken.first != NULL;
    while ((command = mtci_queue_pop(&taken)) != NULL) {
        bool is_late = now_ms >= command->deadline_ms ||
                       (command->prepare && !command->prepare(command, now_ms));
        mtci_queue_push(is_late ? &late : &client->conn.unsent, command);
    }
    mtci_queue_fail(&late, MTC_E_TIMEOUT, MTCI_COMMAND_LATE, finished);
    return is_any;
}

/* -- driving ------------------------------------------------------------- */

/* is_tending: a silent server is asked whether it lives. */
static void pump(mtci_redis_client *client, int64_t now_ms, short events,
                 bool is_tending, mtci_command_queue *finished)
{
    mtci_redis_conn *conn = &client->conn;
    heed_master(client, now_ms, finished);
    bool was_ready = conn->state == MTCI_CONN_READY;
    if (conn->state == MTCI_CONN_CLOSED &&
        (!is_wanted(client, now_ms) || !open_conn(client, now_ms)))
        return;
    mtci_conn_step(conn, now_ms, events, finished);
    if (!was_ready && conn->state == MTCI_CONN_READY)
        note_ready(client);
    while (conn->state == MTCI_CONN_READY && !conn->unsent.first &&
           refill(client, now_ms, finished))
        mtci_conn_send(conn, now_ms, finished);
    if (is_tending)
        mtci_conn_ping(conn, now_ms, finished);
    if (conn->state == MTCI_CONN_CLOSED)
        note_end(client, now_ms, finished);
    heed_replica(client, now_ms, finished);
}

/* Sends and takes in what can be, and tells whom it concerns. */
static void work(mtci_redis_client *client, int64_t now_ms, short events,
                 bool is_tending)
{
    mtci_command_queue finished = {0};
    pump(client, now_ms, events, is_tending, &finished);
    expire(client, now_ms, &finished);
    mtci_client_deliver(client, &finished);
    tell_lost(client);
}

/* Ends when the sleep may begin; false: something was submitted meanwhile. */
static bool fall_asleep(mtci_redis_client *client, int64_t *due_ms)
{
    bool is_sought = client->master && mtci_master_is_sought(client->master);
    pthread_mutex_lock(&client->mutex);
    bool may_sleep = client->conn.state != MTCI_CONN_CLOSED ||
                     !client->queued.first || is_sought;
    may_sleep &= client->conn.state != MTCI_CONN_READY ||
                 client->conn.unsent.first || !client->queued.first;
    client->is_asleep = may_sleep;
    if (client->queued_due_ms < *due_ms)
        *due_ms = client->queued_due_ms;
    pthread_mutex_unlock(&client->mutex);
    return may_sleep;
}

static void wake_up(mtci_redis_client *client, bool was_woken)
{
    uint64_t count;
    pthread_mutex_lock(&client->mutex);
    client->is_asleep = false;
    pthread_mutex_unlock(&client->mutex);
    if (was_woken && read(client->wake_fd, &count, sizeof count) < 0)
        return; /* another driver has read it */
}

/* What to wait for; brings due_ms forward to when the sentinels want to be
 * seen to. */
static size_t poll_fds(mtci_redis_client *client,
                       struct pollfd fds[2 + MTCI_SENTINELS_MAX],
                       int64_t *due_ms)
{
    fds[0] = (struct pollfd){.fd = client->wake_fd, .events = POLLIN};
    fds[1] = (struct pollfd){0};
    fds[1].fd = mtci_conn_fd(&client->conn, &fds[1].events);
    if (!client->master)
        return 2;
    if (mtci_master_due_ms(client->master) < *due_ms)
        *due_ms = mtci_master_due_ms(client->master);
    return 2 + mtci_master_poll(client->master, fds + 2);
}

/* Waits for the connection, a submit, or the time; what the connection is
 * ready for. */
static short rest(mtci_redis_client *client, int64_t now_ms, int64_t until_ms)
{
    int64_t due_ms = mtci_conn_due_ms(&client->conn);
    if (until_ms < due_ms)
        due_ms = until_ms;
    if (!fall_asleep(client, &due_ms))
        due_ms = now_ms;
    struct pollfd fds[2 + MTCI_SENTINELS_MAX];
    size_t fd_count = poll_fds(client, fds, &due_ms);
    int wait_ms = 0;
    if (due_ms > now_ms)
        wait_ms =
            due_ms - now_ms < INT32_MAX ? (int)(due_ms - now_ms) : INT32_MAX;
    int count = poll(fds, fd_count, wait_ms);
    wake_up(client, count > 0 && fds[0].revents);
    if (count > 0 && client->master)
        mtci_master_heard(client->master);
    return count > 0 ? fds[1].revents : 0;
}

static bool has_outstanding(mtci_redis_client *client)
{
    pthread_mutex_lock(&client->mutex);
    bool has_any = client->open_count > 0;
    pthread_mutex_unlock(&client->mutex);
    return has_any || mtci_push_is_awaited(&client->settings);
}

static void lead(mtci_redis_client *client, const mtci_awaited *awaited,
                 int64_t until_ms)
{
    short events = 0;
    for (bool has_looked = false;; has_looked = true) {
        int64_t now_ms = mtci_clock_ms(&client->settings.clock);
        work(client, now_ms, events, false);
        bool is_idle = !awaited && !has_outstanding(client);
        if (awaited && awaited->is_complete(awaited->ctx))
            return;
        if (is_idle && (has_looked || !mtci_watch_is_on(client->watch)))
            return;
        if (has_looked && now_ms >= until_ms)
            return;
        events = rest(client, now_ms, is_idle ? now_ms : until_ms);
    }
}

/* The role is given up. */
static void leave(mtci_redis_client *client)
{
    mtci_watch_conn(client->watch, &client->watched, &client->conn, client);
    mtci_role_hand_on(&client->role);
}

void mtci_client_drive(mtci_redis_client *client, const mtci_awaited *awaited,
                       int64_t until_ms)
{
    if (!mtci_role_take(&client->role, awaited, &client->settings.clock,
                        until_ms))
        return;
    lead(client, awaited, until_ms);
    leave(client);
}

void mtci_client_tend(mtci_redis_client *client)
{
    if (!mtci_role_take(&client->role, NULL, &client->settings.clock, 0))
        return;
    int64_t now_ms = mtci_clock_ms(&client->settings.clock);
    work(client, now_ms, rest(client, now_ms, 0), true);
    leave(client);
}
