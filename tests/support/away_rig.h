/*
 * A cache of memory over a real server that a test pauses, kills and restarts.
 *
 * Everything but set and get asserts, in the test's thread; those two may be
 * called by any.
 */
#ifndef TESTS_SUPPORT_AWAY_RIG_H
#define TESTS_SUPPORT_AWAY_RIG_H

#include "mtc/cache.h"
#include "mtc/stats.h"
#include "support/server.h"

typedef struct away_rig {
    test_server server;
    mtc_cache *cache; /* NULL: closed */
} away_rig;

/* Starts the server, or skips the test. args as for test_server_start. */
void away_rig_start(away_rig *rig, test_server_kind kind,
                    const char *const *args);
void away_rig_stop(away_rig *rig);

/* Opens a cache of the tiers before the server ("memory ", or ""), and of the
 * server with these parameters of its URL. options: with struct_size. */
mtc_cache *away_rig_open(const away_rig *rig, const char *before,
                         const char *params, mtc_cache_options *options);

/* A long life; what is found is given back. */
mtc_status away_rig_set(mtc_cache *cache, const char *key, const char *value);
mtc_status away_rig_get(mtc_cache *cache, const char *key);

/* What the cache says of the tier behind memory. */
mtc_tier_health away_rig_health(const away_rig *rig);

/* Waits until that tier is not down, and until it owes nothing. */
void away_rig_await_open(const away_rig *rig);
void away_rig_await_paid(const away_rig *rig);

/* A loader: the text in ctx. */
mtc_status away_rig_load(mtc_load *load, void *ctx);

void away_rig_nap(int64_t ms);

#endif
