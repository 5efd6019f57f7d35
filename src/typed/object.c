/*
 * Typed values: encoding and decoding around the calls of the cache.
 *
 * Uses the public interface alone. Owns the encoded bytes during a call; any
 * thread.
 */
#include "mtc/object.h"

#include "base/clock.h"
#include "typed/writer.h"

/* One get_or_load of an object. */
typedef struct object_call {
    const mtc_object_loader *loader;
    void *object;  /* the caller's memory, which the loader may use */
    bool is_alien; /* out: the codec does not know the value that was found */
} object_call;

static bool codec_is_valid(const mtc_codec *codec)
{
    return codec != NULL && codec->struct_size >= sizeof(*codec) &&
           codec->reserved == 0 && codec->encode != NULL &&
           codec->decode != NULL;
}

static bool loader_is_valid(const mtc_object_loader *loader)
{
    return loader != NULL && loader->struct_size >= sizeof(*loader) &&
           loader->reserved == 0 && codec_is_valid(loader->codec) &&
           loader->load != NULL;
}

static mtc_status object_encode(const mtc_codec *codec, const void *object,
                                mtc_writer *writer)
{
    mtc_status status = codec->encode(object, codec->ctx, writer);

    return mtci_writer_end(writer, status);
}

static void object_destroy(const mtc_codec *codec, void *object)
{
    if (codec->destroy != NULL) {
        codec->destroy(object, codec->ctx);
    }
}

/* Decodes what a call found and gives it back; found is how the call ended. */
static mtc_status value_decode(const mtc_codec *codec, mtc_status found,
                               mtc_value *value, void *object)
{
    mtc_status status;

    if (found != MTC_OK && found != MTC_STALE) {
        return found;
    }
    status = codec->decode(mtc_value_slice(value), codec->ctx, object);
    mtc_value_free(value);
    if (status == MTC_OK) {
        return found;
    }
    return status == MTC_E_NO_MEMORY ? status : MTC_E_CORRUPT;
}

/* The loader under the loader: makes the object and gives its bytes. */
static mtc_status object_load(mtc_load *load, void *ctx)
{
    const object_call *object_call = ctx;
    const mtc_object_loader *loader = object_call->loader;
    MTCI_WRITER_SCOPED writer = {{0}};
    mtc_status status = loader->load(load, loader->ctx, object_call->object);

    if (status != MTC_OK) {
        /* The object is on this thread: nobody could answer later. */
        return status == MTC_PENDING ? MTC_E_INVALID : status;
    }
    status = object_encode(loader->codec, object_call->object, &writer);
    if (status == MTC_OK) {
        status = mtc_load_set_value(load, mtci_writer_slice(&writer));
    }
    object_destroy(loader->codec, object_call->object);
    return status;
}

static mtc_status object_get_or_load(mtc_cache *cache, mtc_slice key,
                                     const mtc_call *call,
                                     object_call *object_call)
{
    mtc_value value;
    mtc_status found = mtc_cache_get_or_load_with(cache, key, call, object_load,
                                                  object_call, &value);
    mtc_status status = value_decode(object_call->loader->codec, found, &value,
                                     object_call->object);

    object_call->is_alien = status == MTC_E_CORRUPT && found != status;
    return status;
}

/* Cuts the call's deadline by what has passed. False: nothing is left. */
static bool call_shorten(mtc_call *call, int64_t passed_ms)
{
    if (call->deadline_ms == 0) {
        return true;
    }
    call->deadline_ms -= passed_ms;
    return call->deadline_ms > 0;
}

/* Away with a value that does not decode, and once more. Should the removal
 * fail, the second attempt tells. */
static mtc_status object_reload(mtc_cache *cache, mtc_slice key,
                                const mtc_call *call, int64_t begin_ms,
                                object_call *object_call)
{
    mtc_call rest = MTC_CALL_INIT;
    size_t size = sizeof(rest);

    if (call != NULL) {
        size = call->struct_size < size ? call->struct_size : size;
        memcpy(&rest, call, size);
        rest.struct_size = sizeof(rest);
    }
    if (!call_shorten(&rest, mtci_boot_ms() - begin_ms)) {
        return MTC_E_TIMEOUT;
    }
    begin_ms = mtci_boot_ms();
    mtc_cache_remove_with(cache, key, &rest);
    if (!call_shorten(&rest, mtci_boot_ms() - begin_ms)) {
        return MTC_E_TIMEOUT;
    }
    return object_get_or_load(cache, key, &rest, object_call);
}

mtc_status mtc_writer_add(mtc_writer *writer, mtc_slice bytes)
{
    if (writer == NULL) {
        return MTC_E_INVALID;
    }
    if (writer->buffer.status == MTC_OK && bytes.data == NULL &&
        bytes.size > 0) {
        writer->buffer.status = MTC_E_INVALID;
    }
    mtci_buffer_add(&writer->buffer, bytes);
    return writer->buffer.status;
}

mtc_status mtc_cache_get_object(mtc_cache *cache, mtc_slice key,
                                const mtc_codec *codec, void *object)
{
    return mtc_cache_get_object_with(cache, key, NULL, codec, object);
}

mtc_status mtc_cache_get_object_with(mtc_cache *cache, mtc_slice key,
                                     const mtc_call *call,
                                     const mtc_codec *codec, void *object)
{
    mtc_value value;
    mtc_status status;

    if (!codec_is_valid(codec) || object == NULL) {
        return MTC_E_INVALID;
    }
    status = mtc_cache_get_with(cache, key, call, &value);
    return value_decode(codec, status, &value, object);
}

mtc_status mtc_cache_set_object(mtc_cache *cache, mtc_slice key,
                                const mtc_codec *codec, const void *object,
                                const mtc_strategy *strategy)
{
    mtc_call call = MTC_CALL_INIT;

    call.strategy = strategy;
    return mtc_cache_set_object_with(cache, key, codec, object, &call);
}

mtc_status mtc_cache_set_object_with(mtc_cache *cache, mtc_slice key,
                                     const mtc_codec *codec, const void *object,
                                     const mtc_call *call)
{
    MTCI_WRITER_SCOPED writer = {{0}};
    mtc_status status;

    if (!codec_is_valid(codec) || object == NULL) {
        return MTC_E_INVALID;
    }
    status = object_encode(codec, object, &writer);
    if (status == MTC_OK) {
        status =
            mtc_cache_set_with(cache, key, mtci_writer_slice(&writer), call);
    }
    return status;
}

mtc_status mtc_cache_get_or_load_object(mtc_cache *cache, mtc_slice key,
                                        const mtc_strategy *strategy,
                                        const mtc_object_loader *loader,
                                        void *object)
{
    mtc_call call = MTC_CALL_INIT;

    call.strategy = strategy;
    return mtc_cache_get_or_load_object_with(cache, key, &call, loader, object);
}

mtc_status mtc_cache_get_or_load_object_with(mtc_cache *cache, mtc_slice key,
                                             const mtc_call *call,
                                             const mtc_object_loader *loader,
                                             void *object)
{
    object_call object_call = {loader, object, false};
    int64_t begin_ms;
    mtc_status status;

    if (!loader_is_valid(loader) || object == NULL) {
        return MTC_E_INVALID;
    }
    begin_ms = mtci_boot_ms();
    status = object_get_or_load(cache, key, call, &object_call);
    if (!object_call.is_alien) {
        return status;
    }
    return object_reload(cache, key, call, begin_ms, &object_call);
}
