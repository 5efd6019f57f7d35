/*
 * The greeting. See greet.h. One thread at a time.
 */
#include "redis/greet.h"

#include <stdio.h>
#include <string.h>

#include "base/slice.h"

static void ask(mtci_redis_conn *conn, mtci_greeting greeting)
{
    conn->greetings[conn->greeting_count++] = greeting;
}

/* Logs in and gives the name by the way. */
static void add_hello(mtci_redis_conn *conn)
{
    const mtci_redis_settings *settings = conn->settings;
    bool has_login = settings->password[0] != '\0';
    bool has_name = settings->name[0] != '\0';
    const char *user = settings->user[0] != '\0' ? settings->user : "default";
    ask(conn, MTCI_GREET_HELLO);
    mtci_resp_begin(&conn->greeting,
                    2u + (has_login ? 3u : 0u) + (has_name ? 2u : 0u));
    mtci_resp_add_text(&conn->greeting, "HELLO");
    mtci_resp_add_text(&conn->greeting, "3");
    if (has_login) {
        mtci_resp_add_text(&conn->greeting, "AUTH");
        mtci_resp_add_text(&conn->greeting, user);
        mtci_resp_add_text(&conn->greeting, settings->password);
    }
    if (has_name) {
        mtci_resp_add_text(&conn->greeting, "SETNAME");
        mtci_resp_add_text(&conn->greeting, settings->name);
    }
}

static void add_auth(mtci_redis_conn *conn)
{
    const mtci_redis_settings *settings = conn->settings;
    bool has_user = settings->user[0] != '\0';
    if (settings->password[0] == '\0')
        return;
    ask(conn, MTCI_GREET_AUTH);
    mtci_resp_begin(&conn->greeting, has_user ? 3 : 2);
    mtci_resp_add_text(&conn->greeting, "AUTH");
    if (has_user)
        mtci_resp_add_text(&conn->greeting, settings->user);
    mtci_resp_add_text(&conn->greeting, settings->password);
}

static void add_select(mtci_redis_conn *conn)
{
    if (conn->settings->db == 0)
        return;
    ask(conn, MTCI_GREET_SELECT);
    mtci_resp_begin(&conn->greeting, 2);
    mtci_resp_add_text(&conn->greeting, "SELECT");
    mtci_resp_add_number(&conn->greeting, conn->settings->db);
}

/* What the sentinels say may be outdated; the server itself knows. */
static void add_role(mtci_redis_conn *conn)
{
    if (!conn->settings->sentinels)
        return;
    ask(conn, MTCI_GREET_ROLE);
    mtci_resp_begin(&conn->greeting, 1);
    mtci_resp_add_text(&conn->greeting, "ROLE");
}

/* The number of the former connection means something to the server that gave
 * it, and to another one a connection of somebody else. */
static void forget_other_server(mtci_redis_conn *conn)
{
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    memset(&peer, 0, sizeof peer);
    if (getpeername(conn->fd, (struct sockaddr *)&peer, &size) != 0)
        size = 0;
    if (size == 0 || size != conn->peer_size ||
        memcmp(&peer, &conn->peer, size) != 0)
        conn->former_id = 0;
    conn->peer = peer;
    conn->peer_size = size;
}

static void add_kill(mtci_redis_conn *conn)
{
    if (conn->former_id == 0)
        return;
    ask(conn, MTCI_GREET_KILL);
    mtci_resp_begin(&conn->greeting, 4);
    mtci_resp_add_text(&conn->greeting, "CLIENT");
    mtci_resp_add_text(&conn->greeting, "KILL");
    mtci_resp_add_text(&conn->greeting, "ID");
    mtci_resp_add_number(&conn->greeting, conn->former_id);
}

static void add_name(mtci_redis_conn *conn)
{
    if (conn->settings->name[0] == '\0')
        return;
    ask(conn, MTCI_GREET_NAME);
    mtci_resp_begin(&conn->greeting, 3);
    mtci_resp_add_text(&conn->greeting, "CLIENT");
    mtci_resp_add_text(&conn->greeting, "SETNAME");
    mtci_resp_add_text(&conn->greeting, conn->settings->name);
}

static void add_id(mtci_redis_conn *conn)
{
    ask(conn, MTCI_GREET_ID);
    mtci_resp_begin(&conn->greeting, 2);
    mtci_resp_add_text(&conn->greeting, "CLIENT");
    mtci_resp_add_text(&conn->greeting, "ID");
}

mtc_status mtci_greet_begin(mtci_redis_conn *conn)
{
    mtci_buffer_clear(&conn->greeting);
    conn->greeting_sent = 0;
    conn->greeting_count = 0;
    conn->greeted = 0;
    bool is_resp3 = conn->settings->protocol != 2 && !conn->is_resp2;
    conn->reader.is_resp2 = !is_resp3;
    if (is_resp3) {
        add_hello(conn);
    } else {
        add_auth(conn);
        add_name(conn);
    }
    add_select(conn);
    add_role(conn);
    forget_other_server(conn);
    add_kill(conn);
    add_id(conn);
    return conn->greeting.status;
}

static mtc_status refused(mtci_redis_conn *conn, const char *what,
                          const mtci_reply *reply, bool is_secret)
{
    char text[160];
    if (is_secret)
        mtci_reply_error_code(reply, text, sizeof text);
    else
        mtci_reply_error_text(reply, text, sizeof text);
    snprintf(conn->failure, sizeof conn->failure, "%s: %s", what, text);
    mtc_status status = mtci_reply_error_status(reply);
    return status == MTC_E_DENIED ? MTC_E_DENIED : MTC_E_UNAVAILABLE;
}

