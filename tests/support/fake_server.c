/*
 * The scripted peer. One thread runs the script; the test's thread starts and
 * stops it. See fake_server.h.
 */
#include "support/fake_server.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define INPUT_SIZE    65536
#define ARGUMENTS_MAX 16
#define TEXT_SIZE     1024

struct fake_server {
    fake_script script;
    void *ctx;
    pthread_t thread;
    bool is_joined;
    int listener, peer, stop_fd;
    int port;
    char input[INPUT_SIZE];
    size_t begin, end;
    const char *deviation;
};

static const char *deviation(fake_server *server, const char *text)
{
    if (!server->deviation)
        server->deviation = text;
    return text;
}

/* Waits for events on fd; false when the server is being stopped. */
static bool wait_for(fake_server *server, int fd, short events)
{
    struct pollfd fds[2] = {
        {.fd = server->stop_fd, .events = POLLIN},
        {.fd = fd, .events = events},
    };
    while (poll(fds, 2, -1) < 0 && errno == EINTR) {
    }
    return fds[0].revents == 0;
}

static void *run(void *ctx)
{
    fake_server *server = ctx;
    server->script(server, server->ctx);
    return NULL;
}

static bool listen_on_loopback(fake_server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server->listener < 0 ||
        bind(server->listener, (struct sockaddr *)&address, size) != 0 ||
        listen(server->listener, 16) != 0 ||
        getsockname(server->listener, (struct sockaddr *)&address, &size) != 0)
        return false;
    server->port = ntohs(address.sin_port);
    return true;
}

static void free_server(fake_server *server)
{
    if (server->listener >= 0)
        close(server->listener);
    if (server->peer >= 0)
        close(server->peer);
    if (server->stop_fd >= 0)
        close(server->stop_fd);
    free(server);
}

fake_server *fake_server_start(fake_script script, void *ctx)
{
    fake_server *server = calloc(1, sizeof *server);
    if (!server)
        return NULL;
    server->script = script;
    server->ctx = ctx;
    server->peer = -1;
    server->listener = -1;
    server->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (server->stop_fd < 0 || !listen_on_loopback(server) ||
        pthread_create(&server->thread, NULL, run, server) != 0) {
        free_server(server);
        return NULL;
    }
    return server;
}

int fake_server_port(const fake_server *server)
{
    return server->port;
}

void fake_server_join(fake_server *server)
{
    if (!server->is_joined)
        pthread_join(server->thread, NULL);
    server->is_joined = true;
}

const char *fake_server_stop(fake_server *server)
{
    uint64_t one = 1;
    if (write(server->stop_fd, &one, sizeof one) < 0)
        return "cannot stop the script";
    fake_server_join(server);
    const char *text = server->deviation;
    free_server(server);
    return text;
}

/* -- steps ---------------------------------------------------------------- */

