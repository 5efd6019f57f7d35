/*
 * The pipeline. See client.h.
 *
 * The mutex guards the queue, the counts, the waiters, who drives, and what
 * submit must know of the connection. The connection itself belongs to the
 * driver, which holds no lock while it works.
 */
#include "redis/client.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/sync.h"
#include "redis/conn.h"
#include "redis/master.h"
#include "redis/pause.h"

/* What a waiter's word says. */
enum { WAITS = 0, IS_ANSWERED = 1, LEADS = 2 };

/* A thread in drive while another one drives; on its own stack. */
typedef struct waiter {
    struct waiter *next, *former;
    const mtci_awaited *awaited;
    _Atomic uint32_t word;
    bool is_listed; /* under the mutex */
} waiter;

struct mtci_redis_client {
    pthread_mutex_t mutex;
    /* Under the mutex. */
    mtci_command_queue queued;
    int64_t queued_due_ms; /* no deadline in queued is before this */
    size_t open_count, open_bytes;
    waiter *waiters, *waiters_last;
    bool is_driven;
    bool is_asleep;   /* the driver polls; wake_fd ends that */
    int64_t retry_ms; /* no attempt to connect before this */
    mtc_status away;  /* what a command gets until then */
    char away_text[256];

    int wake_fd;
    mtci_redis_settings settings;

    /* The driver's. */
    mtci_redis_conn conn;
    mtci_master *master;      /* NULL: settings say where the server is */
    int64_t replica_ms;       /* a replica is not left before this */
    unsigned attempts_failed; /* since a command was answered */
    bool is_lost;             /* and the log knows */
    uint64_t random;
};

/* -- who waits ----------------------------------------------------------- */

static void list_waiter_locked(mtci_redis_client *client, waiter *w)
{
    w->next = NULL;
    w->former = client->waiters_last;
    if (w->former)
        w->former->next = w;
    else
        client->waiters = w;
    client->waiters_last = w;
    w->is_listed = true;
}

static void unlist_waiter_locked(mtci_redis_client *client, waiter *w)
{
    if (w->former)
        w->former->next = w->next;
    else
        client->waiters = w->next;
    if (w->next)
        w->next->former = w->former;
    else
        client->waiters_last = w->former;
    w->is_listed = false;
}

/* Unlists those whose commands are complete; returns them as a list. */
static waiter *answered_waiters_locked(mtci_redis_client *client)
{
    waiter *answered = NULL;
    waiter *next;
    for (waiter *w = client->waiters; w; w = next) {
        next = w->next;
        if (!w->awaited->is_complete(w->awaited->ctx))
            continue;
        unlist_waiter_locked(client, w);
        w->next = answered;
        answered = w;
    }
    return answered;
}

/* The waiter may be gone as soon as it sees the word; waking an address that
 * nobody waits on does no harm. */
static void tell_waiter(waiter *w, uint32_t word)
{
    atomic_store_explicit(&w->word, word, memory_order_release);
    mtci_word_wake(&w->word);
}

static void tell_answered(waiter *answered)
{
    while (answered) {
        waiter *next = answered->next;
        tell_waiter(answered, IS_ANSWERED);
        answered = next;
    }
}

/* Sleeps until told or until_ms. Whether this thread is to drive now. */
static bool wait_turn(mtci_redis_client *client, waiter *w, int64_t until_ms)
{
    for (;;) {
        uint32_t word = atomic_load_explicit(&w->word, memory_order_acquire);
        if (word != WAITS)
            return word == LEADS;
        int64_t wait_ms = MTCI_FOREVER;
        if (until_ms != MTCI_FOREVER)
            wait_ms = until_ms - mtci_clock_ms(&client->settings.clock);
        if (wait_ms > 0) {
            mtci_word_wait(&w->word, WAITS, wait_ms);
            continue;
        }
        pthread_mutex_lock(&client->mutex);
        bool is_listed = w->is_listed;
        if (is_listed)
            unlist_waiter_locked(client, w);
        pthread_mutex_unlock(&client->mutex);
        if (is_listed)
            return false;
        until_ms = MTCI_FOREVER; /* being told at this moment */
    }
}

