/*
 * labels: quick server
 *
 * Leases in Redis beside the contract: what other programs do to them, lost
 * connections, servers without pushes, answers of no sense.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "redis/call.h"
#include "support/fake_server.h"
#include "support/redis_pair.h"
#include "support/redis_rig.h"
#include "support/tier_call.h"
#include "tier/redis/lease.h"
#include "tier/redis/script.h"

#define LEASE_MS 30000
#define ROUNDS   2000
#define LARGE    100000

static redis_pair pair;

static int start(void **state)
{
    (void)state;
    if (test_server_installed(TEST_REDIS))
        redis_pair_start(&pair, NULL, "");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    redis_pair_stop(&pair);
    return 0;
}

static redis_asked read_for(mtc_tier *tier, mtc_slice key, int64_t lease_ms)
{
    redis_asked asked = redis_pair_request(key);
    asked.request.lease_ms = lease_ms;
    redis_pair_carry_out(tier, MTC_VERB_READ, &asked);
    mtc_value_free(&asked.request.value);
    return asked;
}

static uint64_t take(mtc_slice key)
{
    redis_asked asked = read_for(pair.tier, key, LEASE_MS);
    assert_int_equal(asked.request.status, MTC_MISS);
    assert_true(asked.request.ticket != 0);
    return asked.request.ticket;
}

static mtc_status fill(mtc_slice key, uint64_t ticket, mtc_slice value)
{
    redis_asked asked = redis_pair_request(key);
    asked.request.ticket = ticket;
    asked.request.value = mtc_value_borrow(value);
    return redis_pair_carry_out(pair.tier, MTC_VERB_STORE, &asked);
}

/* -- filling --------------------------------------------------------------- */

static void large_values_are_filled_in_place(void **state)
{
    static char bytes[LARGE];
    mtc_slice key = mtc_str("large");
    mtc_slice value = mtc_bytes(bytes, sizeof bytes);
    (void)state;
    test_server_require(TEST_REDIS);
    assert_int_equal(fill(key, take(key), value), MTC_OK);
    redis_pair_expect(pair.tier, key, value);
    redis_asked asked = read_for(pair.tier, key, 0);
    assert_in_range(asked.request.facts.left_ms, 50000, 60000);
}

/* As when the connection is lost before the answer. */
static void a_read_that_is_sent_twice_takes_one_lease(void **state)
{
    const mtci_redis_form form = {.value_size_max = LARGE};
    mtc_request request = {.key = mtc_str("twice"),
                           .deadline_ms = INT64_MAX,
                           .ticket = 77,
                           .lease_ms = LEASE_MS};
    (void)state;
    test_server_require(TEST_REDIS);
    for (int i = 0; i < 2; i++) {
        char failure[MTCI_CALL_FAILURE_SIZE];
        mtci_reply reply;
        mtci_redis_command *command =
            mtci_redis_lease_command(&form, MTC_VERB_READ, &request);
        assert_non_null(command);
        assert_int_equal(mtci_redis_call(pair.other, command,
                                         mtci_boot_ms() + 5000, failure,
                                         &reply),
                         MTC_OK);
        assert_int_equal(reply.count, 3);
        assert_int_equal(reply.items[2].integer, 1);
        mtci_reply_fini(&reply);
    }
    assert_int_equal(fill(request.key, 77, mtc_str("v")), MTC_OK);
}

/* -- other programs -------------------------------------------------------- */

static void a_key_of_another_type_is_an_error(void **state)
{
    mtc_slice key = mtc_str("list");
    (void)state;
    test_server_require(TEST_REDIS);
    uint64_t ticket = take(key);
    redis_pair_other(&pair, MTCI_REPLY_INTEGER, "DEL list", ":1");
    redis_pair_other(&pair, MTCI_REPLY_INTEGER, "LPUSH list a", ":1");
    redis_asked asked = read_for(pair.tier, key, LEASE_MS);
    assert_int_equal(asked.request.status, MTC_E_INVALID);
    assert_int_equal(asked.request.ticket, 0);
    assert_int_equal(fill(key, ticket, mtc_str("v")), MTC_E_CANCELLED);
    redis_pair_other(&pair, MTCI_REPLY_INTEGER, "LLEN list", ":1");
}

static void a_lease_made_to_last_is_nobodys(void **state)
{
    mtc_slice key = mtc_str("lasting");
    (void)state;
    test_server_require(TEST_REDIS);
    uint64_t ticket = take(key);
    redis_pair_other(&pair, MTCI_REPLY_INTEGER, "PERSIST lasting", ":1");
    assert_int_equal(read_for(pair.tier, key, 0).request.lease_ms, 0);
    assert_int_equal(fill(key, ticket, mtc_str("v")), MTC_E_CANCELLED);
    assert_true(take(key) != ticket);
}

