/*
 * The commands of the tool: one table feeds dispatch, help and completion.
 */
#ifndef MTC_CLI_COMMAND_H
#define MTC_CLI_COMMAND_H

#include "args.h"
#include "output.h"

typedef struct command {
    const char *name;    /* one word or two: "stream read" */
    const char *words;   /* what follows: "KEY [VALUE]" */
    size_t words_min;    /* count of words behind the name */
    size_t words_max;    /* SIZE_MAX: any */
    const char *options; /* names of its options, separated by spaces */
    const char *summary; /* one line */
    const char *text;    /* paragraphs; NULL: the summary says it all */
    /* words: what stands behind the name, of the right count. */
    tool_exit (*run)(const args *args, char **words);
} command;

/* The table; NULL past its end. */
const command *command_at(size_t index);

/* The command that the first words name; *words gets what follows. NULL when
 * there is none. */
const command *command_find(char **words_in, size_t count, char ***words);

tool_exit command_get(const args *args, char **words);
tool_exit command_set(const args *args, char **words);
tool_exit command_remove(const args *args, char **words);
tool_exit command_bench(const args *args, char **words);
tool_exit command_replay(const args *args, char **words);
tool_exit command_load(const args *args, char **words);
tool_exit command_stats(const args *args, char **words);
tool_exit command_health(const args *args, char **words);
tool_exit command_ping(const args *args, char **words);
tool_exit command_publish(const args *args, char **words);
tool_exit command_read(const args *args, char **words);
tool_exit command_range(const args *args, char **words);
tool_exit command_tail(const args *args, char **words);
tool_exit command_group(const args *args, char **words);
tool_exit command_demo(const args *args, char **words);
tool_exit command_version(const args *args, char **words);
tool_exit command_help(const args *args, char **words);

/* The help of one command, as "mtc COMMAND --help" shows it. */
void help_command(const command *command);

/* How to call the command, on standard error. */
void help_usage(const command *command);

#endif
