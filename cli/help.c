/*
 * mtc help: from the tables of commands and options. One thread.
 */
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "help_tiers.h"
#include "session.h"

#define TEXT_OF(number) #number
#define DOTTED(major, minor, patch)                                            \
    TEXT_OF(major) "." TEXT_OF(minor) "." TEXT_OF(patch)
#define TOOL_VERSION                                                           \
    DOTTED(MTC_VERSION_MAJOR, MTC_VERSION_MINOR, MTC_VERSION_PATCH)

/* Where a synopsis goes on. */
#define SYNOPSIS_MARGIN 12

static const char OUTLINE[] =
    "mtc: a multi-tier cache from the command line\n"
    "\n"
    "usage: mtc [OPTION...] COMMAND [WORD...] [OPTION...]\n";

static const char EXITS[] =
    "Exit status\n"
    "  0  done\n"
    "  1  miss: no tier has the key, the stream has no such entry, or what\n"
    "     was to be added is there already\n"
    "  2  usage: a wrong command, option, URL or number of words\n"
    "  3  failed\n";

static const char ENVIRONMENT[] =
    "Environment\n"
    "  MTC_TIERS       tier URLs, where --tiers gives none\n"
    "  REDIS_URL       the second tier behind memory, where there are none\n"
    "  XDG_CACHE_HOME  where the disk tier lives else: mtc/NAME in it, or in\n"
    "                  ~/.cache; kept by every mtc command of a user\n";

static const char TOPICS[] =
    "mtc help COMMAND tells more of one, mtc help tiers of the URLs of tiers.\n"
    "What begins with - and is no option goes behind -- .\n";

static void write_option(const option_row *row)
{
    char spelt[40];
    snprintf(spelt, sizeof spelt, "--%s%s%s", row->name,
             row->argument != NULL ? " " : "",
             row->argument != NULL ? row->argument : "");
    printf("  %-16s  %s\n", spelt, row->text);
}

static void write_general_options(void)
{
    const option_row *row = NULL;
    for (size_t i = 0; (row = args_option(i)) != NULL; i++) {
        if (row->is_general)
            write_option(row);
    }
}

static void write_own_options(const command *command)
{
    const option_row *row = NULL;
    for (size_t i = 0; (row = args_option(i)) != NULL; i++) {
        if (!row->is_general && args_list_has(command->options, row->name))
            write_option(row);
    }
}

static void write_overview(void)
{
    const command *row = NULL;
    printf("%s\nCommands\n", OUTLINE);
    for (size_t i = 0; (row = command_at(i)) != NULL; i++)
        printf("  %-16s  %s\n", row->name, row->summary);
    printf("\nOptions, before or behind the command\n");
    write_general_options();
    printf("\n%s\n%s\n%s", EXITS, ENVIRONMENT, TOPICS);
}

/* "usage: mtc set [--ttl DURATION] KEY [VALUE]" */
static void write_synopsis(FILE *out, const command *command)
{
    const option_row *row = NULL;
    size_t column = (size_t)fprintf(out, "usage: mtc %s", command->name);
    for (size_t i = 0; (row = args_option(i)) != NULL; i++) {
        char word[64];
        if (row->is_general || !args_list_has(command->options, row->name))
            continue;
        snprintf(word, sizeof word,
                 row->argument != NULL ? "[--%s %s]" : "[--%s]", row->name,
                 row->argument);
        output_word(out, mtc_str(word), SYNOPSIS_MARGIN, &column);
    }
    if (command->words[0] != '\0')
        output_word(out, mtc_str(command->words), SYNOPSIS_MARGIN, &column);
    fputc('\n', out);
}

void help_usage(const command *command)
{
    write_synopsis(stderr, command);
}

void help_command(const command *command)
{
    write_synopsis(stdout, command);
    if (command->text != NULL)
        printf("\n%s", command->text);
    else
        printf("\nShows %s.\n", command->summary);
    if (command->options[0] != '\0') {
        printf("\nOptions\n");
        write_own_options(command);
    }
    printf("\nGeneral options\n");
    write_general_options();
}

tool_exit command_help(const args *args, char **words)
{
    char **rest = NULL;
    size_t count = 0;
    while (words[count] != NULL)
        count++;
    if (count == 0) {
        write_overview();
        return TOOL_DONE;
    }
    if (count == 1 && strcmp(words[0], "tiers") == 0)
        return help_tiers(args->markdown);
    const command *command = command_find(words, count, &rest);
    if (command != NULL && *rest == NULL) {
        help_command(command);
        return TOOL_DONE;
    }
    complain("help: no such topic: %s; mtc help lists the commands", words[0]);
    return TOOL_USAGE;
}

tool_exit command_version(const args *args, char **words)
{
    (void)words;
    if (args->json) {
        json json = session_json(MTC_OK);
        json_text(&json, "version", TOOL_VERSION);
        json_text(&json, "library", mtc_version());
        session_json_end(&json);
        return TOOL_DONE;
    }
    printf("mtc %s, libmtc %s\n", TOOL_VERSION, mtc_version());
    return TOOL_DONE;
}
