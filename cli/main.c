/*
 * mtc: the command-line tool of libmtc. Finds the command and runs it.
 *
 * It sees the public headers alone, like any program that uses the library.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "command.h"
#include "output.h"

/* A file that is opened later must not become standard output: what is closed
 * is opened the wrong way round, so that using it is an error. */
static void hold_standard_files(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    }
}

static bool options_fit(const command *command, const args *args)
{
    const option_row *row = NULL;
    for (size_t i = 0; (row = args_option(i)) != NULL; i++) {
        bool is_given = (args->given >> i & 1) != 0;
        if (!is_given || row->is_general ||
            args_list_has(command->options, row->name))
            continue;
        complain("%s takes no --%s", command->name, row->name);
        return false;
    }
    return true;
}

static bool words_fit(const command *command, const args *args, char **words)
{
    size_t named = (size_t)(words - args->words);
    size_t count = args->word_count - named;
    if (count >= command->words_min && count <= command->words_max)
        return true;
    complain(count < command->words_min ? "%s: too few words"
                                        : "%s: too many words",
             command->name);
    return false;
}

static tool_exit run(const args *args)
{
    char **words = NULL;
    const command *command = NULL;
    if (args->word_count > 0)
        command = command_find(args->words, args->word_count, &words);
    if (command == NULL && args->version)
        return command_version(args, args->words);
    if (command == NULL && args->help && args->word_count == 0)
        return command_help(args, args->words);
    if (command == NULL) {
        if (args->word_count == 0)
            complain("which command? mtc help lists them");
        else
            complain("%s: no such command; mtc help lists them",
                     args->words[0]);
        return TOOL_USAGE;
    }
    if (args->help) {
        help_command(command);
        return TOOL_DONE;
    }
    if (!options_fit(command, args) || !words_fit(command, args, words)) {
        help_usage(command);
        return TOOL_USAGE;
    }
    return command->run(args, words);
}

int main(int argc, char **argv)
{
    args args;
    hold_standard_files();
    signal(SIGPIPE, SIG_IGN);
    if (argc < 1 || !args_parse(argc, argv, &args))
        return TOOL_USAGE;
    return (int)output_finish(run(&args));
}