static void many_reads_in_one_command_know_a_lease(void **state)
{
    mtc_slice keys[2] = {mtc_str("of many"), mtc_str("of many, too")};
    redis_asked asked[2];
    mtc_request *requests[2];
    (void)state;
    test_server_require(TEST_REDIS);
    take(keys[0]);
    for (int i = 0; i < 2; i++) {
        asked[i] = redis_pair_request(keys[i]);
        asked[i].request.deadline_ms = asked[0].request.deadline_ms;
        requests[i] = &asked[i].request;
    }
    pair.tier->ops->submit(pair.tier, MTC_VERB_READ, requests, 2);
    for (int i = 0; i < 2; i++)
        pair.tier->ops->drive(pair.tier, requests[i], requests[i]->deadline_ms);
    assert_int_equal(requests[0]->status, MTC_MISS);
    assert_int_equal(requests[0]->facts.kind, MTC_KIND_LEASE);
    assert_in_range(requests[0]->lease_ms, 1, LEASE_MS);
    assert_int_equal(requests[1]->status, MTC_MISS);
    assert_int_equal(requests[1]->lease_ms, 0);
}

static void put_with_life(mtc_slice key, mtc_slice bytes)
{
    char words[64];
    redis_pair_put(&pair, key, bytes);
    snprintf(words, sizeof words, "PEXPIRE %.*s 50000", (int)key.size,
             (const char *)key.data);
    redis_pair_other(&pair, MTCI_REPLY_INTEGER, words, ":1");
}

/* Random bytes in a lease around a stale entry: some status, never a crash,
 * and the server's scripts survive it as well. */
static void any_bytes_of_a_lease_have_a_status(void **state)
{
    mtc_slice key = mtc_str("garbage");
    mtc_facts stale = {.left_ms = 50000, .ttl_ms = 1000, .window_ms = 60000};
    (void)state;
    test_server_require(TEST_REDIS);
    uint64_t seed = mtct_seed("any bytes");
    assert_int_equal(redis_pair_store(pair.tier, key, mtc_str("old"), &stale),
                     MTC_OK);
    assert_true(read_for(pair.tier, key, LEASE_MS).request.ticket != 0);
    mtc_value lease = redis_pair_take(&pair, key);
    char *bytes = malloc(lease.size);
    assert_non_null(bytes);
    for (int round = 0; round < ROUNDS; round++) {
        size_t size = lease.size;
        memcpy(bytes, lease.data, size);
        bytes[mtct_draw(&seed, (uint32_t)size)] = (char)mtct_draw(&seed, 256);
        if (round % 3 == 0)
            size = mtct_draw(&seed, (uint32_t)size + 1);
        put_with_life(key, mtc_bytes(bytes, size));
        redis_asked asked = read_for(pair.tier, key, round % 2 ? LEASE_MS : 0);
        assert_true(asked.request.status >= 0);
        assert_true(asked.request.lease_ms >= 0);
        if (round % 5 == 0) {
            asked = redis_pair_request(key);
            assert_int_equal(redis_pair_carry_out(pair.tier, MTC_VERB_EXPIRE,
                                                  &asked),
                             MTC_OK);
        }
    }
    free(bytes);
    mtc_value_free(&lease);
}

/* -- waiting --------------------------------------------------------------- */

/* Drives until the server has this many listeners. */
static void drive_until_heard(mtc_tier *tier)
{
    char text[64] = "";
    for (int i = 0; i < 500 && strcmp(text, ":1") != 0; i++) {
        tier->ops->drive(tier, NULL, mtci_boot_ms() + 10);
        redis_rig_ask(pair.other, MTCI_REPLY_INTEGER,
                      "PUBLISH " MTCI_REDIS_LEASE_CHANNEL " nothing", text,
                      sizeof text);
    }
    assert_string_equal(text, ":1");
}

static void a_lost_connection_ends_the_wait(void **state)
{
    mtc_slice key = mtc_str("lost");
    test_server_require(TEST_REDIS);
    mtc_tier *tier = redis_pair_tier(&pair, "");
    redis_asked asked = redis_pair_request(key);
    mtc_request *request = &asked.request;
    (void)state;
    take(key);
    tier->ops->submit(tier, MTC_VERB_AWAIT, &request, 1);
    drive_until_heard(tier);
    assert_false(mtc_request_is_complete(request));
    redis_pair_other(&pair, MTCI_REPLY_INTEGER, "CLIENT KILL TYPE pubsub",
                     ":1");
    tier->ops->drive(tier, request, request->deadline_ms);
    assert_int_equal(request->status, MTC_OK);
    /* The next one listens again. */
    asked = redis_pair_request(key);
    tier->ops->submit(tier, MTC_VERB_AWAIT, &request, 1);
    drive_until_heard(tier);
    assert_false(mtc_request_is_complete(request));
    tier->ops->close(tier);
    assert_int_equal(request->status, MTC_E_CLOSED);
}

