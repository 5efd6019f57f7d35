/*
 * JSON values: a codec on jansson. Uses the public interface alone; any
 * thread.
 */
#include "mtc/json.h"

/* The caller's loader, under the loader of objects. */
typedef struct json_load {
    mtc_json_loader loader;
    void *ctx;
} json_load;

static int bytes_add(const char *bytes, size_t size, void *writer)
{
    return mtc_writer_add(writer, mtc_bytes(bytes, size)) == MTC_OK ? 0 : -1;
}

static mtc_status json_encode(const void *object, void *ctx, mtc_writer *writer)
{
    const json_t *json = *(json_t *const *)object;
    int result;

    (void)ctx;
    result = json_dump_callback(json, bytes_add, writer,
                                JSON_COMPACT | JSON_ENCODE_ANY);
    return result == 0 ? MTC_OK : MTC_E_INVALID;
}

static mtc_status json_decode(mtc_slice bytes, void *ctx, void *object)
{
    json_t **json = object;
    json_error_t error = {0};

    (void)ctx;
    *json = json_loadb(bytes.data == NULL ? "" : bytes.data, bytes.size,
                       JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (*json != NULL) {
        return MTC_OK;
    }
    /* What jansson finds wrong with the bytes it names. Out of memory it names
     * nothing, but inside a string, which then is an invalid token. */
    return json_error_code(&error) == json_error_unknown ? MTC_E_NO_MEMORY
                                                         : MTC_E_CORRUPT;
}

static void json_destroy(void *object, void *ctx)
{
    json_t **json = object;

    (void)ctx;
    json_decref(*json);
    *json = NULL;
}

static const mtc_codec json_codec =
    MTC_CODEC_INIT(json_encode, json_decode, json_destroy, NULL);

static mtc_status json_load_run(mtc_load *load, void *ctx, void *object)
{
    const json_load *json_load = ctx;
    json_t **json = object;
    mtc_status status;

    *json = NULL;
    status = json_load->loader(load, json_load->ctx, json);
    return status == MTC_OK && *json == NULL ? MTC_E_LOAD_FAILED : status;
}

const mtc_codec *mtc_json_codec(void)
{
    return &json_codec;
}

mtc_status mtc_json_get(mtc_cache *cache, mtc_slice key, json_t **json)
{
    if (json == NULL) {
        return MTC_E_INVALID;
    }
    *json = NULL;
    return mtc_cache_get_object(cache, key, &json_codec, json);
}

mtc_status mtc_json_set(mtc_cache *cache, mtc_slice key, const json_t *json,
                        const mtc_strategy *strategy)
{
    return mtc_cache_set_object(cache, key, &json_codec, &json, strategy);
}

mtc_status mtc_json_get_or_load(mtc_cache *cache, mtc_slice key,
                                const mtc_strategy *strategy,
                                mtc_json_loader loader, void *ctx,
                                json_t **json)
{
    json_load json_load = {loader, ctx};
    mtc_object_loader object_loader =
        MTC_OBJECT_LOADER_INIT(&json_codec, json_load_run, &json_load);
    mtc_status status;

    if (json == NULL || loader == NULL) {
        return MTC_E_INVALID;
    }
    *json = NULL;
    status = mtc_cache_get_or_load_object(cache, key, strategy, &object_loader,
                                          json);
    if (status != MTC_OK) {
        *json = NULL;
    }
    return status;
}
