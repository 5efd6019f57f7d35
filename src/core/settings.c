/*
 * Options and environment of a cache; see settings.h.
 */
#include "core/settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/error.h"
#include "core/cache.h"
#include "core/life.h"
#include "core/sized.h"

/* What the structs held in version 0.1. */
#define OPTIONS_SIZE_MIN 80u
#define CONFIG_SIZE_MIN  296u

#define NAME_SIZE_MAX 64u
#define LEVEL_OFF     5u

/* -- name, sizes, strategy ---------------------------------------------- */

static bool is_name_char(char c)
{
    return isalnum((unsigned char)c) || c == '.' || c == '_' || c == '-';
}

/* The program's own name is bent until it fits; a given one is not. */
static mtc_status take_name(mtci_settings *settings, const char *given,
                            mtc_error *error)
{
    const char *name = given ? given : program_invocation_short_name;
    size_t size = strlen(name);
    if (given && (size == 0 || size > NAME_SIZE_MAX))
        return mtci_fail(error, MTC_E_INVALID, "options",
                         "name has %zu characters, not 1 to %u", size,
                         NAME_SIZE_MAX);
    size = size < NAME_SIZE_MAX ? size : NAME_SIZE_MAX;
    for (size_t i = 0; i < size; i++) {
        bool is_fine = is_name_char(name[i]) && !(i == 0 && name[i] == '.');
        if (!is_fine && given)
            return mtci_fail(error, MTC_E_INVALID, "options",
                             "name '%.64s' may have letters, digits, '.', "
                             "'_', '-' and not begin with '.'",
                             name);
        settings->name[i] = is_fine ? name[i] : '_';
    }
    if (size == 0)
        strcpy(settings->name, "mtc");
    return MTC_OK;
}

static mtc_status take_range(const char *field, int64_t given, int64_t max,
                             int64_t *taken, mtc_error *error)
{
    if (given == 0)
        return MTC_OK;
    if (given < 0 || given > max)
        return mtci_fail(error, MTC_E_INVALID, "options",
                         "%s is %lld, not 1 to %lld", field, (long long)given,
                         (long long)max);
    *taken = given;
    return MTC_OK;
}

static mtc_status take_strategy(mtci_settings *settings,
                                const mtc_strategy *given, mtc_error *error)
{
    settings->strategy = MTC_SHORT_TERM;
    if (!given)
        return MTC_OK;
    settings->strategy = (mtc_strategy)MTC_STRATEGY_INIT(0);
    if (!mtci_sized_copy(&settings->strategy, sizeof(settings->strategy), given,
                         MTCI_STRATEGY_SIZE_MIN))
        return mtci_fail(error, MTC_E_INVALID, "options",
                         "strategy.struct_size is %u, which no version had, "
                         "or it has fields that this version does not know",
                         given->struct_size);
    mtci_strategy_field fault;
    if (!mtci_strategy_fault(&settings->strategy, &fault))
        return MTC_OK;
    return mtci_fail(error, MTC_E_INVALID, "options",
                     "strategy.%s is %lld, not %lld to %lld", fault.name,
                     (long long)fault.value, (long long)fault.min,
                     (long long)fault.max);
}

static mtc_status take_numbers(mtci_settings *settings,
                               const mtc_cache_options *options,
                               mtc_error *error)
{
    int64_t value_size_max = (int64_t)MTCI_VALUE_SIZE_MAX;
    int64_t loads_max = MTCI_LOADS_MAX;
    settings->grace_ms = MTCI_GRACE_MS;
    if (options->log_level > LEVEL_OFF)
        return mtci_fail(error, MTC_E_INVALID, "options",
                         "log_level is %u, not 0 to %u", options->log_level,
                         LEVEL_OFF);
    int64_t given = options->value_size_max > INT64_MAX
                        ? INT64_MAX
                        : (int64_t)options->value_size_max;
    mtc_status status =
        take_range("value_size_max", given, (int64_t)MTCI_VALUE_SIZE_TOP,
                   &value_size_max, error);
    if (status == MTC_OK)
        status = take_range("grace_ms", options->grace_ms, 600000,
                            &settings->grace_ms, error);
    if (status == MTC_OK)
        status = take_range("loads_max", options->loads_max, MTCI_LOADS_TOP,
                            &loads_max, error);
    settings->value_size_max = (size_t)value_size_max;
    settings->loads_max = (unsigned)loads_max;
    return status;
}

/* -- tiers -------------------------------------------------------------- */

