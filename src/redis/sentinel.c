/*
 * A connection to one sentinel, which speaks RESP2: what it asks, and what it
 * makes of answers and messages. See sentinel.h. The driver's thread.
 */
#include "redis/sentinel.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/slice.h"
#include "redis/pause.h"

#define CHANNEL "+switch-master"

/* The longest message that is read. */
#define MESSAGE_SIZE 1024

/* What a command is for, in its mark. */
enum { TO_LISTEN, TO_FIND, TO_NAME };

/* -- what it says --------------------------------------------------------- */

static bool is_text(const mtci_reply *reply, const char *text)
{
    return mtci_slice_is(mtci_reply_slice(reply), text);
}

/* As a string; false: empty, too long, or with bytes that do not print. */
static bool copy_bytes(mtc_slice bytes, char *text, size_t size)
{
    if (bytes.size == 0 || bytes.size >= size)
        return false;
    memcpy(text, bytes.data, bytes.size);
    text[bytes.size] = '\0';
    for (size_t i = 0; i < bytes.size; i++)
        if (text[i] < ' ' || text[i] > '~')
            return false;
    return true;
}

static bool read_address(mtc_slice host, mtc_slice port, mtci_address *address)
{
    return mtci_address_set_host(address, host) &&
           mtci_address_set_port(address, port);
}

static void take_master(mtci_sentinel *sentinel, const mtci_reply *reply)
{
    const mtci_sentinel_news *news = sentinel->news;
    mtci_address master;
    bool is_known = reply->type == MTCI_REPLY_ARRAY && reply->count == 2 &&
                    read_address(mtci_reply_slice(&reply->items[0]),
                                 mtci_reply_slice(&reply->items[1]), &master);
    sentinel->is_asked = false;
    news->found(news->ctx, sentinel, is_known ? &master : NULL);
}

/* The fields of another sentinel: name, value, name, value ... */
static void take_other(mtci_sentinel *sentinel, const mtci_reply *fields)
{
    const mtci_sentinel_news *news = sentinel->news;
    mtc_slice host = mtc_bytes(NULL, 0);
    mtc_slice port = mtc_bytes(NULL, 0);
    mtci_address other;
    if (fields->type != MTCI_REPLY_ARRAY)
        return;
    for (size_t i = 0; i + 1 < fields->count; i += 2) {
        if (is_text(&fields->items[i], "ip"))
            host = mtci_reply_slice(&fields->items[i + 1]);
        if (is_text(&fields->items[i], "port"))
            port = mtci_reply_slice(&fields->items[i + 1]);
    }
    if (read_address(host, port, &other))
        news->named(news->ctx, &other);
}

static void take_answer(mtci_sentinel *sentinel,
                        const mtci_redis_command *command)
{
    const mtci_reply *reply = &command->replies[0];
    bool is_answered = command->status == MTC_OK;
    if (command->mark == TO_FIND && is_answered)
        take_master(sentinel, reply);
    if (command->mark != TO_NAME || !is_answered ||
        reply->type != MTCI_REPLY_ARRAY)
        return;
    for (size_t i = 0; i < reply->count; i++)
        take_other(sentinel, &reply->items[i]);
}

/* "NAME FROM-HOST FROM-PORT TO-HOST TO-PORT". */
static void take_switch(mtci_sentinel *sentinel, char *message)
{
    const mtci_sentinel_news *news = sentinel->news;
    mtci_address from, to;
    char *rest = message;
    const char *words[5];
    for (size_t i = 0; i < 5; i++)
        words[i] = rest ? strsep(&rest, " ") : "";
    if (rest || strcmp(words[0], sentinel->master) != 0 ||
        !read_address(mtc_str(words[1]), mtc_str(words[2]), &from) ||
        !read_address(mtc_str(words[3]), mtc_str(words[4]), &to))
        return;
    news->moved(news->ctx, &from, &to);
}

/* A message of the channel; everything else answers a command. */
static bool take_message(void *ctx, const mtci_reply *reply)
{
    char message[MESSAGE_SIZE];
    if (reply->type != MTCI_REPLY_ARRAY || reply->count != 3 ||
        !is_text(&reply->items[0], "message"))
        return false;
    if (is_text(&reply->items[1], CHANNEL) &&
        copy_bytes(mtci_reply_slice(&reply->items[2]), message, sizeof message))
        take_switch(ctx, message);
    return true;
}

/* -- what it is asked ----------------------------------------------------- */

static void add(mtci_sentinel *sentinel, size_t mark, const char *const *words,
                int64_t now_ms)
{
    mtci_redis_command *command =
        mtci_command_new(MTCI_REPLY_ARRAY | MTCI_REPLY_NIL);
    size_t count = 0;
    if (!command)
        return;
    while (words[count])
        count++;
    mtci_resp_begin(&command->bytes, count);
    for (size_t i = 0; i < count; i++)
        mtci_resp_add_text(&command->bytes, words[i]);
    command->mark = mark;
    command->deadline_ms = now_ms + sentinel->settings.connect_ms;
    if (command->bytes.status == MTC_OK)
        mtci_queue_push(&sentinel->conn.unsent, command);
    else
        mtci_command_free(command);
}

/* Who listens may ask nothing else. All goes in one write, so that hardly a
 * moment is left in which the master moves unheard. */
static void add_questions(mtci_sentinel *sentinel, int64_t now_ms)
{
    const char *name = sentinel->master;
    const char *const stop[] = {"UNSUBSCRIBE", CHANNEL, NULL};
    const char *const find[] = {"SENTINEL", "GET-MASTER-ADDR-BY-NAME", name,
                                NULL};
    const char *const others[] = {"SENTINEL", "SENTINELS", name, NULL};
    const char *const listen[] = {"SUBSCRIBE", CHANNEL, NULL};
    add(sentinel, TO_LISTEN, stop, now_ms);
    add(sentinel, TO_FIND, find, now_ms);
    add(sentinel, TO_NAME, others, now_ms);
    add(sentinel, TO_LISTEN, listen, now_ms);
}

