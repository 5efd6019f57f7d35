/*
 * labels: quick unit
 *
 * The search for the master, with scripted sentinels and servers.
 */
#include "redis/client.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>

#include "redis/call.h"
#include "redis/master.h"
#include "support/fake_server.h"
#include "support/redis_rig.h"

#define TEXT_SIZE 256
#define ASK_MS    10000

/* -- peers ---------------------------------------------------------------- */

/* Takes the four questions, and answers the one for the master. */
static bool answer(fake_server *server, const char *found, const char *others)
{
    return fake_expect(server, "UNSUBSCRIBE +switch-master") &&
           fake_expect(server, "SENTINEL GET-MASTER-ADDR-BY-NAME mymaster") &&
           fake_expect(server, "SENTINEL SENTINELS mymaster") &&
           fake_expect(server, "SUBSCRIBE +switch-master") &&
           fake_send(server, "*3\r\n$11\r\nunsubscribe\r\n"
                             "$14\r\n+switch-master\r\n:0\r\n") &&
           fake_send(server, found) && fake_send(server, others) &&
           fake_send(server, "*3\r\n$9\r\nsubscribe\r\n"
                             "$14\r\n+switch-master\r\n:1\r\n");
}

static const char *address_of(int port, char text[TEXT_SIZE])
{
    char number[16];
    int size = snprintf(number, sizeof number, "%d", port);
    snprintf(text, TEXT_SIZE, "*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%s\r\n", size,
             number);
    return text;
}

/* A sentinel that says this about the master, however often it is asked. */
typedef struct told {
    const char *found;
    const char *others; /* NULL: none */
    sem_t *asked;       /* posted when somebody comes; NULL: not */
} told;

static void tell(fake_server *server, void *ctx)
{
    const told *told = ctx;
    const char *others = told->others ? told->others : "*0\r\n";
    while (fake_greet(server)) {
        if (told->asked)
            sem_post(told->asked);
        while (answer(server, told->found, others)) {
        }
    }
}

static void be_silent(fake_server *server, void *ctx)
{
    (void)ctx;
    while (fake_accept(server))
        fake_silence(server);
}

static void pong(fake_server *server, void *ctx)
{
    (void)ctx;
    while (fake_greet(server))
        while (fake_expect(server, "PING") && fake_send(server, "+PONG\r\n")) {
        }
}

static fake_server *start(fake_script script, void *ctx)
{
    fake_server *server = fake_server_start(script, ctx);
    assert_non_null(server);
    return server;
}

static void stop(fake_server *server)
{
    const char *deviation = fake_server_stop(server);
    if (deviation)
        fail_msg("%s", deviation);
}

/* A port on which nobody listens. */
static int closed_port(void)
{
    fake_server *server = start(be_silent, NULL);
    int port = fake_server_port(server);
    stop(server);
    return port;
}

typedef struct asker {
    mtci_redis_settings settings;
    mtci_sentinel_settings sentinels;
    mtci_redis_client *client;
    int64_t ahead_ms; /* of boot time */
} asker;

static int64_t asker_ms(void *ctx)
{
    const asker *asker = ctx;
    return mtci_boot_ms() + asker->ahead_ms;
}

/* Settings that may be changed before open. */
static void prepare(asker *asker, int first, int second)
{
    const int ports[] = {first, second, 0};
    asker->settings = redis_rig_sentinels(ports, &asker->sentinels);
    asker->settings.protocol = 2; /* as the scripts greet */
    asker->settings.clock = (mtci_clock){asker_ms, asker, false};
    asker->ahead_ms = 0;
}

static void open(asker *asker)
{
    assert_int_equal(mtci_client_new(&asker->settings, &asker->client), MTC_OK);
}

static void begin(asker *asker, int first, int second)
{
    prepare(asker, first, second);
    open(asker);
}

static mtc_status ask(asker *asker, char text[TEXT_SIZE])
{
    char failure[MTCI_CALL_FAILURE_SIZE];
    mtci_reply reply;
    mtc_status status =
        mtci_redis_call(asker->client,
                        redis_rig_command(MTCI_REPLY_STATUS, "PING"),
                        asker_ms(asker) + ASK_MS, failure, &reply);
    mtci_reply_fini(&reply);
    snprintf(text, TEXT_SIZE, "%s", failure);
    return status;
}

