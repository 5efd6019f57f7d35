/*
 * labels: quick unit
 *
 * The client against a scripted peer that does everything wrong.
 */
#include "redis/client.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#include "redis/call.h"
#include "support/fake_server.h"
#include "support/redis_rig.h"

#define TEXT_SIZE 256
#define ANY                                                                    \
    (MTCI_REPLY_NIL | MTCI_REPLY_STATUS | MTCI_REPLY_INTEGER |                 \
     MTCI_REPLY_BULK | MTCI_REPLY_ARRAY)

typedef struct pair {
    fake_server *server;
    mtci_redis_client *client;
} pair;

static pair begin(fake_script script, void *ctx)
{
    pair pair = {.server = fake_server_start(script, ctx)};
    assert_non_null(pair.server);
    pair.client = redis_rig_client(fake_server_port(pair.server));
    assert_non_null(pair.client);
    return pair;
}

static void end(pair *pair)
{
    mtci_client_free(pair->client);
    const char *deviation = fake_server_stop(pair->server);
    if (deviation)
        fail_msg("%s", deviation);
}

static void ask(pair *pair, uint32_t expects, const char *words,
                const char *answer)
{
    char text[TEXT_SIZE];
    assert_string_equal(redis_rig_ask(pair->client, expects, words, text,
                                      sizeof text),
                        answer);
}

static void ask_fails(pair *pair, const char *words, mtc_status status)
{
    char text[TEXT_SIZE];
    redis_rig_ask(pair->client, ANY, words, text, sizeof text);
    size_t size = strcspn(text, " ");
    text[size] = '\0';
    assert_string_equal(text, mtc_status_name(status));
}

/* -- replies in pieces ---------------------------------------------------- */

static void send_in_bytes(fake_server *server, void *ctx)
{
    (void)ctx;
    if (fake_greet(server) && fake_expect(server, "GET a"))
        fake_send_split(server, "$10\r\nab\r\n$-1\r\nx\r\n");
    fake_silence(server);
}

static void a_reply_may_come_byte_by_byte(void **state)
{
    (void)state;
    pair pair = begin(send_in_bytes, NULL);
    ask(&pair, MTCI_REPLY_BULK, "GET a", "ab\r\n$-1\r\nx");
    end(&pair);
}

/* -- the end of a connection at every byte -------------------------------- */

#define REPLIES      "$3\r\nabc\r\n:12\r\n+OK\r\n*2\r\n$1\r\nx\r\n:1\r\n$-1\r\n"
#define REPLIES_SIZE (sizeof REPLIES - 1)

/* Where each of the five replies is complete. */
static const size_t ENDS[5] = {9, 14, 19, 34, 39};

typedef struct cut {
    size_t size;
    bool is_reset;
} cut;

static void send_part(fake_server *server, void *ctx)
{
    const cut *cut = ctx;
    if (!fake_greet(server) || !fake_take(server, 5) ||
        !fake_send_bytes(server, REPLIES, cut->size))
        return;
    if (cut->is_reset) {
        fake_delay(2); /* a reset overtakes what was not read yet */
        fake_reset(server);
    }
    fake_finish(server);
}

typedef struct outcome {
    mtc_status status;
    bool is_done;
} outcome;

static void note(mtci_redis_command *command)
{
    outcome *outcome = command->ctx;
    assert_false(outcome->is_done);
    outcome->is_done = true;
    outcome->status = command->status;
    mtci_command_free(command);
}

static bool all_done(const void *ctx)
{
    const outcome *outcomes = ctx;
    for (size_t i = 0; i < 5; i++)
        if (!outcomes[i].is_done)
            return false;
    return true;
}

static void check_cut(size_t size, bool is_reset)
{
    cut cut = {size, is_reset};
    pair pair = begin(send_part, &cut);
    outcome outcomes[5] = {0};
    mtci_command_queue commands = {0};
    for (size_t i = 0; i < 5; i++) {
        mtci_redis_command *command = redis_rig_command(ANY, "SET k v");
        command->ctx = &outcomes[i];
        command->done = note;
        command->deadline_ms = mtci_boot_ms() + 5000;
        mtci_queue_push(&commands, command);
    }
    mtci_client_submit(pair.client, &commands);
    mtci_awaited awaited = {all_done, outcomes};
    mtci_client_drive(pair.client, &awaited, mtci_boot_ms() + 5000);
    for (size_t i = 0; i < 5; i++) {
        bool is_whole = size >= ENDS[i];
        assert_true(outcomes[i].is_done);
        /* What came before a reset may be lost with it. */
        if (!is_reset || !is_whole)
            assert_int_equal(outcomes[i].status,
                             is_whole ? MTC_OK : MTC_E_UNAVAILABLE);
    }
    end(&pair);
}

