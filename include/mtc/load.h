/*
 * Loaders: where a value comes from when no tier has it.
 *
 * A loader is a function of yours. The cache calls it once per key however
 * many callers ask: in the thread of the caller that leads the load, or, where
 * the strategy has a time-out, an early refresh or a lease, on a thread of the
 * cache; for a completion queue by the thread that drains it. It may use the
 * same cache for other keys. No lock of the library is held while it runs; it
 * may end by pthread_exit, cancellation or, in a caller's thread, a C++
 * exception, and one of those who wait takes over. It may not be left by
 * longjmp, which runs no clean-up: nor may any other function of yours that
 * the library calls.
 */
#ifndef MTC_LOAD_H
#define MTC_LOAD_H

#include "mtc/strategy.h"
#include "mtc/value.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The longest entity tag, in bytes. */
#define MTC_ETAG_SIZE_MAX 255

/**
 * Your function that produces the value of a key.
 *
 * It gives the value with mtc_load_set_value or mtc_load_take_value and
 * returns MTC_OK; or returns MTC_MISS: the source has nothing (remembered for
 * the strategy's absent_ms); or a negative status: the load failed, and
 * everyone who waits gets that status, or the stale copy if there is one; or
 * MTC_PENDING: the answer comes later, from any thread, through exactly one
 * call of mtc_load_answer or mtc_load_drop. A loader that has handed its load
 * to another thread returns MTC_PENDING and ends no other way.
 */
typedef mtc_status (*mtc_loader)(mtc_load *load, void *ctx);

/** Many loads that one call of a bulk loader is for: opaque. */
typedef struct mtc_bulk mtc_bulk;

/**
 * Your function that produces the values of many keys at a time.
 *
 * It gives each value to its load (mtc_bulk_load, or mtc_bulk_find by key) with
 * mtc_load_set_value or mtc_load_take_value, in any order. What it returns
 * counts for the keys that it gave nothing for: MTC_OK or MTC_MISS: the source
 * has nothing under them; a negative status: they failed. MTC_PENDING: every
 * load is answered later, each by itself, as for mtc_loader.
 */
typedef mtc_status (*mtc_bulk_loader)(mtc_bulk *bulk, void *ctx);

