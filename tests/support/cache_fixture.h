/*
 * A cache for tests: scripted tiers below a real memory tier, a clock that is
 * stepped by hand, and a loader that counts.
 *
 * A scripted tier keeps entries in a small table and does what its hooks say:
 * it may hold requests back, fail, or run a function of the test in the middle
 * of one, so that a race is driven on purpose.
 */
#ifndef MTCT_CACHE_FIXTURE_H
#define MTCT_CACHE_FIXTURE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "mtc/cache.h"
#include "mtc/stats.h"

#define MTCT_SCRIPT_KEYS 256

/* A clock that stands still until it is stepped. */
typedef struct mtct_clock {
    _Atomic int64_t now_ms;
} mtct_clock;

mtci_clock mtct_clock_of(mtct_clock *clock);

typedef struct mtct_script mtct_script;

/* Called without a lock before a request is carried out. Returns the status
 * to end it with, or MTC_OK to carry it out. */
typedef mtc_status (*mtct_hook)(mtct_script *script, mtc_verb verb,
                                mtc_request *request);

/* A tier that is played by the test. Its operations run on the cache's
 * workers, so that a hook may wait. */
struct mtct_script {
    mtc_tier tier;
    pthread_mutex_t mutex; /* guards entries */
    struct {
        char key[64];
        size_t key_size;
        mtc_value value;
        mtc_facts facts;
        int64_t sent_ms;
    } entries[MTCT_SCRIPT_KEYS];
    size_t count;
    mtct_hook hook;
    void *ctx;
    _Atomic uint64_t reads;
    _Atomic uint64_t stores;
    _Atomic uint64_t removes;
    _Atomic uint64_t *closes; /* optional: counts up when it is closed */
};

mtct_script *mtct_script_new(void);

/* Whether the tier holds this value under the key. NULL: holds nothing. */
bool mtct_script_holds(mtct_script *script, const char *key, const char *value);

/* Puts a value in behind the cache's back. */
void mtct_script_put(mtct_script *script, const char *key, const char *value,
                     int64_t left_ms);
void mtct_script_put_facts(mtct_script *script, const char *key,
                           const char *value, const mtc_facts *facts,
                           int64_t sent_ms);

/* A cache of a memory tier over a script. */
typedef struct mtct_cache {
    mtc_cache *cache;
    mtct_script *below;
    mtct_clock clock;
} mtct_cache;

void mtct_cache_init(mtct_cache *fixture);
void mtct_cache_fini(mtct_cache *fixture);

/* Asserts that a plain get answers the value; NULL: a miss. */
#define mtct_assert_get(cache, key, value)                                     \
    mtct_check_get((cache), (key), (value), __FILE__, __LINE__)
void mtct_check_get(mtc_cache *cache, const char *key, const char *value,
                    const char *file, int line);

/* Waits until a counter reaches a value; fails the test after ten seconds. */
void mtct_wait_for(_Atomic uint64_t *count, uint64_t value);

#endif
