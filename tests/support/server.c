/*
 * Starting, pausing and stopping real servers. Owns one child process and
 * one folder per server. One thread per server.
 */
#include "support/server.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Below the range of ephemeral ports, so that no client's own port takes one
 * away before a restart. */
#define PORT_FIRST     20000
#define PORT_COUNT     12000
#define PORT_TRIES_MAX 100
#define START_TRIES    5
#define START_MS_MAX   20000
#define POLL_MS        5
#define FIXED_ARGS_MAX 20
#define CONFIGURATION  "sentinel.conf"

/* MTC_TEST_REDIS names another program in PATH that is a Redis. */
static const char *program_of(test_server_kind kind)
{
    const char *redis = getenv("MTC_TEST_REDIS");
    if (kind == TEST_MEMCACHED)
        return "memcached";
    return redis && redis[0] != '\0' ? redis : "redis-server";
}

static void sleep_ms(int ms)
{
    struct timespec pause = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&pause, NULL);
}

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static bool port_is_free(int port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bool is_free = bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return is_free;
}

int test_server_free_port(void)
{
    for (int i = 0; i < PORT_TRIES_MAX; i++) {
        uint32_t random = 0;
        if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
            return 0;
        int port = PORT_FIRST + (int)(random % PORT_COUNT);
        if (port_is_free(port))
            return port;
    }
    return 0;
}

static bool accepts(int port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool is_up = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return is_up;
}

/* The child: only calls that are safe between fork and exec. */
static void run_child(const test_server *server, const char *const *argv)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (chdir(server->dir) != 0)
        _exit(126);
    int fd = open("log", O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd >= 0) {
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
    }
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

static bool is_sentinel(test_server_kind kind)
{
    return kind == TEST_SENTINEL || kind == TEST_SENTINEL_TLS;
}

static void spawn(test_server *server)
{
    char port[16];
    snprintf(port, sizeof port, "%d", server->port);
    bool is_tls =
        server->kind == TEST_REDIS_TLS || server->kind == TEST_SENTINEL_TLS;
    const char *plain_port = is_tls ? "0" : port;
    const char *tls_port = is_tls ? port : "0";
    const char *program = program_of(server->kind);
    const char *redis[] = {program,      "--port", plain_port,  "--tls-port",
                           tls_port,     "--bind", "127.0.0.1", "--unixsocket",
                           "redis.sock", "--save", "",          "--appendonly",
                           "no",         "--dir",  ".",         "--daemonize",
                           "no",         NULL};
    const char *memcached[] = {"memcached", "-l", "127.0.0.1", "-p",   port,
                               "-U",        "0",  "-u",        "root", NULL};
    const char *sentinel[] = {program,      CONFIGURATION, "--port",
                              plain_port,   "--tls-port",  tls_port,
                              "--sentinel", NULL};
    const char *const *fixed[] = {redis, memcached, sentinel, redis, sentinel};
    const char *argv[FIXED_ARGS_MAX + TEST_SERVER_ARGS_MAX + 1];
    size_t count = 0;
    bool has_args = !is_sentinel(server->kind);
    for (size_t i = 0; fixed[server->kind][i] != NULL; i++)
        argv[count++] = fixed[server->kind][i];
    for (size_t i = 0; has_args && server->args[i] != NULL; i++)
        argv[count++] = server->args[i];
    argv[count] = NULL;
    pid_t pid = fork();
    if (pid == 0)
        run_child(server, argv);
    server->pid = pid > 0 ? pid : 0;
}

/* Waits until it accepts; false when it died or takes too long. */
static bool wait_up(test_server *server)
{
    for (int waited = 0; waited < START_MS_MAX; waited += POLL_MS) {
        if (waitpid(server->pid, NULL, WNOHANG) == server->pid) {
            server->pid = 0;
            return false;
        }
        if (accepts(server->port))
            return true;
        sleep_ms(POLL_MS);
    }
    return false;
}

static void show_log(const test_server *server)
{
    char path[96];
    char line[512];
    snprintf(path, sizeof path, "%s/log", server->dir);
    FILE *log = fopen(path, "re");
    while (log != NULL && fgets(line, sizeof line, log) != NULL)
        fputs(line, stderr);
    if (log != NULL)
        fclose(log);
}

static int remove_one(const char *path, const struct stat *status, int type,
                      struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

bool test_server_installed(test_server_kind kind)
{
    const char *path = getenv("PATH");
    while (path != NULL && *path != '\0') {
        char program[512];
        size_t size = strcspn(path, ":");
        snprintf(program, sizeof program, "%.*s/%s", (int)size, path,
                 program_of(kind));
        if (access(program, X_OK) == 0)
            return true;
        path += size + (path[size] == ':');
    }
    return false;
}

void test_server_require(test_server_kind kind)
{
    if (test_server_installed(kind))
        return;
    print_message("%s is not installed (make test installs it)\n",
                  program_of(kind));
    skip();
}

/* Once: it is the sentinel's own from then on, and it writes there. */
static bool write_configuration(const test_server *server)
{
    char path[96];
    snprintf(path, sizeof path, "%s/%s", server->dir, CONFIGURATION);
    FILE *file = fopen(path, "we");
    if (file == NULL)
        return false;
    fprintf(file, "bind 127.0.0.1\n");
    for (size_t i = 0; server->args[i] != NULL; i++)
        fprintf(file, "%s\n", server->args[i]);
    return fclose(file) == 0;
}

bool test_server_start(test_server *server, test_server_kind kind,
                       const char *const *args)
{
    memset(server, 0, sizeof *server);
    server->kind = kind;
    snprintf(server->dir, sizeof server->dir, "/tmp/mtc_test_XXXXXX");
    if (mkdtemp(server->dir) == NULL)
        return false;
    snprintf(server->socket_path, sizeof server->socket_path, "%s/redis.sock",
             server->dir);
    for (size_t i = 0; args != NULL && args[i] != NULL; i++) {
        if (i == TEST_SERVER_ARGS_MAX)
            return false;
        server->args[i] = args[i];
    }
    if (is_sentinel(kind) && !write_configuration(server))
        return false;
    /* Somebody else may take the port between the look and the bind. */
    for (int i = 0; i < START_TRIES; i++) {
        server->port = test_server_free_port();
        if (test_server_restart(server))
            return true;
    }
    show_log(server);
    test_server_stop(server);
    return false;
}

void test_server_stop(test_server *server)
{
    test_server_kill(server);
    if (server->dir[0] != '\0')
        nftw(server->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    server->dir[0] = '\0';
}

void test_server_kill(test_server *server)
{
    if (server->pid == 0)
        return;
    kill(server->pid, SIGKILL);
    while (waitpid(server->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    server->pid = 0;
}

bool test_server_restart(test_server *server)
{
    static const char *const SCHEMES[] = {"redis", "memcached", "redis",
                                          "rediss", "rediss"};
    snprintf(server->url, sizeof server->url, "%s://127.0.0.1:%d",
             SCHEMES[server->kind], server->port);
    spawn(server);
    return server->pid != 0 && wait_up(server);
}

void test_server_pause(test_server *server)
{
    kill(server->pid, SIGSTOP);
    while (waitpid(server->pid, NULL, WUNTRACED) < 0 && errno == EINTR) {
    }
}

void test_server_resume(test_server *server)
{
    kill(server->pid, SIGCONT);
}
