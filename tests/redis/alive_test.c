/*
 * labels: quick server
 *
 * What goes beside commands: the version of the protocol, pushes, and the
 * question whether a silent server lives. The clock is stepped by hand.
 */
#include "redis/client.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#include "mtc.h"
#include "redis/call.h"
#include "support/fake_server.h"
#include "support/redis_rig.h"
#include "support/server.h"

#define ANY                                                                    \
    (MTCI_REPLY_NIL | MTCI_REPLY_STATUS | MTCI_REPLY_INTEGER |                 \
     MTCI_REPLY_BULK | MTCI_REPLY_ARRAY)
#define PING_MS 10000
#define LATE_MS 4000 /* more than a PING may take */
#define CALL_MS 10000

/* -- a client with a clock and an ear ------------------------------------- */

typedef struct rig {
    fake_server *fake;
    mtci_redis_client *client;
    int64_t ahead_ms; /* of boot time */
    sem_t is_heard;   /* the script has come to a point */
    char story[512];  /* pushes, losses and ends of commands, in order */
    bool has_logged;
    unsigned warnings;
} rig;

static int64_t stepped_ms(void *ctx)
{
    const rig *rig = ctx;
    return mtci_boot_ms() + rig->ahead_ms;
}

static void tell(rig *rig, const char *text, size_t size)
{
    size_t length = strlen(rig->story);
    snprintf(rig->story + length, sizeof rig->story - length, "%.*s ",
             (int)size, text);
}

static bool hear(void *ctx, const mtci_reply *push)
{
    if (push->type == MTCI_REPLY_LOST) {
        tell(ctx, "lost", 4);
        return true;
    }
    mtc_slice kind = mtci_reply_slice(&push->items[0]);
    tell(ctx, kind.data, kind.size);
    return kind.size == 10 && memcmp(kind.data, "invalidate", 10) == 0;
}

static void note_log(void *ctx, mtc_log_level level, const char *text)
{
    rig *rig = ctx;
    (void)text;
    rig->has_logged |= level == MTC_LOG_WARNING;
    rig->warnings += level == MTC_LOG_WARNING;
}

static void open_client(rig *rig, int port)
{
    mtci_redis_settings settings = redis_rig_settings(port);
    settings.clock = (mtci_clock){stepped_ms, rig, false};
    settings.ping_ms = PING_MS;
    settings.push = hear;
    settings.push_ctx = rig;
    settings.log = note_log;
    settings.log_ctx = rig;
    assert_int_equal(mtci_client_new(&settings, &rig->client), MTC_OK);
}

static void begin(rig *rig, fake_script script)
{
    *rig = (struct rig){0};
    sem_init(&rig->is_heard, 0, 0);
    rig->fake = fake_server_start(script, rig);
    assert_non_null(rig->fake);
    open_client(rig, fake_server_port(rig->fake));
}

static void end(rig *rig)
{
    mtci_client_free(rig->client);
    const char *deviation = rig->fake ? fake_server_stop(rig->fake) : NULL;
    sem_destroy(&rig->is_heard);
    if (deviation)
        fail_msg("%s", deviation);
}

static mtc_status ask(rig *rig, const char *words)
{
    char failure[MTCI_CALL_FAILURE_SIZE];
    mtci_reply reply;
    mtc_status status =
        mtci_redis_call(rig->client, redis_rig_command(ANY, words),
                        stepped_ms(rig) + CALL_MS, failure, &reply);
    mtci_reply_fini(&reply);
    return status;
}

static void tend_until(rig *rig, const char *story)
{
    int64_t until_ms = mtci_boot_ms() + CALL_MS;
    while (strcmp(rig->story, story) != 0 && mtci_boot_ms() < until_ms)
        mtci_client_tend(rig->client);
    assert_string_equal(rig->story, story);
}

/* -- a replica ------------------------------------------------------------ */

#define LEFT 5

