/*
 * The calls of the cache that load nothing; see fault_rig.h.
 */
#include "support/fault_rig.h"

#include <stdio.h>

#include "mtc/key.h"
#include "mtc/memoize.h"

/* -- reading ------------------------------------------------------------ */

static mtc_status get(fault_rig *rig, const char *key, uint32_t flags)
{
    mtc_value value;
    mtc_call call = MTC_CALL_INIT;
    call.flags = flags;
    mtc_status status =
        mtc_cache_get_with(rig->cache, mtc_str(key), &call, &value);
    return fault_take(rig, status, &value);
}

static mtc_status get_hit(fault_rig *rig)
{
    mtc_value value;
    mtc_status status = mtc_cache_get(rig->cache, mtc_str("k"), &value);
    return fault_take(rig, status, &value);
}

static mtc_status get_miss(fault_rig *rig)
{
    mtc_value value;
    mtc_status status = mtc_cache_get(rig->cache, mtc_str("n"), &value);
    return fault_take(rig, status, &value);
}

static mtc_status get_stale(fault_rig *rig)
{
    return get(rig, "s", MTC_CALL_ACCEPT_STALE);
}

/* Memory alone has nothing below it. */
static mtc_status get_below(fault_rig *rig)
{
    mtc_status status = get(rig, "k", MTC_CALL_SKIP_MEMORY);
    return status == MTC_MISS && !strchr(rig->tiers, ' ') ? get_hit(rig)
                                                          : status;
}

static mtc_status read_hit(fault_rig *rig)
{
    size_t size;
    mtc_status status = mtc_cache_read(rig->cache, mtc_str("k"), rig->text,
                                       sizeof(rig->text) - 1, &size);
    rig->text[size] = '\0';
    return status;
}

static mtc_status get_many(fault_rig *rig)
{
    mtc_status status = mtc_cache_get_many(rig->cache, rig->items, FAULT_ITEMS);
    return fault_items_take(rig, status);
}

static mtc_status get_many_below(fault_rig *rig)
{
    mtc_call call = MTC_CALL_INIT;
    call.flags = MTC_CALL_SKIP_MEMORY | MTC_CALL_ACCEPT_STALE;
    mtc_status status =
        mtc_cache_get_many_with(rig->cache, rig->items, FAULT_ITEMS, &call);
    return fault_items_take(rig, status);
}

/* -- writing ------------------------------------------------------------ */

static mtc_status set(fault_rig *rig)
{
    return mtc_cache_set(rig->cache, mtc_str("k"), mtc_str("new"), NULL);
}

static mtc_status set_large(fault_rig *rig)
{
    static char bytes[70000];
    return mtc_cache_set(rig->cache, mtc_str("k"),
                         mtc_bytes(bytes, sizeof(bytes)), NULL);
}

static mtc_status remove_key(fault_rig *rig)
{
    return mtc_cache_remove(rig->cache, mtc_str("k"));
}

static mtc_status expire(fault_rig *rig)
{
    return mtc_cache_expire(rig->cache, mtc_str("k"));
}

static mtc_status set_many(fault_rig *rig)
{
    mtc_status status =
        mtc_cache_set_many(rig->cache, rig->items, FAULT_ITEMS, NULL);
    return status == MTC_PARTIAL ? rig->items[0].status : status;
}

static mtc_status remove_many(fault_rig *rig)
{
    mtc_status status =
        mtc_cache_remove_many(rig->cache, rig->items, FAULT_ITEMS);
    return status == MTC_PARTIAL ? rig->items[0].status : status;
}

/* -- objects ------------------------------------------------------------ */

static mtc_status encode(const void *object, void *ctx, mtc_writer *writer)
{
    static const char bytes[2000];
    (void)ctx;
    mtc_writer_add(writer, mtc_bytes(object, 3));
    return mtc_writer_add(writer, mtc_bytes(bytes, sizeof(bytes)));
}

static mtc_status decode(mtc_slice bytes, void *ctx, void *object)
{
    (void)ctx;
    snprintf(object, 4, "%.*s", (int)bytes.size, (const char *)bytes.data);
    return MTC_OK;
}

static const mtc_codec codec = MTC_CODEC_INIT(encode, decode, NULL, NULL);

static mtc_status set_object(fault_rig *rig)
{
    return mtc_cache_set_object(rig->cache, mtc_str("k"), &codec, "new", NULL);
}

static mtc_status get_object(fault_rig *rig)
{
    return mtc_cache_get_object(rig->cache, mtc_str("k"), &codec, rig->text);
}

static mtc_status load_object(mtc_load *load, void *ctx, void *object)
{
    (void)load;
    (void)ctx;
    memcpy(object, "new", 4);
    return MTC_OK;
}

static mtc_status get_or_load_object(fault_rig *rig)
{
    char object[4];
    const mtc_object_loader loader =
        MTC_OBJECT_LOADER_INIT(&codec, load_object, NULL);
    return mtc_cache_get_or_load_object(rig->cache, mtc_str("object"), NULL,
                                        &loader, object);
}

