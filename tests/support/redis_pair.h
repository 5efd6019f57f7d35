/*
 * A real Redis with a tier on it, and another program beside the tier, that
 * sees and changes the same keys. Everything asserts; one thread.
 */
#ifndef TESTS_SUPPORT_REDIS_PAIR_H
#define TESTS_SUPPORT_REDIS_PAIR_H

#include "redis/client.h"
#include "support/server.h"

typedef struct redis_pair {
    test_server server;
    mtc_tier *tier;
    mtci_redis_client *other;
} redis_pair;

/* A request and what became of it. */
typedef struct redis_asked {
    mtc_request request;
    char failure[160];
} redis_asked;

/* Starts the server, or skips the test. args as for test_server_start; params
 * behind the URL of the tier: "" or "?name=value&...". */
void redis_pair_start(redis_pair *pair, const char *const *args,
                      const char *params);
void redis_pair_stop(redis_pair *pair);

/* Opens a further tier on the server; the caller closes it. */
mtc_tier *redis_pair_tier(const redis_pair *pair, const char *params);

/* A request that leaves now, with a life of a minute and ten seconds of time;
 * carries one out, and returns its status. */
redis_asked redis_pair_request(mtc_slice key);
mtc_status redis_pair_carry_out(mtc_tier *tier, mtc_verb verb,
                                redis_asked *asked);

/* Both at once. facts: NULL: none but the life. look frees what it found;
 * expect wants that value. */
redis_asked redis_pair_ask(mtc_tier *tier, mtc_verb verb, mtc_slice key);
mtc_status redis_pair_store(mtc_tier *tier, mtc_slice key, mtc_slice value,
                            const mtc_facts *facts);
mtc_status redis_pair_look(mtc_tier *tier, mtc_slice key);
void redis_pair_expect(mtc_tier *tier, mtc_slice key, mtc_slice value);
uint64_t redis_pair_damaged(mtc_tier *tier);

/* The other program: puts bytes under a key, takes a copy of them, asks in
 * words and gets an answer in words. */
void redis_pair_put(const redis_pair *pair, mtc_slice key, mtc_slice bytes);
mtc_value redis_pair_take(const redis_pair *pair, mtc_slice key);
void redis_pair_other(const redis_pair *pair, uint32_t expects,
                      const char *words, const char *answer);

#endif