static void be_a_replica(fake_server *server, void *ctx)
{
    (void)ctx;
    for (int i = 0; i < LEFT; i++)
        if (!fake_greet(server) || !fake_expect(server, "SET a b") ||
            !fake_send(server, "-READONLY You can't write against a replica."
                               "\r\n"))
            return;
    fake_silence(server);
}

static void one_that_stays_a_replica_is_told_once_a_minute(void **state)
{
    (void)state;
    rig rig;
    begin(&rig, be_a_replica);
    for (int i = 0; i < LEFT - 1; i++) {
        assert_int_equal(ask(&rig, "SET a b"), MTC_E_UNAVAILABLE);
        rig.ahead_ms += 1000;
    }
    assert_int_equal(rig.warnings, 1);
    rig.ahead_ms += 60000;
    assert_int_equal(ask(&rig, "SET a b"), MTC_E_UNAVAILABLE);
    assert_int_equal(rig.warnings, 2);
    end(&rig);
}

/* -- which protocol ------------------------------------------------------- */

static void know_no_hello(fake_server *server, void *ctx)
{
    (void)ctx;
    for (int i = 0; i < 2; i++) {
        if (!fake_accept(server))
            return;
        if (i == 0 && !(fake_expect(server, "HELLO 3 SETNAME shop") &&
                        fake_expect(server, "SELECT 3") &&
                        fake_expect(server, "CLIENT ID") &&
                        fake_send(server, "-ERR unknown command\r\n+OK\r\n"
                                          ":7\r\n")))
            return;
        if (!fake_expect(server, "CLIENT SETNAME shop") ||
            !fake_expect(server, "SELECT 3") ||
            (i == 1 && !fake_expect(server, "CLIENT KILL ID 7")) ||
            !fake_expect(server, "CLIENT ID") ||
            !fake_send(server, i == 0 ? "+OK\r\n+OK\r\n:7\r\n"
                                      : "+OK\r\n+OK\r\n:1\r\n:8\r\n") ||
            !fake_expect(server, "GET a") || !fake_send(server, "$-1\r\n"))
            return;
    }
    fake_silence(server);
}

static void a_server_without_hello_is_spoken_to_in_resp2(void **state)
{
    (void)state;
    rig rig;
    begin(&rig, know_no_hello);
    mtci_redis_settings *settings = mtci_client_settings(rig.client);
    settings->db = 3;
    snprintf(settings->name, sizeof settings->name, "shop");
    assert_int_equal(ask(&rig, "GET a"), MTC_OK);
    /* The script hangs up; the new connection begins with RESP2 at once. */
    tend_until(&rig, "lost ");
    assert_int_equal(ask(&rig, "GET a"), MTC_OK);
    end(&rig);
}

static void refuse_hello(fake_server *server, void *ctx)
{
    (void)ctx;
    if (fake_accept(server) && fake_expect(server, "HELLO 3") &&
        fake_expect(server, "CLIENT ID"))
        fake_send(server, "-NOPROTO unsupported protocol version\r\n:7\r\n");
    fake_silence(server);
}

static void a_protocol_that_was_asked_for_is_not_replaced(void **state)
{
    (void)state;
    rig rig;
    char text[128];
    begin(&rig, refuse_hello);
    mtci_client_settings(rig.client)->protocol = 3;
    /* Whoever went on in RESP2 would get no answer, and say so. */
    assert_string_equal(redis_rig_ask(rig.client, ANY, "GET a", text,
                                      sizeof text),
                        "E_UNAVAILABLE HELLO was refused: NOPROTO");
    end(&rig);
}

static void send_push_in_resp2(fake_server *server, void *ctx)
{
    (void)ctx;
    if (fake_accept(server) && fake_expect(server, "CLIENT ID") &&
        fake_send(server, ":7\r\n") && fake_expect(server, "GET a"))
        fake_send(server, ">1\r\n+invalidate\r\n$-1\r\n");
    fake_silence(server);
}

static void resp2_says_no_hello_and_has_no_pushes(void **state)
{
    (void)state;
    rig rig;
    begin(&rig, send_push_in_resp2);
    mtci_client_settings(rig.client)->protocol = 2;
    assert_int_equal(ask(&rig, "GET a"), MTC_E_UNAVAILABLE);
    assert_string_equal(rig.story, "lost ");
    end(&rig);
}