static void expect_pong(asker *asker)
{
    char text[TEXT_SIZE];
    mtc_status status = ask(asker, text);
    if (status != MTC_OK)
        fail_msg("%s: %s", mtc_status_name(status), text);
}

/* -- asking --------------------------------------------------------------- */

static void a_sentinel_tells_where_the_master_is(void **state)
{
    (void)state;
    char address[TEXT_SIZE];
    fake_server *master = start(pong, NULL);
    told told = {.found = address_of(fake_server_port(master), address)};
    fake_server *sentinel = start(tell, &told);
    asker asker;
    begin(&asker, fake_server_port(sentinel), 0);
    expect_pong(&asker);
    expect_pong(&asker);
    mtci_client_free(asker.client);
    stop(sentinel);
    stop(master);
}

static void a_wrong_answer_is_passed_over(void **state)
{
    (void)state;
    static const char *const WRONG[] = {
        "*-1\r\n",
        "$-1\r\n",
        "-ERR No such master with that name\r\n",
        "+OK\r\n",
        ":1\r\n",
        "*0\r\n",
        "*1\r\n$9\r\n127.0.0.1\r\n",
        "*2\r\n$9\r\n127.0.0.1\r\n:6379\r\n",
        "*2\r\n$0\r\n\r\n$4\r\n6379\r\n",
        "*2\r\n$9\r\n127.0.0.1\r\n$1\r\n0\r\n",
        "*2\r\n$9\r\n127.0.0.1\r\n$5\r\n65536\r\n",
        "*2\r\n$9\r\n127.0.0.1\r\n$5\r\n6379x\r\n",
        "*2\r\n$9\r\n127.0.0.1\r\n$9\r\n636363636\r\n",
        "*2\r\n$9\r\n127.0",
        "*2\r\n$3\r\na\nb\r\n$4\r\n6379\r\n",
        "*2\r\n*0\r\n*0\r\n",
        "HTTP/1.1 400 Bad Request\r\n\r\n",
    };
    char address[TEXT_SIZE];
    fake_server *master = start(pong, NULL);
    told right = {.found = address_of(fake_server_port(master), address)};
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        told wrong = {.found = WRONG[i]};
        fake_server *first = start(tell, &wrong);
        fake_server *second = start(tell, &right);
        asker asker;
        begin(&asker, fake_server_port(first), fake_server_port(second));
        expect_pong(&asker);
        mtci_client_free(asker.client);
        stop(second);
        stop(first);
    }
    stop(master);
}

static void one_that_is_away_or_silent_is_passed_over(void **state)
{
    (void)state;
    char address[TEXT_SIZE];
    fake_server *master = start(pong, NULL);
    told right = {.found = address_of(fake_server_port(master), address)};
    fake_server *sentinel = start(tell, &right);
    fake_server *silent = start(be_silent, NULL);
    asker asker;
    begin(&asker, closed_port(), fake_server_port(sentinel));
    expect_pong(&asker);
    mtci_client_free(asker.client);
    begin(&asker, fake_server_port(silent), fake_server_port(sentinel));
    expect_pong(&asker);
    mtci_client_free(asker.client);
    stop(silent);
    stop(sentinel);
    stop(master);
}

static void expect_nobody_knows(int first, int second, const char *why)
{
    char text[TEXT_SIZE];
    asker asker;
    begin(&asker, first, second);
    assert_int_equal(ask(&asker, text), MTC_E_UNAVAILABLE);
    if (!strstr(text, why))
        fail_msg("\"%s\" does not say \"%s\"", text, why);
    mtci_client_free(asker.client);
}

static void when_nobody_knows_the_error_says_so(void **state)
{
    (void)state;
    told unknown = {.found = "*-1\r\n"};
    fake_server *sentinel = start(tell, &unknown);
    fake_server *silent = start(be_silent, NULL);
    expect_nobody_knows(fake_server_port(sentinel), 0, "do not know");
    expect_nobody_knows(closed_port(), 0, "cannot connect");
    expect_nobody_knows(fake_server_port(silent), 0, "no sentinel");
    expect_nobody_knows(fake_server_port(silent), fake_server_port(sentinel),
                        "do not know");
    stop(silent);
    stop(sentinel);
}

