/*
 * labels: quick server
 *
 * Many reads at once: one MGET behind the PTTLs, and what MGET does not tell
 * asked key by key. On a real server; violations by a scripted one.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "redis/call.h"
#include "support/fake_server.h"
#include "support/redis_pair.h"
#include "support/redis_rig.h"
#include "tier/redis/bulk.h"

#define KEYS_MAX (2 * MTCI_REDIS_BULK_KEYS_MAX + 2)
#define CALL_MS  10000

static redis_pair the_pair;

static int start(void **state)
{
    *state = &the_pair;
    if (test_server_installed(TEST_REDIS))
        redis_pair_start(&the_pair, NULL, "");
    return 0;
}

static int stop(void **state)
{
    redis_pair_stop(*state);
    return 0;
}

static redis_pair *pair_of(void **state)
{
    test_server_require(TEST_REDIS);
    return *state;
}

/* Requests of one call, all answered. */
typedef struct call {
    size_t count;
    redis_asked asked[KEYS_MAX];
} call;

static void submit(mtc_tier *tier, call *call, const char *const *keys,
                   size_t count)
{
    mtc_request *requests[KEYS_MAX];
    int64_t deadline_ms = mtci_boot_ms() + CALL_MS;
    call->count = count;
    for (size_t i = 0; i < count; i++) {
        call->asked[i] = redis_pair_request(mtc_str(keys[i]));
        call->asked[i].request.deadline_ms = deadline_ms;
        requests[i] = &call->asked[i].request;
    }
    tier->ops->submit(tier, MTC_VERB_READ, requests, count);
}

static void look(mtc_tier *tier, call *call, const char *const *keys,
                 size_t count)
{
    submit(tier, call, keys, count);
    for (size_t i = 0; i < count; i++) {
        mtc_request *request = &call->asked[i].request;
        tier->ops->drive(tier, request, request->deadline_ms);
        assert_true(mtc_request_is_complete(request));
    }
}

static void expect(const call *call, size_t index, mtc_status status,
                   const char *value)
{
    const mtc_request *request = &call->asked[index].request;
    assert_int_equal(request->status, status);
    assert_int_equal(request->value.size, strlen(value));
    assert_memory_equal(request->value.data, value, strlen(value));
}

static void fini(call *call)
{
    for (size_t i = 0; i < call->count; i++)
        mtc_value_free(&call->asked[i].request.value);
}

/* How often the server has carried out a command, as it says. */
static unsigned long calls_of(const redis_pair *pair, const char *name)
{
    mtci_redis_command *command = mtci_command_new(MTCI_REPLY_BULK);
    char failure[MTCI_CALL_FAILURE_SIZE];
    char line[64];
    mtci_reply reply;
    mtci_resp_begin(&command->bytes, 2);
    mtci_resp_add_text(&command->bytes, "INFO");
    mtci_resp_add_text(&command->bytes, "commandstats");
    assert_int_equal(mtci_redis_call(pair->other, command,
                                     mtci_boot_ms() + CALL_MS, failure, &reply),
                     MTC_OK);
    snprintf(line, sizeof line, "cmdstat_%s:calls=", name);
    char *text = strndup(reply.bytes.data, reply.bytes.size);
    assert_non_null(text);
    const char *found = strstr(text, line);
    unsigned long calls = found ? strtoul(found + strlen(line), NULL, 10) : 0;
    free(text);
    mtci_reply_fini(&reply);
    return calls;
}

/* -- a real server -------------------------------------------------------- */

