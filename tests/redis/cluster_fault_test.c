/*
 * labels: quick unit
 *
 * The cluster against scripted nodes that redirect without end, to nowhere, or
 * talk nonsense.
 */
#include "redis/cluster.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "redis/call.h"
#include "support/fake_server.h"
#include "support/redis_rig.h"

#define ANY                                                                    \
    (MTCI_REPLY_NIL | MTCI_REPLY_STATUS | MTCI_REPLY_INTEGER |                 \
     MTCI_REPLY_BULK | MTCI_REPLY_ARRAY)
#define NODES_MAX 2
#define ASK_MS    2000
/* The slot of the key "foo". */
#define SLOT "12182"

/* Scripted nodes and a cluster that knows the first. */
typedef struct rig {
    fake_server *nodes[NODES_MAX];
    mtci_redis_cluster *cluster;
} rig;

static rig the_rig;
/* For the scripts; set before the first command. */
static _Atomic int the_ports[NODES_MAX];
static _Atomic int the_moves;

static int port_of(int node)
{
    return the_ports[node];
}

static bool say(fake_server *server, const char *format, int port)
{
    char text[512];
    snprintf(text, sizeof text, format, port);
    return fake_send(server, text);
}

/* All slots are with one node. */
static bool tell_map(fake_server *server, int node)
{
    return fake_expect(server, "CLUSTER SLOTS") &&
           say(server, "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$-1\r\n:%d\r\n",
               port_of(node));
}

static void begin(fake_script first, fake_script second)
{
    the_rig = (rig){.cluster = NULL};
    the_moves = 0;
    the_rig.nodes[0] = fake_server_start(first, NULL);
    assert_non_null(the_rig.nodes[0]);
    the_ports[0] = fake_server_port(the_rig.nodes[0]);
    if (second) {
        the_rig.nodes[1] = fake_server_start(second, NULL);
        assert_non_null(the_rig.nodes[1]);
        the_ports[1] = fake_server_port(the_rig.nodes[1]);
    }
    mtci_redis_settings settings = redis_rig_settings(1);
    mtci_address seed = {"127.0.0.1", port_of(0)};
    assert_int_equal(mtci_cluster_new(&settings, &seed, 1, &the_rig.cluster),
                     MTC_OK);
}

static void end(void)
{
    mtci_cluster_free(the_rig.cluster);
    for (int i = 0; i < NODES_MAX; i++) {
        const char *deviation =
            the_rig.nodes[i] ? fake_server_stop(the_rig.nodes[i]) : NULL;
        if (deviation)
            fail_msg("%s", deviation);
    }
}

static mtc_status ask_until(const char *words, bool is_read, int64_t until_ms,
                            char failure[MTCI_CALL_FAILURE_SIZE])
{
    mtci_redis_target target = {.cluster = the_rig.cluster,
                                .key = mtc_str("foo")};
    mtci_redis_command *command = redis_rig_command(ANY, words);
    mtci_reply reply;
    command->is_retryable = is_read;
    mtc_status status =
        mtci_redis_call_at(&target, command, until_ms, failure, &reply);
    if (status == MTC_OK)
        snprintf(failure, MTCI_CALL_FAILURE_SIZE, "%.*s",
                 (int)mtci_reply_slice(&reply).size,
                 (const char *)mtci_reply_slice(&reply).data);
    mtci_reply_fini(&reply);
    return status;
}

static mtc_status ask(const char *words, bool is_read,
                      char text[MTCI_CALL_FAILURE_SIZE])
{
    return ask_until(words, is_read, mtci_boot_ms() + ASK_MS, text);
}

static void expect_text(const char *words, const char *text)
{
    char answer[MTCI_CALL_FAILURE_SIZE];
    assert_int_equal(ask(words, true, answer), MTC_OK);
    assert_string_equal(answer, text);
}

/* -- MOVED ---------------------------------------------------------------- */

static void move_to_second(fake_server *server, void *ctx)
{
    (void)ctx;
    if (fake_greet(server) && tell_map(server, 0) &&
        fake_expect(server, "GET foo"))
        say(server, "-MOVED " SLOT " :%d\r\n", port_of(1));
    fake_silence(server);
}

static void answer_twice(fake_server *server, void *ctx)
{
    (void)ctx;
    if (fake_greet(server) && fake_expect(server, "GET foo") &&
        fake_send(server, "$1\r\n1\r\n") && fake_expect(server, "GET foo"))
        fake_send(server, "$1\r\n2\r\n");
    fake_silence(server);
}