typedef struct outcome {
    bool is_done;
    mtc_status status;
    char failure[TEXT_SIZE];
} outcome;

static void note(mtci_redis_command *command)
{
    outcome *outcome = command->ctx;
    outcome->is_done = true;
    outcome->status = command->status;
    snprintf(outcome->failure, sizeof outcome->failure, "%s", command->failure);
    mtci_command_free(command);
}

static int64_t stepped_ms(void *ctx)
{
    return *(const int64_t *)ctx;
}

static void a_search_ends_when_its_time_is_over(void **state)
{
    (void)state;
    int64_t now_ms = 1000;
    outcome outcome = {.is_done = false};
    mtci_command_queue commands = {0};
    fake_server *silent = start(be_silent, NULL);
    asker asker;
    prepare(&asker, fake_server_port(silent), 0);
    asker.settings.clock = (mtci_clock){stepped_ms, &now_ms, false};
    open(&asker);
    mtci_redis_command *command = redis_rig_command(MTCI_REPLY_STATUS, "PING");
    command->ctx = &outcome;
    command->done = note;
    command->deadline_ms = now_ms + ASK_MS;
    mtci_queue_push(&commands, command);
    mtci_client_submit(asker.client, &commands);
    mtci_client_drive(asker.client, NULL, 0);
    now_ms += asker.settings.connect_ms - 1;
    mtci_client_drive(asker.client, NULL, 0);
    assert_false(outcome.is_done);
    now_ms++;
    mtci_client_drive(asker.client, NULL, 0);
    assert_true(outcome.is_done);
    assert_int_equal(outcome.status, MTC_E_UNAVAILABLE);
    assert_non_null(strstr(outcome.failure, "no sentinel tells"));
    mtci_client_free(asker.client);
    stop(silent);
}

/* Tells of another sentinel, and goes away for good when that is asked. */
static void tell_once(fake_server *server, void *ctx)
{
    const told *told = ctx;
    if (fake_greet(server))
        answer(server, told->found, told->others);
    sem_wait(told->asked);
}

static void a_sentinel_that_was_named_is_asked_as_well(void **state)
{
    (void)state;
    char address[TEXT_SIZE], others[TEXT_SIZE], number[16];
    sem_t asked;
    assert_int_equal(sem_init(&asked, 0, 0), 0);
    fake_server *master = start(pong, NULL);
    told right = {.found = address_of(fake_server_port(master), address),
                  .asked = &asked};
    fake_server *named = start(tell, &right);
    int size = snprintf(number, sizeof number, "%d", fake_server_port(named));
    snprintf(others, sizeof others,
             "*3\r\n+junk\r\n*1\r\n$2\r\nip\r\n*6\r\n$4\r\nname\r\n$1\r\nx\r\n"
             "$2\r\nip\r\n$9\r\n127.0.0.1\r\n$4\r\nport\r\n$%d\r\n%s\r\n",
             size, number);
    told only = {"*-1\r\n", others, &asked};
    fake_server *given = start(tell_once, &only);
    asker asker;
    begin(&asker, fake_server_port(given), 0);
    /* The first search may end before the one that was named has answered. */
    char text[TEXT_SIZE];
    int64_t until_ms = mtci_boot_ms() + ASK_MS;
    while (ask(&asker, text) != MTC_OK)
        assert_true(mtci_boot_ms() < until_ms);
    mtci_client_free(asker.client);
    stop(given);
    stop(named);
    stop(master);
    sem_destroy(&asked);
}

/* A sentinel that names itself. */
typedef struct narcissus {
    char found[TEXT_SIZE], others[TEXT_SIZE];
    _Atomic int accepted;
    sem_t has_told;
} narcissus;

static void name_itself(fake_server *server, void *ctx)
{
    narcissus *narcissus = ctx;
    while (fake_greet(server)) {
        atomic_fetch_add(&narcissus->accepted, 1);
        while (answer(server, narcissus->found, narcissus->others))
            sem_post(&narcissus->has_told);
    }
}

