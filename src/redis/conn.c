/*
 * The connection: its states, from dialling to the end. See conn.h and
 * conn_state.h; greet.c says hello.
 */
#include "redis/conn_state.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "redis/greet.h"
#include "redis/watch.h"

/* -- the end ------------------------------------------------------------- */

static bool may_be_sent_again(const mtci_redis_command *command,
                              const void *ctx)
{
    (void)ctx;
    return command->is_retryable && !command->was_sent;
}

static bool is_own(const mtci_redis_command *command, const void *ctx)
{
    (void)ctx;
    return command->is_own;
}

static void reset_replies(mtci_command_queue *queue)
{
    for (mtci_redis_command *c = queue->first; c; c = c->next) {
        c->was_sent = true;
        c->stall_ms = 0;
        while (c->replied > 0)
            mtci_reply_fini(&c->replies[--c->replied]);
    }
}

/* Sent commands fail, but those that change nothing are to be sent again,
 * once, before what was not sent yet. */
static void give_back(mtci_redis_conn *conn, mtci_command_queue *finished)
{
    mtci_command_queue again = {0};
    if (conn->first_sent > 0)
        mtci_queue_push(&conn->flying, mtci_queue_pop(&conn->unsent));
    conn->first_sent = 0;
    mtci_queue_extract(&conn->unsent, is_own, NULL, &conn->flying);
    if (conn->status == MTC_E_UNAVAILABLE)
        mtci_queue_extract(&conn->flying, may_be_sent_again, NULL, &again);
    reset_replies(&again);
    mtci_queue_append(&again, &conn->unsent);
    conn->unsent = again;
    mtc_status status =
        conn->status == MTC_E_CORRUPT ? MTC_E_UNAVAILABLE : conn->status;
    mtci_queue_fail(&conn->flying, status, conn->failure, finished);
}

void mtci_conn_close(mtci_redis_conn *conn, mtc_status status,
                     const char *failure, mtci_command_queue *finished)
{
    if (conn->state == MTCI_CONN_CLOSED)
        return;
    mtci_dial_stop(&conn->dial);
    mtci_transport_end(&conn->transport, conn->state == MTCI_CONN_READY);
    if (conn->fd >= 0) {
        mtci_watch_forget(conn->watch, conn->fd);
        close(conn->fd);
    }
    conn->fd = -1;
    mtci_resp_reader_fini(&conn->reader);
    if (conn->id > 0)
        conn->former_id = conn->id;
    conn->id = 0;
    if (conn->state == MTCI_CONN_READY)
        conn->was_lost = true;
    else
        conn->is_resp2 = false; /* another server may be there next time */
    conn->state = MTCI_CONN_CLOSED;
    conn->status = status;
    if (failure != conn->failure)
        snprintf(conn->failure, sizeof conn->failure, "%s", failure);
    give_back(conn, finished);
}

/* A server that wants TLS hangs up at the first plain word, or answers with
 * an alert, a record whose first byte is 21. */
static bool wants_tls(const mtci_redis_conn *conn)
{
    if (conn->state != MTCI_CONN_GREETING || conn->greeted > 0 ||
        conn->settings->tls.is_on)
        return false;
    const mtci_resp_reader *reader = &conn->reader;
    return reader->end == 0 || reader->input[0] == '\x15';
}

static const char *tls_scheme(const mtci_redis_conn *conn)
{
    const char *scheme = conn->settings->tls.scheme;
    return scheme ? scheme : "rediss";
}

void mtci_conn_close_lost(mtci_redis_conn *conn, mtci_command_queue *finished)
{
    const mtci_transport *transport = &conn->transport;
    const char *failure = transport->failure;
    char hint[100];
    if (wants_tls(conn)) {
        snprintf(hint, sizeof hint,
                 "the server hung up at the first word; if it wants TLS, "
                 "write %.20s://",
                 tls_scheme(conn));
        failure = hint;
    }
    mtci_conn_close(conn, transport->status, failure, finished);
}

void mtci_conn_close_corrupt(mtci_redis_conn *conn, const char *violation,
                             mtci_command_queue *finished)
{
    if (wants_tls(conn))
        snprintf(conn->failure, sizeof conn->failure,
                 "the server speaks TLS; write %s://", tls_scheme(conn));
    else
        snprintf(conn->failure, sizeof conn->failure,
                 "the server broke the protocol: %s", violation);
    mtci_conn_close(conn, MTC_E_CORRUPT, conn->failure, finished);
}