static void moved_is_followed_and_remembered(void **state)
{
    (void)state;
    begin(move_to_second, answer_twice);
    expect_text("GET foo", "1");
    expect_text("GET foo", "2");
    end();
}

static void always_moved(fake_server *server, void *ctx)
{
    (void)ctx;
    if (!fake_greet(server))
        return;
    int other = fake_server_port(server) == port_of(0) ? 1 : 0;
    if (other == 1 && !tell_map(server, 0))
        return;
    while (fake_expect(server, "SET foo 1") &&
           say(server, "-MOVED " SLOT " 127.0.0.1:%d\r\n", port_of(other)))
        the_moves++;
}

static void a_loop_of_moved_ends(void **state)
{
    char text[MTCI_CALL_FAILURE_SIZE];
    (void)state;
    begin(always_moved, always_moved);
    assert_int_equal(ask("SET foo 1", false, text), MTC_E_UNAVAILABLE);
    assert_non_null(strstr(text, "from node to node too often"));
    assert_non_null(strstr(text, "127.0.0.1:"));
    end();
    assert_int_equal(the_moves, 1 + 5); /* followed five times */
}

static void move_to_nowhere(fake_server *server, void *ctx)
{
    (void)ctx;
    if (fake_greet(server) && tell_map(server, 0) &&
        fake_expect(server, "SET foo 1"))
        say(server, "-MOVED " SLOT " 127.0.0.1:%d\r\n", 1);
    fake_silence(server);
}

static void moved_to_an_unreachable_host_is_unavailable(void **state)
{
    char text[MTCI_CALL_FAILURE_SIZE];
    (void)state;
    begin(move_to_nowhere, NULL);
    assert_int_equal(ask("SET foo 1", false, text), MTC_E_UNAVAILABLE);
    assert_non_null(strstr(text, "127.0.0.1:1: cannot connect"));
    end();
}

static void move_another_slot(fake_server *server, void *ctx)
{
    (void)ctx;
    if (fake_greet(server) && tell_map(server, 0) &&
        fake_expect(server, "SET foo 1"))
        fake_send(server, "-MOVED 1 127.0.0.1:1\r\n");
    fake_silence(server);
}

static void moved_for_another_slot_is_an_error(void **state)
{
    char text[MTCI_CALL_FAILURE_SIZE];
    (void)state;
    begin(move_another_slot, NULL);
    assert_int_equal(ask("SET foo 1", false, text), MTC_E_UNAVAILABLE);
    assert_non_null(strstr(text, "MOVED 1 127.0.0.1:1"));
    end();
}

/* -- ASK ------------------------------------------------------------------ */

static void ask_second_once(fake_server *server, void *ctx)
{
    (void)ctx;
    if (fake_greet(server) && tell_map(server, 0) &&
        fake_expect(server, "GET foo") &&
        say(server, "-ASK " SLOT " 127.0.0.1:%d\r\n", port_of(1)) &&
        fake_expect(server, "GET foo"))
        fake_send(server, "$4\r\nhere\r\n");
    fake_silence(server);
}

static void expect_asking(fake_server *server, void *ctx)
{
    (void)ctx;
    if (fake_greet(server) && fake_expect(server, "ASKING") &&
        fake_expect(server, "GET foo"))
        fake_send(server, "+OK\r\n$5\r\nthere\r\n");
    fake_silence(server);
}

static void ask_is_followed_and_not_remembered(void **state)
{
    (void)state;
    begin(ask_second_once, expect_asking);
    expect_text("GET foo", "there");
    expect_text("GET foo", "here");
    end();
}

/* -- pauses --------------------------------------------------------------- */

static void try_again_twice(fake_server *server, void *ctx)
{
    (void)ctx;
    if (fake_greet(server) && tell_map(server, 0) &&
        fake_expect(server, "SET foo 1") &&
        fake_send(server, "-TRYAGAIN later\r\n") &&
        fake_expect(server, "SET foo 1") &&
        fake_send(server, "-CLUSTERDOWN The cluster is down\r\n") &&
        fake_expect(server, "SET foo 1"))
        fake_send(server, "+OK\r\n");
    fake_silence(server);
}