static void a_connection_may_end_at_every_byte(void **state)
{
    (void)state;
    assert_int_equal(REPLIES_SIZE, ENDS[4]);
    for (size_t size = 0; size <= REPLIES_SIZE; size++) {
        check_cut(size, false);
        check_cut(size, true);
    }
}

/* -- garbage -------------------------------------------------------------- */

/* Answers the first command with garbage, and the next connection well. */
static void send_garbage(fake_server *server, void *ctx)
{
    if (!fake_greet(server) || !fake_take(server, 1) || !fake_send(server, ctx))
        return;
    if (fake_greet(server) && fake_take(server, 1))
        fake_send(server, "+PONG\r\n");
    fake_silence(server);
}

static void garbage_ends_the_connection_and_is_no_value(void **state)
{
    (void)state;
    static const char *const GARBAGE[] = {
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        "$3\r\nabcd\r\n",
        "$3\r\nabc\n\n",
        "+OK\n",
        ":12\r\n",
        "*1\r\n$1\r\na\r\n",
        "+PONG\r\n",
        ">1\r\n:1\r\n",
        "|1\r\n+a\r\n+b\r\n$?\r\n",
        "$99999999999\r\n",
        "\r\n",
    };
    for (size_t i = 0; i < sizeof GARBAGE / sizeof *GARBAGE; i++) {
        pair pair = begin(send_garbage, (void *)(uintptr_t)GARBAGE[i]);
        char text[TEXT_SIZE];
        redis_rig_ask(pair.client, MTCI_REPLY_BULK | MTCI_REPLY_NIL, "GET a",
                      text, sizeof text);
        if (strncmp(text, "E_UNAVAILABLE the server broke", 30) != 0)
            fail_msg("garbage %zu gave \"%s\"", i, text);
        /* A peer that never spoke properly is left alone for a moment. */
        mtci_client_drive(pair.client, NULL, 0);
        fake_delay(MTCI_CLIENT_PAUSE_MS_MIN + 2);
        ask(&pair, MTCI_REPLY_STATUS, "PING", "+PONG");
        end(&pair);
    }
}

static void send_two(fake_server *server, void *ctx)
{
    (void)ctx;
    if (!fake_greet(server) || !fake_expect(server, "GET a") ||
        !fake_send(server, "$1\r\na\r\n$1\r\nb\r\n"))
        return;
    if (fake_greet(server) && fake_expect(server, "GET c"))
        fake_send(server, "$1\r\nc\r\n");
    fake_silence(server);
}

static void a_reply_that_nobody_asked_for_goes_to_nobody(void **state)
{
    (void)state;
    pair pair = begin(send_two, NULL);
    ask(&pair, MTCI_REPLY_BULK, "GET a", "a");
    ask(&pair, MTCI_REPLY_BULK, "GET c", "c");
    end(&pair);
}

/* -- late replies --------------------------------------------------------- */

static void answer_late(fake_server *server, void *ctx)
{
    (void)ctx;
    if (!fake_greet(server) || !fake_expect(server, "GET late"))
        return;
    /* The next command arrives only after the first caller has left. */
    if (fake_expect(server, "GET next"))
        fake_send(server, "$4\r\nlate\r\n$4\r\nnext\r\n");
    fake_silence(server);
}

static void a_late_reply_is_not_given_to_the_next_caller(void **state)
{
    (void)state;
    pair pair = begin(answer_late, NULL);
    char failure[MTCI_CALL_FAILURE_SIZE];
    mtci_reply reply;
    assert_int_equal(mtci_redis_call(pair.client,
                                     redis_rig_command(MTCI_REPLY_BULK,
                                                       "GET late"),
                                     mtci_boot_ms() + 50, failure, &reply),
                     MTC_E_TIMEOUT);
    ask(&pair, MTCI_REPLY_BULK, "GET next", "next");
    end(&pair);
}