static void each_key_has_its_own_status_and_life(void **state)
{
    static const char *const KEYS[] = {"here", "nowhere", "forever", "twice",
                                       "twice"};
    redis_pair *pair = pair_of(state);
    call call;
    redis_pair_other(pair, MTCI_REPLY_STATUS, "FLUSHALL", "+OK");
    redis_pair_other(pair, MTCI_REPLY_STATUS, "SET here a PX 60000", "+OK");
    redis_pair_other(pair, MTCI_REPLY_STATUS, "SET forever b", "+OK");
    redis_pair_other(pair, MTCI_REPLY_STATUS, "SET twice c PX 30000", "+OK");
    redis_pair_other(pair, MTCI_REPLY_STATUS, "CONFIG RESETSTAT", "+OK");
    look(pair->tier, &call, KEYS, 5);
    expect(&call, 0, MTC_OK, "a");
    expect(&call, 1, MTC_MISS, "");
    expect(&call, 2, MTC_OK, "b");
    expect(&call, 3, MTC_OK, "c");
    expect(&call, 4, MTC_OK, "c");
    assert_in_range(call.asked[0].request.facts.left_ms, 50000, 60000);
    assert_true(call.asked[2].request.facts.left_ms == MTC_NO_END);
    assert_in_range(call.asked[3].request.facts.left_ms, 20000, 30000);
    fini(&call);
    assert_int_equal(calls_of(pair, "pttl"), 5);
    assert_int_equal(calls_of(pair, "mget"), 1);
    assert_int_equal(calls_of(pair, "get"), 0);
}

static void more_keys_than_one_command_takes_are_all_found(void **state)
{
    redis_pair *pair = pair_of(state);
    static char names[KEYS_MAX][16];
    const char *keys[KEYS_MAX];
    static call call;
    for (size_t i = 0; i < KEYS_MAX; i++) {
        keys[i] = names[i];
        snprintf(names[i], sizeof names[i], "many:%zu", i);
        if (i % 3 > 0)
            redis_pair_put(pair, mtc_str(keys[i]), mtc_str(keys[i]));
    }
    redis_pair_other(pair, MTCI_REPLY_STATUS, "CONFIG RESETSTAT", "+OK");
    look(pair->tier, &call, keys, KEYS_MAX);
    for (size_t i = 0; i < KEYS_MAX; i++)
        expect(&call, i, i % 3 > 0 ? MTC_OK : MTC_MISS,
               i % 3 > 0 ? keys[i] : "");
    fini(&call);
    assert_int_equal(calls_of(pair, "mget"), 3);
}

static void a_key_of_another_type_is_an_error_of_that_key_alone(void **state)
{
    static const char *const KEYS[] = {"one", "list", "none"};
    redis_pair *pair = pair_of(state);
    call call;
    redis_pair_other(pair, MTCI_REPLY_STATUS, "SET one v PX 60000", "+OK");
    redis_pair_other(pair, MTCI_REPLY_INTEGER, "LPUSH list a", ":1");
    look(pair->tier, &call, KEYS, 3);
    expect(&call, 0, MTC_OK, "v");
    expect(&call, 1, MTC_E_INVALID, "");
    assert_non_null(strstr(call.asked[1].failure, "WRONGTYPE"));
    expect(&call, 2, MTC_MISS, "");
    fini(&call);
}

static void a_value_over_the_limit_is_an_error_of_that_key_alone(void **state)
{
    static const char *const KEYS[] = {"small", "huge", "nothing"};
    redis_pair *pair = pair_of(state);
    call call;
    redis_pair_other(pair, MTCI_REPLY_STATUS, "SET small v PX 60000", "+OK");
    redis_pair_other(pair, MTCI_REPLY_INTEGER, "SETRANGE huge 70000000 x",
                     ":70000001");
    look(pair->tier, &call, KEYS, 3);
    expect(&call, 0, MTC_OK, "v");
    expect(&call, 1, MTC_E_TOO_LARGE, "");
    expect(&call, 2, MTC_MISS, "");
    fini(&call);
    redis_pair_other(pair, MTCI_REPLY_INTEGER, "UNLINK huge", ":1");
}