static void tryagain_and_clusterdown_are_tried_again(void **state)
{
    char text[MTCI_CALL_FAILURE_SIZE];
    (void)state;
    begin(try_again_twice, NULL);
    assert_int_equal(ask("SET foo 1", false, text), MTC_OK);
    end();
}

static void always_down(fake_server *server, void *ctx)
{
    (void)ctx;
    if (!fake_greet(server) || !tell_map(server, 0))
        return;
    while (fake_expect(server, "SET foo 1") &&
           fake_send(server, "-CLUSTERDOWN The cluster is down\r\n")) {
    }
}

static void clusterdown_ends_at_the_deadline(void **state)
{
    char text[MTCI_CALL_FAILURE_SIZE];
    (void)state;
    begin(always_down, NULL);
    assert_int_equal(ask_until("SET foo 1", false, mtci_boot_ms() + 100, text),
                     MTC_E_TIMEOUT);
    end();
}

/* -- the order of writes -------------------------------------------------- */

/* The first write is refused for a while; the second must not come first. */
static void pause_the_first(fake_server *server, void *ctx)
{
    (void)ctx;
    if (fake_greet(server) && tell_map(server, 0) &&
        fake_expect(server, "SET foo 1") &&
        fake_send(server, "-TRYAGAIN later\r\n") &&
        fake_expect(server, "SET foo 1") && fake_send(server, "+OK\r\n") &&
        fake_expect(server, "SET foo 2") && fake_send(server, "+OK\r\n") &&
        fake_expect(server, "GET foo"))
        fake_send(server, "$1\r\n2\r\n");
    fake_silence(server);
}

typedef struct sent {
    uint64_t place;
    bool is_done;
    mtc_status status;
} sent;

static void note(mtci_redis_command *command)
{
    sent *sent = command->ctx;
    sent->status = command->status;
    sent->is_done = true;
    mtci_command_free(command);
}

static bool has_come(const void *ctx)
{
    const sent *sent = ctx;
    return sent->is_done;
}

static void push(mtci_command_queue *queue, const char *words, sent *sent)
{
    mtci_redis_command *command = redis_rig_command(ANY, words);
    command->ctx = sent;
    command->done = note;
    command->deadline_ms = mtci_boot_ms() + ASK_MS;
    command->is_retryable = strncmp(words, "GET", 3) == 0;
    mtci_cluster_route(the_rig.cluster, command, mtc_str("foo"), &sent->place);
    mtci_queue_push(queue, command);
}

static void a_write_that_is_refused_is_not_overtaken(void **state)
{
    sent sent[3] = {{0}};
    mtci_command_queue queue = {0};
    (void)state;
    begin(pause_the_first, NULL);
    push(&queue, "SET foo 1", &sent[0]);
    push(&queue, "SET foo 2", &sent[1]);
    push(&queue, "GET foo", &sent[2]);
    mtci_cluster_submit(the_rig.cluster, &queue);
    mtci_awaited awaited = {has_come, &sent[2]};
    mtci_cluster_drive(the_rig.cluster, &sent[2].place, &awaited,
                       mtci_boot_ms() + ASK_MS);
    for (int i = 0; i < 3; i++) {
        assert_true(sent[i].is_done);
        assert_int_equal(sent[i].status, MTC_OK);
    }
    end();
}

/* -- a write whose fate is unknown ---------------------------------------- */

static void hang_up_on_write(fake_server *server, void *ctx)
{
    (void)ctx;
    if (fake_greet(server) && tell_map(server, 0) &&
        fake_expect(server, "SET foo 1"))
        fake_finish(server);
    /* The map is asked for anew; the write is not sent again. */
    if (fake_greet(server) && tell_map(server, 0))
        fake_silence(server);
}

static void a_write_that_may_have_happened_is_not_sent_again(void **state)
{
    char text[MTCI_CALL_FAILURE_SIZE];
    (void)state;
    begin(hang_up_on_write, NULL);
    assert_int_equal(ask("SET foo 1", false, text), MTC_E_UNAVAILABLE);
    end();
}

/* -- the map -------------------------------------------------------------- */

static const char *const NONSENSE[] = {
    "*0\r\n",
    "*1\r\n:1\r\n",
    "*1\r\n*3\r\n:5\r\n:1\r\n*2\r\n$1\r\nh\r\n:1\r\n",
    "*1\r\n*3\r\n:0\r\n:99999\r\n*2\r\n$1\r\nh\r\n:1\r\n",
    "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\n?\r\n:1\r\n",
    "-ERR This instance has cluster support disabled\r\n",
    ":1\r\n",
    "*1\r\n*3\r\n:0\r\n!\r\n",
};

