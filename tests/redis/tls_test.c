/*
 * labels: quick server
 *
 * The client through TLS, against real servers with good and bad
 * certificates.
 */
#include "redis/client.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "redis/call.h"
#include "support/fake_server.h"
#include "support/proxy.h"
#include "support/redis_rig.h"
#include "support/server.h"
#include "support/tls_rig.h"

#define TEXT_SIZE   256
#define CALL_MS     60000
#define RECOVERY_MS 10000

static char dir[64];

static const char *file(const char *name)
{
    static char paths[8][128];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

/* A server that shows this certificate, asks for the client's or not, and
 * speaks these versions of TLS. */
static void start_versions(test_server *server, const char *name,
                           const char *clients, const char *versions)
{
    static char cert[128], key[128];
    test_server_require(TEST_REDIS_TLS);
    snprintf(cert, sizeof cert, "%s/%s.crt", dir, name);
    snprintf(key, sizeof key, "%s/%s.key", dir, name);
    const char *args[] = {"--tls-cert-file", cert, "--tls-key-file", key,
                          "--tls-ca-cert-file", file("ca.crt"),
                          "--tls-auth-clients", clients, "--tls-protocols",
                          versions,
                          /* Old versions are not even offered otherwise. */
                          "--tls-ciphers", "DEFAULT@SECLEVEL=0", NULL};
    assert_true(test_server_start(server, TEST_REDIS_TLS, args));
}

static void start(test_server *server, const char *name, const char *clients)
{
    start_versions(server, name, clients, "TLSv1.2 TLSv1.3");
}

static mtci_redis_client *open_client(int port)
{
    mtci_redis_client *client = redis_rig_client(port);
    assert_non_null(client);
    mtci_redis_settings *settings = mtci_client_settings(client);
    settings->connect_ms = 5000;
    settings->tls.is_on = true;
    snprintf(settings->tls.ca, sizeof settings->tls.ca, "%s", file("ca.crt"));
    return client;
}

static void expect_answer(mtci_redis_client *client, const char *words,
                          const char *answer)
{
    char text[TEXT_SIZE];
    redis_rig_ask(client, MTCI_REPLY_STATUS | MTCI_REPLY_BULK, words, text,
                  sizeof text);
    if (strncmp(text, answer, strlen(answer)) != 0)
        fail_msg("\"%s\" is not \"%s...\"", text, answer);
}

/* What a first command gets from a server with this certificate. */
static void expect_certificate(const char *name, const char *answer)
{
    test_server server;
    start(&server, name, "no");
    mtci_redis_client *client = open_client(server.port);
    expect_answer(client, "PING", answer);
    mtci_client_free(client);
    test_server_stop(&server);
}

static void a_good_certificate_is_accepted(void **state)
{
    (void)state;
    expect_certificate("good", "+PONG");
}

static void a_bad_certificate_is_refused_and_the_reason_is_said(void **state)
{
    (void)state;
    expect_certificate("expired", "E_DENIED the certificate has expired");
    expect_certificate("elsewhere",
                       "E_DENIED the certificate is for another host than "
                       "127.0.0.1; tls_name=HOST says for which it must be");
    expect_certificate("named", "E_DENIED the certificate is for another host");
    expect_certificate("self",
                       "E_DENIED the certificate is signed by itself alone");
    expect_certificate("stranger", "E_DENIED the certificate is not signed by "
                                   "a known authority");
}

static void the_system_knows_no_authority_of_ours(void **state)
{
    (void)state;
    test_server server;
    start(&server, "good", "no");
    mtci_redis_client *client = open_client(server.port);
    mtci_client_settings(client)->tls.ca[0] = '\0';
    expect_answer(client, "PING", "E_DENIED the certificate is not signed by");
    mtci_client_free(client);
    test_server_stop(&server);
}

static void the_name_to_verify_may_be_given(void **state)
{
    (void)state;
    test_server server;
    start(&server, "elsewhere", "no");
    mtci_redis_client *client = open_client(server.port);
    snprintf(mtci_client_settings(client)->tls.name, 32, "cache.example.");
    expect_answer(client, "PING", "+PONG");
    mtci_client_free(client);
    client = open_client(server.port);
    snprintf(mtci_client_settings(client)->tls.name, 32, "example");
    expect_answer(client, "PING",
                  "E_DENIED the certificate is for another "
                  "host than example (tls_name)");
    mtci_client_free(client);
    test_server_stop(&server);
}

static void insecure_accepts_any_certificate(void **state)
{
    (void)state;
    test_server server;
    start(&server, "self", "no");
    mtci_redis_client *client = open_client(server.port);
    mtci_client_settings(client)->tls.is_insecure = true;
    expect_answer(client, "PING", "+PONG");
    mtci_client_free(client);
    test_server_stop(&server);
}

static void expect_client_certificate(int port, const char *name,
                                      const char *answer)
{
    mtci_redis_client *client = open_client(port);
    mtci_tls_settings *tls = &mtci_client_settings(client)->tls;
    if (name) {
        snprintf(tls->cert, sizeof tls->cert, "%s/%s.crt", dir, name);
        snprintf(tls->key, sizeof tls->key, "%s/%s.key", dir, name);
    }
    expect_answer(client, "PING", answer);
    mtci_client_free(client);
}

static void a_client_certificate_is_shown_when_it_is_wanted(void **state)
{
    (void)state;
    test_server server;
    start(&server, "good", "yes");
    expect_client_certificate(server.port, "client", "+PONG");
    expect_client_certificate(server.port, NULL,
                              "E_DENIED the server wants a client certificate");
    expect_client_certificate(server.port, "stranger",
                              "E_DENIED the server does not know who signed");
    test_server_stop(&server);
}

static void files_that_cannot_be_used_are_named_at_once(void **state)
{
    (void)state;
    char url[512];
    mtc_error error;
    snprintf(url, sizeof url, "rediss://localhost?ca=%s", file("none.crt"));
    assert_null(redis_rig_tier(url, &error));
    assert_int_equal(error.status, MTC_E_UNAVAILABLE);
    assert_non_null(strstr(error.text, "none.crt"));
    snprintf(url, sizeof url, "valkeys://localhost?cert=%s&key=%s",
             file("good.crt"), file("locked.key"));
    assert_null(redis_rig_tier(url, &error));
    assert_non_null(strstr(error.text, "locked.key"));
    assert_null(redis_rig_tier("rediss://localhost?key=x", &error));
    assert_int_equal(error.status, MTC_E_INVALID);
    assert_null(redis_rig_tier("redis://localhost?tls_insecure=1", &error));
    assert_int_equal(error.status, MTC_E_INVALID);
    snprintf(url, sizeof url, "redis+tls://localhost?ca=%s", file("ca.crt"));
    mtc_tier *tier = redis_rig_tier(url, &error);
    assert_non_null(tier);
    tier->ops->close(tier);
}

static void every_scheme_has_one_through_tls(void **state)
{
    (void)state;
    static const char *const URLS[] = {
        "rediss://a",
        "valkeys://a",
        "redis+tls://a",
        "rediss+cluster://a,b:7",
        "valkeys+cluster://a,b:7",
        "rediss+sentinel://a,b/name",
        "valkeys+sentinel://a,b/name",
    };
    for (size_t i = 0; i < sizeof URLS / sizeof *URLS; i++) {
        char url[256];
        mtc_tier_config config = MTC_TIER_CONFIG_INIT;
        snprintf(url, sizeof url, "%s?ca=%s&tls_name=x", URLS[i],
                 file("ca.crt"));
        assert_int_equal(mtc_tier_open(url, NULL, &config), MTC_OK);
        config.tier->ops->close(config.tier);
        snprintf(url, sizeof url, "%s?ca=%s", URLS[i], file("none.crt"));
        assert_int_equal(mtc_tier_open(url, NULL, &config), MTC_E_UNAVAILABLE);
    }
    mtc_error error;
    assert_null(redis_rig_tier("redis+sentinel://a/name?ca=x", &error));
    assert_non_null(strstr(error.text, "are for rediss+sentinel://"));
}

/* -- one side alone speaks TLS -------------------------------------------- */

static void answer_plainly(fake_server *server, void *ctx)
{
    (void)ctx;
    if (fake_accept(server))
        fake_send(server, "-ERR Protocol error\r\n");
    fake_silence(server);
}

static void a_server_without_tls_is_told_apart(void **state)
{
    (void)state;
    fake_server *server = fake_server_start(answer_plainly, NULL);
    mtci_redis_client *client = open_client(fake_server_port(server));
    expect_answer(client, "PING",
                  "E_UNAVAILABLE the server does not speak TLS");
    mtci_client_free(client);
    assert_null(fake_server_stop(server));
}

static void an_old_version_of_tls_is_refused(void **state)
{
    (void)state;
    test_server server;
    start_versions(&server, "good", "no", "TLSv1.1");
    mtci_redis_client *client = open_client(server.port);
    expect_answer(client, "PING",
                  "E_UNAVAILABLE the server's TLS is older than 1.2");
    mtci_client_free(client);
    test_server_stop(&server);
}

static void never_answer(fake_server *server, void *ctx)
{
    (void)ctx;
    if (fake_accept(server))
        fake_silence(server);
}

static void a_handshake_has_a_deadline(void **state)
{
    (void)state;
    fake_server *server = fake_server_start(never_answer, NULL);
    mtci_redis_client *client = open_client(fake_server_port(server));
    mtci_client_settings(client)->connect_ms = 50;
    expect_answer(client, "PING", "E_UNAVAILABLE no TLS handshake in time");
    mtci_client_free(client);
    assert_null(fake_server_stop(server));
}

static void a_plain_client_is_told_of_rediss(void **state)
{
    (void)state;
    test_server server;
    char text[TEXT_SIZE];
    start(&server, "good", "no");
    mtci_redis_client *client = redis_rig_client(server.port);
    redis_rig_ask(client, MTCI_REPLY_STATUS, "PING", text, sizeof text);
    if (!strstr(text, "E_UNAVAILABLE") || !strstr(text, "rediss://"))
        fail_msg("%s", text);
    mtci_client_free(client);
    test_server_stop(&server);
}

/* -- values --------------------------------------------------------------- */

typedef struct tally {
    size_t open, failed;
    mtc_slice expected;
} tally;

static void count(mtci_redis_command *command)
{
    tally *tally = command->ctx;
    const mtci_reply *reply = &command->replies[0];
    bool is_right = command->status == MTC_OK;
    if (is_right && reply->type == MTCI_REPLY_BULK) {
        mtc_slice got = mtci_reply_slice(reply);
        is_right = got.size == tally->expected.size &&
                   memcmp(got.data, tally->expected.data, got.size) == 0;
    }
    tally->failed += !is_right;
    tally->open--;
    mtci_command_free(command);
}

static bool none_open(const void *ctx)
{
    const tally *tally = ctx;
    return tally->open == 0;
}

static mtci_redis_command *set_of(const mtc_value *value)
{
    mtci_redis_command *command = mtci_command_new(MTCI_REPLY_STATUS);
    mtci_resp_begin(&command->bytes, 3);
    mtci_resp_add_text(&command->bytes, "SET");
    mtci_resp_add_text(&command->bytes, "key");
    mtci_resp_open(&command->bytes, value->size);
    command->split = command->bytes.size;
    mtci_resp_close(&command->bytes);
    assert_int_equal(mtc_value_share(value, &command->payload), MTC_OK);
    return command;
}

static void add(mtci_command_queue *commands, mtci_redis_command *command,
                tally *tally)
{
    command->ctx = tally;
    command->done = count;
    command->deadline_ms = mtci_boot_ms() + CALL_MS;
    mtci_queue_push(commands, command);
    tally->open++;
}

static mtc_value random_value(size_t size)
{
    mtc_value value;
    void *bytes;
    uint64_t random = 88172645463325252u;
    assert_int_equal(mtc_value_new(size, &bytes, &value), MTC_OK);
    for (size_t i = 0; i < size; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        ((char *)bytes)[i] = (char)random;
    }
    return value;
}

/* SETs of a value of this size, each followed by GETs of it, in one go. */
static void both_ways(mtci_redis_client *client, size_t size, size_t sets,
                      size_t gets)
{
    mtci_command_queue commands = {0};
    mtc_value value = random_value(size);
    tally tally = {.expected = mtc_bytes(value.data, value.size)};
    for (size_t i = 0; i < sets; i++) {
        add(&commands, set_of(&value), &tally);
        for (size_t j = 0; j < gets; j++)
            add(&commands, redis_rig_command(MTCI_REPLY_BULK, "GET key"),
                &tally);
    }
    mtci_client_submit(client, &commands);
    mtci_awaited awaited = {none_open, &tally};
    mtci_client_drive(client, &awaited, mtci_boot_ms() + CALL_MS);
    assert_int_equal(tally.open, 0);
    assert_int_equal(tally.failed, 0);
    mtc_value_free(&value);
}

static void values_of_every_size_pass_both_ways(void **state)
{
    (void)state;
    static const size_t SIZES[] = {
        0,     1,     16300,      16383,           16384,          16385,
        32768, 65536, 262144 + 7, (size_t)1 << 20, (size_t)5 << 20};
    test_server server;
    start(&server, "good", "no");
    mtci_redis_client *client = open_client(server.port);
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++)
        both_ways(client, SIZES[i], 2, 2);
    mtci_client_free(client);
    test_server_stop(&server);
}

