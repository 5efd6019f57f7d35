/*
 * Tables of options: parsing the text of an option into the field it fills.
 * Works on text from outside. Stateless; any thread.
 */
#include "base/options.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

typedef struct unit {
    const char *name;
    int64_t factor;
} unit;

static const unit size_units[] = {
    {"", 1},
    {"B", 1},
    {"KiB", INT64_C(1) << 10},
    {"MiB", INT64_C(1) << 20},
    {"GiB", INT64_C(1) << 30},
    {"TiB", INT64_C(1) << 40},
    {NULL, 0},
};

static const unit duration_units[] = {
    {"ms", 1},      {"s", 1000},     {"m", 60000},
    {"h", 3600000}, {"d", 86400000}, {NULL, 0},
};

static const unit no_units[] = {{"", 1}, {NULL, 0}};

/* Digits and one of the units. No sign, no space, no fraction. */
static bool number_parse(const char *text, const unit *units, int64_t *out)
{
    int64_t number = 0;
    const char *at = text;

    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(number, INT64_C(10), &number) ||
            __builtin_add_overflow(number, (int64_t)(*at - '0'), &number)) {
            return false;
        }
    }
    if (at == text) {
        return false;
    }
    while (units->name != NULL && strcmp(units->name, at) != 0) {
        units++;
    }
    return units->name != NULL &&
           !__builtin_mul_overflow(number, units->factor, out);
}

/* Digits with or without a fraction; strtod would heed the locale. */
static bool ratio_parse(const char *text, double *out)
{
    const char *dot = strchrnul(text, '.');
    double number = 0, place = 1;

    if (dot == text || (*dot == '.' && dot[1] == '\0')) {
        return false;
    }
    for (const char *at = text; *at != '\0'; at++) {
        if (at == dot) {
            continue;
        }
        if (*at < '0' || *at > '9' || at - text > 15) {
            return false;
        }
        number = number * 10 + (*at - '0');
        place *= at > dot ? 10 : 1;
    }
    *out = number / place;
    return true;
}

static bool bool_parse(const char *text, bool *out)
{
    static const char *const words[] = {"off", "on", "no",    "yes",
                                        "0",   "1",  "false", "true"};

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        if (strcmp(text, words[i]) == 0) {
            *out = i % 2 == 1;
            return true;
        }
    }
    return false;
}

/* on: 1; off: -1; 1/N: N */
static bool share_parse(const char *text, int64_t *out)
{
    bool is_on;

    if (strncmp(text, "1/", 2) == 0) {
        return number_parse(text + 2, no_units, out) && *out > 0;
    }
    if (!bool_parse(text, &is_on)) {
        return false;
    }
    *out = is_on ? 1 : -1;
    return true;
}

bool mtci_parse_duration(const char *text, int64_t *ms)
{
    return number_parse(text, duration_units, ms);
}

bool mtci_parse_size(const char *text, int64_t *bytes)
{
    return number_parse(text, size_units, bytes);
}

static bool integer_parse(const mtci_option *option, const char *text,
                          int64_t *out)
{
    switch (option->kind) {
    case MTCI_OPTION_SIZE:
        return number_parse(text, size_units, out);
    case MTCI_OPTION_DURATION:
        return number_parse(text, duration_units, out);
    case MTCI_OPTION_SHARE:
        return share_parse(text, out);
    default:
        return number_parse(text, no_units, out);
    }
}

static bool in_range(const mtci_option *option, double value)
{
    bool is_bounded = option->min != 0 || option->max != 0;

    return !is_bounded || (value >= option->min && value <= option->max);
}

static bool integer_set(const mtci_option *option, const char *text,
                        int64_t *field)
{
    int64_t value;
    bool is_off;

    if (!integer_parse(option, text, &value)) {
        return false;
    }
    is_off = option->kind == MTCI_OPTION_SHARE && value < 0;
    if (!is_off && !in_range(option, (double)value)) {
        return false;
    }
    *field = value;
    return true;
}

static bool ratio_set(const mtci_option *option, const char *text,
                      double *field)
{
    double value;

    if (!ratio_parse(text, &value) || !in_range(option, value)) {
        return false;
    }
    *field = value;
    return true;
}

static bool text_set(const mtci_option *option, const char *text, char *field)
{
    size_t size = strlen(text) + 1;

    if (size > option->size) {
        return false;
    }
    memcpy(field, text, size);
    return true;
}

static bool field_set(const mtci_option *option, const char *text, void *target)
{
    void *field = (char *)target + option->offset;

    switch (option->kind) {
    case MTCI_OPTION_RATIO:
        return ratio_set(option, text, field);
    case MTCI_OPTION_BOOL:
        return bool_parse(text, field);
    case MTCI_OPTION_TEXT:
        return text_set(option, text, field);
    default:
        return integer_set(option, text, field);
    }
}

static const char *kind_example(mtci_option_kind kind)
{
    static const char *const examples[] = {
        "a size such as 64MiB or 1000",
        "a duration such as 250ms, 10s or 5m",
        "a whole number",
        "a number such as 0.5",
        "on or off",
        "a text that short",
        "on, off or a share such as 1/8",
    };

    return examples[kind];
}

void mtci_options_default(const mtci_option_table *table, void *target)
{
    for (size_t i = 0; i < table->count; i++) {
        const mtci_option *option = &table->options[i];
        bool is_set = option->fallback == NULL ||
                      field_set(option, option->fallback, target);

        assert(is_set);
        (void)is_set;
    }
}

mtc_status mtci_option_parse(const mtci_option *option, const char *text,
                             mtc_error *error, void *target)
{
    bool has_range = option->range != NULL && option->range[0] != '\0';
    bool is_secret = strstr(option->name, "password") != NULL;

    if (field_set(option, text, target)) {
        return MTC_OK;
    }
    return mtci_fail(error, MTC_E_INVALID, "options",
                     "%s=%.64s: must be %s%s%s", option->name,
                     is_secret ? "***" : text, kind_example(option->kind),
                     has_range ? ", range " : "",
                     has_range ? option->range : "");
}

mtc_status mtci_options_set(const mtci_option_table *table,
                            const mtci_url_param *param, mtc_error *error,
                            void *target, bool *known)
{
    *known = false;
    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->options[i].name, param->name) == 0) {
            *known = true;
            return mtci_option_parse(&table->options[i], param->value, error,
                                     target);
        }
    }
    return MTC_OK;
}

const char *mtci_option_kind_name(mtci_option_kind kind)
{
    static const char *const names[] = {"size", "duration", "count", "ratio",
                                        "bool", "text",     "share"};

    return names[kind];
}
