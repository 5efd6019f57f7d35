/*
 * labels: quick server
 *
 * The client against a real server: many threads, full buffers, a server that
 * hangs, dies, comes back, or wants a password.
 */
#include "redis/client.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "redis/call.h"
#include "support/redis_rig.h"
#include "support/server.h"

#define TEXT_SIZE   256
#define CALL_MS     20000
#define RECOVERY_MS 10000

static int start_server(void **state)
{
    static test_server server;
    if (test_server_installed(TEST_REDIS) &&
        !test_server_start(&server, TEST_REDIS, NULL))
        return -1;
    *state = &server;
    return 0;
}

static int stop_server(void **state)
{
    test_server_stop(*state);
    return 0;
}

static mtci_redis_client *open_client(const test_server *server)
{
    test_server_require(TEST_REDIS);
    mtci_redis_client *client = redis_rig_client(server->port);
    assert_non_null(client);
    return client;
}

static void expect_answer(mtci_redis_client *client, uint32_t expects,
                          const char *words, const char *answer)
{
    char text[TEXT_SIZE];
    assert_string_equal(redis_rig_ask(client, expects, words, text,
                                      sizeof text),
                        answer);
}

/* -- threads -------------------------------------------------------------- */

#define THREADS 64
#define ROUNDS  150

typedef struct worker {
    pthread_t thread;
    mtci_redis_client *client;
    int number;
    const char *wrong;
} worker;

static mtc_status call(mtci_redis_client *client, uint32_t expects,
                       const char *words, mtci_reply *reply)
{
    char failure[MTCI_CALL_FAILURE_SIZE];
    return mtci_redis_call(client, redis_rig_command(expects, words),
                           mtci_boot_ms() + CALL_MS, failure, reply);
}

static bool is_value(const mtci_reply *reply, const char *value)
{
    mtc_slice bytes = mtci_reply_slice(reply);
    return reply->type == MTCI_REPLY_BULK && bytes.size == strlen(value) &&
           memcmp(bytes.data, value, bytes.size) == 0;
}

/* Writes a value that says whose it is, and reads it back. */
static const char *write_and_read(worker *worker, int round)
{
    char words[TEXT_SIZE], value[TEXT_SIZE / 2];
    mtci_reply reply;
    snprintf(value, sizeof value, "owner-%d-round-%d", worker->number, round);
    snprintf(words, sizeof words, "SET key-%d %s", worker->number, value);
    if (call(worker->client, MTCI_REPLY_STATUS, words, &reply) != MTC_OK)
        return "a SET failed";
    mtci_reply_fini(&reply);
    snprintf(words, sizeof words, "GET key-%d", worker->number);
    if (call(worker->client, MTCI_REPLY_BULK, words, &reply) != MTC_OK)
        return "a GET failed";
    bool is_right = is_value(&reply, value);
    mtci_reply_fini(&reply);
    return is_right ? NULL : "a GET gave another value";
}

static void *work(void *ctx)
{
    worker *worker = ctx;
    for (int round = 0; round < ROUNDS && !worker->wrong; round++)
        worker->wrong = write_and_read(worker, round);
    return NULL;
}

static void threads_share_a_connection_and_get_their_own_replies(void **state)
{
    mtci_redis_client *client = open_client(*state);
    static worker workers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){.client = client, .number = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work,
                                        &workers[i]),
                         0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
    for (int i = 0; i < THREADS; i++)
        if (workers[i].wrong)
            fail_msg("thread %d: %s", i, workers[i].wrong);
    mtci_client_free(client);
}