/**
 * How many loads a bulk has: each key that nobody else is loading, once.
 *
 * @param bulk what the bulk loader was given; NULL has none.
 * @return their count.
 *
 * **Returns** always.
 * **Threads** the one that runs the bulk loader.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API size_t mtc_bulk_count(const mtc_bulk *bulk);

/**
 * One of the loads of a bulk, as a loader of one key has it.
 *
 * @param bulk what the bulk loader was given.
 * @param i 0 to mtc_bulk_count - 1.
 * @return the load; NULL past the last.
 *
 * **Returns** as above.
 * **Threads** the one that runs the bulk loader.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_load *mtc_bulk_load(const mtc_bulk *bulk, size_t i);

/**
 * The load of a key, for a source that answers in an order of its own.
 *
 * @param bulk what the bulk loader was given.
 * @param key the key.
 * @return the load; NULL: this key was not asked for. What a source gives
 *         beyond what it was asked cannot be stored: it may have been
 *         invalidated meanwhile.
 *
 * **Returns** as above.
 * **Threads** the one that runs the bulk loader.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_load *mtc_bulk_find(const mtc_bulk *bulk, mtc_slice key);

/**
 * Says that one key of a bulk failed, in place of what its loader returns.
 *
 * @param load the load.
 * @param status negative.
 * @return MTC_OK; MTC_E_INVALID for NULL or a status that is not negative.
 *
 * **Returns** as above.
 * **Threads** the one that owns the load.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_load_set_failed(mtc_load *load, mtc_status status);

/**
 * The key that is being loaded.
 *
 * @param load the load that the loader was given.
 * @return the key, borrowed until the load is answered.
 *
 * **Returns** always.
 * **Threads** the one that owns the load: the loader, later the answerer.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_slice mtc_load_key(const mtc_load *load);

/**
 * Gives the loaded value; the bytes are copied. The last call counts.
 *
 * @param load the load.
 * @param value the bytes, borrowed for the call.
 * @return MTC_OK; MTC_E_TOO_LARGE over the cache's value_size_max;
 *         MTC_E_NO_MEMORY; MTC_E_INVALID for a NULL load, or NULL data with a
 *         size.
 *
 * **Returns** as above.
 * **Threads** the one that owns the load.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_load_set_value(mtc_load *load, mtc_slice value);

/**
 * Gives the loaded value without a copy: a value that the loader holds, for
 * example from another cache. Taken over only when the call succeeds.
 *
 * @param load the load.
 * @param value the value; zeroed when taken.
 * @return MTC_OK; MTC_E_TOO_LARGE over the cache's value_size_max;
 *         MTC_E_NO_MEMORY; MTC_E_INVALID for NULL.
 *
 * **Returns** as above.
 * **Threads** the one that owns the load.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_load_take_value(mtc_load *load, mtc_value *value);

/**
 * The copy of the key that is past its soft end, if a tier has one: its bytes,
 * and with mtc_value_info_get its age and etag.
 *
 * @param load the load.
 * @param value receives a value of the caller's, to be given back; zeroed
 *        unless MTC_OK is returned.
 * @return MTC_OK; MTC_MISS without such a copy; MTC_E_INVALID for NULL;
 *         MTC_E_NO_MEMORY.
 *
 * **Returns** as above.
 * **Threads** the one that owns the load.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_load_stale(const mtc_load *load, mtc_value *value);

/**
 * Says that the source still has what the stale copy has: it lives on, for a
 * whole ttl, with its etag unless mtc_load_set_etag gives it another. The
 * loader returns MTC_OK then. In memory no byte is copied, unless facts that
 * are kept with the entry differ: its etag, its weight, its ttl (jitter), its
 * load time (refresh_beta). Tiers below get the bytes again.
 *
 * @param load the load.
 * @return MTC_OK; MTC_MISS without a stale copy; MTC_E_INVALID for NULL;
 *         MTC_E_NO_MEMORY.
 *
 * **Returns** as above.
 * **Threads** the one that owns the load.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_load_set_unchanged(mtc_load *load);

/**
 * Sets for this one load how long it is remembered that the source has
 * nothing, in place of the strategy's absent_ms, should the loader return
 * MTC_MISS.
 *
 * @param load the load.
 * @param ttl_ms milliseconds, up to MTC_TTL_MS_MAX; 0: not at all.
 * @return MTC_OK; MTC_E_INVALID for NULL or a length out of range.
 *
 * **Returns** as above.
 * **Threads** the one that owns the load.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_load_set_absent_ttl(mtc_load *load, int64_t ttl_ms);

/**
 * Sets the time to live of this one result in place of the strategy's.
 *
 * @param load the load.
 * @param ttl_ms milliseconds, 1 to MTC_TTL_MS_MAX.
 * @return MTC_OK; MTC_E_INVALID for a ttl out of range, nothing changed.
 *
 * **Returns** as above.
 * **Threads** the one that owns the load.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_load_set_ttl(mtc_load *load, int64_t ttl_ms);

/**
 * Sets the entity tag of this one result: what the source calls this version
 * of the value. It is kept with the value in every tier that keeps facts and
 * told by mtc_value_info_get, also of the stale copy that a later loader
 * sees. The last call counts.
 *
 * @param load the load.
 * @param etag at most MTC_ETAG_SIZE_MAX bytes, copied; empty: none, also in
 *        place of the stale copy's.
 * @return MTC_OK; MTC_E_INVALID for a NULL load, NULL data with a size or a
 *         tag that is too long, nothing changed; MTC_E_NO_MEMORY.
 *
 * **Returns** as above.
 * **Threads** the one that owns the load.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_load_set_etag(mtc_load *load, mtc_slice etag);

/**
 * Sets the time to live of this one result in one tier, in place of what
 * mtc_load_set_ttl or the strategy says. It is not multiplied by the tier's
 * ttl_scale and not shortened by jitter; the tier's ttl_max cuts it, and the
 * stale window comes behind it as ever. The other tiers, and what
 * mtc_value_info_get tells of the loaded value itself, go by the common one.
 * A copy that is promoted later has what is left where it was found.
 *
 * @param load the load.
 * @param tier index of the tier, 0 first.
 * @param ttl_ms milliseconds, 1 to MTC_TTL_MS_MAX.
 * @return MTC_OK; MTC_E_INVALID for NULL, a tier that the cache does not have
 *         or a ttl out of range, nothing changed.
 *
 * **Returns** as above.
 * **Threads** the one that owns the load.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_load_set_tier_ttl(mtc_load *load, size_t tier,
                                         int64_t ttl_ms);

/**
 * Sets what this one result weighs in memory, in place of what the cache's
 * weigher says, which is not asked. A copy that is promoted later is weighed
 * by the weigher.
 *
 * @param load the load.
 * @param weight 1 and up.
 * @return MTC_OK; MTC_E_INVALID for NULL or 0.
 *
 * **Returns** as above.
 * **Threads** the one that owns the load.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_load_set_weight(mtc_load *load, uint32_t weight);

/**
 * Says that this one result is not to be stored: those who wait get it, no
 * tier does, and what the tiers have of the key stays as it is. It holds for
 * a value and for MTC_MISS; that a load failed is remembered all the same.
 *
 * @param load the load.
 * @return MTC_OK; MTC_E_INVALID for NULL.
 *
 * **Returns** as above.
 * **Threads** the one that owns the load.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_load_set_no_store(mtc_load *load);

/**
 * Ends a load whose loader returned MTC_PENDING. The load is gone afterwards.
 *
 * @param load the load.
 * @param status what the loader would have returned, not MTC_PENDING.
 * @return MTC_OK; MTC_E_INVALID for NULL or MTC_PENDING, the load still open;
 *         MTC_E_FORKED: the load is the parent's, nothing done.
 *
 * **Returns** as above.
 * **Threads** any, once per load.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_load_answer(mtc_load *load, mtc_status status);

/**
 * Gives up a load whose loader returned MTC_PENDING: one of those who wait
 * and have a loader takes over; without one they get MTC_E_CANCELLED. The
 * load is gone afterwards. In a forked child nothing happens.
 *
 * @param load the load, or NULL.
 *
 * **Returns** nothing.
 * **Threads** any, once per load.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API void mtc_load_drop(mtc_load *load);

#ifdef __cplusplus
}
#endif

#endif
