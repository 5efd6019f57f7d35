/*
 * The command line: options, before or after the subcommand, and words.
 *
 * Owns the table of options. One thread.
 */
#include "args.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mtc/strategy.h"
#include "output.h"

#define FIELD(field) offsetof(args, field)

static const option_row OPTIONS[] = {
    {"tiers", OPTION_TEXT, "URLS", FIELD(tiers), 0, 0, true,
     "tier URLs separated by spaces, see mtc help tiers"},
    {"name", OPTION_TEXT, "NAME", FIELD(name), 0, 0, true,
     "name of the cache, and of its folder on disk (default mtc)"},
    {"json", OPTION_SWITCH, NULL, FIELD(json), 0, 0, true,
     "answer with one JSON object on standard output"},
    {"help", OPTION_SWITCH, NULL, FIELD(help), 0, 0, true,
     "show the help of the command"},
    {"version", OPTION_SWITCH, NULL, FIELD(version), 0, 0, true,
     "show the version"},
    {"ttl", OPTION_DURATION, "DURATION", FIELD(ttl_ms), 1, MTC_TTL_MS_MAX,
     false, "time to live, like 500ms, 90s, 5m, 3h, 2d (default 5m)"},
    {"wait", OPTION_DURATION, "DURATION", FIELD(wait_ms), 1, 3600000, false,
     "wait that long for an entry when there is none"},
    {"count", OPTION_COUNT, "N", FIELD(count), 1, 100000, false,
     "how many entries, or rounds of ping (default 10; tail: all)"},
    {"max", OPTION_COUNT, "N", FIELD(limit), 1, 1000000000, false,
     "keep about the newest N entries of the stream (default 1000)"},
    {"age", OPTION_DURATION, "DURATION", FIELD(age_ms), 1,
     INT64_C(31536000000000), false,
     "trim entries older than this, in place of --max"},
    {"exact", OPTION_SWITCH, NULL, FIELD(exact), 0, 0, false,
     "trim to the entry, not in steps"},
    {"id", OPTION_TEXT, "ID", FIELD(id), 0, 0, false,
     "publish under this id; 1 when it or a later one is there"},
    {"existing", OPTION_SWITCH, NULL, FIELD(existing), 0, 0, false,
     "publish only to a stream that exists"},
    {"from", OPTION_TEXT, "ID", FIELD(from), 0, 0, false,
     "read from this id on (default: the first)"},
    {"to", OPTION_TEXT, "ID", FIELD(to), 0, 0, false,
     "read up to this id (default: the last)"},
    {"idle", OPTION_DURATION, "DURATION", FIELD(idle_ms), 1,
     INT64_C(31536000000), false,
     "claim entries pending for that long (default 1m)"},
    {"after", OPTION_TEXT, "ID", FIELD(after), 0, 0, false,
     "read the entries behind this id; 0: all, $: new ones"},
    {"seconds", OPTION_SECONDS, "S", FIELD(duration_ms), 10, 3600000, false,
     "measure for so many seconds, like 2 or 0.5"},
    {"threads", OPTION_COUNT, "N", FIELD(threads), 1, 10000, false,
     "work in N threads (default 1)"},
    {"callers", OPTION_COUNT, "N", FIELD(callers), 1, 10000, false,
     "with stampede, storm: let N callers ask (default 1000)"},
    {"async", OPTION_SWITCH, NULL, FIELD(is_async), 0, 0, false,
     "with stampede, storm: callers that do not block"},
    {"batch", OPTION_COUNT, "N", FIELD(batch), 1, 4096, false,
     "get N keys a call (default 1)"},
    {"capacity", OPTION_COUNTS, "N", FIELD(capacities), 1, 1000000000, false,
     "through a cache of N entries; may be given several times"},
    {"policy", OPTION_TEXT, "P", FIELD(policy), 0, 0, false,
     "who leaves when room is needed, see mtc help tiers"},
    {"seed", OPTION_COUNT, "N", FIELD(seed), 1, INT64_MAX, false,
     "seed of the hash of keys (default 1)"},
    {"markdown", OPTION_SWITCH, NULL, FIELD(markdown), 0, 0, false,
     "with help tiers: the reference page"},
};

#define OPTION_ROWS (sizeof OPTIONS / sizeof OPTIONS[0])

const option_row *args_option(size_t index)
{
    return index < OPTION_ROWS ? &OPTIONS[index] : NULL;
}

bool args_list_has(const char *list, const char *name)
{
    size_t size = strlen(name);
    for (const char *at = list; (at = strstr(at, name)) != NULL; at += size) {
        bool begins = at == list || at[-1] == ' ';
        if (begins && (at[size] == '\0' || at[size] == ' '))
            return true;
    }
    return false;
}

/* "90s" in milliseconds; -1 when it is no duration or too long. */
static int64_t parse_duration(const char *text)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } UNITS[] = {
        {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    char *end = NULL;
    if (*text < '0' || *text > '9')
        return -1;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno != 0)
        return -1;
    for (size_t i = 0; i < sizeof UNITS / sizeof UNITS[0]; i++) {
        if (strcmp(end, UNITS[i].unit) != 0)
            continue;
        return number > INT64_MAX / UNITS[i].ms ? -1 : number * UNITS[i].ms;
    }
    return -1;
}