/* -- pushes --------------------------------------------------------------- */

static void push_between_replies(fake_server *server, void *ctx)
{
    (void)ctx;
    if (fake_greet(server) && fake_take(server, 2))
        fake_send(server, "$1\r\na\r\n>2\r\n+invalidate\r\n*1\r\n+k\r\n"
                          "|1\r\n+x\r\n+y\r\n$1\r\nb\r\n>1\r\n+news\r\n");
    fake_finish(server);
}

static void tell_end(mtci_redis_command *command)
{
    mtc_slice bytes = mtci_reply_slice(&command->replies[0]);
    tell(command->ctx, bytes.data, bytes.size);
    mtci_command_free(command);
}

static void pushes_are_told_in_order_with_the_replies(void **state)
{
    (void)state;
    rig rig;
    begin(&rig, push_between_replies);
    mtci_command_queue commands = {0};
    for (int i = 0; i < 2; i++) {
        mtci_redis_command *command =
            redis_rig_command(MTCI_REPLY_BULK, "GET k");
        command->ctx = &rig;
        command->done = tell_end;
        command->deadline_ms = stepped_ms(&rig) + CALL_MS;
        mtci_queue_push(&commands, command);
    }
    mtci_client_submit(rig.client, &commands);
    mtci_client_drive(rig.client, NULL, stepped_ms(&rig) + CALL_MS);
    tend_until(&rig, "a invalidate b news lost ");
    assert_int_equal(mtci_client_pushes_unknown(rig.client), 1);
    end(&rig);
}

/* -- silence -------------------------------------------------------------- */

static void answer_one_ping(fake_server *server, void *ctx)
{
    rig *rig = ctx;
    if (fake_greet(server) && fake_expect(server, "GET a") &&
        fake_send(server, "$-1\r\n") && fake_expect(server, "PING") &&
        fake_send(server, "+PONG\r\n>1\r\n+pong\r\n") &&
        fake_expect(server, "GET b") && fake_send(server, "$-1\r\n") &&
        fake_expect(server, "PING"))
        sem_post(&rig->is_heard);
    fake_silence(server);
}

static void a_silent_server_is_asked_and_a_dead_one_noticed(void **state)
{
    (void)state;
    rig rig;
    begin(&rig, answer_one_ping);
    assert_int_equal(ask(&rig, "GET a"), MTC_OK);
    mtci_client_tend(rig.client); /* too early: no PING */
    rig.ahead_ms += PING_MS;
    for (int i = 0; i < 3; i++)
        mtci_client_tend(rig.client); /* one PING, not three */
    tend_until(&rig, "pong ");
    assert_int_equal(ask(&rig, "GET b"), MTC_OK);
    rig.ahead_ms += PING_MS;
    mtci_client_tend(rig.client);
    sem_wait(&rig.is_heard);
    assert_false(rig.has_logged);
    rig.ahead_ms += LATE_MS;
    tend_until(&rig, "pong lost ");
    assert_true(rig.has_logged);
    end(&rig);
}

static void answer_unread(fake_server *server, void *ctx)
{
    rig *rig = ctx;
    if (fake_greet(server) && fake_expect(server, "GET a") &&
        fake_send(server, "$-1\r\n") && fake_expect(server, "PING") &&
        fake_send(server, "+PONG\r\n"))
        sem_post(&rig->is_heard);
    if (fake_expect(server, "GET b"))
        fake_send(server, "$-1\r\n");
    fake_silence(server);
}

static void an_answer_that_lies_unread_is_not_late(void **state)
{
    (void)state;
    rig rig;
    begin(&rig, answer_unread);
    assert_int_equal(ask(&rig, "GET a"), MTC_OK);
    rig.ahead_ms += PING_MS;
    mtci_client_tend(rig.client);
    sem_wait(&rig.is_heard);
    rig.ahead_ms += 100 * LATE_MS; /* this process was stopped */
    assert_int_equal(ask(&rig, "GET b"), MTC_OK);
    assert_string_equal(rig.story, "");
    end(&rig);
}

