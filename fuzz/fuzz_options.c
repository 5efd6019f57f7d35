/*
 * Fuzz target: the text of options, each kind of them, beside any URL.
 *
 * The first byte chooses a tier and the second one of its options, of which the
 * rest up to a NUL is the value: set to something within the option's range,
 * or refused with its name. Then the rest is the query of a URL, by which a
 * tier is opened: one that does nothing, or one of Redis, which connects later.
 */
#include <stdio.h>
#include <stdlib.h>

#include "fuzz/target.h"
#include "tier/open.h"

#define TEXT_SIZE_MAX 2048u

static const mtci_tier_kind *const KINDS[] = {
    &mtci_memory_kind,
    &mtci_disk_kind,
    &mtci_redis_kind,
#ifdef MTCI_MEMCACHED
    &mtci_memcached_kind,
#endif
};

#define KIND_COUNT (sizeof KINDS / sizeof *KINDS)

/* Whatever stands in the query, they connect to nothing and read no file. */
static const char *const URLS[] = {
    "noop:?",
    "redis://u:p@h?",
    "redis+unix:///s?",
    "redis+cluster://h?",
    "redis+sentinel://h/m?",
};

#define URL_COUNT (sizeof URLS / sizeof *URLS)

static void require(bool is_so)
{
    if (!is_so)
        abort();
}

static bool is_text(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

static bool is_within(const mtci_option *option, double number)
{
    bool has_bounds = option->min != 0 || option->max != 0;
    return !has_bounds || (number >= option->min && number <= option->max);
}

/* -- one option ----------------------------------------------------------- */

static void check_integer(const mtci_option *option, const void *field)
{
    int64_t number;
    memcpy(&number, field, sizeof number);
    bool is_off = option->kind == MTCI_OPTION_SHARE && number == -1;
    require(number >= 0 || is_off);
    require(is_off || is_within(option, (double)number));
}

static void check_ratio(const mtci_option *option, const void *field)
{
    double number;
    memcpy(&number, field, sizeof number);
    require(is_within(option, number));
}

static void check_field(const mtci_option *option, const char *text,
                        const void *options)
{
    const char *field = (const char *)options + option->offset;
    if (option->kind == MTCI_OPTION_RATIO)
        check_ratio(option, field);
    else if (option->kind == MTCI_OPTION_TEXT)
        require(strcmp(field, text) == 0);
    else if (option->kind == MTCI_OPTION_BOOL)
        require(*field == 0 || *field == 1);
    else
        check_integer(option, field);
}

/* A refused text changes nothing. */
static void set_option(const mtci_tier_kind *kind, size_t index,
                       const char *text)
{
    mtc_error error = {0};
    const mtci_option *option =
        &kind->options->options[index % kind->options->count];
    void *options = calloc(1, kind->options_size);
    void *before = malloc(kind->options_size);
    require(options && before);
    mtci_options_default(kind->options, options);
    memcpy(before, options, kind->options_size);
    mtc_status status = mtci_option_parse(option, text, &error, options);
    if (status == MTC_OK) {
        check_field(option, text, options);
    } else {
        require(status == MTC_E_INVALID);
        require(is_text(error.text, sizeof error.text));
        require(strstr(error.text, option->name) != NULL);
        require(memcmp(before, options, kind->options_size) == 0);
    }
    free(before);
    free(options);
}

/* -- all of a URL --------------------------------------------------------- */

static void check_config(const mtc_tier_config *config)
{
    require(config->tier != NULL);
    require(config->ttl_scale >= 0.001 && config->ttl_scale <= 1000);
    require(config->ttl_ms_max >= 0);
    require(config->deadline_ms >= 1 && config->deadline_ms <= 600000);
    require(config->promote_one_in == -1 ||
            (config->promote_one_in >= 1 && config->promote_one_in <= 1000000));
    require(is_text(config->prefix, sizeof config->prefix));
}

static void open_url(const char *beginning, const char *query)
{
    char url[TEXT_SIZE_MAX + 64];
    mtc_error error = {0};
    mtc_tier_config config = MTC_TIER_CONFIG_INIT;
    snprintf(url, sizeof url, "%s%s", beginning, query);
    mtc_status status = mtc_tier_open(url, &error, &config);
    if (status == MTC_OK) {
        check_config(&config);
        mtc_tier_close(config.tier);
        return;
    }
    require(config.tier == NULL);
    require(error.text[0] != '\0' && is_text(error.text, sizeof error.text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[TEXT_SIZE_MAX + 1];
    if (size < 2 || size - 2 > TEXT_SIZE_MAX)
        return 0;
    memcpy(text, data + 2, size - 2);
    text[size - 2] = '\0';
    set_option(KINDS[data[0] % KIND_COUNT], data[1], text);
    open_url(URLS[data[1] % URL_COUNT], text);
    return 0;
}
