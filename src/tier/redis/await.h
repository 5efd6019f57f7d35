/*
 * What Redis tells of the end of leases: messages on a channel, for those who
 * wait for one (tier/awaits.h). When the connection that would bring them is
 * lost, everybody looks again.
 *
 * Any thread.
 */
#ifndef MTCI_TIER_REDIS_AWAIT_H
#define MTCI_TIER_REDIS_AWAIT_H

#include "redis/reply.h"
#include "tier/awaits.h"

/* Completes those who wait for a key: its lease may have ended. */
void mtci_redis_await_end(mtci_awaits *awaits, mtc_slice key);

/* For settings.push, with the awaits as ctx. */
bool mtci_redis_await_push(void *ctx, const mtci_reply *push);

/* Whether anybody waits; for settings.is_awaited, with the awaits as ctx. */
bool mtci_redis_await_is_any(void *ctx);

#endif
