/*
 * Tables of options: one table feeds the struct, the URL parameters, the
 * help of the tool and the reference page.
 *
 * A table row says name, kind, range, default and the field it fills.
 * Stateless; any thread.
 */
#ifndef MTCI_BASE_OPTIONS_H
#define MTCI_BASE_OPTIONS_H

#include <stdbool.h>

#include "base/url.h"

typedef enum mtci_option_kind {
    MTCI_OPTION_SIZE,     /* int64_t bytes: 64MiB, 2GiB, 512KiB, 1000 */
    MTCI_OPTION_DURATION, /* int64_t ms: 250ms, 10s, 5m, 3h, 2d */
    MTCI_OPTION_COUNT,    /* int64_t */
    MTCI_OPTION_RATIO,    /* double */
    MTCI_OPTION_BOOL,     /* bool: on, off, yes, no, true, false, 1, 0 */
    MTCI_OPTION_TEXT,     /* char[size]; refused when longer */
    MTCI_OPTION_SHARE     /* int64_t: on (1), off (-1), 1/N (N) */
} mtci_option_kind;

typedef struct mtci_option {
    const char *name;
    mtci_option_kind kind;
    size_t offset;        /* of the field in the target struct */
    size_t size;          /* TEXT: sizeof the field */
    double min, max;      /* of a number, inclusive; both 0: no bounds */
    const char *fallback; /* default, as written in a URL; NULL: leave 0 */
    const char *range;    /* in words, for help and messages */
    const char *text;     /* one line of help */
} mtci_option;

typedef struct mtci_option_table {
    const char *scope; /* "memory", "disk", ..., "any" */
    const mtci_option *options;
    size_t count;
} mtci_option_table;

/* Fills target with the defaults of the table. */
void mtci_options_default(const mtci_option_table *table, void *target);

/* Parses text into the field of one option. MTC_OK or MTC_E_INVALID; the
 * message names option, value (of a password "***") and range. */
mtc_status mtci_option_parse(const mtci_option *option, const char *text,
                             mtc_error *error, void *target);

/* Sets the field if the table has the name: *known tells. */
mtc_status mtci_options_set(const mtci_option_table *table,
                            const mtci_url_param *param, mtc_error *error,
                            void *target, bool *known);

/* "10s" -> 10000; false when it is no duration. Same for sizes. */
bool mtci_parse_duration(const char *text, int64_t *ms);
bool mtci_parse_size(const char *text, int64_t *bytes);

/* The word for a kind: "size", "duration", ... */
const char *mtci_option_kind_name(mtci_option_kind kind);

#endif