static mtc_status write_twice(const mtc_slice *arguments, size_t count,
                              void *ctx, mtc_writer *result)
{
    (void)count;
    (void)ctx;
    mtc_writer_add(result, arguments[0]);
    return mtc_writer_add(result, arguments[1]);
}

static mtc_status memoize(fault_rig *rig)
{
    static const char big[MTC_KEY_INLINE_SIZE];
    mtc_value value;
    const mtc_function twice = MTC_FUNCTION_INIT("f", write_twice, NULL, NULL);
    const mtc_slice arguments[] = {mtc_bytes(big, sizeof(big)), mtc_str("x")};
    mtc_status status = mtc_memoize(rig->cache, &twice, arguments, 2, &value);
    mtc_value_free(&value);
    return status;
}

/* -- the whole cache ---------------------------------------------------- */

/* Its first calls connect. */
static mtc_status use_and_close(mtc_cache *cache)
{
    mtc_value value = {0};
    mtc_status status =
        mtc_cache_set(cache, mtc_str("another"), mtc_str("a"), NULL);
    if (status == MTC_OK)
        status = mtc_cache_get(cache, mtc_str("another"), &value);
    if (status == MTC_OK && value.size != 1)
        status = MTC_E_CORRUPT;
    mtc_value_free(&value);
    mtc_status closed = mtc_cache_close(&cache);
    if (closed < 0)
        return closed;
    return status == MTC_PARTIAL ? MTC_OK : status;
}

static mtc_status open_another(fault_rig *rig)
{
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    mtc_error error;
    mtc_cache *cache;
    options.tiers = rig->tiers;
    options.log_level = 5;
    options.grace_ms = 50;
    mtc_status status = mtc_cache_open(&options, &error, &cache);
    if (status != error.status || (cache != NULL) != (status == MTC_OK))
        return MTC_E_CORRUPT;
    if (status == MTC_OK)
        status = use_and_close(cache);
    return status;
}

/* Each tier by itself, as a program opens what it configures. */
static mtc_status open_tiers(fault_rig *rig)
{
    char urls[256];
    char *rest;
    snprintf(urls, sizeof(urls), "%s", rig->tiers);
    for (char *url = strtok_r(urls, " ", &rest); url;
         url = strtok_r(NULL, " ", &rest)) {
        mtc_tier_config config = MTC_TIER_CONFIG_INIT;
        mtc_status status = mtc_tier_open(url, NULL, &config);
        if ((config.tier != NULL) != (status == MTC_OK))
            return MTC_E_CORRUPT;
        if (status != MTC_OK)
            return status;
        mtc_tier_close(config.tier);
    }
    return MTC_OK;
}

static mtc_status resize(fault_rig *rig)
{
    return mtc_cache_resize(rig->cache, 0, 2 << 20);
}

static mtc_status stats(fault_rig *rig)
{
    mtc_stats stats = {.struct_size = sizeof(stats)};
    return mtc_cache_stats(rig->cache, &stats);
}

static mtc_status health(fault_rig *rig)
{
    mtc_health health = {.struct_size = sizeof(health)};
    return mtc_cache_health(rig->cache, &health);
}

static mtc_status ping(fault_rig *rig)
{
    mtc_health health = {.struct_size = sizeof(health)};
    return mtc_cache_ping(rig->cache, &health);
}

const fault_call fault_cache_calls[] = {
    {"get, hit", get_hit, MTC_OK, FAULT_READS_OLD, false},
    {"get, miss", get_miss, MTC_MISS, FAULT_NOTHING, false},
    {"get, stale", get_stale, MTC_STALE, FAULT_READS_STALE, false},
    {"get below memory", get_below, MTC_OK, FAULT_READS_OLD, false},
    {"read", read_hit, MTC_OK, FAULT_READS_OLD, false},
    {"get_many", get_many, MTC_MISS, FAULT_NOTHING, false},
    {"get_many below memory", get_many_below, MTC_MISS, FAULT_NOTHING, false},
    {"set", set, MTC_OK, FAULT_WRITES, false},
    {"set, large", set_large, MTC_OK, FAULT_WRITES, false},
    {"remove", remove_key, MTC_OK, FAULT_WRITES, false},
    {"expire", expire, MTC_OK, FAULT_EXPIRES, false},
    {"set_many", set_many, MTC_OK, FAULT_WRITES, false},
    {"remove_many", remove_many, MTC_OK, FAULT_WRITES, false},
    {"set_object", set_object, MTC_OK, FAULT_WRITES, false},
    {"get_object", get_object, MTC_OK, FAULT_READS_OLD, false},
    {"get_or_load_object", get_or_load_object, MTC_OK, FAULT_NOTHING, false},
    {"memoize", memoize, MTC_OK, FAULT_NOTHING, false},
    {"open and close", open_another, MTC_OK, FAULT_NOTHING, false},
    {"tier_open", open_tiers, MTC_OK, FAULT_NOTHING, false},
    {"resize", resize, MTC_OK, FAULT_NOTHING, false},
    {"stats", stats, MTC_OK, FAULT_NOTHING, false},
    {"health", health, MTC_OK, FAULT_NOTHING, false},
    {"ping", ping, MTC_OK, FAULT_NOTHING, false},
    {0},
};