static int64_t parse_count(const char *text)
{
    char *end = NULL;
    if (*text < '0' || *text > '9')
        return -1;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    return errno != 0 || *end != '\0' ? -1 : number;
}

/* "0.5" in milliseconds; -1 when it is no number or too large. */
static int64_t parse_seconds(const char *text)
{
    if (text[strspn(text, "0123456789.")] != '\0')
        return -1;
    char *end = NULL;
    double seconds = strtod(text, &end);
    bool is_number = end != text && *end == '\0' && seconds <= 1e9;
    return is_number ? (int64_t)(seconds * 1000 + 0.5) : -1;
}

static int64_t parse_number(option_kind kind, const char *text)
{
    switch (kind) {
    case OPTION_SECONDS:
        return parse_seconds(text);
    case OPTION_DURATION:
        return parse_duration(text);
    default:
        return parse_count(text);
    }
}

static bool set_number(const option_row *row, const char *text, int64_t *field)
{
    int64_t number = parse_number(row->kind, text);
    if (number >= row->min && number <= row->max) {
        *field = number;
        return true;
    }
    if (row->kind == OPTION_SECONDS)
        complain("--%s %s: seconds are wanted, from %g to %g", row->name, text,
                 (double)row->min / 1000, (double)row->max / 1000);
    else if (row->kind != OPTION_DURATION)
        complain("--%s %s: a number from %lld to %lld is wanted", row->name,
                 text, (long long)row->min, (long long)row->max);
    else
        complain("--%s %s: a duration like 500ms, 90s, 5m, 3h, 2d is wanted, "
                 "from 1ms to %lldh",
                 row->name, text, (long long)(row->max / 3600000));
    return false;
}

static bool add_number(const option_row *row, const char *text,
                       count_list *list)
{
    if (list->count == COUNT_LIST_MAX) {
        complain("--%s: at most %d of them", row->name, COUNT_LIST_MAX);
        return false;
    }
    if (!set_number(row, text, &list->at[list->count]))
        return false;
    list->count++;
    return true;
}

static bool set_option(const option_row *row, const char *text, args *out)
{
    void *field = (char *)out + row->offset;
    switch (row->kind) {
    case OPTION_SWITCH:
        *(bool *)field = true;
        return true;
    case OPTION_TEXT:
        *(const char **)field = text;
        return true;
    case OPTION_DURATION:
    case OPTION_SECONDS:
    case OPTION_COUNT:
        return set_number(row, text, field);
    case OPTION_COUNTS:
        return add_number(row, text, field);
    }
    return false;
}

/* The option that word spells ("--ttl", "--ttl=90s"); *inside gets what
 * stands behind '='. */
static const option_row *find_option(const char *word, const char **inside)
{
    const char *name = word + 2;
    const char *equals = strchr(name, '=');
    size_t size = equals != NULL ? (size_t)(equals - name) : strlen(name);
    *inside = equals != NULL ? equals + 1 : NULL;
    for (size_t i = 0; i < OPTION_ROWS; i++) {
        const char *known = OPTIONS[i].name;
        if (strlen(known) == size && memcmp(known, name, size) == 0)
            return &OPTIONS[i];
    }
    return NULL;
}

/* Takes the option at argv[at]; returns how many arguments it took, 0 when it
 * is wrong. */
static int take_option(int argc, char **argv, int at, args *out)
{
    const char *word = strcmp(argv[at], "-h") == 0 ? "--help" : argv[at];
    const char *text = NULL;
    const option_row *row =
        strncmp(word, "--", 2) == 0 ? find_option(word, &text) : NULL;
    if (row == NULL) {
        complain("%s: no such option; what begins with - and is none goes "
                 "behind --",
                 word);
        return 0;
    }
    int taken = 1;
    if (row->kind == OPTION_SWITCH && text != NULL) {
        complain("--%s takes no argument", row->name);
        return 0;
    }
    if (row->kind != OPTION_SWITCH && text == NULL) {
        if (at + 1 >= argc) {
            complain("--%s wants %s", row->name, row->argument);
            return 0;
        }
        text = argv[at + 1];
        taken = 2;
    }
    out->given |= UINT32_C(1) << (row - OPTIONS);
    return set_option(row, text, out) ? taken : 0;
}

bool args_parse(int argc, char **argv, args *out)
{
    memset(out, 0, sizeof *out);
    out->words = argv + 1;
    out->words_before_dashes = SIZE_MAX;
    for (int at = 1; at < argc;) {
        char *word = argv[at];
        bool is_open = out->words_before_dashes == SIZE_MAX;
        if (is_open && strcmp(word, "--") == 0) {
            out->words_before_dashes = out->word_count;
            at++;
        } else if (is_open && word[0] == '-' && word[1] != '\0') {
            int taken = take_option(argc, argv, at, out);
            if (taken == 0)
                return false;
            at += taken;
        } else {
            /* Never beyond at: an option's place is free already. */
            out->words[out->word_count++] = word;
            at++;
        }
    }
    out->words[out->word_count] = NULL;
    return true;
}