static fake_server *start_narcissus(narcissus *narcissus, int master)
{
    char number[16];
    assert_int_equal(sem_init(&narcissus->has_told, 0, 0), 0);
    fake_server *sentinel = start(name_itself, narcissus);
    address_of(master, narcissus->found);
    int size =
        snprintf(number, sizeof number, "%d", fake_server_port(sentinel));
    snprintf(narcissus->others, sizeof narcissus->others,
             "*1\r\n*4\r\n$2\r\nip\r\n$9\r\n127.0.0.1\r\n"
             "$4\r\nport\r\n$%d\r\n%s\r\n",
             size, number);
    return sentinel;
}

static void one_sentinel_under_two_names_is_one(void **state)
{
    (void)state;
    narcissus narcissus = {.accepted = 0};
    fake_server *master = start(pong, NULL);
    fake_server *sentinel =
        start_narcissus(&narcissus, fake_server_port(master));
    asker asker;
    prepare(&asker, fake_server_port(sentinel), 0);
    snprintf(asker.sentinels.addresses[0].host, 16, "127.1");
    open(&asker);
    expect_pong(&asker);
    sem_wait(&narcissus.has_told);
    for (int i = 0; i < 5; i++) {
        asker.ahead_ms += MTCI_MASTER_LOOK_MS;
        mtci_client_tend(asker.client);
        expect_pong(&asker);
    }
    mtci_client_free(asker.client);
    /* The next to be accepted, unless there was a second one before. */
    begin(&asker, fake_server_port(sentinel), 0);
    expect_pong(&asker);
    mtci_client_free(asker.client);
    assert_int_equal(narcissus.accepted, 2);
    stop(sentinel);
    stop(master);
    sem_destroy(&narcissus.has_told);
}

/* -- what a server must be ------------------------------------------------ */

static void be_replica(fake_server *server, void *ctx)
{
    _Atomic int *tries = ctx;
    while (fake_accept(server)) {
        if (!fake_expect(server, "ROLE") || !fake_expect(server, "CLIENT ID"))
            continue;
        atomic_fetch_add(tries, 1);
        fake_send(server, "*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:1\r\n"
                          "$9\r\nconnected\r\n:1\r\n:9\r\n");
        fake_silence(server);
    }
}

static void a_server_that_is_no_master_gets_no_command(void **state)
{
    (void)state;
    char address[TEXT_SIZE], text[TEXT_SIZE];
    _Atomic int tries = 0;
    fake_server *replica = start(be_replica, &tries);
    told told = {.found = address_of(fake_server_port(replica), address)};
    fake_server *sentinel = start(tell, &told);
    asker asker;
    begin(&asker, fake_server_port(sentinel), 0);
    assert_int_equal(ask(&asker, text), MTC_E_UNAVAILABLE);
    assert_non_null(strstr(text, "not a master"));
    assert_int_equal(tries, 1);
    mtci_client_free(asker.client);
    stop(sentinel);
    stop(replica);
}

/* -- moving --------------------------------------------------------------- */

/* Tells, waits for its turn, and says what it is given to say. */
typedef struct herald {
    char found[TEXT_SIZE];
    char message[4 * TEXT_SIZE];
    sem_t go, said;
} herald;

static void add_message(herald *herald, const char *channel, const char *text)
{
    size_t size = strlen(herald->message);
    snprintf(herald->message + size, sizeof herald->message - size,
             "*3\r\n$7\r\nmessage\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n",
             strlen(channel), channel, strlen(text), text);
}

static void proclaim(fake_server *server, void *ctx)
{
    herald *herald = ctx;
    if (!fake_greet(server) || !answer(server, herald->found, "*0\r\n"))
        return;
    sem_wait(&herald->go);
    fake_send(server, herald->message);
    sem_post(&herald->said);
    fake_silence(server);
}

typedef struct move {
    fake_server *from, *to, *sentinel;
    herald herald;
    asker asker;
} move;

/* Serves once: what is asked after the move is not for it. */
static void pong_once(fake_server *server, void *ctx)
{
    (void)ctx;
    if (fake_greet(server) && fake_expect(server, "PING") &&
        fake_send(server, "+PONG\r\n"))
        fake_silence(server);
}

/* No CLIENT KILL: the number of the former connection is another server's. */
static void pong_to_a_stranger(fake_server *server, void *ctx)
{
    _Atomic int *count = ctx;
    if (!fake_accept(server) || !fake_expect(server, "ROLE") ||
        !fake_expect(server, "CLIENT ID"))
        return;
    atomic_fetch_add(count, 1);
    fake_send(server, FAKE_MASTER ":9\r\n");
    while (fake_expect(server, "PING") && fake_send(server, "+PONG\r\n")) {
    }
}

