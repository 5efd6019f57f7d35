/*
 * Sending and receiving over a connection, in order. See conn_state.h.
 */
#include "redis/conn_state.h"

#include <sys/uio.h>

#include "redis/greet.h"

#define PARTS_PER_COMMAND 3

/* -- receiving ----------------------------------------------------------- */

/* Whether it can be the next answer to the command. */
static bool fits(const mtci_redis_command *command, const mtci_reply *reply)
{
    uint32_t expects = command->expects[command->replied] | MTCI_REPLY_ERROR;
    if (!(reply->type & expects))
        return false;
    if (reply->type != MTCI_REPLY_ARRAY || command->items_expect == 0)
        return true;
    for (size_t i = 0; i < reply->count; i++)
        if (!(reply->items[i].type & command->items_expect))
            return false;
    return reply->count == command->item_count;
}

static void take_reply(mtci_redis_conn *conn, mtci_reply *reply,
                       mtci_command_queue *finished)
{
    mtci_redis_command *command = conn->flying.first;
    if (conn->take_message && conn->take_message(conn->message_ctx, reply)) {
        mtci_reply_fini(reply);
        return;
    }
    if (!command) {
        mtci_reply_fini(reply);
        mtci_conn_close_corrupt(conn, "a reply that nobody asked for",
                                finished);
        return;
    }
    if (!fits(command, reply)) {
        mtci_reply_fini(reply);
        mtci_conn_close_corrupt(conn, "a reply that does not fit its command",
                                finished);
        return;
    }
    conn->is_readonly |= mtci_reply_is_readonly(reply);
    command->replies[command->replied++] = *reply;
    conn->has_answered = true;
    if (command->replied == command->reply_count)
        mtci_queue_push(finished, mtci_queue_pop(&conn->flying));
}

/* By way of finished, so that it stays in order with the replies. */
static void tell_push(mtci_redis_command *command)
{
    mtci_redis_conn *conn = command->ctx;
    const mtci_redis_settings *settings = conn->settings;
    if (!settings->push ||
        !settings->push(settings->push_ctx, &command->replies[0]))
        atomic_fetch_add_explicit(&conn->pushes_unknown, 1,
                                  memory_order_relaxed);
    mtci_command_free(command);
}

static void take_push(mtci_redis_conn *conn, mtci_reply *push,
                      mtci_command_queue *finished)
{
    mtci_redis_command *command = mtci_command_new(MTCI_REPLY_PUSH);
    if (!command) {
        mtci_reply_fini(push);
        mtci_conn_close(conn, MTC_E_NO_MEMORY, "out of memory for a push",
                        finished);
        return;
    }
    command->replies[command->replied++] = *push;
    command->is_own = true;
    command->ctx = conn;
    command->done = tell_push;
    mtci_queue_push(finished, command);
}

static void take_greeting(mtci_redis_conn *conn, mtci_reply *reply,
                          mtci_command_queue *finished)
{
    mtc_status status = mtci_greet_answered(conn, reply);
    mtci_reply_fini(reply);
    if (status == MTC_E_CORRUPT)
        mtci_conn_close_corrupt(conn, "a wrong answer to the greeting",
                                finished);
    else if (status != MTC_OK)
        mtci_conn_close(conn, status, conn->failure, finished);
}

static void take_replies(mtci_redis_conn *conn, mtci_command_queue *finished)
{
    while (conn->state != MTCI_CONN_CLOSED) {
        mtci_reply reply;
        mtc_status status = mtci_resp_reader_next(&conn->reader, &reply);
        if (status == MTC_PENDING)
            return;
        if (status == MTC_E_NO_MEMORY)
            mtci_conn_close(conn, status, conn->reader.violation, finished);
        else if (status != MTC_OK)
            mtci_conn_close_corrupt(conn, conn->reader.violation, finished);
        else if (reply.type == MTCI_REPLY_PUSH)
            take_push(conn, &reply, finished);
        else if (conn->state == MTCI_CONN_GREETING)
            take_greeting(conn, &reply, finished);
        else
            take_reply(conn, &reply, finished);
    }
}

/* In bytes; 0: nothing more for now, or closed. */
static size_t receive_once(mtci_redis_conn *conn, mtci_command_queue *finished)
{
    size_t room;
    void *bytes = mtci_resp_reader_room(&conn->reader, &room);
    ssize_t got = mtci_transport_receive(&conn->transport, bytes, room);
    if (got < 0)
        mtci_conn_close_lost(conn, finished);
    if (got <= 0)
        return 0;
    mtci_resp_reader_fed(&conn->reader, (size_t)got);
    return (size_t)got;
}