/* "ERR ..." */
static bool has_plain_code(const mtci_reply *reply)
{
    char code[16];
    mtci_reply_error_code(reply, code, sizeof code);
    return strcmp(code, "ERR") == 0;
}

static bool is_about_clients(const mtci_reply *reply)
{
    return has_plain_code(reply) &&
           mtci_reply_error_status(reply) == MTC_E_UNAVAILABLE;
}

static mtc_status refused_client(mtci_redis_conn *conn)
{
    snprintf(conn->failure, sizeof conn->failure,
             "the server will not serve: ERR max number of clients reached");
    return MTC_E_UNAVAILABLE;
}

/* An unknown AUTH or a wrong number of arguments is a refusal as well; the
 * text of the reply may quote the password. */
static mtc_status answered_auth(mtci_redis_conn *conn, const mtci_reply *reply)
{
    if (reply->type == MTCI_REPLY_STATUS)
        return MTC_OK;
    if (reply->type != MTCI_REPLY_ERROR)
        return MTC_E_CORRUPT;
    if (is_about_clients(reply))
        return refused_client(conn);
    mtc_status status = refused(conn, "AUTH was refused", reply, true);
    return has_plain_code(reply) ? MTC_E_DENIED : status;
}

/* A server without RESP3 is spoken to in RESP2, unless RESP3 was asked for.
 * Whether its refusal was about the login is told by AUTH then. */
static mtc_status answered_hello(mtci_redis_conn *conn, const mtci_reply *reply)
{
    if (reply->type == MTCI_REPLY_ARRAY)
        return MTC_OK;
    if (reply->type != MTCI_REPLY_ERROR)
        return MTC_E_CORRUPT;
    if (is_about_clients(reply))
        return refused_client(conn);
    mtc_status status = mtci_reply_error_status(reply);
    bool is_unknown = status == MTC_E_UNSUPPORTED || status == MTC_E_INVALID;
    if (is_unknown && conn->settings->protocol == 0) {
        conn->is_resp2 = true;
        return MTC_OK;
    }
    bool has_login = conn->settings->password[0] != '\0';
    return refused(conn, has_login ? "AUTH was refused" : "HELLO was refused",
                   reply, true);
}

static mtc_status answered_select(mtci_redis_conn *conn,
                                  const mtci_reply *reply)
{
    if (reply->type == MTCI_REPLY_STATUS)
        return MTC_OK;
    if (reply->type != MTCI_REPLY_ERROR)
        return MTC_E_CORRUPT;
    return refused(conn, "SELECT was refused", reply, false);
}

/* A user without the right to CLIENT is served all the same; only one who
 * must log in first, or a server that will not serve, is not. */
static mtc_status answered_client(mtci_redis_conn *conn,
                                  const mtci_reply *reply)
{
    char code[16];
    if (reply->type == MTCI_REPLY_INTEGER || reply->type == MTCI_REPLY_STATUS)
        return MTC_OK;
    if (reply->type != MTCI_REPLY_ERROR)
        return MTC_E_CORRUPT;
    mtci_reply_error_code(reply, code, sizeof code);
    if (strcmp(code, "NOAUTH") != 0 &&
        mtci_reply_error_status(reply) != MTC_E_UNAVAILABLE)
        return MTC_OK;
    return refused(conn, "the server will not serve", reply, false);
}

/* A user without the right to ROLE is served: writes find a replica out. */
static mtc_status answered_role(mtci_redis_conn *conn, const mtci_reply *reply)
{
    if (reply->type == MTCI_REPLY_ERROR)
        return answered_client(conn, reply);
    if (reply->type != MTCI_REPLY_ARRAY || reply->count == 0)
        return MTC_E_CORRUPT;
    if (mtci_slice_is(mtci_reply_slice(&reply->items[0]), "master"))
        return MTC_OK;
    snprintf(conn->failure, sizeof conn->failure,
             "the server that a sentinel named is not a master");
    return MTC_E_UNAVAILABLE;
}

static mtc_status judge(mtci_redis_conn *conn, mtci_greeting greeting,
                        const mtci_reply *reply)
{
    switch (greeting) {
    case MTCI_GREET_HELLO:
        return answered_hello(conn, reply);
    case MTCI_GREET_AUTH:
        return answered_auth(conn, reply);
    case MTCI_GREET_SELECT:
        return answered_select(conn, reply);
    case MTCI_GREET_ROLE:
        return answered_role(conn, reply);
    default:
        return answered_client(conn, reply);
    }
}

mtc_status mtci_greet_answered(mtci_redis_conn *conn, const mtci_reply *reply)
{
    /* Behind a HELLO that was refused, the answers mean nothing. */
    bool is_over = conn->is_resp2 && conn->greetings[0] == MTCI_GREET_HELLO;
    mtci_greeting greeting = conn->greetings[conn->greeted++];
    mtc_status status = is_over ? MTC_OK : judge(conn, greeting, reply);
    if (status != MTC_OK || conn->greeted < conn->greeting_count)
        return status;
    if (is_over)
        return mtci_greet_begin(conn);
    /* The last answer, to CLIENT ID. */
    conn->former_id = 0;
    conn->id = reply->type == MTCI_REPLY_INTEGER ? reply->integer : 0;
    conn->state = MTCI_CONN_READY;
    return MTC_OK;
}