static void begin_move(move *move, fake_script from, _Atomic int *count)
{
    memset(move, 0, sizeof *move);
    move->from = start(from, NULL);
    move->to = start(pong_to_a_stranger, count);
    address_of(fake_server_port(move->from), move->herald.found);
    assert_int_equal(sem_init(&move->herald.go, 0, 0), 0);
    assert_int_equal(sem_init(&move->herald.said, 0, 0), 0);
    move->sentinel = start(proclaim, &move->herald);
    begin(&move->asker, fake_server_port(move->sentinel), 0);
    expect_pong(&move->asker);
}

static void say(move *move)
{
    sem_post(&move->herald.go);
    sem_wait(&move->herald.said);
    move->asker.ahead_ms += MTCI_MASTER_LOOK_MS;
}

static void say_switch(move *move)
{
    char text[TEXT_SIZE];
    snprintf(text, sizeof text, "mymaster 127.0.0.1 %d 127.0.0.1 %d",
             fake_server_port(move->from), fake_server_port(move->to));
    add_message(&move->herald, "+switch-master", text);
    say(move);
}

static void end_move(move *move)
{
    mtci_client_free(move->asker.client);
    stop(move->sentinel);
    stop(move->from);
    stop(move->to);
    sem_destroy(&move->herald.go);
    sem_destroy(&move->herald.said);
}

static void after_a_switch_the_old_master_is_sent_nothing(void **state)
{
    (void)state;
    _Atomic int count = 0;
    move move;
    begin_move(&move, pong_once, &count);
    say_switch(&move);
    expect_pong(&move.asker);
    assert_int_equal(count, 1);
    end_move(&move);
}

static void at_rest_a_switch_is_heard_by_tending(void **state)
{
    (void)state;
    _Atomic int count = 0;
    move move;
    begin_move(&move, pong, &count);
    say_switch(&move);
    mtci_client_tend(move.asker.client);
    assert_null(fake_server_stop(move.sentinel));
    move.sentinel = start(be_silent, NULL);
    expect_pong(&move.asker);
    assert_int_equal(count, 1);
    end_move(&move);
}

static void other_messages_move_nothing(void **state)
{
    (void)state;
    _Atomic int count = 0;
    move move;
    begin_move(&move, pong, &count);
    herald *herald = &move.herald;
    add_message(herald, "+switch-master", "other 127.0.0.1 1 127.0.0.1 2");
    add_message(herald, "+switch-master", "mymaster 127.0.0.1 1 127.0.0.1");
    add_message(herald, "+switch-master", "mymaster 127.0.0.1 1 127.0.0.1 x");
    add_message(herald, "+switch-master", "mymaster 127.0.0.1 1 h 2 more");
    add_message(herald, "+switch-master", "");
    add_message(herald, "+sdown", "mymaster 127.0.0.1 1 127.0.0.1 2");
    say(&move);
    expect_pong(&move.asker);
    assert_int_equal(count, 0);
    end_move(&move);
}

typedef struct fickle {
    char before[TEXT_SIZE], after[TEXT_SIZE];
    sem_t go; /* the search has ended */
} fickle;

/* Its first connection ends; the next one says something else. */
static void change_its_mind(fake_server *server, void *ctx)
{
    fickle *fickle = ctx;
    if (!fake_greet(server) || !answer(server, fickle->before, "*0\r\n"))
        return;
    sem_wait(&fickle->go);
    fake_finish(server);
    while (fake_greet(server))
        while (answer(server, fickle->after, "*0\r\n")) {
        }
}