/* -- states -------------------------------------------------------------- */

static void begin_greeting(mtci_redis_conn *conn, int64_t now_ms,
                           mtci_command_queue *finished)
{
    conn->state = MTCI_CONN_GREETING;
    conn->active_ms = now_ms;
    mtc_status status =
        mtci_resp_reader_init(&conn->reader, conn->settings->bulk_size_max);
    if (status == MTC_OK)
        status = mtci_greet_begin(conn);
    if (status != MTC_OK)
        mtci_conn_close(conn, MTC_E_UNAVAILABLE,
                        "out of memory for a connection", finished);
}

static void step_handshake(mtci_redis_conn *conn, int64_t now_ms,
                           mtci_command_queue *finished)
{
    mtc_status status = mtci_transport_handshake(&conn->transport);
    if (status == MTC_OK)
        begin_greeting(conn, now_ms, finished);
    else if (status != MTC_PENDING)
        mtci_conn_close_lost(conn, finished);
}

static void connected(mtci_redis_conn *conn, int64_t now_ms,
                      mtci_command_queue *finished)
{
    conn->fd = mtci_dial_take(&conn->dial);
    conn->state = MTCI_CONN_HANDSHAKE;
    mtc_status status =
        mtci_transport_begin(&conn->transport, conn->settings, conn->fd);
    if (status == MTC_OK)
        begin_greeting(conn, now_ms, finished);
    else if (status != MTC_PENDING)
        mtci_conn_close_lost(conn, finished);
}

static void step_dial(mtci_redis_conn *conn, int64_t now_ms,
                      mtci_command_queue *finished)
{
    mtc_status status = mtci_dial_step(&conn->dial, now_ms);
    if (status == MTC_OK)
        connected(conn, now_ms, finished);
    else if (status != MTC_PENDING)
        mtci_conn_close(conn, status, conn->dial.failure, finished);
}

/* When the server is late, in boot time. */
static int64_t late_ms(const mtci_redis_conn *conn)
{
    if (conn->state == MTCI_CONN_DIALLING)
        return conn->dial.due_ms;
    if (conn->state == MTCI_CONN_HANDSHAKE || conn->state == MTCI_CONN_GREETING)
        return conn->deadline_ms;
    if (conn->flying.first)
        return conn->flying.first->stall_ms;
    return conn->first_sent > 0 ? conn->unsent.first->stall_ms : INT64_MAX;
}

/* Past the handshake: there is a reader, and replies may come. */
static bool is_receiving(const mtci_redis_conn *conn)
{
    return conn->state == MTCI_CONN_GREETING || conn->state == MTCI_CONN_READY;
}

static bool is_overdue(const mtci_redis_conn *conn, int64_t now_ms)
{
    return conn->fd >= 0 && now_ms >= late_ms(conn);
}

/* What came in time may lie there unread, if this process was late. */
static void check_time(mtci_redis_conn *conn, int64_t now_ms,
                       mtci_command_queue *finished)
{
    if (is_receiving(conn) && is_overdue(conn, now_ms))
        mtci_conn_receive(conn, now_ms, finished);
    if (!is_overdue(conn, now_ms))
        return;
    if (conn->state == MTCI_CONN_HANDSHAKE)
        mtci_conn_close(conn, MTC_E_UNAVAILABLE,
                        "no TLS handshake in time; does the server speak TLS?",
                        finished);
    else if (conn->state == MTCI_CONN_GREETING)
        mtci_conn_close(conn, MTC_E_UNAVAILABLE,
                        "the server did not answer the greeting in time",
                        finished);
    else if (conn->state == MTCI_CONN_READY)
        mtci_conn_close(conn, MTC_E_TIMEOUT, "the server does not answer",
                        finished);
}

void mtci_conn_init(mtci_redis_conn *conn, const mtci_redis_settings *settings)
{
    *conn = (mtci_redis_conn){.settings = settings, .fd = -1};
    conn->dial.fd = -1;
}