static mtc_status check_config(const mtc_tier_config *config, size_t i,
                               mtc_error *error)
{
    const mtc_tier_ops *ops = config->tier ? config->tier->ops : NULL;
    if (!ops || !ops->scheme || !ops->submit || !ops->close)
        return mtci_fail(error, MTC_E_INVALID, "options",
                         "tier_configs[%zu].tier is no tier", i);
    if (config->promote_one_in < -1 || config->promote_one_in > 1000000)
        return mtci_fail(error, MTC_E_INVALID, "options",
                         "tier %zu: promote_one_in is %d, not -1 to 1000000", i,
                         config->promote_one_in);
    if (config->ttl_scale != 0.0 &&
        !(config->ttl_scale >= 0.001 && config->ttl_scale <= 1000.0))
        return mtci_fail(error, MTC_E_INVALID, "options",
                         "tier %zu: ttl_scale is %g, not 0.001 to 1000", i,
                         config->ttl_scale);
    if (config->ttl_ms_max < 0)
        return mtci_fail(error, MTC_E_INVALID, "options",
                         "tier %zu: ttl_ms_max is %lld, not 1 and up", i,
                         (long long)config->ttl_ms_max);
    if (config->deadline_ms < 0 || config->deadline_ms > 600000)
        return mtci_fail(error, MTC_E_INVALID, "options",
                         "tier %zu: deadline_ms is %lld, not 1 to 600000", i,
                         (long long)config->deadline_ms);
    if (!memchr(config->prefix, '\0', sizeof(config->prefix)) ||
        (config->prefix[0] && ops->find))
        return mtci_fail(error, MTC_E_INVALID, "options",
                         "tier %zu: prefix is at most 255 bytes, and not for "
                         "a tier that answers at once",
                         i);
    return MTC_OK;
}

/* Copies one element; the step of the array is the struct of the caller's
 * header. */
static mtc_status copy_config(const mtc_cache_options *options, size_t i,
                              mtc_tier_config *config, mtc_error *error)
{
    uint32_t size, step = options->tier_configs->struct_size;
    const char *given = (const char *)options->tier_configs + i * step;
    memcpy(&size, given, sizeof(size));
    if (size == step &&
        mtci_sized_copy(config, sizeof(*config), given, CONFIG_SIZE_MIN))
        return MTC_OK;
    return mtci_fail(error, MTC_E_INVALID, "options",
                     "tier_configs[%zu].struct_size is %u, which no version "
                     "had, or not that of the first, or it has fields that "
                     "this version does not know",
                     i, size);
}

static mtc_status take_configs(mtci_settings *settings,
                               const mtc_cache_options *options,
                               mtc_error *error)
{
    if (options->tier_count < 1 || options->tier_count > MTC_TIERS_MAX ||
        !options->tier_configs)
        return mtci_fail(error, MTC_E_INVALID, "options",
                         "tier_count is %zu, not 1 to %d, or tier_configs is "
                         "NULL",
                         options->tier_count, MTC_TIERS_MAX);
    for (size_t i = 0; i < options->tier_count; i++) {
        mtc_tier_config config = MTC_TIER_CONFIG_INIT;
        mtc_status status = copy_config(options, i, &config, error);
        if (status == MTC_OK)
            status = check_config(&config, i, error);
        if (status != MTC_OK)
            return status;
        for (size_t j = 0; j < i; j++) {
            if (settings->tiers[j].tier == config.tier)
                return mtci_fail(error, MTC_E_INVALID, "options",
                                 "tiers %zu and %zu are the same", j, i);
        }
        settings->tiers[i] = config;
        settings->tier_count = i + 1;
    }
    return MTC_OK;
}

/* Opens one tier of a list. */
static mtc_status open_url(mtci_settings *settings, const char *url,
                           mtc_error *error)
{
    if (settings->tier_count == MTC_TIERS_MAX)
        return mtci_fail(error, MTC_E_INVALID, "options", "more than %d tiers",
                         MTC_TIERS_MAX);
    mtc_tier_config config = MTC_TIER_CONFIG_INIT;
    mtc_status status = mtc_tier_open(url, error, &config);
    if (status != MTC_OK)
        return status;
    settings->tiers[settings->tier_count++] = config;
    return check_config(&config, settings->tier_count - 1, error);
}

/* Opens every URL of a list separated by white space. */
static mtc_status open_list(mtci_settings *settings, const char *list,
                            mtc_error *error)
{
    static const char space[] = " \t\r\n";
    mtc_status status = MTC_OK;
    char *copy = strdup(list);
    char *rest = NULL;
    if (!copy)
        return mtci_fail(error, MTC_E_NO_MEMORY, "options", "out of memory");
    char *url = strtok_r(copy, space, &rest);
    for (; url && status == MTC_OK; url = strtok_r(NULL, space, &rest))
        status = open_url(settings, url, error);
    explicit_bzero(copy, strlen(list));
    free(copy);
    if (status == MTC_OK && settings->tier_count == 0)
        return mtci_fail(error, MTC_E_INVALID, "options",
                         "tiers names no tier");
    return status;
}

/* Says where a URL came from that the program did not give. */
static mtc_status blame(mtc_error *error, const char *variable,
                        mtc_status status)
{
    if (status == MTC_OK || !error)
        return status;
    mtc_error cause = *error;
    snprintf(error->text, sizeof(error->text), "%s: %.220s", variable,
             cause.text);
    return status;
}

/* -- the default second tier -------------------------------------------- */