static void a_lost_sentinel_is_asked_and_listened_to_again(void **state)
{
    (void)state;
    char text[TEXT_SIZE];
    _Atomic int count = 0;
    fickle fickle;
    fake_server *from = start(pong, NULL);
    fake_server *to = start(pong_to_a_stranger, &count);
    address_of(fake_server_port(from), fickle.before);
    address_of(fake_server_port(to), fickle.after);
    assert_int_equal(sem_init(&fickle.go, 0, 0), 0);
    fake_server *sentinel = start(change_its_mind, &fickle);
    asker asker;
    begin(&asker, fake_server_port(sentinel), 0);
    expect_pong(&asker);
    sem_post(&fickle.go);
    int64_t until_ms = mtci_boot_ms() + ASK_MS;
    while (count == 0) {
        assert_true(mtci_boot_ms() < until_ms);
        mtci_client_tend(asker.client);
        fake_delay(10);
        ask(&asker, text); /* it may be on its way when the master moves */
    }
    expect_pong(&asker);
    mtci_client_free(asker.client);
    stop(sentinel);
    stop(from);
    stop(to);
    sem_destroy(&fickle.go);
}

/* -- a replica without sentinels ------------------------------------------ */

typedef struct replica {
    _Atomic int greeted;
} replica;

static void refuse_writes(fake_server *server, void *ctx)
{
    replica *replica = ctx;
    while (fake_greet(server)) {
        atomic_fetch_add(&replica->greeted, 1);
        while (fake_take(server, 1) &&
               fake_send(server, "-READONLY You can't write against a read "
                                 "only replica.\r\n")) {
        }
    }
}

static void a_replica_is_left_but_not_in_a_storm(void **state)
{
    (void)state;
    replica replica = {0};
    int64_t now_ms = 100000;
    char failure[MTCI_CALL_FAILURE_SIZE];
    mtci_reply reply;
    fake_server *server = start(refuse_writes, &replica);
    mtci_redis_settings settings = redis_rig_settings(fake_server_port(server));
    settings.clock = (mtci_clock){stepped_ms, &now_ms, false};
    mtci_redis_client *client = NULL;
    assert_int_equal(mtci_client_new(&settings, &client), MTC_OK);
    for (int i = 0; i < 60; i++) {
        assert_int_equal(mtci_redis_call(client,
                                         redis_rig_command(MTCI_REPLY_STATUS,
                                                           "SET a b"),
                                         now_ms + ASK_MS, failure, &reply),
                         MTC_E_UNAVAILABLE);
        assert_non_null(strstr(failure, "READONLY"));
        now_ms += 50;
    }
    /* Three seconds: the first connection, and one more each second. */
    assert_int_equal(replica.greeted, 4);
    mtci_client_free(client);
    stop(server);
}

/* -- passwords ------------------------------------------------------------ */

static void refuse_login(fake_server *server, void *ctx)
{
    (void)ctx;
    while (fake_accept(server)) {
        if (fake_expect(server, "AUTH me S3CR3T"))
            fake_send(server, "-WRONGPASS invalid S3CR3T\r\n");
        fake_silence(server);
    }
}

static void a_sentinels_password_is_in_no_text(void **state)
{
    (void)state;
    char text[TEXT_SIZE];
    fake_server *sentinel = start(refuse_login, NULL);
    asker asker;
    prepare(&asker, fake_server_port(sentinel), 0);
    snprintf(asker.sentinels.user, 16, "me");
    snprintf(asker.sentinels.password, 16, "S3CR3T");
    open(&asker);
    assert_int_equal(ask(&asker, text), MTC_E_DENIED);
    assert_string_equal(text, "a sentinel: AUTH was refused: WRONGPASS");
    mtci_client_free(asker.client);
    stop(sentinel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sentinel_tells_where_the_master_is),
        cmocka_unit_test(a_wrong_answer_is_passed_over),
        cmocka_unit_test(one_that_is_away_or_silent_is_passed_over),
        cmocka_unit_test(when_nobody_knows_the_error_says_so),
        cmocka_unit_test(a_search_ends_when_its_time_is_over),
        cmocka_unit_test(a_sentinel_that_was_named_is_asked_as_well),
        cmocka_unit_test(one_sentinel_under_two_names_is_one),
        cmocka_unit_test(a_server_that_is_no_master_gets_no_command),
        cmocka_unit_test(after_a_switch_the_old_master_is_sent_nothing),
        cmocka_unit_test(at_rest_a_switch_is_heard_by_tending),
        cmocka_unit_test(other_messages_move_nothing),
        cmocka_unit_test(a_lost_sentinel_is_asked_and_listened_to_again),
        cmocka_unit_test(a_replica_is_left_but_not_in_a_storm),
        cmocka_unit_test(a_sentinels_password_is_in_no_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