/* Deadlines of all lengths, so that callers leave at every moment. */
static void *leave_early(void *ctx)
{
    worker *worker = ctx;
    unsigned random = (unsigned)worker->number * 2654435761u + 1;
    char words[TEXT_SIZE], value[TEXT_SIZE / 2],
        failure[MTCI_CALL_FAILURE_SIZE];
    for (int round = 0; round < ROUNDS && !worker->wrong; round++) {
        mtci_reply reply;
        random = random * 1103515245u + 12345u;
        snprintf(value, sizeof value, "echo-%d-%d", worker->number, round);
        snprintf(words, sizeof words, "ECHO %s", value);
        mtc_status status =
            mtci_redis_call(worker->client,
                            redis_rig_command(MTCI_REPLY_BULK, words),
                            mtci_boot_ms() + (random >> 16) % 3, failure,
                            &reply);
        if (status == MTC_OK && !is_value(&reply, value))
            worker->wrong = "another caller's reply";
        mtci_reply_fini(&reply);
    }
    return NULL;
}

static void callers_that_leave_early_do_not_shift_replies(void **state)
{
    mtci_redis_client *client = open_client(*state);
    static worker workers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){.client = client, .number = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, leave_early,
                                        &workers[i]),
                         0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
    for (int i = 0; i < THREADS; i++)
        if (workers[i].wrong)
            fail_msg("thread %d: %s", i, workers[i].wrong);
    expect_answer(client, MTCI_REPLY_BULK, "ECHO still-in-order",
                  "still-in-order");
    mtci_client_free(client);
}

/* -- full buffers --------------------------------------------------------- */

#define LARGE_SIZE  ((size_t)1 << 20)
#define LARGE_COUNT 60

typedef struct tally {
    size_t open, failed;
} tally;

static void count(mtci_redis_command *command)
{
    tally *tally = command->ctx;
    const mtci_reply *reply = &command->replies[0];
    bool is_whole = reply->type == MTCI_REPLY_STATUS ||
                    mtci_reply_slice(reply).size == LARGE_SIZE;
    tally->failed += command->status != MTC_OK || !is_whole;
    tally->open--;
    mtci_command_free(command);
}

static bool none_open(const void *ctx)
{
    const tally *tally = ctx;
    return tally->open == 0;
}

static mtci_redis_command *large_set(const mtc_value *value)
{
    mtci_redis_command *command = mtci_command_new(MTCI_REPLY_STATUS);
    mtci_resp_begin(&command->bytes, 3);
    mtci_resp_add_text(&command->bytes, "SET");
    mtci_resp_add_text(&command->bytes, "large");
    mtci_resp_open(&command->bytes, value->size);
    command->split = command->bytes.size;
    mtci_resp_close(&command->bytes);
    assert_int_equal(mtc_value_share(value, &command->payload), MTC_OK);
    return command;
}

static void
large_sets_and_gets_progress_when_both_buffers_are_full(void **state)
{
    mtci_redis_client *client = open_client(*state);
    mtci_command_queue commands = {0};
    tally tally = {0};
    mtc_value value;
    void *bytes;
    assert_int_equal(mtc_value_new(LARGE_SIZE, &bytes, &value), MTC_OK);
    memset(bytes, 'x', LARGE_SIZE);
    for (int i = 0; i < 2 * LARGE_COUNT; i++) {
        mtci_redis_command *command =
            i % 2 == 0 ? large_set(&value)
                       : redis_rig_command(MTCI_REPLY_BULK, "GET large");
        command->ctx = &tally;
        command->done = count;
        command->deadline_ms = mtci_boot_ms() + 60000;
        mtci_queue_push(&commands, command);
        tally.open++;
    }
    mtc_value_free(&value);
    mtci_client_submit(client, &commands);
    mtci_awaited awaited = {none_open, &tally};
    mtci_client_drive(client, &awaited, mtci_boot_ms() + 60000);
    assert_int_equal(tally.open, 0);
    assert_int_equal(tally.failed, 0);
    mtci_client_free(client);
}