bool fake_accept(fake_server *server)
{
    int on = 1;
    fake_finish(server);
    if (!wait_for(server, server->listener, POLLIN))
        return false;
    server->peer = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
    if (server->peer < 0)
        return false;
    setsockopt(server->peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return true;
}

/* At least one more byte into the input. */
static bool receive(fake_server *server)
{
    if (server->begin > 0) {
        memmove(server->input, server->input + server->begin,
                server->end - server->begin);
        server->end -= server->begin;
        server->begin = 0;
    }
    if (server->peer < 0 || server->end == INPUT_SIZE ||
        !wait_for(server, server->peer, POLLIN))
        return false;
    ssize_t got = recv(server->peer, server->input + server->end,
                       INPUT_SIZE - server->end, 0);
    if (got <= 0)
        return false;
    server->end += (size_t)got;
    return true;
}

/* "*3" or "$5": the number behind the mark; -1 when there is none. */
static long take_header(fake_server *server, char mark)
{
    char *feed;
    while (!(feed = memchr(server->input + server->begin, '\n',
                           server->end - server->begin)))
        if (!receive(server))
            return -1;
    char *first = server->input + server->begin;
    server->begin += (size_t)(feed - first) + 1;
    char *end = NULL;
    long number = strtol(first + 1, &end, 10);
    if (*first != mark || *end != '\r' || end + 1 != feed || number < 0) {
        deviation(server, "the client sent no strict RESP command");
        return -1;
    }
    return number;
}

/* Appends size bytes of input to text, as far as they fit; text may be NULL.*/
static bool take_bytes(fake_server *server, size_t size, char *text)
{
    while (size > 0) {
        size_t have = server->end - server->begin;
        if (have == 0 && !receive(server))
            return false;
        have = server->end - server->begin;
        size_t part = have < size ? have : size;
        size_t length = text ? strlen(text) : 0;
        if (text && length + part < TEXT_SIZE) {
            memcpy(text + length, server->input + server->begin, part);
            text[length + part] = '\0';
        }
        server->begin += part;
        size -= part;
    }
    return true;
}

static bool take_command(fake_server *server, char *text)
{
    long count = take_header(server, '*');
    text[0] = '\0';
    for (long i = 0; i < count; i++) {
        long size = take_header(server, '$');
        if (i > 0 && strlen(text) + 1 < TEXT_SIZE)
            strcat(text, " ");
        if (size < 0 || !take_bytes(server, (size_t)size, text) ||
            !take_bytes(server, 2, NULL))
            return false;
    }
    return count > 0;
}

bool fake_greet(fake_server *server)
{
    char text[TEXT_SIZE];
    if (!fake_accept(server))
        return false;
    while (take_command(server, text)) {
        bool is_last = strcmp(text, "CLIENT ID") == 0;
        bool is_kill = strncmp(text, "CLIENT KILL", 11) == 0;
        bool is_role = strcmp(text, "ROLE") == 0;
        bool is_hello = strncmp(text, "HELLO", 5) == 0;
        if (!fake_send(server, is_last    ? ":7\r\n"
                               : is_hello ? "%1\r\n$5\r\nproto\r\n:3\r\n"
                               : is_kill  ? ":1\r\n"
                               : is_role  ? FAKE_MASTER
                                          : "+OK\r\n"))
            return false;
        if (is_last)
            return true;
    }
    return false;
}

bool fake_expect(fake_server *server, const char *command)
{
    char text[TEXT_SIZE];
    if (!take_command(server, text))
        return false;
    if (strcmp(text, command) == 0)
        return true;
    fprintf(stderr, "expected \"%s\", got \"%s\"\n", command, text);
    deviation(server, "the client sent another command than expected");
    return false;
}

bool fake_take(fake_server *server, size_t count)
{
    char text[TEXT_SIZE];
    for (size_t i = 0; i < count; i++)
        if (!take_command(server, text))
            return false;
    return true;
}

/* A bulk to a place with room; its size, or -1. */
static long take_argument(fake_server *server, char *to, size_t room)
{
    char end[2];
    long size = take_header(server, '$');
    if (size < 0 || (size_t)size > room)
        return -1;
    for (size_t i = 0; i < (size_t)size + sizeof end; i++) {
        if (server->begin == server->end && !receive(server))
            return -1;
        char byte = server->input[server->begin++];
        *(i < (size_t)size ? &to[i] : &end[i - (size_t)size]) = byte;
    }
    return memcmp(end, "\r\n", sizeof end) == 0 ? size : -1;
}

bool fake_take_command(fake_server *server, fake_command *command)
{
    size_t used = 0;
    long count = take_header(server, '*');
    if (count < 0)
        return false;
    command->count = (size_t)count;
    for (size_t i = 0; i < command->count; i++) {
        long size = -1;
        if (i < FAKE_ARGUMENTS_MAX)
            size = take_argument(server, command->bytes + used,
                                 sizeof command->bytes - used);
        if (size < 0) {
            deviation(server, "the client sent a command that is none");
            return false;
        }
        command->sizes[i] = (size_t)size;
        used += (size_t)size;
    }
    return true;
}

bool fake_send_bytes(fake_server *server, const void *bytes, size_t size)
{
    const char *first = bytes;
    while (size > 0) {
        if (server->peer < 0 || !wait_for(server, server->peer, POLLOUT))
            return false;
        ssize_t sent =
            send(server->peer, first, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        if (sent > 0) {
            first += sent;
            size -= (size_t)sent;
        }
    }
    return true;
}

bool fake_send(fake_server *server, const char *text)
{
    return fake_send_bytes(server, text, strlen(text));
}

bool fake_send_split(fake_server *server, const char *text)
{
    for (; *text != '\0'; text++)
        if (!fake_send_bytes(server, text, 1))
            return false;
    return true;
}

void fake_delay(int ms)
{
    struct timespec pause = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&pause, NULL);
}

void fake_reset(fake_server *server)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(server->peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    fake_finish(server);
}

void fake_finish(fake_server *server)
{
    if (server->peer >= 0)
        close(server->peer);
    server->peer = -1;
    server->begin = 0;
    server->end = 0;
}

void fake_silence(fake_server *server)
{
    while (receive(server))
        server->end = server->begin;
}
