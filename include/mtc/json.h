/*
 * JSON values, by jansson: an optional part, in the library libmtc-json.
 *
 * The objects of the codec are json_t pointers: where a call takes an object,
 * give the address of a json_t *. What comes out is the caller's, to be given
 * back with json_decref.
 */
#ifndef MTC_JSON_H
#define MTC_JSON_H

#include <jansson.h>

#include "mtc/object.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Your function that makes the JSON of a key: as an mtc_loader, but it sets
 *  *json to a new reference. Must not return MTC_PENDING. */
typedef mtc_status (*mtc_json_loader)(mtc_load *load, void *ctx, json_t **json);

/**
 * The codec of any JSON value, whose object is a json_t *.
 *
 * @return a static codec.
 *
 * **Returns** never NULL.
 * **Threads** any.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API const mtc_codec *mtc_json_codec(void);

/**
 * Gets a JSON value.
 *
 * @param cache the cache.
 * @param key 0 to MTC_KEY_SIZE_MAX bytes.
 * @param json receives a new reference; NULL unless MTC_OK is returned.
 * @return as mtc_cache_get_object; MTC_E_CORRUPT: the value is no JSON.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** as mtc_cache_get.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_json_get(mtc_cache *cache, mtc_slice key, json_t **json);

/**
 * Sets a JSON value, written compactly.
 *
 * @param cache the cache.
 * @param key 0 to MTC_KEY_SIZE_MAX bytes.
 * @param json borrowed for the call.
 * @param strategy how long; NULL: the default of the cache.
 * @return as mtc_cache_set_object; MTC_E_INVALID also for what cannot be
 *         written as JSON, or not in the memory that jansson has.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** as mtc_cache_set.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_json_set(mtc_cache *cache, mtc_slice key,
                                const json_t *json,
                                const mtc_strategy *strategy);

/**
 * Gets a JSON value, or loads and stores it.
 *
 * @param cache the cache.
 * @param key 0 to MTC_KEY_SIZE_MAX bytes.
 * @param strategy how long a loaded value lives; NULL: the default.
 * @param loader called when no tier has the key; not NULL.
 * @param ctx handed to loader.
 * @param json receives a new reference; NULL unless MTC_OK is returned.
 * @return as mtc_cache_get_or_load_object.
 *
 * **Returns** as above.
 * **Threads** any; loader runs in the thread of the caller that leads.
 * **Blocks** as mtc_cache_get_or_load.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_json_get_or_load(mtc_cache *cache, mtc_slice key,
                                        const mtc_strategy *strategy,
                                        mtc_json_loader loader, void *ctx,
                                        json_t **json);

#ifdef __cplusplus
}
#endif

#endif
