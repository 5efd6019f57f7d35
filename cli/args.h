/*
 * The command line: options, before or after the subcommand, and words.
 *
 * One table of options feeds the parser, the help and the completion.
 */
#ifndef MTC_CLI_ARGS_H
#define MTC_CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What an option takes. */
typedef enum option_kind {
    OPTION_SWITCH,   /* bool */
    OPTION_TEXT,     /* const char * */
    OPTION_DURATION, /* int64_t ms */
    OPTION_SECONDS,  /* int64_t ms; "2", "0.5" */
    OPTION_COUNT,    /* int64_t */
    OPTION_COUNTS    /* count_list; may be given several times */
} option_kind;

#define COUNT_LIST_MAX 64

typedef struct count_list {
    int64_t at[COUNT_LIST_MAX];
    size_t count;
} count_list;

typedef struct option_row {
    const char *name; /* without its dashes */
    option_kind kind;
    const char *argument; /* as help calls it; NULL: a switch */
    size_t offset;        /* of the field in args */
    int64_t min, max;     /* of a number, inclusive */
    bool is_general;      /* every command takes it */
    const char *text;     /* one line of help */
} option_row;

/* Borrowed from argv; a field that was not given is zero. */
typedef struct args {
    const char *tiers;
    const char *name;
    bool json;
    bool help;
    bool version;
    bool markdown;
    int64_t ttl_ms;
    int64_t wait_ms;
    int64_t count;
    int64_t limit;
    int64_t duration_ms;
    int64_t threads;
    int64_t callers;
    bool is_async;
    int64_t batch;
    int64_t seed;
    count_list capacities;
    const char *policy;
    const char *after;
    const char *id;
    const char *from;
    const char *to;
    int64_t age_ms;
    int64_t idle_ms;
    bool exact;
    bool existing;

    /* The words that are no options, the subcommand first. */
    char **words;
    size_t word_count;
    /* How many words stood before "--"; SIZE_MAX: there was no "--". */
    size_t words_before_dashes;
    /* Bit i: the i-th option was given. */
    uint32_t given;
} args;

/* Parses argv, whose words are moved to its front. Prints what is wrong and
 * returns false. */
bool args_parse(int argc, char **argv, args *out);

/* The table; NULL past its end. */
const option_row *args_option(size_t index);

/* Whether a list of names, separated by spaces, has the name. */
bool args_list_has(const char *list, const char *name);

#endif