/* -- who drives ----------------------------------------------------------- */

/* Answers the first caller only after the second has been heard. */
static void answer_both_at_last(fake_server *server, void *ctx)
{
    if (!fake_greet(server) || !fake_expect(server, "GET first"))
        return;
    sem_post(ctx);
    if (fake_expect(server, "GET second"))
        fake_send(server, "$5\r\nfirst\r\n$6\r\nsecond\r\n");
    fake_silence(server);
}

typedef struct caller {
    pthread_t thread;
    mtci_redis_client *client;
    char text[TEXT_SIZE];
} caller;

static void *ask_first(void *ctx)
{
    caller *caller = ctx;
    redis_rig_ask(caller->client, MTCI_REPLY_BULK, "GET first", caller->text,
                  sizeof caller->text);
    return NULL;
}

static void a_driver_that_sleeps_sends_what_others_submit(void **state)
{
    (void)state;
    sem_t is_heard;
    assert_int_equal(sem_init(&is_heard, 0, 0), 0);
    pair pair = begin(answer_both_at_last, &is_heard);
    caller caller = {.client = pair.client};
    assert_int_equal(pthread_create(&caller.thread, NULL, ask_first, &caller),
                     0);
    sem_wait(&is_heard);
    ask(&pair, MTCI_REPLY_BULK, "GET second", "second");
    pthread_join(caller.thread, NULL);
    assert_string_equal(caller.text, "first");
    end(&pair);
    sem_destroy(&is_heard);
}

/* -- both buffers full ---------------------------------------------------- */

#define LARGE_SIZE  ((size_t)24 << 20)
#define LARGE_COUNT 5

/* Reads on only when its whole first reply was taken. */
static void write_before_reading(fake_server *server, void *ctx)
{
    char header[32];
    snprintf(header, sizeof header, "$%zu\r\n", LARGE_SIZE);
    if (!fake_greet(server) || !fake_expect(server, "GET large") ||
        !fake_send(server, header) ||
        !fake_send_bytes(server, ctx, LARGE_SIZE) || !fake_send(server, "\r\n"))
        return;
    for (size_t i = 1; i < LARGE_COUNT; i++)
        if (!fake_take(server, 1) || !fake_send(server, "+OK\r\n"))
            return;
    fake_silence(server);
}

static void reading_goes_on_while_the_peer_does_not_read(void **state)
{
    (void)state;
    char *bytes = calloc(1, LARGE_SIZE);
    assert_non_null(bytes);
    pair pair = begin(write_before_reading, bytes);
    outcome outcomes[LARGE_COUNT] = {0};
    mtci_command_queue commands = {0};
    for (size_t i = 0; i < LARGE_COUNT; i++) {
        mtci_redis_command *command =
            redis_rig_command(ANY, i == 0 ? "GET large" : "SET large");
        if (i > 0)
            mtci_resp_add(&command->bytes, mtc_bytes(bytes, LARGE_SIZE));
        if (i > 0) /* three arguments, not two */
            command->bytes.data[1] = '3';
        command->ctx = &outcomes[i];
        command->done = note;
        command->deadline_ms = mtci_boot_ms() + 30000;
        mtci_queue_push(&commands, command);
    }
    mtci_client_submit(pair.client, &commands);
    mtci_awaited awaited = {all_done, outcomes};
    mtci_client_drive(pair.client, &awaited, mtci_boot_ms() + 30000);
    for (size_t i = 0; i < LARGE_COUNT; i++)
        assert_true(outcomes[i].is_done && outcomes[i].status == MTC_OK);
    end(&pair);
    free(bytes);
}

/* -- sent again, or not --------------------------------------------------- */

static void drop_the_first(fake_server *server, void *ctx)
{
    if (!fake_greet(server) || !fake_expect(server, "PING") ||
        !fake_send(server, "+PONG\r\n") || !fake_take(server, 1))
        return;
    if (!fake_greet(server))
        return;
    if (fake_expect(server, ctx))
        fake_send(server, "$1\r\nv\r\n");
    fake_silence(server);
}

