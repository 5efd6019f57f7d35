/*
 * One call to a tier; see tier_call.h. Any thread.
 */
#include "support/tier_call.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"

mtc_tier *mtct_tier_open(const char *url)
{
    mtc_tier_config config = MTC_TIER_CONFIG_INIT;
    mtc_error error = {0};
    if (mtc_tier_open(url, &error, &config) != MTC_OK)
        fail_msg("cannot open %s: %s", url, error.text);
    return config.tier;
}

static void ignore_done(mtc_request *request)
{
    (void)request;
}

mtc_request mtct_request_for(mtc_slice key, int64_t now_ms)
{
    return (mtc_request){
        .key = key,
        .hash = mtci_hash(key, MTCT_TIER_SEED),
        .facts = {.left_ms = MTCT_LIFE_MS, .ttl_ms = MTCT_LIFE_MS},
        .sent_ms = now_ms,
        .deadline_ms = now_ms + 1000,
        .done = ignore_done,
    };
}

mtc_status mtct_tier_submit(mtc_tier *tier, mtc_verb verb, mtc_request *request)
{
    mtc_request *one = request;
    tier->ops->submit(tier, verb, &one, 1);
    return mtc_request_is_complete(request) ? request->status : MTC_E_TIMEOUT;
}

mtc_status mtct_tier_store(mtc_tier *tier, mtc_slice key, mtc_slice bytes,
                           int64_t now_ms, int64_t life_ms)
{
    mtc_request request = mtct_request_for(key, now_ms);
    request.value = mtc_value_borrow(bytes);
    request.facts.left_ms = life_ms;
    request.facts.ttl_ms = life_ms == MTC_NO_END ? 0 : life_ms;
    return mtct_tier_submit(tier, MTC_VERB_STORE, &request);
}

mtc_status mtct_tier_end(mtc_tier *tier, mtc_verb verb, mtc_slice key,
                         int64_t now_ms)
{
    mtc_request request = mtct_request_for(key, now_ms);
    return mtct_tier_submit(tier, verb, &request);
}

mtc_status mtct_tier_find(mtc_tier *tier, mtc_slice key, int64_t now_ms,
                          mtc_value *value)
{
    *value = (mtc_value){0};
    return tier->ops->find(tier, key, mtci_hash(key, MTCT_TIER_SEED), now_ms,
                           value);
}

mtc_tier_usage mtct_tier_usage(mtc_tier *tier)
{
    mtc_tier_usage usage;
    tier->ops->usage(tier, &usage);
    return usage;
}

uint64_t mtct_usage_gone(const mtc_tier_usage *usage)
{
    return usage->evicted_size + usage->evicted_expired +
           usage->evicted_replaced + usage->evicted_removed;
}

mtc_slice mtct_key(uint64_t number, char text[24])
{
    int size = snprintf(text, 24, "key%llu", (unsigned long long)number);
    return mtc_bytes(text, (size_t)size);
}

uint64_t mtct_seed(const char *test)
{
    const char *text = getenv("MTC_TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : mtci_seed();
    print_message("%s: MTC_TEST_SEED=%llu\n", test, (unsigned long long)seed);
    return seed;
}

uint32_t mtct_draw(uint64_t *seed, uint32_t below)
{
    *seed += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t x = *seed;
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((x ^ (x >> 31)) >> 32) % below;
}
