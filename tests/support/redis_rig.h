/*
 * Redis tiers, clients and settings for tests.
 */
#ifndef TESTS_SUPPORT_REDIS_RIG_H
#define TESTS_SUPPORT_REDIS_RIG_H

#include "redis/client.h"

/* Opens a Redis tier by its URL; NULL: the reason is in error (optional). */
mtc_tier *redis_rig_tier(const char *url, mtc_error *error);

/* Settings for a server on a loopback port, with short deadlines. */
mtci_redis_settings redis_rig_settings(int port);

#endif