static void what_nobody_waits_for_is_done_by_pumping(void **state)
{
    mtci_redis_client *client = open_client(*state);
    mtci_command_queue commands = {0};
    tally tally = {.open = 1};
    mtci_redis_command *command =
        redis_rig_command(MTCI_REPLY_STATUS, "SET pumped v");
    command->ctx = &tally;
    command->done = count;
    command->deadline_ms = mtci_boot_ms() + CALL_MS;
    mtci_queue_push(&commands, command);
    mtci_client_submit(client, &commands);
    int64_t until_ms = mtci_boot_ms() + CALL_MS;
    while (tally.open > 0 && mtci_boot_ms() < until_ms)
        mtci_client_drive(client, NULL, 0);
    assert_int_equal(tally.open, 0);
    assert_int_equal(tally.failed, 0);
    mtci_client_free(client);
}

/* -- a server that hangs, dies, comes back -------------------------------- */

static mtc_status try_get(mtci_redis_client *client, int64_t wait_ms)
{
    char failure[MTCI_CALL_FAILURE_SIZE];
    mtci_reply reply;
    mtc_status status =
        mtci_redis_call(client,
                        redis_rig_command(MTCI_REPLY_BULK | MTCI_REPLY_NIL,
                                          "GET here"),
                        mtci_boot_ms() + wait_ms, failure, &reply);
    mtci_reply_fini(&reply);
    return status;
}

/* Asks until the server answers again. */
static void expect_recovery(mtci_redis_client *client)
{
    int64_t until_ms = mtci_boot_ms() + RECOVERY_MS;
    while (try_get(client, 500) != MTC_OK)
        assert_true(mtci_boot_ms() < until_ms);
}

static void a_hanging_server_costs_a_deadline_and_then_nothing(void **state)
{
    test_server *server = *state;
    mtci_redis_client *client = open_client(server);
    expect_answer(client, MTCI_REPLY_STATUS, "SET here v", "+OK");
    test_server_pause(server);
    assert_int_equal(try_get(client, 30), MTC_E_TIMEOUT);
    /* In time the connection is given up, and callers are told at once. */
    int64_t until_ms = mtci_boot_ms() + RECOVERY_MS;
    while (try_get(client, 30) != MTC_E_UNAVAILABLE)
        assert_true(mtci_boot_ms() < until_ms);
    test_server_resume(server);
    expect_recovery(client);
    expect_answer(client, MTCI_REPLY_BULK, "GET here", "v");
    mtci_client_free(client);
}

static void a_hang_shorter_than_the_stall_limit_loses_nothing(void **state)
{
    test_server *server = *state;
    mtci_redis_client *client = open_client(server);
    expect_answer(client, MTCI_REPLY_STATUS, "SET here v", "+OK");
    test_server_pause(server);
    assert_int_equal(try_get(client, 30), MTC_E_TIMEOUT);
    test_server_resume(server);
    /* The late reply comes first and goes to nobody. */
    expect_answer(client, MTCI_REPLY_BULK, "ECHO mine", "mine");
    mtci_client_free(client);
}

static void a_server_that_dies_and_comes_back_is_used_again(void **state)
{
    test_server *server = *state;
    mtci_redis_client *client = open_client(server);
    expect_answer(client, MTCI_REPLY_STATUS, "SET here v", "+OK");
    test_server_kill(server);
    assert_int_equal(try_get(client, 5000), MTC_E_UNAVAILABLE);
    assert_int_equal(try_get(client, 5000), MTC_E_UNAVAILABLE);
    assert_true(test_server_restart(server));
    expect_recovery(client);
    mtci_client_free(client);
}

static void a_connection_closed_at_rest_is_replaced_unnoticed(void **state)
{
    test_server *server = *state;
    mtci_redis_client *client = open_client(server);
    mtci_redis_client *other = open_client(server);
    expect_answer(client, MTCI_REPLY_STATUS, "SET here v", "+OK");
    expect_answer(other, MTCI_REPLY_INTEGER,
                  "CLIENT KILL TYPE normal SKIPME yes", ":1");
    struct timespec pause = {1, 100000000}; /* MTCI_CONN_IDLE_MS */
    nanosleep(&pause, NULL);
    expect_answer(client, MTCI_REPLY_STATUS, "SET here w", "+OK");
    mtci_client_free(other);
    mtci_client_free(client);
}

