/*
 * mtc help tiers: the URLs of tiers and every option that they take, as the
 * library itself tells them. One thread.
 */
#include "help_tiers.h"

#include <stdio.h>
#include <string.h>

#include "mtc/tier.h"

typedef struct example {
    const char *url;
    const char *text;
} example;

static const example EXAMPLES[] = {
    {"memory?size=256MiB", "in this process, by bytes"},
    {"memory?entries=2000&ttl_max=5m", "in this process, by entries"},
    {"disk:/var/cache/app?size=4GiB", "in a folder, shared by processes"},
    {"redis://:password@host:6379/0", "Redis or Valkey"},
    {"rediss://host:6379?ca=ca.pem", "the same through TLS"},
    {"redis+cluster://host:7000,host2:7000", "a cluster, by some of its nodes"},
    {"redis+sentinel://h1,h2/NAME/0", "the master NAME of these sentinels"},
    {"rediss+cluster://h1:7000,h2:7000", "a cluster through TLS"},
    {"rediss+sentinel://h1,h2/NAME/0", "sentinels and master through TLS"},
    {"memcached://host:11211", "memcached"},
    {"noop:", "keeps nothing"},
};

/* Of the longest: sentinel_password. */
#define NAME_WIDTH    17
#define MARGIN        (NAME_WIDTH + 13)
#define EXAMPLE_COUNT (sizeof EXAMPLES / sizeof EXAMPLES[0])

static const char *scope_title(const char *scope)
{
    return strcmp(scope, "any") == 0 ? "every tier" : scope;
}

/* Whether the option at index is the first of its scope. */
static bool begins_scope(size_t index, const char *scope)
{
    mtc_option_info before;
    return index == 0 || mtc_option_get(index - 1, &before) != MTC_OK ||
           strcmp(before.scope, scope) != 0;
}

/* Text behind the margin, where the line is up to column. */
static void write_wrapped(const char *text, size_t column)
{
    while (*text != '\0') {
        size_t size = strcspn(text, " ");
        output_word(stdout, mtc_bytes(text, size), MARGIN, &column);
        text += size;
        text += strspn(text, " ");
    }
    putchar('\n');
}

static void write_text(void)
{
    mtc_option_info option;
    printf("A tier is named by a URL; a cache has one or more, separated by\n"
           "spaces, the fastest first. Options stand behind ? and &.\n\n");
    for (size_t i = 0; i < EXAMPLE_COUNT; i++)
        printf("  %-36s  %s\n", EXAMPLES[i].url, EXAMPLES[i].text);
    for (size_t i = 0; mtc_option_get(i, &option) == MTC_OK; i++) {
        if (begins_scope(i, option.scope))
            printf("\nOptions of %s\n", scope_title(option.scope));
        printf("  %-*s %-9s", NAME_WIDTH, option.name, option.kind);
        write_wrapped(option.text, MARGIN - 1);
        if (option.fallback[0] != '\0')
            printf("%*sdefault %s\n", MARGIN, "", option.fallback);
        if (option.range[0] != '\0') {
            printf("%*srange", MARGIN, "");
            write_wrapped(option.range, MARGIN + strlen("range"));
        }
    }
}

/* A cell of a table: '|' would end it. */
static void write_cell(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|')
            putchar('\\');
        putchar(*text);
    }
    printf(" | ");
}

static void write_row(const mtc_option_info *option)
{
    const char *const cells[] = {option->kind, option->fallback, option->range};
    printf("| `%s` | ", option->name);
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++)
        write_cell(cells[i]);
    printf("%s |\n", option->text);
}

static void write_markdown(void)
{
    mtc_option_info option;
    printf("# Options of tier URLs\n\n"
           "Written by `mtc help tiers --markdown` from the tables in the\n"
           "library; a test compares the two.\n\n"
           "| URL | tier |\n|---|---|\n");
    for (size_t i = 0; i < EXAMPLE_COUNT; i++)
        printf("| `%s` | %s |\n", EXAMPLES[i].url, EXAMPLES[i].text);
    for (size_t i = 0; mtc_option_get(i, &option) == MTC_OK; i++) {
        if (begins_scope(i, option.scope))
            printf("\n## %s\n\n| option | takes | default | range | what |\n"
                   "|---|---|---|---|---|\n",
                   scope_title(option.scope));
        write_row(&option);
    }
}

tool_exit help_tiers(bool is_markdown)
{
    if (is_markdown)
        write_markdown();
    else
        write_text();
    return TOOL_DONE;
}