static void whoever_may_not_mget_reads_key_by_key(void **state)
{
    static const char *const KEYS[] = {"mine", "absent"};
    redis_pair *pair = pair_of(state);
    call call;
    redis_pair_other(pair, MTCI_REPLY_STATUS, "SET mine v PX 60000", "+OK");
    redis_pair_other(pair, MTCI_REPLY_STATUS, "ACL SETUSER default -mget",
                     "+OK");
    look(pair->tier, &call, KEYS, 2);
    redis_pair_other(pair, MTCI_REPLY_STATUS, "ACL SETUSER default +mget",
                     "+OK");
    expect(&call, 0, MTC_OK, "v");
    expect(&call, 1, MTC_MISS, "");
    fini(&call);
}

static void what_all_have_given_up_is_not_sent(void **state)
{
    static const char *const KEYS[] = {"a", "b", "c"};
    redis_pair *pair = pair_of(state);
    call call;
    redis_pair_other(pair, MTCI_REPLY_STATUS, "CONFIG RESETSTAT", "+OK");
    submit(pair->tier, &call, KEYS, 3);
    pair->tier->ops->abandon(pair->tier, &call.asked[1].request);
    pair->tier->ops->abandon(pair->tier, &call.asked[1].request);
    pair->tier->ops->abandon(pair->tier, &call.asked[0].request);
    for (size_t i = 0; i < 3; i++)
        assert_false(mtc_request_is_complete(&call.asked[i].request));
    pair->tier->ops->abandon(pair->tier, &call.asked[2].request);
    for (size_t i = 0; i < 3; i++)
        expect(&call, i, MTC_E_CANCELLED, "");
    redis_pair_look(pair->tier, mtc_str("a"));
    assert_int_equal(calls_of(pair, "mget"), 0);
}

/* -- a server that breaks the protocol ------------------------------------ */

static void answer(fake_server *server, void *ctx)
{
    const char *array = ctx;
    if (fake_greet(server) && fake_take(server, 3) &&
        fake_send(server, ":-1\r\n:-1\r\n"))
        fake_send(server, array);
    if (fake_greet(server) && fake_take(server, 3))
        fake_send(server, ":-1\r\n:-1\r\n*2\r\n$1\r\nx\r\n$1\r\ny\r\n");
    fake_silence(server);
}

/* Nothing of it is believed; the next connection serves again. */
static void expect_refused(const char *array)
{
    static const char *const KEYS[] = {"a", "b"};
    fake_server *server = fake_server_start(answer, (void *)(uintptr_t)array);
    char url[64];
    mtc_error error;
    call call;
    assert_non_null(server);
    snprintf(url, sizeof url, "redis://127.0.0.1:%d", fake_server_port(server));
    mtc_tier *tier = redis_rig_tier(url, &error);
    assert_non_null(tier);
    look(tier, &call, KEYS, 2);
    expect(&call, 0, MTC_E_UNAVAILABLE, "");
    expect(&call, 1, MTC_E_UNAVAILABLE, "");
    look(tier, &call, KEYS, 2);
    expect(&call, 0, MTC_OK, "x");
    expect(&call, 1, MTC_OK, "y");
    fini(&call);
    tier->ops->close(tier);
    assert_null(fake_server_stop(server));
}

static void an_array_that_does_not_fit_ends_the_connection(void **state)
{
    (void)state;
    expect_refused("*1\r\n$1\r\nx\r\n");
    expect_refused("*3\r\n$1\r\nx\r\n$1\r\ny\r\n$1\r\nz\r\n");
    expect_refused("*2\r\n$1\r\nx\r\n:7\r\n");
    expect_refused("*2\r\n$1\r\nx\r\n*0\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_key_has_its_own_status_and_life),
        cmocka_unit_test(more_keys_than_one_command_takes_are_all_found),
        cmocka_unit_test(a_key_of_another_type_is_an_error_of_that_key_alone),
        cmocka_unit_test(a_value_over_the_limit_is_an_error_of_that_key_alone),
        cmocka_unit_test(whoever_may_not_mget_reads_key_by_key),
        cmocka_unit_test(what_all_have_given_up_is_not_sent),
        cmocka_unit_test(an_array_that_does_not_fit_ends_the_connection),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