/* Not with replies of some kilobytes: when those back up, Redis 7.0 itself
 * resets the connection ("SSL routines::bad length" in its log). */
static void long_pipelines_progress_when_both_buffers_are_full(void **state)
{
    (void)state;
    test_server server;
    start(&server, "good", "no");
    mtci_redis_client *client = open_client(server.port);
    both_ways(client, (size_t)1 << 20, 60, 1);
    both_ways(client, 10, 2000, 2);
    mtci_client_free(client);
    test_server_stop(&server);
}

/* -- the wire ------------------------------------------------------------- */

typedef struct wire {
    test_server server;
    test_proxy *proxy;
} wire;

/* A server behind a proxy; a client of it. */
static mtci_redis_client *begin_wire(wire *wire)
{
    start(&wire->server, "good", "no");
    wire->proxy = test_proxy_start(wire->server.port, NULL);
    assert_non_null(wire->proxy);
    return open_client(test_proxy_port(wire->proxy));
}

static void end_wire(wire *wire, mtci_redis_client *client)
{
    mtci_client_free(client);
    test_proxy_stop(wire->proxy);
    test_server_stop(&wire->server);
}

static void records_may_come_byte_by_byte(void **state)
{
    (void)state;
    wire wire;
    mtci_redis_client *client = begin_wire(&wire);
    test_proxy_split(wire.proxy, 1);
    both_ways(client, 20000, 1, 1);
    end_wire(&wire, client);
}