static void a_message_about_another_key_ends_no_wait(void **state)
{
    mtc_slice key = mtc_str("mine");
    mtc_slice other = mtc_str("not mine");
    test_server_require(TEST_REDIS);
    mtc_tier *tier = redis_pair_tier(&pair, "");
    redis_asked asked = redis_pair_request(key);
    mtc_request *request = &asked.request;
    (void)state;
    uint64_t ticket = take(key);
    tier->ops->submit(tier, MTC_VERB_AWAIT, &request, 1);
    drive_until_heard(tier);
    assert_int_equal(fill(other, take(other), mtc_str("v")), MTC_OK);
    tier->ops->drive(tier, NULL, mtci_boot_ms() + 20);
    assert_false(mtc_request_is_complete(request));
    assert_int_equal(fill(key, ticket, mtc_str("v")), MTC_OK);
    tier->ops->drive(tier, request, request->deadline_ms);
    assert_int_equal(request->status, MTC_OK);
    tier->ops->close(tier);
}

static void without_pushes_there_are_no_leases(void **state)
{
    mtc_slice key = mtc_str("old server");
    test_server_require(TEST_REDIS);
    mtc_tier *tier = redis_pair_tier(&pair, "?protocol=2");
    (void)state;
    redis_asked asked = read_for(tier, key, LEASE_MS);
    assert_int_equal(asked.request.status, MTC_MISS);
    assert_int_equal(asked.request.ticket, 0);
    assert_int_equal(asked.request.lease_ms, 0);
    take(key); /* by a tier that has them */
    asked = read_for(tier, key, LEASE_MS);
    assert_int_equal(asked.request.ticket, 0);
    assert_int_equal(asked.request.facts.kind, MTC_KIND_LEASE);
    asked = redis_pair_ask(tier, MTC_VERB_AWAIT, key);
    assert_int_equal(asked.request.status, MTC_E_UNSUPPORTED);
    tier->ops->close(tier);
}

/* -- a peer that answers nonsense ------------------------------------------ */

static void answer_nonsense(fake_server *server, void *ctx)
{
    if (!fake_greet(server) || !fake_take(server, 1))
        return;
    fake_send(server, ctx);
    fake_silence(server);
}

static void an_answer_of_no_sense_is_an_error(void **state)
{
    static const char *const ANSWERS[] = {
        "*3\r\n$1\r\na\r\n$1\r\nb\r\n:1\r\n",
        "*3\r\n:5\r\n:5\r\n:1\r\n",
        "*3\r\n:5\r\n$1\r\nb\r\n$1\r\n1\r\n",
        "*2\r\n:5\r\n:1\r\n",
        ":1\r\n",
        "-ERR unknown command 'EVAL'\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof ANSWERS / sizeof ANSWERS[0]; i++) {
        char url[64];
        fake_server *fake =
            fake_server_start(answer_nonsense, (void *)(uintptr_t)ANSWERS[i]);
        assert_non_null(fake);
        snprintf(url, sizeof url, "redis://127.0.0.1:%d",
                 fake_server_port(fake));
        mtc_tier *tier = redis_rig_tier(url, NULL);
        redis_asked asked = redis_pair_request(mtc_str("key"));
        asked.request.lease_ms = LEASE_MS;
        redis_pair_carry_out(tier, MTC_VERB_READ, &asked);
        assert_true(asked.request.status < 0);
        assert_int_equal(asked.request.ticket, 0);
        assert_int_equal(asked.request.lease_ms, 0);
        tier->ops->close(tier);
        fake_server_stop(fake);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_values_are_filled_in_place),
        cmocka_unit_test(a_read_that_is_sent_twice_takes_one_lease),
        cmocka_unit_test(a_key_of_another_type_is_an_error),
        cmocka_unit_test(a_lease_made_to_last_is_nobodys),
        cmocka_unit_test(many_reads_in_one_command_know_a_lease),
        cmocka_unit_test(any_bytes_of_a_lease_have_a_status),
        cmocka_unit_test(a_lost_connection_ends_the_wait),
        cmocka_unit_test(a_message_about_another_key_ends_no_wait),
        cmocka_unit_test(without_pushes_there_are_no_leases),
        cmocka_unit_test(an_answer_of_no_sense_is_an_error),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