void mtci_conn_receive(mtci_redis_conn *conn, int64_t now_ms,
                       mtci_command_queue *finished)
{
    size_t sum = 0;
    do {
        size_t got = receive_once(conn, finished);
        if (got == 0)
            return;
        sum += got;
        conn->active_ms = now_ms;
        take_replies(conn, finished);
    } while (conn->transport.has_more && sum < MTCI_CONN_RECEIVE_MAX &&
             finished->count < MTCI_CONN_FINISHED_MAX);
}

/* -- sending ------------------------------------------------------------- */

/* Adds bytes behind the first skip ones to parts. */
static size_t add_part(struct iovec *part, const char *bytes, size_t size,
                       size_t *skip)
{
    if (*skip >= size) {
        *skip -= size;
        return 0;
    }
    *part = (struct iovec){(char *)(uintptr_t)bytes + *skip, size - *skip};
    *skip = 0;
    return 1;
}

static size_t gather(const mtci_redis_conn *conn, struct iovec *parts)
{
    size_t skip = conn->first_sent;
    size_t count = 0;
    size_t commands = 0;
    for (const mtci_redis_command *c = conn->unsent.first;
         c && commands < MTCI_CONN_BATCH; c = c->next, commands++) {
        const char *bytes = c->bytes.data;
        count += add_part(&parts[count], bytes, c->split, &skip);
        count +=
            add_part(&parts[count], c->payload.data, c->payload.size, &skip);
        count += add_part(&parts[count], bytes + c->split,
                          c->bytes.size - c->split, &skip);
    }
    return count;
}

static void set_stall(mtci_redis_command *command, int64_t now_ms)
{
    int64_t allowed_ms = command->deadline_ms - now_ms;
    if (allowed_ms < MTCI_CONN_STALL_MS_MIN / MTCI_CONN_STALL_FACTOR)
        allowed_ms = MTCI_CONN_STALL_MS_MIN / MTCI_CONN_STALL_FACTOR;
    if (command->stall_ms == 0)
        command->stall_ms = now_ms + allowed_ms * MTCI_CONN_STALL_FACTOR;
}

static void note_sent(mtci_redis_conn *conn, size_t sent, int64_t now_ms)
{
    conn->first_sent += sent;
    conn->active_ms = now_ms;
    while (conn->first_sent > 0) {
        mtci_redis_command *command = conn->unsent.first;
        set_stall(command, now_ms);
        if (conn->first_sent < mtci_command_size(command))
            return;
        conn->first_sent -= mtci_command_size(command);
        mtci_queue_push(&conn->flying, mtci_queue_pop(&conn->unsent));
    }
}

/* The server may have said why before it hung up: take that in first. */
static void send_failed(mtci_redis_conn *conn, int64_t now_ms,
                        mtci_command_queue *finished)
{
    mtci_conn_receive(conn, now_ms, finished);
    if (conn->state != MTCI_CONN_CLOSED)
        mtci_conn_close_lost(conn, finished);
}

/* Bytes that the transport took; 0: it is full, or the connection ended. */
static size_t send_parts(mtci_redis_conn *conn, struct iovec *parts,
                         size_t count, int64_t now_ms,
                         mtci_command_queue *finished)
{
    ssize_t sent = mtci_transport_send(&conn->transport, parts, count);
    if (sent > 0)
        return (size_t)sent;
    if (sent == 0)
        conn->is_full = true;
    else
        send_failed(conn, now_ms, finished);
    return 0;
}

void mtci_conn_send_greeting(mtci_redis_conn *conn, int64_t now_ms,
                             mtci_command_queue *finished)
{
    struct iovec part = {conn->greeting.data + conn->greeting_sent,
                         conn->greeting.size - conn->greeting_sent};
    if (part.iov_len > 0)
        conn->greeting_sent += send_parts(conn, &part, 1, now_ms, finished);
}

/* After a long rest the server may have hung up: notice that before a
 * command is spent on it. */
static void look_for_end(mtci_redis_conn *conn, int64_t now_ms,
                         mtci_command_queue *finished)
{
    if (!conn->flying.first && conn->first_sent == 0 &&
        now_ms - conn->active_ms > MTCI_CONN_IDLE_MS)
        mtci_conn_receive(conn, now_ms, finished);
}

static bool can_send(const mtci_redis_conn *conn)
{
    return conn->state == MTCI_CONN_READY && conn->unsent.first &&
           !conn->is_full;
}

void mtci_conn_send(mtci_redis_conn *conn, int64_t now_ms,
                    mtci_command_queue *finished)
{
    struct iovec parts[PARTS_PER_COMMAND * MTCI_CONN_BATCH];
    if (can_send(conn))
        look_for_end(conn, now_ms, finished);
    while (can_send(conn)) {
        size_t count = gather(conn, parts);
        size_t sent = send_parts(conn, parts, count, now_ms, finished);
        if (sent > 0)
            note_sent(conn, sent, now_ms);
    }
}