static void ping_if_silent(mtci_sentinel *sentinel, int64_t now_ms)
{
    const char *const ping[] = {"PING", NULL};
    const mtci_redis_conn *conn = &sentinel->conn;
    if (!conn->flying.first && !conn->unsent.first &&
        now_ms - conn->active_ms >= MTCI_SENTINEL_PING_MS)
        add(sentinel, TO_LISTEN, ping, now_ms);
}

void mtci_sentinel_ask(mtci_sentinel *sentinel, int64_t now_ms)
{
    sentinel->is_asked = true;
    sentinel->retry_ms = 0;
    if (sentinel->conn.state == MTCI_CONN_READY)
        add_questions(sentinel, now_ms);
}

/* -- the connection ------------------------------------------------------- */

static void note_peer(mtci_sentinel *sentinel)
{
    const mtci_redis_conn *conn = &sentinel->conn;
    char port[8];
    sentinel->peer.host[0] = '\0';
    if (conn->peer_size > 0 &&
        getnameinfo((const struct sockaddr *)&conn->peer, conn->peer_size,
                    sentinel->peer.host, sizeof sentinel->peer.host, port,
                    sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) == 0)
        mtci_address_set_port(&sentinel->peer, mtc_str(port));
}

static void note_ready(mtci_sentinel *sentinel, int64_t now_ms)
{
    note_peer(sentinel);
    sentinel->failures = 0;
    add_questions(sentinel, now_ms);
}

static void free_commands(mtci_command_queue *queue)
{
    mtci_redis_command *command;
    while ((command = mtci_queue_pop(queue)) != NULL)
        mtci_command_free(command);
}

static void note_end(mtci_sentinel *sentinel, int64_t now_ms, uint64_t random)
{
    int64_t bound_ms =
        mtci_pause_bound_ms(sentinel->failures++, MTCI_SENTINEL_PAUSE_MS_MIN,
                            MTCI_SENTINEL_PAUSE_MS_MAX);
    sentinel->is_asked = false;
    sentinel->retry_ms = now_ms + mtci_pause_ms(bound_ms, random);
    free_commands(&sentinel->conn.unsent);
}

void mtci_sentinel_step(mtci_sentinel *sentinel, int64_t now_ms, short events,
                        uint64_t random)
{
    mtci_redis_conn *conn = &sentinel->conn;
    mtci_command_queue finished = {0};
    mtci_redis_command *command;
    bool was_ready = conn->state == MTCI_CONN_READY;
    if (conn->state == MTCI_CONN_CLOSED && now_ms < sentinel->retry_ms)
        return;
    if (conn->state == MTCI_CONN_CLOSED) {
        sentinel->is_asked = true;
        mtci_conn_open(conn, now_ms);
    }
    mtci_conn_step(conn, now_ms, events, &finished);
    if (conn->state == MTCI_CONN_READY) {
        if (!was_ready)
            note_ready(sentinel, now_ms);
        ping_if_silent(sentinel, now_ms);
        mtci_conn_send(conn, now_ms, &finished);
    }
    while ((command = mtci_queue_pop(&finished)) != NULL) {
        take_answer(sentinel, command);
        mtci_command_free(command);
    }
    if (conn->state == MTCI_CONN_CLOSED)
        note_end(sentinel, now_ms, random);
}

int64_t mtci_sentinel_due_ms(const mtci_sentinel *sentinel)
{
    const mtci_redis_conn *conn = &sentinel->conn;
    int64_t due_ms = mtci_conn_due_ms(conn);
    if (conn->state == MTCI_CONN_CLOSED)
        return sentinel->retry_ms;
    if (conn->state == MTCI_CONN_READY && !conn->flying.first &&
        conn->active_ms + MTCI_SENTINEL_PING_MS < due_ms)
        return conn->active_ms + MTCI_SENTINEL_PING_MS;
    return due_ms;
}

/* -- beginning and end ---------------------------------------------------- */

void mtci_sentinel_init(mtci_sentinel *sentinel,
                        const mtci_redis_settings *settings,
                        const mtci_address *address,
                        const mtci_sentinel_news *news)
{
    const mtci_sentinel_settings *all = settings->sentinels;
    *sentinel = (mtci_sentinel){
        .news = news,
        .master = all->master,
        .is_used = true,
    };
    sentinel->settings = (mtci_redis_settings){
        .address = *address,
        .connect_ms = settings->connect_ms,
        .bulk_size_max = MTCI_RESP_LINE_SIZE_MAX,
        .protocol = 2, /* messages come between replies, told apart there */
        .clock = settings->clock,
        .tls = settings->tls,
    };
    memcpy(sentinel->settings.user, all->user, sizeof all->user);
    memcpy(sentinel->settings.password, all->password, sizeof all->password);
    mtci_conn_init(&sentinel->conn, &sentinel->settings);
    sentinel->conn.take_message = take_message;
    sentinel->conn.message_ctx = sentinel;
}

void mtci_sentinel_fini(mtci_sentinel *sentinel)
{
    mtci_command_queue finished = {0};
    if (!sentinel->is_used)
        return;
    mtci_conn_close(&sentinel->conn, MTC_E_CLOSED, "closed", &finished);
    mtci_queue_append(&finished, &sentinel->conn.unsent);
    free_commands(&finished);
    mtci_conn_fini(&sentinel->conn);
    explicit_bzero(&sentinel->settings, sizeof sentinel->settings);
    sentinel->is_used = false;
}
