/*
 * The cache: open, read, write, load, close.
 */
#ifndef MTC_CACHE_H
#define MTC_CACHE_H

#include "mtc/load.h"
#include "mtc/strategy.h"
#include "mtc/tier.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A multi-tier cache: opaque. */
typedef struct mtc_cache mtc_cache;

/** The largest key, in bytes. */
#define MTC_KEY_SIZE_MAX 65536u

/** Receives a line of the log; text is borrowed for the call and has no
 *  newline. Called by any thread, never with a lock of the library held. */
typedef void (*mtc_log_function)(void *ctx, mtc_log_level level,
                                 const char *part, const char *text);

/** Options of a cache; set struct_size with MTC_CACHE_OPTIONS_INIT. */
typedef struct mtc_cache_options {
    /** sizeof(mtc_cache_options). */
    uint32_t struct_size;
    /** Lowest level that is logged, mtc_log_level + 1. Default (0): warning.
     *  5 turns the log off. Since 0.1. */
    uint32_t log_level;
    /** Names the default disk tier's folder and log lines: letters, digits,
     *  '.', '_', '-', at most 64. Default: name of the program. Since 0.1. */
    const char *name;
    /** Tier URLs separated by spaces, the fastest first. Default: MTC_TIERS,
     *  else "memory" with REDIS_URL, else "memory" with a disk tier in
     *  $XDG_CACHE_HOME/mtc/NAME. Since 0.1. */
    const char *tiers;
    /** Tiers that the caller made, in place of tiers. Since 0.1. */
    const mtc_tier_config *tier_configs;
    /** Count of tier_configs, at most MTC_TIERS_MAX. Since 0.1. */
    size_t tier_count;
    /** Strategy where a call gives none; copied. Default MTC_SHORT_TERM.
     *  Since 0.1. */
    const mtc_strategy *strategy;
    /** Largest value in bytes, 1 to 512 MiB. Default (0) 64 MiB. Since 0.1. */
    size_t value_size_max;
    /** How long close waits for stores under way, in milliseconds, 1 to
     *  600,000. Default (0) 2000. Since 0.1. */
    int64_t grace_ms;
    /** Receives the log. Default NULL: standard error. Since 0.1. */
    mtc_log_function log;
    /** Handed to log. Since 0.1. */
    void *log_ctx;
    /** Is told what leaves memory, and why. Default NULL: nobody. Since 0.1. */
    mtc_eviction_function evicted;
    /** Handed to evicted. Since 0.1. */
    void *evicted_ctx;
    /** Weighs entries, for "memory?weight=N". Default NULL: not weighed.
     *  Since 0.1. */
    mtc_weigh_function weigh;
    /** Handed to weigh. Since 0.1. */
    void *weigh_ctx;
    /** Seed of the hash of keys. Default (0): drawn from the kernel, so that
     *  nobody can make keys collide; fixed only to repeat a measurement.
     *  Since 0.1. */
    uint64_t hash_seed;
    /** The most loads that run at a time, 1 to 65,536, wherever they run; a
     *  load started inside another does not count. Further ones wait, 4,096
     *  at most and each for 5 seconds at most, and end then with the stale
     *  copy or MTC_E_BUSY. Default (0) 16. Since 0.1. */
    uint32_t loads_max;
    /** Must be 0. */
    uint32_t reserved;
} mtc_cache_options;

/** Options with every default. */
#define MTC_CACHE_OPTIONS_INIT                                                 \
    {                                                                          \
        (uint32_t)sizeof(mtc_cache_options), 0, NULL, NULL, NULL, 0, NULL, 0,  \
            0, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0                     \
    }

/** One key of a bulk call. */
typedef struct mtc_item {
    /** In: the key, borrowed for the call. */
    mtc_slice key;
    /** In, set_many: the bytes to store, borrowed for the call. */
    mtc_slice bytes;
    /** Out, get_many: the value of a hit, to be given back; else zeroed. */
    mtc_value value;
    /** Out: how this key ended, as the call for one key would have. */
    mtc_status status;
} mtc_item;