/* A path as a URL, its unusual bytes escaped. */
static void add_path(mtci_buffer *url, const char *path)
{
    for (; *path; path++) {
        if (is_name_char(*path) || *path == '/')
            mtci_buffer_add(url, mtc_bytes(path, 1));
        else
            mtci_buffer_add_format(url, "%%%02X", (unsigned char)*path);
    }
}

static bool default_disk_url(const mtci_settings *settings, mtci_buffer *url)
{
    const char *cache = secure_getenv("XDG_CACHE_HOME");
    const char *home = secure_getenv("HOME");
    mtci_buffer_add_text(url, "disk:");
    if (cache && cache[0] == '/') {
        add_path(url, cache);
    } else if (home && home[0] == '/') {
        add_path(url, home);
        mtci_buffer_add_text(url, "/.cache");
    } else {
        return false;
    }
    mtci_buffer_add_text(url, "/mtc/");
    add_path(url, settings->name);
    mtci_buffer_add(url, mtc_bytes("", 1));
    return url->status == MTC_OK;
}

/* Without a place for it the cache runs on memory alone, and says why. */
static void open_default_disk(mtci_settings *settings, mtci_log *log)
{
    mtci_buffer url = {0};
    mtc_error cause = {0};
    if (!default_disk_url(settings, &url))
        snprintf(settings->note, sizeof(settings->note),
                 "no disk tier: neither XDG_CACHE_HOME nor HOME is set");
    else if (open_url(settings, url.data, &cause) != MTC_OK)
        snprintf(settings->note, sizeof(settings->note), "no disk tier: %.140s",
                 cause.text);
    mtci_buffer_fini(&url);
    if (settings->note[0])
        mtci_log_line(log, MTC_LOG_WARNING, "cache", "%s", settings->note);
}

static mtc_status open_from_environment(mtci_settings *settings, mtci_log *log,
                                        mtc_error *error)
{
    const char *list = secure_getenv("MTC_TIERS");
    if (list && list[0])
        return blame(error, "MTC_TIERS", open_list(settings, list, error));
    const char *redis = secure_getenv("REDIS_URL");
    mtc_status status = open_url(settings, "memory", error);
    if (status != MTC_OK)
        return status;
    if (redis && redis[0])
        return blame(error, "REDIS_URL", open_url(settings, redis, error));
    open_default_disk(settings, log);
    return MTC_OK;
}

/* Memory over a tier that others write to does not hold entries for long. */
static void limit_memory(mtci_settings *settings)
{
    bool is_over_shared = false;
    for (size_t i = settings->tier_count; i-- > 0;) {
        mtc_tier_config *config = &settings->tiers[i];
        /* Every tier was opened.
         * NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
        if (config->tier->ops->find && is_over_shared &&
            config->ttl_ms_max == 0)
            config->ttl_ms_max = MTCI_LANE_TTL_SHARED_MS;
        is_over_shared |= (config->tier->ops->abilities & MTC_TIER_SHARED) != 0;
    }
}

static mtc_status take_tiers(mtci_settings *settings,
                             const mtc_cache_options *options, mtci_log *log,
                             mtc_error *error)
{
    mtc_status status;
    if (options->tier_count > 0 || options->tier_configs) {
        status = take_configs(settings, options, error);
    } else {
        settings->owns_tiers = true;
        status = options->tiers ? open_list(settings, options->tiers, error)
                                : open_from_environment(settings, log, error);
    }
    if (status == MTC_OK)
        limit_memory(settings);
    return status;
}

mtc_status mtci_settings_init(mtci_settings *settings,
                              const mtc_cache_options *options, mtci_log *log,
                              mtci_clock clock, mtc_error *error)
{
    mtc_cache_options known = MTC_CACHE_OPTIONS_INIT;
    *settings = (mtci_settings){0};
    bool is_known = !options || mtci_sized_copy(&known, sizeof(known), options,
                                                OPTIONS_SIZE_MIN);
    mtc_status status =
        take_name(settings, is_known ? known.name : NULL, error);
    mtci_log_init(log, settings->name, clock);
    log->level_min =
        known.log_level ? (int)known.log_level - 1 : MTC_LOG_WARNING;
    log->write = known.log;
    log->ctx = known.log_ctx;
    settings->evicted = known.evicted;
    settings->evicted_ctx = known.evicted_ctx;
    settings->weigh = known.weigh;
    settings->weigh_ctx = known.weigh_ctx;
    settings->hash_seed = known.hash_seed;
    if (!is_known)
        return mtci_fail(error, MTC_E_INVALID, "options",
                         "struct_size is %u, which no version had, or options "
                         "has fields that this version does not know",
                         options->struct_size);
    if (status == MTC_OK)
        status = take_numbers(settings, &known, error);
    if (status == MTC_OK)
        status = take_strategy(settings, known.strategy, error);
    if (status == MTC_OK)
        status = take_tiers(settings, &known, log, error);
    return status;
}

void mtci_settings_fini(mtci_settings *settings, bool is_taken)
{
    if (is_taken || !settings->owns_tiers)
        return;
    for (size_t i = 0; i < settings->tier_count; i++)
        mtc_tier_close(settings->tiers[i].tier);
}