static const char *the_nonsense;

static void talk_nonsense(fake_server *server, void *ctx)
{
    (void)ctx;
    while (fake_greet(server))
        if (fake_expect(server, "CLUSTER SLOTS"))
            fake_send(server, the_nonsense);
}

static void a_map_that_makes_no_sense_is_unavailable(void **state)
{
    char text[MTCI_CALL_FAILURE_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof NONSENSE / sizeof *NONSENSE; i++) {
        the_nonsense = NONSENSE[i];
        begin(talk_nonsense, NULL);
        assert_int_equal(ask("GET foo", true, text), MTC_E_UNAVAILABLE);
        assert_non_null(strstr(text, "127.0.0.1:"));
        end();
    }
}

static void answer_with_map(fake_server *server, void *ctx)
{
    (void)ctx;
    if (fake_greet(server) && tell_map(server, 1) &&
        fake_expect(server, "GET foo"))
        fake_send(server, "$2\r\nok\r\n");
    fake_silence(server);
}

static void another_node_is_asked_when_one_talks_nonsense(void **state)
{
    char text[MTCI_CALL_FAILURE_SIZE];
    (void)state;
    the_nonsense = NONSENSE[1];
    begin(talk_nonsense, answer_with_map);
    mtci_redis_settings settings = redis_rig_settings(1);
    mtci_address seeds[3] = {{"127.0.0.1", 1},
                             {"127.0.0.1", port_of(0)},
                             {"127.0.0.1", port_of(1)}};
    mtci_cluster_free(the_rig.cluster);
    mtci_cluster_new(&settings, seeds, 3, &the_rig.cluster);
    assert_int_equal(ask("GET foo", true, text), MTC_OK);
    assert_string_equal(text, "ok");
    end();
}

static void without_any_node_a_command_fails_and_names_one(void **state)
{
    char text[MTCI_CALL_FAILURE_SIZE];
    (void)state;
    mtci_redis_settings settings = redis_rig_settings(1);
    mtci_address seed = {"127.0.0.1", 1};
    the_rig = (rig){.cluster = NULL};
    mtci_cluster_new(&settings, &seed, 1, &the_rig.cluster);
    assert_int_equal(ask("GET foo", true, text), MTC_E_UNAVAILABLE);
    assert_non_null(strstr(text, "127.0.0.1:1: cannot connect"));
    assert_int_equal(ask("SET foo 1", false, text), MTC_E_UNAVAILABLE);
    end();
}

static void freeing_ends_what_is_parked_and_held(void **state)
{
    sent sent[3] = {{0}};
    mtci_command_queue queue = {0};
    (void)state;
    mtci_redis_settings settings = redis_rig_settings(1);
    mtci_address seed = {"127.0.0.1", 1};
    the_rig = (rig){.cluster = NULL};
    mtci_cluster_new(&settings, &seed, 1, &the_rig.cluster);
    push(&queue, "SET foo 1", &sent[0]);
    push(&queue, "SET foo 2", &sent[1]);
    push(&queue, "GET foo", &sent[2]);
    mtci_cluster_submit(the_rig.cluster, &queue);
    mtci_cluster_free(the_rig.cluster);
    for (int i = 0; i < 3; i++)
        assert_int_equal(sent[i].status, MTC_E_CLOSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moved_is_followed_and_remembered),
        cmocka_unit_test(a_loop_of_moved_ends),
        cmocka_unit_test(moved_to_an_unreachable_host_is_unavailable),
        cmocka_unit_test(moved_for_another_slot_is_an_error),
        cmocka_unit_test(ask_is_followed_and_not_remembered),
        cmocka_unit_test(tryagain_and_clusterdown_are_tried_again),
        cmocka_unit_test(clusterdown_ends_at_the_deadline),
        cmocka_unit_test(a_write_that_is_refused_is_not_overtaken),
        cmocka_unit_test(a_write_that_may_have_happened_is_not_sent_again),
        cmocka_unit_test(a_map_that_makes_no_sense_is_unavailable),
        cmocka_unit_test(another_node_is_asked_when_one_talks_nonsense),
        cmocka_unit_test(without_any_node_a_command_fails_and_names_one),
        cmocka_unit_test(freeing_ends_what_is_parked_and_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