static void an_end_within_a_record_is_a_lost_connection(void **state)
{
    (void)state;
    static const size_t CUTS[] = {1, 3, 5, 6, 100, 16406, 16408, 70001};
    wire wire;
    mtci_redis_client *client = begin_wire(&wire);
    both_ways(client, 200000, 1, 0);
    for (size_t i = 0; i < sizeof CUTS / sizeof *CUTS; i++) {
        expect_answer(client, "PING", "+PONG");
        test_proxy_cut(wire.proxy, CUTS[i]);
        expect_answer(client, "GET key",
                      "E_UNAVAILABLE the server closed the connection");
    }
    end_wire(&wire, client);
}

static void an_end_within_the_handshake_is_a_lost_connection(void **state)
{
    (void)state;
    wire wire;
    mtci_redis_client *client = begin_wire(&wire);
    for (size_t cut = 1; cut < 1500; cut += 97) {
        test_proxy_cut(wire.proxy, cut);
        expect_answer(client, "PING",
                      "E_UNAVAILABLE the server closed the connection");
        mtci_client_free(client);
        client = open_client(test_proxy_port(wire.proxy));
    }
    expect_answer(client, "PING", "+PONG");
    end_wire(&wire, client);
}

static void a_forked_child_that_frees_says_nothing(void **state)
{
    (void)state;
    wire wire;
    mtci_redis_client *client = begin_wire(&wire);
    expect_answer(client, "PING", "+PONG");
    size_t before = test_proxy_to_server(wire.proxy);
    expect_answer(client, "PING", "+PONG");
    size_t ping_size = test_proxy_to_server(wire.proxy) - before;
    pid_t child = fork();
    if (child == 0) {
        mtci_client_free(client);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    expect_answer(client, "PING", "+PONG");
    assert_int_equal(test_proxy_to_server(wire.proxy), before + 2 * ping_size);
    end_wire(&wire, client);
}

/* -- a server that comes and goes ----------------------------------------- */

static void expect_recovery(mtci_redis_client *client)
{
    char text[TEXT_SIZE];
    int64_t until_ms = mtci_boot_ms() + RECOVERY_MS;
    while (strcmp(redis_rig_ask(client, MTCI_REPLY_STATUS, "PING", text,
                                sizeof text),
                  "+PONG") != 0)
        if (mtci_boot_ms() >= until_ms)
            fail_msg("%s", text);
}

static void replace(const char *name, const char *by)
{
    char command[512];
    snprintf(command, sizeof command,
             "cd %s && cp %s.crt %s.crt && cp %s.key %s.key", dir, by, name, by,
             name);
    assert_int_equal(system(command), 0);
}

static void
a_server_restarted_with_a_new_certificate_is_used_again(void **state)
{
    (void)state;
    test_server server;
    replace("changing", "good");
    start(&server, "changing", "no");
    mtci_redis_client *client = open_client(server.port);
    expect_answer(client, "PING", "+PONG");
    test_server_kill(&server);
    replace("changing", "again");
    assert_true(test_server_restart(&server));
    expect_recovery(client);
    /* One that must not be believed is not, although it was before. */
    test_server_kill(&server);
    replace("changing", "self");
    assert_true(test_server_restart(&server));
    char text[TEXT_SIZE];
    redis_rig_ask(client, MTCI_REPLY_STATUS, "PING", text, sizeof text);
    expect_answer(client, "PING", "E_DENIED the certificate is signed by");
    test_server_kill(&server);
    replace("changing", "good");
    assert_true(test_server_restart(&server));
    expect_recovery(client);
    mtci_client_free(client);
    test_server_stop(&server);
}

/* A resumed handshake brings no certificate, so that it is much shorter. */
static void a_second_connection_resumes_the_session(void **state)
{
    (void)state;
    wire wire;
    char text[TEXT_SIZE];
    mtci_redis_client *client = begin_wire(&wire);
    expect_answer(client, "PING", "+PONG");
    size_t first = test_proxy_to_client(wire.proxy);
    redis_rig_ask(client, MTCI_REPLY_STATUS, "QUIT", text, sizeof text);
    expect_recovery(client);
    size_t second = test_proxy_to_client(wire.proxy) - first;
    if (second + 600 > first)
        fail_msg("%zu bytes after %zu", second, first);
    end_wire(&wire, client);
}

/* What a client sends to a server that it has not met before; former: to be
 * met first, or NULL. */
static size_t first_words(const wire *wire, const test_server *former)
{
    char text[TEXT_SIZE];
    int port = test_proxy_port(wire->proxy);
    mtci_redis_client *client = open_client(former ? former->port : port);
    if (former) {
        expect_answer(client, "PING", "+PONG");
        redis_rig_ask(client, MTCI_REPLY_STATUS, "QUIT", text, sizeof text);
        mtci_client_settings(client)->address.port = port;
    }
    size_t before = test_proxy_to_server(wire->proxy);
    expect_recovery(client);
    size_t size = test_proxy_to_server(wire->proxy) - before;
    mtci_client_free(client);
    return size;
}

/* The offer of a session would make the first words longer. */
static void another_server_is_not_offered_the_session(void **state)
{
    (void)state;
    wire wire;
    test_server former;
    mtci_client_free(begin_wire(&wire));
    start(&former, "good", "no");
    size_t without = first_words(&wire, NULL);
    size_t with = first_words(&wire, &former);
    if (with > without + 50)
        fail_msg("%zu bytes, without a session %zu", with, without);
    test_server_stop(&former);
    end_wire(&wire, NULL);
}

static int make_certificates(void **state)
{
    (void)state;
    return tls_rig_make(dir) ? 0 : -1;
}

static int remove_certificates(void **state)
{
    (void)state;
    tls_rig_remove(dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_certificate_is_accepted),
        cmocka_unit_test(a_bad_certificate_is_refused_and_the_reason_is_said),
        cmocka_unit_test(the_system_knows_no_authority_of_ours),
        cmocka_unit_test(the_name_to_verify_may_be_given),
        cmocka_unit_test(insecure_accepts_any_certificate),
        cmocka_unit_test(a_client_certificate_is_shown_when_it_is_wanted),
        cmocka_unit_test(files_that_cannot_be_used_are_named_at_once),
        cmocka_unit_test(every_scheme_has_one_through_tls),
        cmocka_unit_test(a_server_without_tls_is_told_apart),
        cmocka_unit_test(an_old_version_of_tls_is_refused),
        cmocka_unit_test(a_handshake_has_a_deadline),
        cmocka_unit_test(a_plain_client_is_told_of_rediss),
        cmocka_unit_test(values_of_every_size_pass_both_ways),
        cmocka_unit_test(long_pipelines_progress_when_both_buffers_are_full),
        cmocka_unit_test(records_may_come_byte_by_byte),
        cmocka_unit_test(an_end_within_a_record_is_a_lost_connection),
        cmocka_unit_test(an_end_within_the_handshake_is_a_lost_connection),
        cmocka_unit_test(a_forked_child_that_frees_says_nothing),
        cmocka_unit_test(
            a_server_restarted_with_a_new_certificate_is_used_again),
        cmocka_unit_test(a_second_connection_resumes_the_session),
        cmocka_unit_test(another_server_is_not_offered_the_session),
    };
    return cmocka_run_group_tests(tests, make_certificates,
                                  remove_certificates);
}
