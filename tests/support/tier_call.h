/*
 * One call to a tier that answers at once, without a cache in front of it.
 *
 * Nothing here asserts but mtct_tier_open: any thread of a test may call it.
 * The time is an argument, so that a test steps it by hand.
 */
#ifndef MTCT_TIER_CALL_H
#define MTCT_TIER_CALL_H

#include "mtc/tier.h"

/* The seed of the hashes that requests carry. */
#define MTCT_TIER_SEED UINT64_C(99)

/* The life of what is stored without saying how long. */
#define MTCT_LIFE_MS INT64_C(60000)

/* Opens a tier or fails the test. */
mtc_tier *mtct_tier_open(const char *url);

/* A request that leaves at now_ms, with a life of MTCT_LIFE_MS. */
mtc_request mtct_request_for(mtc_slice key, int64_t now_ms);

/* Submits it; its status, which is set when this returns. */
mtc_status mtct_tier_submit(mtc_tier *tier, mtc_verb verb,
                            mtc_request *request);

mtc_status mtct_tier_store(mtc_tier *tier, mtc_slice key, mtc_slice bytes,
                           int64_t now_ms, int64_t life_ms);

/* The same for a request that is a key alone: REMOVE and EXPIRE. */
mtc_status mtct_tier_end(mtc_tier *tier, mtc_verb verb, mtc_slice key,
                         int64_t now_ms);

/* *value is empty unless something was found. */
mtc_status mtct_tier_find(mtc_tier *tier, mtc_slice key, int64_t now_ms,
                          mtc_value *value);

mtc_tier_usage mtct_tier_usage(mtc_tier *tier);

/* Entries that were stored and have gone since, whatever the reason. */
uint64_t mtct_usage_gone(const mtc_tier_usage *usage);

/* "key" and the number. */
mtc_slice mtct_key(uint64_t number, char text[24]);

/* A seed from the environment (MTC_TEST_SEED) or a new one, printed. */
uint64_t mtct_seed(const char *test);

/* A random number below a limit. */
uint32_t mtct_draw(uint64_t *seed, uint32_t below);

#endif
