/*
 * Opening a tier by its URL, and the list of every option that URLs take.
 * Constant tables; any thread.
 */
#include "tier/open.h"

#include <stdlib.h>

#include "base/buffer.h"
#include "base/error.h"

/* What every URL takes, and the cache acts on. */
typedef struct any_options {
    double ttl_scale;
    int64_t ttl_ms_max;
    int64_t promote_one_in;
    int64_t deadline_ms;
    char prefix[sizeof(((mtc_tier_config *)NULL)->prefix)];
} any_options;

static const mtci_tier_kind *const kinds[] = {
    &mtci_memory_kind,    &mtci_disk_kind, &mtci_redis_kind,
#ifdef MTCI_MEMCACHED
    &mtci_memcached_kind,
#endif
    &mtci_noop_kind,
};

#define KIND_COUNT (sizeof(kinds) / sizeof(*kinds))

/* Of the names of parameters. */
#define NAME_CHARS "abcdefghijklmnopqrstuvwxyz_"

static const mtci_option any_rows[] = {
    {
        .name = "ttl_scale",
        .kind = MTCI_OPTION_RATIO,
        .offset = offsetof(any_options, ttl_scale),
        .min = 0.001,
        .max = 1000,
        .fallback = "1",
        .range = "0.001 to 1000",
        .text = "lives of set and loaded entries are multiplied by this",
    },
    {
        .name = "ttl_max",
        .kind = MTCI_OPTION_DURATION,
        .offset = offsetof(any_options, ttl_ms_max),
        .min = 1,
        .max = 3155760000000.0,
        .range = "1ms to 36525d; memory over a shared tier: 5m if not given",
        .text = "no entry lives longer in this tier",
    },
    {
        .name = "promote",
        .kind = MTCI_OPTION_SHARE,
        .offset = offsetof(any_options, promote_one_in),
        .min = 1,
        .max = 1000000,
        .fallback = "on",
        .range = "on, off, or 1/N with N from 1 to 1000000",
        .text = "which hits of lower tiers are copied into this one",
    },
    {
        .name = "deadline",
        .kind = MTCI_OPTION_DURATION,
        .offset = offsetof(any_options, deadline_ms),
        .min = 1,
        .max = 600000,
        .fallback = "250ms",
        .range = "1ms to 10m",
        .text = "how long one call of this tier may take",
    },
    {
        .name = "prefix",
        .kind = MTCI_OPTION_TEXT,
        .offset = offsetof(any_options, prefix),
        .size = sizeof(((any_options *)NULL)->prefix),
        .range = "at most 255 bytes; not for memory",
        .text = "put before every key in this tier",
    },
};

static const mtci_option_table any_table = {
    .scope = "any",
    .options = any_rows,
    .count = sizeof(any_rows) / sizeof(*any_rows),
};

/* Whether the words of a list, separated by spaces, have this one. */
static bool word_is_in(const char *list, const char *word)
{
    size_t size = strlen(word);
    size_t word_size;

    for (; *list != '\0'; list += word_size + (list[word_size] == ' ')) {
        word_size = strcspn(list, " ");
        if (word_size == size && memcmp(list, word, size) == 0) {
            return true;
        }
    }
    return false;
}

static mtc_status scheme_refuse(const char *scheme, mtc_error *error)
{
    mtci_buffer schemes = {0};
    mtc_status status;

    for (size_t i = 0; i < KIND_COUNT; i++) {
        mtci_buffer_add_format(&schemes, " %s", kinds[i]->schemes);
    }
    status =
        mtci_fail(error, MTC_E_UNSUPPORTED, "url",
                  "no tier is called '%.32s'; this build has:%.*s", scheme,
                  (int)schemes.size, schemes.size == 0 ? "" : schemes.data);
    mtci_buffer_fini(&schemes);
    return status;
}

static mtc_status kind_find(const char *scheme, mtc_error *error,
                            const mtci_tier_kind **out)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (word_is_in(kinds[i]->schemes, scheme)) {
            *out = kinds[i];
            return MTC_OK;
        }
    }
    return scheme_refuse(scheme, error);
}

static void names_add(mtci_buffer *names, const mtci_option_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        mtci_buffer_add_format(names, " %s", table->options[i].name);
    }
}

/* What is not spelled as names are may be a part of a password that was not
 * encoded: it is not shown. */
static mtc_status unknown_refuse(const mtci_tier_kind *kind, const char *name,
                                 mtc_error *error)
{
    mtci_buffer names = {0};
    bool is_spelled = name[strspn(name, NAME_CHARS)] == '\0';
    mtc_status status;

    names_add(&names, kind->options);
    names_add(&names, &any_table);
    status = mtci_fail(error, MTC_E_INVALID, "url",
                       "%s: no parameter is called '%.32s'; there are:%.*s",
                       kind->options->scope, is_spelled ? name : "***",
                       (int)names.size, names.size == 0 ? "" : names.data);
    mtci_buffer_fini(&names);
    return status;
}

