/*
 * Memoising: a function of bytes to bytes, called once per arguments.
 */
#ifndef MTC_MEMOIZE_H
#define MTC_MEMOIZE_H

#include "mtc/object.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A function whose results are cached; make one with MTC_FUNCTION_INIT. */
typedef struct mtc_function {
    /** sizeof(mtc_function). */
    uint32_t struct_size;
    /** Must be 0. */
    uint32_t reserved;
    /** Its name, not empty: the first part of the keys of its results, so
     *  change it when the function changes. Since 0.1. */
    const char *name;
    /** Writes the result for these arguments. MTC_OK; MTC_MISS: there is
     *  none (not cached); a negative status: it failed. Since 0.1. */
    mtc_status (*call)(const mtc_slice *arguments, size_t count, void *ctx,
                       mtc_writer *result);
    /** Handed to call. Since 0.1. */
    void *ctx;
    /** How long results live; NULL: the default of the cache. Since 0.1. */
    const mtc_strategy *strategy;
} mtc_function;

/** A memoised function: name, function, its context, strategy or NULL. */
#define MTC_FUNCTION_INIT(name, call, ctx, strategy)                           \
    {                                                                          \
        (uint32_t)sizeof(mtc_function), 0, (name), (call), (ctx), (strategy)   \
    }

/**
 * The result of a function for these arguments: from the cache, or called
 * once however many ask. The key is that of mtc_key for the name and the
 * arguments: "area:3:4".
 *
 * @param cache the cache.
 * @param function borrowed for the call.
 * @param arguments count slices of any bytes, borrowed for the call; NULL
 *        when count is 0.
 * @param count of arguments.
 * @param result as the value of mtc_cache_get_or_load.
 * @return as mtc_cache_get_or_load; MTC_MISS: the function has no result;
 *         its own negative status; MTC_E_TOO_LARGE also for arguments that
 *         make a key over MTC_KEY_SIZE_MAX; MTC_E_INVALID also for a wrong
 *         function.
 *
 * **Returns** as above.
 * **Threads** any; the function runs in the thread of the caller that leads.
 * **Blocks** as mtc_cache_get_or_load.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_memoize(mtc_cache *cache, const mtc_function *function,
                               const mtc_slice *arguments, size_t count,
                               mtc_value *result);

#ifdef __cplusplus
}
#endif

#endif
