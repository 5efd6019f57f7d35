/*
 * A real Redis, a tier, and another program. See redis_pair.h. One thread.
 */
#include "support/redis_pair.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/clock.h"
#include "redis/call.h"
#include "support/redis_rig.h"
#include "support/standing.h"

#define CALL_MS 10000
#define LIFE_MS 60000

mtc_tier *redis_pair_tier(const redis_pair *pair, const char *params)
{
    char url[256];
    mtc_error error = {0};
    snprintf(url, sizeof url, "%s%s", pair->server.url, params);
    mtc_tier *tier = redis_rig_tier(url, &error);
    if (!tier)
        fail_msg("cannot open %s: %s", url, error.text);
    return tier;
}

void redis_pair_start(redis_pair *pair, const char *const *args,
                      const char *params)
{
    test_server_require(TEST_REDIS);
    mtct_standing_shares_connections();
    assert_true(test_server_start(&pair->server, TEST_REDIS, args));
    pair->tier = redis_pair_tier(pair, params);
    pair->other = redis_rig_client(pair->server.port);
    assert_non_null(pair->other);
}

void redis_pair_stop(redis_pair *pair)
{
    if (pair->tier)
        pair->tier->ops->close(pair->tier);
    mtci_client_free(pair->other);
    test_server_stop(&pair->server);
}

static void note_failure(mtc_request *request)
{
    redis_asked *asked = (redis_asked *)request;
    snprintf(asked->failure, sizeof asked->failure, "%s",
             request->failure ? request->failure : "");
}

redis_asked redis_pair_request(mtc_slice key)
{
    redis_asked asked = {.request = {.key = key, .done = note_failure}};
    asked.request.sent_ms = mtci_boot_ms();
    asked.request.deadline_ms = asked.request.sent_ms + CALL_MS;
    asked.request.facts.left_ms = LIFE_MS;
    return asked;
}

mtc_status redis_pair_carry_out(mtc_tier *tier, mtc_verb verb,
                                redis_asked *asked)
{
    mtc_request *request = &asked->request;
    tier->ops->submit(tier, verb, &request, 1);
    tier->ops->drive(tier, request, request->deadline_ms);
    assert_true(mtc_request_is_complete(request));
    return request->status;
}

redis_asked redis_pair_ask(mtc_tier *tier, mtc_verb verb, mtc_slice key)
{
    redis_asked asked = redis_pair_request(key);
    redis_pair_carry_out(tier, verb, &asked);
    return asked;
}

mtc_status redis_pair_store(mtc_tier *tier, mtc_slice key, mtc_slice value,
                            const mtc_facts *facts)
{
    redis_asked asked = redis_pair_request(key);
    asked.request.value = mtc_value_borrow(value);
    if (facts)
        asked.request.facts = *facts;
    return redis_pair_carry_out(tier, MTC_VERB_STORE, &asked);
}

mtc_status redis_pair_look(mtc_tier *tier, mtc_slice key)
{
    redis_asked asked = redis_pair_ask(tier, MTC_VERB_READ, key);
    mtc_value_free(&asked.request.value);
    return asked.request.status;
}

void redis_pair_expect(mtc_tier *tier, mtc_slice key, mtc_slice value)
{
    redis_asked asked = redis_pair_ask(tier, MTC_VERB_READ, key);
    assert_int_equal(asked.request.status, MTC_OK);
    assert_int_equal(asked.request.value.size, value.size);
    if (value.size > 0)
        assert_memory_equal(asked.request.value.data, value.data, value.size);
    mtc_value_free(&asked.request.value);
}

uint64_t redis_pair_damaged(mtc_tier *tier)
{
    mtc_tier_usage usage;
    tier->ops->usage(tier, &usage);
    return usage.damaged;
}

static mtci_reply call_other(const redis_pair *pair, mtci_redis_command *made)
{
    char failure[MTCI_CALL_FAILURE_SIZE];
    mtci_reply reply;
    assert_int_equal(mtci_redis_call(pair->other, made,
                                     mtci_boot_ms() + CALL_MS, failure, &reply),
                     MTC_OK);
    return reply;
}

void redis_pair_put(const redis_pair *pair, mtc_slice key, mtc_slice bytes)
{
    mtci_redis_command *command = mtci_command_new(MTCI_REPLY_STATUS);
    mtci_resp_begin(&command->bytes, 3);
    mtci_resp_add_text(&command->bytes, "SET");
    mtci_resp_add(&command->bytes, key);
    mtci_resp_add(&command->bytes, bytes);
    mtci_reply reply = call_other(pair, command);
    mtci_reply_fini(&reply);
}

mtc_value redis_pair_take(const redis_pair *pair, mtc_slice key)
{
    mtci_redis_command *command = mtci_command_new(MTCI_REPLY_BULK);
    mtci_resp_begin(&command->bytes, 2);
    mtci_resp_add_text(&command->bytes, "GET");
    mtci_resp_add(&command->bytes, key);
    return call_other(pair, command).bytes;
}

void redis_pair_other(const redis_pair *pair, uint32_t expects,
                      const char *words, const char *answer)
{
    char text[256];
    assert_string_equal(redis_rig_ask(pair->other, expects, words, text,
                                      sizeof text),
                        answer);
}