static mtc_status params_apply(const mtci_tier_kind *kind, const mtci_url *url,
                               mtc_error *error, void *options,
                               any_options *any)
{
    mtc_status status = MTC_OK;
    bool is_known;

    mtci_options_default(kind->options, options);
    mtci_options_default(&any_table, any);
    for (size_t i = 0; status == MTC_OK && i < url->param_count; i++) {
        const mtci_url_param *param = &url->params[i];

        status =
            mtci_options_set(kind->options, param, error, options, &is_known);
        if (!is_known) {
            status = mtci_options_set(&any_table, param, error, any, &is_known);
        }
        if (!is_known) {
            status = unknown_refuse(kind, param->name, error);
        }
    }
    return status;
}

static void config_fill(const any_options *any, mtc_tier *tier,
                        mtc_tier_config *config)
{
    mtc_tier_config full = {
        .promote_one_in = (int32_t)any->promote_one_in,
        .tier = tier,
        .ttl_scale = any->ttl_scale,
        .ttl_ms_max = any->ttl_ms_max,
        .deadline_ms = any->deadline_ms,
    };
    uint32_t size = config->struct_size;

    full.struct_size = size;
    memcpy(full.prefix, any->prefix, sizeof(full.prefix));
    memcpy(config, &full, size < sizeof(full) ? size : sizeof(full));
}

static mtc_status url_open(const mtci_url *url, mtc_error *error,
                           mtc_tier_config *config)
{
    const mtci_tier_kind *kind = NULL;
    any_options any = {0};
    mtc_tier *tier = NULL;
    mtc_status status = kind_find(url->scheme, error, &kind);
    void *options;

    if (status != MTC_OK) {
        return status;
    }
    if (url->host_count > 1 &&
        (kind->schemes_of_many == NULL ||
         !word_is_in(kind->schemes_of_many, url->scheme))) {
        return mtci_fail(error, MTC_E_INVALID, "url",
                         "%.32s: one host only, not several with commas",
                         url->scheme);
    }
    options = calloc(1, kind->options_size + 1);
    if (options == NULL) {
        return mtci_fail(error, MTC_E_NO_MEMORY, "url", "out of memory");
    }
    status = params_apply(kind, url, error, options, &any);
    if (status == MTC_OK) {
        status = kind->open(url, options, error, &tier);
    }
    explicit_bzero(options, kind->options_size);
    free(options);
    if (status == MTC_OK) {
        config_fill(&any, tier, config);
    }
    return status;
}

mtc_status mtc_tier_open(const char *url, mtc_error *error,
                         mtc_tier_config *config)
{
    mtci_url parsed;
    mtc_status status;

    if (url == NULL || config == NULL) {
        return mtci_fail(error, MTC_E_INVALID, "url",
                         "url and config must not be NULL");
    }
    /* All fields of the first release, or the tier would have no owner. */
    if (config->struct_size < sizeof(mtc_tier_config)) {
        return mtci_fail(error, MTC_E_INVALID, "url",
                         "config.struct_size=%u: must be at least %zu",
                         config->struct_size, sizeof(mtc_tier_config));
    }
    status = mtci_url_parse(url, error, &parsed);
    if (status != MTC_OK) {
        return status;
    }
    status = url_open(&parsed, error, config);
    mtci_url_fini(&parsed);
    return status;
}

void mtc_tier_close(mtc_tier *tier)
{
    if (tier != NULL) {
        tier->ops->close(tier);
    }
}

static mtc_status option_describe(const mtci_option_table *table, size_t index,
                                  mtc_option_info *out)
{
    const mtci_option *option = &table->options[index];

    out->scope = table->scope;
    out->name = option->name;
    out->kind = mtci_option_kind_name(option->kind);
    out->fallback = option->fallback == NULL ? "" : option->fallback;
    out->range = option->range == NULL ? "" : option->range;
    out->text = option->text;
    return MTC_OK;
}

mtc_status mtc_option_get(size_t index, mtc_option_info *out)
{
    const mtci_option_table *table;

    if (out == NULL) {
        return MTC_E_INVALID;
    }
    for (size_t i = 0; i <= KIND_COUNT; i++) {
        table = i < KIND_COUNT ? kinds[i]->options : &any_table;
        if (index < table->count) {
            return option_describe(table, index, out);
        }
        index -= table->count;
    }
    return MTC_MISS;
}