static void a_read_is_sent_again_once(void **state)
{
    (void)state;
    pair pair = begin(drop_the_first, "GET a");
    ask(&pair, MTCI_REPLY_STATUS, "PING", "+PONG");
    mtci_redis_command *command = redis_rig_command(MTCI_REPLY_BULK, "GET a");
    char failure[MTCI_CALL_FAILURE_SIZE];
    mtci_reply reply;
    command->is_retryable = true;
    assert_int_equal(mtci_redis_call(pair.client, command,
                                     mtci_boot_ms() + 2000, failure, &reply),
                     MTC_OK);
    mtci_reply_fini(&reply);
    end(&pair);
}

static void a_write_is_never_sent_again(void **state)
{
    (void)state;
    pair pair = begin(drop_the_first, "GET after");
    ask(&pair, MTCI_REPLY_STATUS, "PING", "+PONG");
    ask_fails(&pair, "SET a b", MTC_E_UNAVAILABLE);
    ask(&pair, MTCI_REPLY_BULK, "GET after", "v");
    end(&pair);
}

static void expect_kill(fake_server *server, void *ctx)
{
    (void)ctx;
    if (!fake_greet(server) || !fake_expect(server, "PING") ||
        !fake_send(server, "+PONG\r\n") || !fake_take(server, 1))
        return;
    if (fake_accept(server) && fake_expect(server, "HELLO 3") &&
        fake_expect(server, "CLIENT KILL ID 7") &&
        fake_expect(server, "CLIENT ID") &&
        fake_send(server, "%0\r\n-ERR No such client ID\r\n:8\r\n") &&
        fake_expect(server, "GET a"))
        fake_send(server, "$1\r\na\r\n");
    fake_silence(server);
}

static void a_new_connection_ends_the_former_one_at_the_server(void **state)
{
    (void)state;
    pair pair = begin(expect_kill, NULL);
    ask(&pair, MTCI_REPLY_STATUS, "PING", "+PONG");
    ask_fails(&pair, "SET a b", MTC_E_UNAVAILABLE);
    ask(&pair, MTCI_REPLY_BULK, "GET a", "a");
    end(&pair);
}

/* -- deadlines and limits ------------------------------------------------- */

static void accept_and_be_silent(fake_server *server, void *ctx)
{
    (void)ctx;
    while (fake_accept(server))
        fake_silence(server);
}

static void a_silent_greeting_ends_at_the_connect_deadline(void **state)
{
    (void)state;
    pair pair = begin(accept_and_be_silent, NULL);
    char failure[MTCI_CALL_FAILURE_SIZE];
    mtci_reply reply;
    int64_t began_ms = mtci_boot_ms();
    mtci_client_settings(pair.client)->connect_ms = 60;
    mtc_status status =
        mtci_redis_call(pair.client, redis_rig_command(ANY, "GET a"),
                        began_ms + 30000, failure, &reply);
    assert_int_equal(status, MTC_E_UNAVAILABLE);
    assert_true(mtci_boot_ms() - began_ms < 20000);
    end(&pair);
}

static void a_command_whose_time_is_over_is_not_sent(void **state)
{
    (void)state;
    pair pair = begin(accept_and_be_silent, NULL);
    outcome outcomes[5] = {{0}, {0, true}, {0, true}, {0, true}, {0, true}};
    mtci_command_queue commands = {0};
    mtci_redis_command *command = redis_rig_command(ANY, "SET k v");
    command->ctx = &outcomes[0];
    command->done = note;
    command->deadline_ms = mtci_boot_ms() + 20;
    mtci_queue_push(&commands, command);
    mtci_client_submit(pair.client, &commands);
    mtci_awaited awaited = {all_done, outcomes};
    mtci_client_drive(pair.client, &awaited, mtci_boot_ms() + 5000);
    assert_int_equal(outcomes[0].status, MTC_E_TIMEOUT);
    end(&pair);
}

static void answer_ping_and_pong(fake_server *server, void *ctx)
{
    (void)ctx;
    if (fake_greet(server) && fake_expect(server, "PING") &&
        fake_send(server, "+PONG\r\n") && fake_expect(server, "PING"))
        fake_send(server, "+PONG\r\n");
    fake_silence(server);
}