static void wait_for_ping(fake_server *server, void *ctx)
{
    sem_t *has_come = ctx;
    if (fake_greet(server) && fake_take(server, 2) &&
        fake_send(server, ":-2\r\n$-1\r\n") && fake_expect(server, "PING"))
        sem_post(has_come);
    fake_silence(server);
}

static void a_cache_at_rest_asks_by_itself(void **state)
{
    (void)state;
    sem_t has_come;
    char url[64];
    mtc_cache *cache;
    mtc_value value;
    sem_init(&has_come, 0, 0);
    fake_server *fake = fake_server_start(wait_for_ping, &has_come);
    assert_non_null(fake);
    snprintf(url, sizeof url, "redis://127.0.0.1:%d?ping=50ms",
             fake_server_port(fake));
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    options.tiers = url;
    assert_int_equal(mtc_cache_open(&options, NULL, &cache), MTC_OK);
    assert_int_equal(mtc_cache_get(cache, mtc_str("a"), &value), MTC_MISS);
    sem_wait(&has_come);
    assert_int_equal(mtc_cache_close(&cache), MTC_OK);
    assert_null(fake_server_stop(fake));
    sem_destroy(&has_come);
}

/* -- a real server -------------------------------------------------------- */

static void a_stopped_server_is_noticed_while_nobody_asks(void **state)
{
    (void)state;
    test_server_require(TEST_REDIS);
    test_server server;
    rig rig = {0};
    assert_true(test_server_start(&server, TEST_REDIS, NULL));
    open_client(&rig, server.port);
    assert_int_equal(ask(&rig, "GET a"), MTC_OK);
    test_server_pause(&server);
    rig.ahead_ms += PING_MS;
    mtci_client_tend(rig.client);
    assert_string_equal(rig.story, "");
    rig.ahead_ms += LATE_MS;
    tend_until(&rig, "lost ");
    test_server_resume(&server);
    assert_int_equal(ask(&rig, "GET a"), MTC_OK);
    mtci_client_free(rig.client);
    test_server_stop(&server);
}

static void a_foreign_write_is_pushed(void **state)
{
    (void)state;
    test_server_require(TEST_REDIS);
    test_server server;
    rig rig = {0};
    char text[64];
    assert_true(test_server_start(&server, TEST_REDIS, NULL));
    open_client(&rig, server.port);
    snprintf(mtci_client_settings(rig.client)->name, 16, "shop");
    assert_int_equal(ask(&rig, "CLIENT TRACKING ON BCAST NOLOOP"), MTC_OK);
    mtci_redis_client *other = redis_rig_client(server.port);
    assert_int_equal(ask(&rig, "SET own v"), MTC_OK);
    assert_string_equal(redis_rig_ask(other, ANY, "SET k v", text, sizeof text),
                        "+OK");
    tend_until(&rig, "invalidate ");
    assert_string_equal(redis_rig_ask(rig.client, ANY, "CLIENT GETNAME", text,
                                      sizeof text),
                        "shop");
    mtci_client_free(other);
    mtci_client_free(rig.client);
    test_server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_stays_a_replica_is_told_once_a_minute),
        cmocka_unit_test(a_server_without_hello_is_spoken_to_in_resp2),
        cmocka_unit_test(a_protocol_that_was_asked_for_is_not_replaced),
        cmocka_unit_test(resp2_says_no_hello_and_has_no_pushes),
        cmocka_unit_test(pushes_are_told_in_order_with_the_replies),
        cmocka_unit_test(a_silent_server_is_asked_and_a_dead_one_noticed),
        cmocka_unit_test(an_answer_that_lies_unread_is_not_late),
        cmocka_unit_test(a_cache_at_rest_asks_by_itself),
        cmocka_unit_test(a_stopped_server_is_noticed_while_nobody_asks),
        cmocka_unit_test(a_foreign_write_is_pushed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
