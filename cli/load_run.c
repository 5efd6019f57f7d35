/*
 * Running the command of mtc load and taking in what it prints.
 *
 * The command shares standard input and standard error with mtc, and gets
 * SIGPIPE back as it is by default. One thread; it waits for its own child.
 */
#include "load_run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "output.h"

extern char **environ;

/* The environment with entry in place of the one of the same name. */
static char **environment_with(const char *entry)
{
    size_t count = 0;
    size_t name_size = (size_t)(strchr(entry, '=') - entry) + 1;
    while (environ[count] != NULL)
        count++;
    char **copy = calloc(count + 2, sizeof *copy);
    if (copy == NULL)
        return NULL;
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (strncmp(environ[i], entry, name_size) != 0)
            copy[kept++] = environ[i];
    }
    copy[kept] = (char *)(uintptr_t)entry;
    return copy;
}

/* Starts the command with its standard output at fd. 0 or an errno. */
static int start(char **command, const char *entry, int fd, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t signals;
    char **environment = environment_with(entry);
    if (environment == NULL)
        return ENOMEM;
    sigemptyset(&signals);
    sigaddset(&signals, SIGPIPE);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_adddup2(&actions, fd, STDOUT_FILENO);
    posix_spawnattr_setsigdefault(&attributes, &signals);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    int error = posix_spawnp(pid, command[0], &actions, &attributes, command,
                             environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    free(environment);
    return error;
}

/* Waits for the child; whether it ended with 0. */
static bool ended_well(const char *name, pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno == EINTR)
            continue;
        complain("load: %s: %s", name, strerror(errno));
        return false;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    if (WIFEXITED(status))
        complain("load: %s exited with %d; nothing is cached", name,
                 WEXITSTATUS(status));
    else
        complain("load: %s was ended by signal %d (%s); nothing is cached",
                 name, WTERMSIG(status), strsignal(WTERMSIG(status)));
    return false;
}

bool load_run(char **command, const load_lock *lock, input_bytes *printed)
{
    int ends[2];
    pid_t pid = 0;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        complain("load: pipe: %s", strerror(errno));
        return false;
    }
    int error = start(command, lock->environment, ends[1], &pid);
    close(ends[1]);
    if (error != 0) {
        complain("load: %s: %s", command[0], strerror(error));
        close(ends[0]);
        return false;
    }
    bool is_read = input_read(ends[0], printed);
    /* A command that prints on is ended by its next write. */
    close(ends[0]);
    return ended_well(command[0], pid) && is_read;
}