static void a_late_command_is_not_sent_on_a_good_connection_either(void **state)
{
    (void)state;
    pair pair = begin(answer_ping_and_pong, NULL);
    ask(&pair, MTCI_REPLY_STATUS, "PING", "+PONG");
    outcome outcome = {0};
    mtci_command_queue commands = {0};
    mtci_redis_command *command = redis_rig_command(ANY, "SET k v");
    command->ctx = &outcome;
    command->done = note;
    command->deadline_ms = mtci_boot_ms();
    mtci_queue_push(&commands, command);
    mtci_client_submit(pair.client, &commands);
    mtci_client_drive(pair.client, NULL, 0);
    assert_int_equal(outcome.status, MTC_E_TIMEOUT);
    ask(&pair, MTCI_REPLY_STATUS, "PING", "+PONG");
    end(&pair);
}

static int64_t stepped_ms(void *ctx)
{
    return *(const int64_t *)ctx;
}

/* Greets when the client looks elsewhere. */
static void greet_late(fake_server *server, void *ctx)
{
    sem_t *steps = ctx;
    if (!fake_accept(server) || !fake_expect(server, "CLIENT ID"))
        return;
    sem_post(&steps[0]);
    sem_wait(&steps[1]);
    fake_send(server, ":7\r\n");
    sem_post(&steps[0]);
    if (fake_expect(server, "PING"))
        fake_send(server, "+PONG\r\n");
    fake_silence(server);
}

static void what_came_while_nobody_drove_came_in_time(void **state)
{
    (void)state;
    int64_t now_ms = 1000;
    sem_t steps[2];
    assert_int_equal(sem_init(&steps[0], 0, 0), 0);
    assert_int_equal(sem_init(&steps[1], 0, 0), 0);
    pair pair = begin(greet_late, steps);
    mtci_redis_settings *settings = mtci_client_settings(pair.client);
    settings->clock = (mtci_clock){stepped_ms, &now_ms, false};
    settings->protocol = 2;
    outcome outcomes[5] = {{0}, {0, true}, {0, true}, {0, true}, {0, true}};
    mtci_command_queue commands = {0};
    mtci_redis_command *command = redis_rig_command(ANY, "PING");
    command->ctx = &outcomes[0];
    command->done = note;
    command->deadline_ms = now_ms + 100000;
    mtci_queue_push(&commands, command);
    mtci_client_submit(pair.client, &commands);
    do
        mtci_client_drive(pair.client, NULL, 0);
    while (sem_trywait(&steps[0]) != 0);
    sem_post(&steps[1]);
    sem_wait(&steps[0]);
    now_ms += 2 * settings->connect_ms;
    mtci_awaited awaited = {all_done, outcomes};
    mtci_client_drive(pair.client, &awaited, now_ms + 5000);
    assert_int_equal(outcomes[0].status, MTC_OK);
    end(&pair);
    sem_destroy(&steps[0]);
    sem_destroy(&steps[1]);
}

static void while_the_server_is_away_commands_fail_at_once(void **state)
{
    (void)state;
    fake_server *server = fake_server_start(accept_and_be_silent, NULL);
    mtci_redis_settings settings = redis_rig_settings(fake_server_port(server));
    assert_null(fake_server_stop(server)); /* nobody listens there now */
    int64_t now_ms = 1000;
    settings.clock = (mtci_clock){stepped_ms, &now_ms, false};
    mtci_redis_client *client = NULL;
    assert_int_equal(mtci_client_new(&settings, &client), MTC_OK);
    for (int i = 0; i < 2; i++) {
        outcome outcomes[5] = {{0}, {0, true}, {0, true}, {0, true}, {0, true}};
        mtci_command_queue commands = {0};
        mtci_redis_command *command = redis_rig_command(ANY, "SET k v");
        command->ctx = &outcomes[0];
        command->done = note;
        command->deadline_ms = now_ms + 100000;
        mtci_queue_push(&commands, command);
        mtci_client_submit(client, &commands);
        /* The first finds out by driving, the second is told at once. */
        assert_int_equal(outcomes[0].is_done, i == 1);
        mtci_awaited awaited = {all_done, outcomes};
        mtci_client_drive(client, &awaited, now_ms + 1000);
        assert_int_equal(outcomes[0].status, MTC_E_UNAVAILABLE);
    }
    mtci_client_free(client);
}