void mtci_conn_open(mtci_redis_conn *conn, int64_t now_ms)
{
    conn->state = MTCI_CONN_DIALLING;
    conn->opened++;
    conn->deadline_ms = now_ms + conn->settings->connect_ms;
    conn->is_full = false;
    conn->has_answered = false;
    conn->is_readonly = false;
    mtci_command_queue none = {0};
    mtc_status status = mtci_dial_start(&conn->dial, conn->settings, now_ms);
    if (status == MTC_OK)
        connected(conn, now_ms, &none);
    else if (status != MTC_PENDING)
        mtci_conn_close(conn, status, conn->dial.failure, &none);
}

static bool can_receive(const mtci_redis_conn *conn, short events)
{
    if (!is_receiving(conn))
        return false;
    return conn->transport.has_more || (events & (POLLIN | POLLHUP | POLLERR));
}

void mtci_conn_step(mtci_redis_conn *conn, int64_t now_ms, short events,
                    mtci_command_queue *finished)
{
    if (conn->state == MTCI_CONN_DIALLING)
        step_dial(conn, now_ms, finished);
    if (conn->state == MTCI_CONN_HANDSHAKE)
        step_handshake(conn, now_ms, finished);
    if (events & POLLOUT) {
        conn->is_full = false;
        mtci_transport_flush(&conn->transport);
    }
    if (can_receive(conn, events))
        mtci_conn_receive(conn, now_ms, finished);
    if (conn->state == MTCI_CONN_GREETING)
        mtci_conn_send_greeting(conn, now_ms, finished);
    mtci_conn_send(conn, now_ms, finished);
    check_time(conn, now_ms, finished);
}

void mtci_conn_ping(mtci_redis_conn *conn, int64_t now_ms,
                    mtci_command_queue *finished)
{
    int64_t ping_ms = conn->settings->ping_ms;
    if (conn->state != MTCI_CONN_READY || ping_ms == 0 || conn->flying.first ||
        conn->unsent.first || now_ms - conn->active_ms < ping_ms)
        return;
    mtci_redis_command *command = mtci_command_new(MTCI_REPLY_STATUS);
    if (!command)
        return; /* next time */
    mtci_resp_begin(&command->bytes, 1);
    mtci_resp_add_text(&command->bytes, "PING");
    command->is_own = true;
    command->deadline_ms = now_ms + conn->settings->connect_ms;
    command->done = mtci_command_free;
    mtci_queue_push(command->bytes.status == MTC_OK ? &conn->unsent : finished,
                    command);
    mtci_conn_send(conn, now_ms, finished);
}

int mtci_conn_fd(const mtci_redis_conn *conn, short *events)
{
    *events = 0;
    if (conn->state == MTCI_CONN_CLOSED)
        return -1;
    if (conn->state == MTCI_CONN_DIALLING)
        return mtci_dial_fd(&conn->dial, events);
    bool is_sending = conn->is_full || conn->transport.must_flush;
    *events = is_sending ? POLLIN | POLLOUT : POLLIN;
    return conn->fd;
}

int64_t mtci_conn_due_ms(const mtci_redis_conn *conn)
{
    return conn->transport.has_more ? 0 : late_ms(conn);
}

void mtci_conn_expire(mtci_redis_conn *conn, int64_t now_ms,
                      mtci_command_queue *finished)
{
    mtci_command_queue begun = {0};
    mtci_command_queue late = {0};
    if (conn->first_sent > 0)
        mtci_queue_push(&begun, mtci_queue_pop(&conn->unsent));
    mtci_queue_extract(&conn->unsent, mtci_command_is_late, &now_ms, &late);
    mtci_queue_append(&begun, &conn->unsent);
    conn->unsent = begun;
    mtci_queue_fail(&late, MTC_E_TIMEOUT, MTCI_COMMAND_LATE, finished);
}

void mtci_conn_refuse(mtci_redis_conn *conn, mtc_status status,
                      const char *failure)
{
    conn->has_answered = false;
    conn->status = status;
    snprintf(conn->failure, sizeof conn->failure, "%s", failure);
}

void mtci_conn_fini(mtci_redis_conn *conn)
{
    if (conn->greeting.data)
        explicit_bzero(conn->greeting.data, conn->greeting.size);
    mtci_buffer_fini(&conn->greeting);
    mtci_transport_fini(&conn->transport);
}
