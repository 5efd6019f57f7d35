/*
 * Typed values: your structs in the cache instead of bytes.
 *
 * A codec says how an object of yours becomes bytes and comes back. Every
 * read decodes into an object of the caller's own, so that nobody shares
 * what he was handed.
 */
#ifndef MTC_OBJECT_H
#define MTC_OBJECT_H

#include "mtc/cache.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A growing run of bytes that is being written: opaque. */
typedef struct mtc_writer mtc_writer;

/**
 * Adds bytes behind those written before. After an error the writer stays as
 * it is, and what was begun with it fails.
 *
 * @param writer the writer.
 * @param bytes borrowed for the call.
 * @return MTC_OK; MTC_E_INVALID for NULL, or NULL data with a size;
 *         MTC_E_NO_MEMORY; after an error that error.
 *
 * **Returns** as above.
 * **Threads** the one that was given the writer.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_writer_add(mtc_writer *writer, mtc_slice bytes);

/** How objects of one type become bytes and come back; make one with
 *  MTC_CODEC_INIT. Its functions are called without a lock held. */
typedef struct mtc_codec {
    /** sizeof(mtc_codec). */
    uint32_t struct_size;
    /** Must be 0. */
    uint32_t reserved;
    /** Writes the object. MTC_OK or a negative status, which the call then
     *  returns. Since 0.1. */
    mtc_status (*encode)(const void *object, void *ctx, mtc_writer *writer);
    /** Makes an object in the caller's memory, whose content is undefined,
     *  from bytes that may be anything. MTC_OK; MTC_E_NO_MEMORY; any other
     *  status: these bytes are no such object, and there is nothing to
     *  destroy. Since 0.1. */
    mtc_status (*decode)(mtc_slice bytes, void *ctx, void *object);
    /** Gives back what an object holds, not its own memory; NULL: it holds
     *  nothing. Since 0.1. */
    void (*destroy)(void *object, void *ctx);
    /** Handed to the three. Since 0.1. */
    void *ctx;
} mtc_codec;

/** A codec of three functions and their context. */
#define MTC_CODEC_INIT(encode, decode, destroy, ctx)                           \
    {                                                                          \
        (uint32_t)sizeof(mtc_codec), 0, (encode), (decode), (destroy), (ctx)   \
    }

/** Where objects come from when no tier has the key; make one with
 *  MTC_OBJECT_LOADER_INIT. */
typedef struct mtc_object_loader {
    /** sizeof(mtc_object_loader). */
    uint32_t struct_size;
    /** Must be 0. */
    uint32_t reserved;
    /** The codec of the object, borrowed for the call. Since 0.1. */
    const mtc_codec *codec;
    /** Makes the object of a key. As an mtc_loader, but it fills object, in
     *  place of giving a value, and must not return MTC_PENDING. object is
     *  the memory of the caller that leads; when MTC_OK is returned it is
     *  encoded, and then destroyed. Since 0.1. */
    mtc_status (*load)(mtc_load *load, void *ctx, void *object);
    /** Handed to load. Since 0.1. */
    void *ctx;
} mtc_object_loader;

/** A loader of objects: address of the codec, function and its context. */
#define MTC_OBJECT_LOADER_INIT(codec, load, ctx)                               \
    {                                                                          \
        (uint32_t)sizeof(mtc_object_loader), 0, (codec), (load), (ctx)         \
    }

/**
 * Gets an object: mtc_cache_get, decoded.
 *
 * @param cache the cache.
 * @param key 0 to MTC_KEY_SIZE_MAX bytes.
 * @param codec of the object.
 * @param object the caller's memory; holds an object, for the caller to
 *        destroy, when MTC_OK or MTC_STALE is returned.
 * @return as mtc_cache_get; MTC_E_CORRUPT also for a value that the codec
 *         does not decode; MTC_E_INVALID also for a wrong codec.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** as mtc_cache_get.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_get_object(mtc_cache *cache, mtc_slice key,
                                        const mtc_codec *codec, void *object);

/**
 * mtc_cache_get_object with options of the call.
 *
 * @param cache the cache.
 * @param key as for mtc_cache_get_object.
 * @param call options; NULL: none.
 * @param codec as for mtc_cache_get_object.
 * @param object as for mtc_cache_get_object.
 * @return as mtc_cache_get_object.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** as mtc_cache_get_with.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_get_object_with(mtc_cache *cache, mtc_slice key,
                                             const mtc_call *call,
                                             const mtc_codec *codec,
                                             void *object);

/**
 * Sets an object: mtc_cache_set of its encoded bytes.
 *
 * @param cache the cache.
 * @param key 0 to MTC_KEY_SIZE_MAX bytes.
 * @param codec of the object.
 * @param object borrowed for the call; stays the caller's.
 * @param strategy how long; NULL: the default of the cache.
 * @return as mtc_cache_set; the status of an encode that failed;
 *         MTC_E_INVALID also for a wrong codec.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** as mtc_cache_set.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_set_object(mtc_cache *cache, mtc_slice key,
                                        const mtc_codec *codec,
                                        const void *object,
                                        const mtc_strategy *strategy);

/**
 * mtc_cache_set_object with options of the call, the strategy among them.
 *
 * @param cache the cache.
 * @param key as for mtc_cache_set_object.
 * @param codec as for mtc_cache_set_object.
 * @param object as for mtc_cache_set_object.
 * @param call options; NULL: none.
 * @return as mtc_cache_set_object.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** as mtc_cache_set_with.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_set_object_with(mtc_cache *cache, mtc_slice key,
                                             const mtc_codec *codec,
                                             const void *object,
                                             const mtc_call *call);

/**
 * Gets an object, or loads and stores it: mtc_cache_get_or_load, decoded. A
 * cached value that does not decode, left by an older program perhaps, is
 * removed and loaded again, once.
 *
 * @param cache the cache.
 * @param key 0 to MTC_KEY_SIZE_MAX bytes.
 * @param strategy how long a loaded object lives; NULL: the default.
 * @param loader where it comes from; borrowed for the call.
 * @param object the caller's memory; holds an object, for the caller to
 *        destroy, when MTC_OK or MTC_STALE is returned. Its content is
 *        undefined otherwise.
 * @return as mtc_cache_get_or_load; the status of an encode that failed;
 *         MTC_E_CORRUPT also for a loaded value that the codec does not
 *         decode; MTC_E_INVALID also for a wrong loader or codec, or a load
 *         that returned MTC_PENDING.
 *
 * **Returns** as above.
 * **Threads** any; load runs in the thread of the caller that leads.
 * **Blocks** as mtc_cache_get_or_load.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_get_or_load_object(mtc_cache *cache, mtc_slice key,
                                                const mtc_strategy *strategy,
                                                const mtc_object_loader *loader,
                                                void *object);

/**
 * mtc_cache_get_or_load_object with options of the call, the strategy among
 * them.
 *
 * @param cache the cache.
 * @param key as for mtc_cache_get_or_load_object.
 * @param call options; NULL: none.
 * @param loader as for mtc_cache_get_or_load_object.
 * @param object as for mtc_cache_get_or_load_object.
 * @return as mtc_cache_get_or_load_object, and MTC_E_TIMEOUT as for
 *         mtc_cache_get_or_load_with.
 *
 * **Returns** as above.
 * **Threads** as for mtc_cache_get_or_load_object.
 * **Blocks** as mtc_cache_get_or_load_with.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_get_or_load_object_with(
    mtc_cache *cache, mtc_slice key, const mtc_call *call,
    const mtc_object_loader *loader, void *object);

#ifdef __cplusplus
}
#endif

#endif