static void count_done(mtci_redis_command *command)
{
    size_t *counts = command->ctx;
    counts[command->status == MTC_E_BUSY]++;
    mtci_command_free(command);
}

static void over_its_limit_a_queue_says_busy(void **state)
{
    (void)state;
    mtci_redis_client *client = redis_rig_client(1);
    mtci_command_queue commands = {0};
    size_t counts[2] = {0, 0};
    for (size_t i = 0; i < MTCI_CLIENT_COMMANDS_MAX + 3; i++) {
        mtci_redis_command *command = redis_rig_command(ANY, "PING");
        command->ctx = counts;
        command->done = count_done;
        command->deadline_ms = INT64_MAX;
        mtci_queue_push(&commands, command);
    }
    mtci_client_submit(client, &commands);
    assert_int_equal(counts[0], 0);
    assert_int_equal(counts[1], 3);
    mtci_client_free(client);
    assert_int_equal(counts[0], MTCI_CLIENT_COMMANDS_MAX);
}

static void an_abandoned_command_is_not_sent(void **state)
{
    (void)state;
    mtci_redis_client *client = redis_rig_client(1);
    mtci_command_queue commands = {0};
    outcome outcome = {0};
    mtci_redis_command *command = redis_rig_command(ANY, "PING");
    command->ctx = &outcome;
    command->done = note;
    command->deadline_ms = INT64_MAX;
    mtci_queue_push(&commands, command);
    mtci_client_submit(client, &commands);
    mtci_client_abandon(client, &commands);
    assert_false(outcome.is_done);
    mtci_client_abandon(client, &outcome);
    assert_int_equal(outcome.status, MTC_E_CANCELLED);
    mtci_client_free(client);
}

/* -- passwords ------------------------------------------------------------ */

static void quote_the_password(fake_server *server, void *ctx)
{
    (void)ctx;
    if (fake_accept(server) &&
        fake_expect(server, "HELLO 3 AUTH default S3CR3T") &&
        fake_expect(server, "CLIENT ID") &&
        fake_send(server, "-ERR unknown command `HELLO`, with args beginning "
                          "with: `3`, `AUTH`, `default`, `S3CR3T`\r\n"
                          "-NOAUTH Authentication required.\r\n") &&
        fake_expect(server, "AUTH S3CR3T"))
        fake_send(server, "-ERR unknown command 'AUTH', with args beginning "
                          "with: 'S3CR3T'\r\n");
    fake_silence(server);
}

static void a_password_is_in_no_text(void **state)
{
    (void)state;
    pair pair = begin(quote_the_password, NULL);
    char text[TEXT_SIZE];
    snprintf(mtci_client_settings(pair.client)->password, 16, "S3CR3T");
    redis_rig_ask(pair.client, ANY, "GET a", text, sizeof text);
    assert_string_equal(text, "E_DENIED AUTH was refused: ERR");
    end(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reply_may_come_byte_by_byte),
        cmocka_unit_test(a_connection_may_end_at_every_byte),
        cmocka_unit_test(garbage_ends_the_connection_and_is_no_value),
        cmocka_unit_test(a_reply_that_nobody_asked_for_goes_to_nobody),
        cmocka_unit_test(a_late_reply_is_not_given_to_the_next_caller),
        cmocka_unit_test(a_driver_that_sleeps_sends_what_others_submit),
        cmocka_unit_test(reading_goes_on_while_the_peer_does_not_read),
        cmocka_unit_test(a_read_is_sent_again_once),
        cmocka_unit_test(a_write_is_never_sent_again),
        cmocka_unit_test(a_new_connection_ends_the_former_one_at_the_server),
        cmocka_unit_test(a_silent_greeting_ends_at_the_connect_deadline),
        cmocka_unit_test(a_command_whose_time_is_over_is_not_sent),
        cmocka_unit_test(
            a_late_command_is_not_sent_on_a_good_connection_either),
        cmocka_unit_test(what_came_while_nobody_drove_came_in_time),
        cmocka_unit_test(while_the_server_is_away_commands_fail_at_once),
        cmocka_unit_test(over_its_limit_a_queue_says_busy),
        cmocka_unit_test(an_abandoned_command_is_not_sent),
        cmocka_unit_test(a_password_is_in_no_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