/* -- what became of commands --------------------------------------------- */

/* Gives finished commands back and wakes those who waited for them. */
static void deliver(mtci_redis_client *client, mtci_command_queue *finished)
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
    waiter *answered = answered_waiters_locked(client);
    pthread_mutex_unlock(&client->mutex);
    tell_answered(answered);
}

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
    if (client->conn.was_lost && settings->push)
        settings->push(settings->push_ctx, &LOST);
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

/* Ends a connection that did what it could: the next is made at once. */
static void leave_server(mtci_redis_client *client, const char *why,
                         int64_t now_ms, mtci_command_queue *finished)
{
    client->conn.has_answered = true;
    tell_log(client, MTC_LOG_WARNING, why);
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
    leave_server(client, "the server is a replica now", now_ms, finished);
}

/* Hears before anything is sent that the master has moved. */
static void heed_master(mtci_redis_client *client, int64_t now_ms,
                        mtci_command_queue *finished)
{
    if (!client->master || now_ms < mtci_master_due_ms(client->master))
        return;
    mtci_master_step(client->master, now_ms);
    if (client->conn.state != MTCI_CONN_CLOSED &&
        mtci_master_is_elsewhere(client->master))
        leave_server(client, "the master has moved", now_ms, finished);
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
    deliver(client, &finished);
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
    return has_any;
}

static void lead(mtci_redis_client *client, const mtci_awaited *awaited,
                 int64_t until_ms)
{
    short events = 0;
    for (bool has_looked = false;; has_looked = true) {
        int64_t now_ms = mtci_clock_ms(&client->settings.clock);
        work(client, now_ms, events, false);
        if (awaited ? awaited->is_complete(awaited->ctx)
                    : !has_outstanding(client))
            return;
        if (has_looked && now_ms >= until_ms)
            return;
        events = rest(client, now_ms, until_ms);
    }
}

/* The role goes to the one who has waited longest, or to nobody. */
static void hand_on(mtci_redis_client *client)
{
    pthread_mutex_lock(&client->mutex);
    waiter *heir = client->waiters;
    client->is_driven = heir != NULL;
    if (heir)
        unlist_waiter_locked(client, heir);
    pthread_mutex_unlock(&client->mutex);
    if (heir)
        tell_waiter(heir, LEADS);
}

/* Whether this thread is the driver now. */
static bool take_role(mtci_redis_client *client, const mtci_awaited *awaited,
                      int64_t until_ms)
{
    waiter w = {.awaited = awaited};
    pthread_mutex_lock(&client->mutex);
    bool is_over = awaited && awaited->is_complete(awaited->ctx);
    bool is_mine = !is_over && !client->is_driven;
    bool must_wait = !is_over && !is_mine && awaited;
    if (is_mine)
        client->is_driven = true;
    if (must_wait)
        list_waiter_locked(client, &w);
    pthread_mutex_unlock(&client->mutex);
    return is_mine || (must_wait && wait_turn(client, &w, until_ms));
}

/* -- public -------------------------------------------------------------- */

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

void mtci_client_drive(mtci_redis_client *client, const mtci_awaited *awaited,
                       int64_t until_ms)
{
    if (!take_role(client, awaited, until_ms))
        return;
    lead(client, awaited, until_ms);
    hand_on(client);
}

void mtci_client_tend(mtci_redis_client *client)
{
    if (!take_role(client, NULL, 0))
        return;
    int64_t now_ms = mtci_clock_ms(&client->settings.clock);
    work(client, now_ms, rest(client, now_ms, 0), true);
    hand_on(client);
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

static bool has_ctx(const mtci_redis_command *command, const void *ctx)
{
    return command->ctx == ctx;
}

void mtci_client_abandon(mtci_redis_client *client, const void *ctx)
{
    mtci_command_queue left = {0};
    mtci_command_queue finished = {0};
    pthread_mutex_lock(&client->mutex);
    mtci_queue_extract(&client->queued, has_ctx, ctx, &left);
    pthread_mutex_unlock(&client->mutex);
    mtci_queue_fail(&left, MTC_E_CANCELLED, NULL, &finished);
    deliver(client, &finished);
}