/* -- logging in ----------------------------------------------------------- */

static void login(test_server *server, const char *user, const char *password,
                  int64_t db, const char *answer)
{
    char text[TEXT_SIZE];
    mtci_redis_client *client = open_client(server);
    mtci_redis_settings *settings = mtci_client_settings(client);
    snprintf(settings->user, sizeof settings->user, "%s", user);
    snprintf(settings->password, sizeof settings->password, "%s", password);
    settings->db = db;
    redis_rig_ask(client, MTCI_REPLY_STATUS, "SET here v", text, sizeof text);
    if (strncmp(text, answer, strlen(answer)) != 0)
        fail_msg("\"%s\" is not \"%s...\"", text, answer);
    assert_null(strstr(text, "S3CR3T"));
    mtci_client_free(client);
}

static void a_login_is_checked_and_a_refusal_says_so(void **state)
{
    (void)state;
    test_server_require(TEST_REDIS);
    test_server server;
    const char *const args[] = {"--requirepass", "right", NULL};
    assert_true(test_server_start(&server, TEST_REDIS, args));
    login(&server, "", "right", 0, "+OK");
    login(&server, "default", "right", 3, "+OK");
    login(&server, "", "S3CR3T", 0, "E_DENIED AUTH was refused: WRONGPASS");
    login(&server, "nobody", "S3CR3T", 0, "E_DENIED AUTH was refused");
    login(&server, "", "", 0, "E_DENIED");
    login(&server, "", "right", 99, "E_UNAVAILABLE SELECT was refused");
    test_server_stop(&server);
}

static void a_database_is_selected_before_any_command(void **state)
{
    test_server *server = *state;
    mtci_redis_client *zero = open_client(server);
    mtci_redis_client *five = open_client(server);
    mtci_client_settings(five)->db = 5;
    expect_answer(five, MTCI_REPLY_STATUS, "SET only-in-five v", "+OK");
    expect_answer(zero, MTCI_REPLY_NIL, "GET only-in-five", "nil");
    expect_answer(five, MTCI_REPLY_BULK, "GET only-in-five", "v");
    mtci_client_free(zero);
    mtci_client_free(five);
}

/* A bare chroot has no /etc/hosts and knows no name at all. */
static const char *own_host(void)
{
    struct addrinfo *found;
    if (getaddrinfo("localhost", NULL, NULL, &found) != 0)
        return "127.0.0.1";
    freeaddrinfo(found);
    return "localhost";
}

static void names_and_sockets_are_addresses_too(void **state)
{
    test_server *server = *state;
    mtci_redis_client *client = open_client(server);
    snprintf(mtci_client_settings(client)->address.host, 16, "%s", own_host());
    expect_answer(client, MTCI_REPLY_STATUS, "PING", "+PONG");
    mtci_client_free(client);
    client = open_client(server);
    snprintf(mtci_client_settings(client)->path, 96, "%s", server->socket_path);
    expect_answer(client, MTCI_REPLY_STATUS, "PING", "+PONG");
    mtci_client_free(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_share_a_connection_and_get_their_own_replies),
        cmocka_unit_test(callers_that_leave_early_do_not_shift_replies),
        cmocka_unit_test(
            large_sets_and_gets_progress_when_both_buffers_are_full),
        cmocka_unit_test(what_nobody_waits_for_is_done_by_pumping),
        cmocka_unit_test(a_hanging_server_costs_a_deadline_and_then_nothing),
        cmocka_unit_test(a_hang_shorter_than_the_stall_limit_loses_nothing),
        cmocka_unit_test(a_server_that_dies_and_comes_back_is_used_again),
        cmocka_unit_test(a_connection_closed_at_rest_is_replaced_unnoticed),
        cmocka_unit_test(a_login_is_checked_and_a_refusal_says_so),
        cmocka_unit_test(a_database_is_selected_before_any_command),
        cmocka_unit_test(names_and_sockets_are_addresses_too),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
