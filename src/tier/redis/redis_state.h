/*
 * The inside of a Redis tier, for the files that make it up: redis.c opens,
 * drives and closes it, requests.c turns requests into commands and replies
 * into answers.
 */
#ifndef MTCI_TIER_REDIS_REDIS_STATE_H
#define MTCI_TIER_REDIS_REDIS_STATE_H

#include <stdatomic.h>

#include "base/clock.h"
#include "redis/cluster.h"
#include "redis/watch.h"
#include "tier/redis/await.h"
#include "tier/redis/entry.h"
#include "tier/redis/refusals.h"

typedef struct mtci_redis_tier {
    mtc_tier base;
    mtci_redis_client *client; /* one of the two */
    mtci_redis_cluster *cluster;
    mtci_watch watch;
    mtci_redis_form form; /* constant once attached */
    const mtc_tier_host *host;
    mtci_redis_refusals refusals;
    mtci_sentinel_settings *sentinels; /* NULL: none */
    _Atomic uint64_t damaged;
    mtci_awaits awaits;
    uint64_t lease_seed;
    _Atomic uint64_t lease_count; /* with the seed: tickets that differ */
} mtci_redis_tier;

static inline int64_t mtci_redis_tier_now_ms(const mtci_redis_tier *tier)
{
    return tier->host ? tier->host->now_ms(tier->host->ctx) : mtci_boot_ms();
}

/* The tier's submit. */
void mtci_redis_submit(mtc_tier *base, mtc_verb verb,
                       mtc_request *const *requests, size_t count);

#endif