/**
 * Opens a cache. A server that cannot be reached does not stop it: the cache
 * answers from what it has and reconnects.
 *
 * @param options NULL: every default, from the environment.
 * @param error optional; receives what is wrong.
 * @param cache receives the cache; NULL when the call fails.
 * @return MTC_OK; MTC_E_INVALID for a wrong option or URL (error names it);
 *         MTC_E_UNSUPPORTED for a scheme that this build does not have;
 *         MTC_E_UNAVAILABLE or MTC_E_DENIED when a disk tier that was asked
 *         for cannot be opened; MTC_E_FORKED when one was asked for in a
 *         forked child whose parent had one open; MTC_E_NO_MEMORY.
 *
 * **Returns** as above.
 * **Threads** any. The cache starts one thread, and workers for tiers that
 * block; they block all signals.
 * **Blocks** for local files only.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_open(const mtc_cache_options *options,
                                  mtc_error *error, mtc_cache **cache);

/**
 * Closes a cache and sets the variable to NULL. Calls that wait in other
 * threads return MTC_E_CLOSED. Stores under way are given the grace time.
 * Values still held stay readable.
 *
 * @param cache address of the variable; NULL or *cache NULL is refused.
 * @return MTC_OK; MTC_PARTIAL when the grace time ended first; MTC_E_INVALID
 *         for NULL, so that closing twice does nothing; MTC_E_DEADLOCK inside
 *         a loader or the eviction listener of this cache, and on its own
 *         thread (of a log function): it stays open.
 *
 * **Returns** as above.
 * **Threads** one; the caller sees to it that no call on the cache begins
 * once this one has begun.
 * **Blocks** at most for the grace time and a little.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_close(mtc_cache **cache);

/**
 * Changes the budget of a tier while the cache is used.
 *
 * @param cache the cache.
 * @param tier index of the tier, 0 first.
 * @param size_bytes the new budget.
 * @return MTC_OK; MTC_E_INVALID for NULL, an index past the last tier or less
 *         than the tier can do with; MTC_E_UNSUPPORTED: the tier's budget is
 *         fixed; MTC_E_TOO_LARGE: more than it can grow to (memory: four times
 *         what it was opened with); MTC_E_CLOSED; MTC_E_FORKED.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** while entries that are too many are evicted.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_resize(mtc_cache *cache, size_t tier,
                                    uint64_t size_bytes);

/**
 * Gets the value of a key from the first tier that has it.
 *
 * @param cache the cache.
 * @param key 0 to MTC_KEY_SIZE_MAX bytes.
 * @param value receives the value, to be given back with mtc_value_free;
 *        zeroed unless MTC_OK or MTC_STALE is returned.
 * @return MTC_OK; MTC_MISS: in no tier; MTC_ABSENT: known to be nowhere;
 *         MTC_E_UNAVAILABLE, MTC_E_DENIED, MTC_E_TIMEOUT, MTC_E_BUSY,
 *         MTC_E_CORRUPT: no tier answered, and one that might have had the
 *         key failed so; the error of a load that it joined; MTC_E_TOO_LARGE
 *         for the key; MTC_E_INVALID for NULL; MTC_E_DEADLOCK inside the
 *         loader of the same key; MTC_E_NO_MEMORY; MTC_E_CLOSED;
 *         MTC_E_FORKED.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** never on a hit in memory; else until the tiers' deadlines or the
 * end of a load of this key that is under way.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_get(mtc_cache *cache, mtc_slice key,
                                 mtc_value *value);

/**
 * Gets the value of a key into the caller's buffer.
 *
 * @param cache the cache.
 * @param key as for mtc_cache_get.
 * @param buffer room for the value; may be NULL when buffer_size is 0.
 * @param buffer_size bytes of it.
 * @param size receives the size of the value, or 0.
 * @return as mtc_cache_get; MTC_E_TOO_LARGE also for a value that does not
 *         fit: size says what it needs, and nothing is copied.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** as mtc_cache_get.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_read(mtc_cache *cache, mtc_slice key, void *buffer,
                                  size_t buffer_size, size_t *size);

/**
 * mtc_cache_get with options of the call.
 *
 * @param cache the cache.
 * @param key as for mtc_cache_get.
 * @param call options; NULL: none.
 * @param value as for mtc_cache_get.
 * @return as mtc_cache_get; MTC_STALE if the call accepts stale;
 *         MTC_E_INVALID also for wrong options.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** as mtc_cache_get, at most for the call's deadline.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_get_with(mtc_cache *cache, mtc_slice key,
                                      const mtc_call *call, mtc_value *value);

/**
 * Stores a value in every tier, in one order with all other writes of the
 * key, and waits until every tier has answered.
 *
 * @param cache the cache.
 * @param key 0 to MTC_KEY_SIZE_MAX bytes.
 * @param value the bytes, copied; may be empty.
 * @param strategy how long; NULL: the default of the cache.
 * @return MTC_OK; MTC_PARTIAL: some tier does not hold it, and none will
 *         serve the older value; MTC_E_INVALID for a wrong strategy or NULL;
 *         MTC_E_TOO_LARGE, nothing changed; MTC_E_BUSY: a tier that is away
 *         owes too many removals, try later; MTC_E_NO_MEMORY; MTC_E_CLOSED;
 *         MTC_E_FORKED.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** until the tiers' deadlines.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_set(mtc_cache *cache, mtc_slice key,
                                 mtc_slice value, const mtc_strategy *strategy);

/**
 * mtc_cache_set with options of the call, the strategy among them.
 *
 * @param cache the cache.
 * @param key as for mtc_cache_set.
 * @param value as for mtc_cache_set.
 * @param call options; NULL: none.
 * @return as mtc_cache_set.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** as mtc_cache_set, at most for the call's deadline.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_set_with(mtc_cache *cache, mtc_slice key,
                                      mtc_slice value, const mtc_call *call);

/**
 * Removes a key from every tier. Once this returns OK or PENDING, no read
 * that starts later in this process returns an older value.
 *
 * @param cache the cache.
 * @param key 0 to MTC_KEY_SIZE_MAX bytes.
 * @return MTC_OK, also when there was nothing; MTC_PENDING: a tier is away
 *         and will be told, and is not read for this key before; MTC_E_BUSY:
 *         it owes too many removals already, not done; MTC_E_TOO_LARGE;
 *         MTC_E_INVALID; MTC_E_NO_MEMORY; MTC_E_CLOSED; MTC_E_FORKED.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** until the tiers' deadlines.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_remove(mtc_cache *cache, mtc_slice key);

/**
 * mtc_cache_remove with options of the call.
 *
 * @param cache the cache.
 * @param key as for mtc_cache_remove.
 * @param call options; NULL: none.
 * @return as mtc_cache_remove.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** as mtc_cache_remove, at most for the call's deadline.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_remove_with(mtc_cache *cache, mtc_slice key,
                                         const mtc_call *call);

/**
 * Ends the life of an entry in every tier but keeps it as a stale copy for
 * what its window allows; an entry without a window is gone.
 *
 * @param cache the cache.
 * @param key 0 to MTC_KEY_SIZE_MAX bytes.
 * @return as mtc_cache_remove.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** until the tiers' deadlines.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_expire(mtc_cache *cache, mtc_slice key);

/**
 * mtc_cache_expire with options of the call.
 *
 * @param cache the cache.
 * @param key as for mtc_cache_expire.
 * @param call options; NULL: none.
 * @return as mtc_cache_expire.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** as mtc_cache_expire, at most for the call's deadline.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_expire_with(mtc_cache *cache, mtc_slice key,
                                         const mtc_call *call);

/**
 * Gets a value, or loads and stores it: one load per key however many ask.
 * The caller has the value at once; stores in lower tiers go on.
 *
 * @param cache the cache.
 * @param key 0 to MTC_KEY_SIZE_MAX bytes.
 * @param strategy how long a loaded value lives; NULL: the default.
 * @param loader called when no tier has the key; not NULL.
 * @param ctx handed to loader; it must live until the loader has ended, which
 *        is after the call where the strategy does not wait for it.
 * @param value as for mtc_cache_get.
 * @return MTC_OK; MTC_STALE: the load failed, now or within throttle_ms, or is
 *         not waited for (soft_ms, hard_ms, loads_max), and this is the
 *         youngest copy within its stale window; MTC_MISS: the loader found
 *         nothing; MTC_ABSENT: the same, and it is remembered; the loader's own
 *         negative status, also within error_ms of a load that failed so;
 *         MTC_E_LOAD_FAILED: it returned OK without a value; MTC_E_TIMEOUT:
 *         hard_ms has passed, and the load goes on; MTC_E_BUSY: too many loads
 *         run and wait; MTC_E_DEADLOCK: this thread's loader waits for its own
 *         result; MTC_E_CANCELLED: the load was given up and nobody took over;
 *         and otherwise as mtc_cache_get, but a tier's failure is only counted.
 *
 * **Returns** as above.
 * **Threads** any; the loader runs in the thread of the caller that leads, or
 * on one of the cache's, as the strategy says.
 * **Blocks** until the tiers' deadlines and the end of the load, or as long as
 * the strategy waits for it.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_get_or_load(mtc_cache *cache, mtc_slice key,
                                         const mtc_strategy *strategy,
                                         mtc_loader loader, void *ctx,
                                         mtc_value *value);

/**
 * mtc_cache_get_or_load with options of the call, the strategy among them.
 *
 * @param cache the cache.
 * @param key as for mtc_cache_get_or_load.
 * @param call options; NULL: none.
 * @param loader as for mtc_cache_get_or_load.
 * @param ctx as for mtc_cache_get_or_load.
 * @param value as for mtc_cache_get.
 * @return as mtc_cache_get_or_load; MTC_E_TIMEOUT: the deadline passed while
 *         another caller was loading, and that load goes on.
 *
 * **Returns** as above.
 * **Threads** as for mtc_cache_get_or_load.
 * **Blocks** at most for the call's deadline, except inside its own loader.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_get_or_load_with(mtc_cache *cache, mtc_slice key,
                                              const mtc_call *call,
                                              mtc_loader loader, void *ctx,
                                              mtc_value *value);

/**
 * Gets many keys with one round trip to each tier for every 1,024 of them.
 * A tier whose library sends one key at a time (memcached) takes more.
 *
 * @param cache the cache.
 * @param items keys in; value and status out, each value to be given back.
 * @param count of items; a key may occur twice.
 * @return MTC_OK: every key is a hit; MTC_PARTIAL: not every one, see each
 *         status; MTC_E_INVALID, MTC_E_NO_MEMORY, MTC_E_CLOSED, MTC_E_FORKED:
 *         nothing was got.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** as mtc_cache_get.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_get_many(mtc_cache *cache, mtc_item *items,
                                      size_t count);

/**
 * mtc_cache_get_many with options of the call.
 *
 * @param cache the cache.
 * @param items as for mtc_cache_get_many.
 * @param count as for mtc_cache_get_many.
 * @param call options; NULL: none.
 * @return as mtc_cache_get_many.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** as mtc_cache_get_with.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_get_many_with(mtc_cache *cache, mtc_item *items,
                                           size_t count, const mtc_call *call);

/**
 * Gets many values, or loads and stores them: memory, then one round trip to
 * each tier, then one call of a bulk loader with the keys that nobody else is
 * loading; those that somebody is, are waited for. That for every 1,024 keys.
 *
 * @param cache the cache.
 * @param items as for mtc_cache_get_many; each status as mtc_cache_get_or_load
 *        would have returned.
 * @param count of items; a key may occur twice, and is loaded once.
 * @param strategy how long loaded values live; NULL: the default.
 * @param loader called with what no tier has; not NULL.
 * @param ctx handed to loader.
 * @return as mtc_cache_get_many.
 *
 * **Returns** as above.
 * **Threads** any; the loader runs as for mtc_cache_get_or_load.
 * **Blocks** as mtc_cache_get_or_load.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_get_or_load_many(mtc_cache *cache, mtc_item *items,
                                              size_t count,
                                              const mtc_strategy *strategy,
                                              mtc_bulk_loader loader,
                                              void *ctx);

/**
 * mtc_cache_get_or_load_many with options of the call, the strategy among
 * them.
 *
 * @param cache the cache.
 * @param items as for mtc_cache_get_or_load_many.
 * @param count as for mtc_cache_get_or_load_many.
 * @param call options; NULL: none.
 * @param loader as for mtc_cache_get_or_load_many.
 * @param ctx as for mtc_cache_get_or_load_many.
 * @return as mtc_cache_get_many.
 *
 * **Returns** as above.
 * **Threads** as for mtc_cache_get_or_load_many.
 * **Blocks** as mtc_cache_get_or_load_with.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_get_or_load_many_with(
    mtc_cache *cache, mtc_item *items, size_t count, const mtc_call *call,
    mtc_bulk_loader loader, void *ctx);

/**
 * Sets many keys, in round trips as mtc_cache_get_many. Each key is set as
 * mtc_cache_set does; together they are not one transaction.
 *
 * @param cache the cache.
 * @param items keys and bytes in; status out.
 * @param count of items.
 * @param strategy how long; NULL: the default of the cache.
 * @return MTC_OK: every key; MTC_PARTIAL: see each status; else as
 *         mtc_cache_get_many.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** as mtc_cache_set.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_set_many(mtc_cache *cache, mtc_item *items,
                                      size_t count,
                                      const mtc_strategy *strategy);

/**
 * mtc_cache_set_many with options of the call, the strategy among them.
 *
 * @param cache the cache.
 * @param items as for mtc_cache_set_many.
 * @param count as for mtc_cache_set_many.
 * @param call options; NULL: none.
 * @return as mtc_cache_set_many.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** as mtc_cache_set_with.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_set_many_with(mtc_cache *cache, mtc_item *items,
                                           size_t count, const mtc_call *call);

/**
 * Removes many keys, in round trips as mtc_cache_get_many.
 *
 * @param cache the cache.
 * @param items keys in; status out.
 * @param count of items.
 * @return MTC_OK: every key; MTC_PARTIAL: see each status; else as
 *         mtc_cache_get_many.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** as mtc_cache_remove.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_remove_many(mtc_cache *cache, mtc_item *items,
                                         size_t count);

/**
 * mtc_cache_remove_many with options of the call.
 *
 * @param cache the cache.
 * @param items as for mtc_cache_remove_many.
 * @param count as for mtc_cache_remove_many.
 * @param call options; NULL: none.
 * @return as mtc_cache_remove_many.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** as mtc_cache_remove_with.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_remove_many_with(mtc_cache *cache, mtc_item *items,
                                              size_t count,
                                              const mtc_call *call);

#ifdef __cplusplus
}
#endif

#endif
