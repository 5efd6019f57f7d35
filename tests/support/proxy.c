/*
 * The proxy. One thread passes bytes on; the test's thread starts and stops it,
 * and says what it does to them. See proxy.h.
 */
#include "support/proxy.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "support/tier_call.h"

#define PIECE_SIZE 65536

/* How often a connection that is held looks whether it still is, and how long
 * one that is throttled rests. */
#define HOLD_MS     5
#define THROTTLE_MS 5

struct test_proxy {
    pthread_t thread;
    int listener, stop_fd;
    int port, server_port;
    test_proxy_delays delays;
    _Atomic uint64_t delayed;
    _Atomic size_t to_server, to_client;
    _Atomic size_t cut;            /* bytes until the end; 0: no end */
    _Atomic size_t split;          /* of one send to the client, at most */
    uint64_t split_seed;           /* the thread's own */
    _Atomic uint32_t random_split; /* the same at random; 0: not */
    _Atomic uint32_t bytes_per_ms; /* to the client; 0: no bound */
    _Atomic bool is_held;
    _Atomic bool is_to_reset;
};

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static void send_at_once(int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static int connect_to(int port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    send_at_once(fd);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

/* How much to send to the client at once. */
static size_t split_of(test_proxy *proxy)
{
    uint32_t max = atomic_load(&proxy->random_split);
    if (max > 0)
        return 1 + mtct_draw(&proxy->split_seed, max);
    return atomic_load(&proxy->split);
}

/* proxy: the pieces are split as it says; NULL: they are not. */
static bool send_all(int fd, const char *bytes, size_t size, test_proxy *proxy)
{
    while (size > 0) {
        size_t split = proxy ? split_of(proxy) : size;
        size_t part = size < split ? size : split;
        ssize_t sent = send(fd, bytes, part, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        bytes += sent;
        size -= (size_t)sent;
    }
    return true;
}

static bool pass_to_server(test_proxy *proxy, int client, int server)
{
    char piece[PIECE_SIZE];
    ssize_t got = recv(client, piece, sizeof piece, 0);
    if (got < 0 && errno == EINTR)
        return true;
    if (got <= 0)
        return false;
    atomic_fetch_add(&proxy->to_server, (size_t)got);
    return send_all(server, piece, (size_t)got, NULL);
}

static void sleep_ms(uint32_t ms)
{
    struct timespec pause = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&pause, NULL);
}

static void hold_back(test_proxy *proxy)
{
    test_proxy_delays *delays = &proxy->delays;
    if (delays->one_in == 0 || mtct_draw(&delays->seed, delays->one_in) != 0)
        return;
    sleep_ms(1 + mtct_draw(&delays->seed, (uint32_t)delays->ms_max));
    atomic_fetch_add(&proxy->delayed, 1);
}

/* How much to take from the server at once, after a rest if there is a
 * bound. */
static size_t throttle(test_proxy *proxy)
{
    size_t rate = atomic_load(&proxy->bytes_per_ms);
    if (rate == 0)
        return PIECE_SIZE;
    sleep_ms(THROTTLE_MS);
    return rate * THROTTLE_MS < PIECE_SIZE ? rate * THROTTLE_MS : PIECE_SIZE;
}

/* When the socket is closed, the other side is told that it was reset. */
static void prepare_reset(int fd)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

static bool pass_to_client(test_proxy *proxy, int client, int server)
{
    char piece[PIECE_SIZE];
    hold_back(proxy);
    if (atomic_exchange(&proxy->is_to_reset, false)) {
        prepare_reset(client);
        prepare_reset(server);
        return false;
    }
    ssize_t got = recv(server, piece, throttle(proxy), 0);
    if (got < 0 && errno == EINTR)
        return true;
    if (got <= 0)
        return false;
    size_t size = (size_t)got;
    size_t cut = atomic_load(&proxy->cut);
    bool is_cut = cut > 0 && size >= cut;
    if (is_cut)
        size = cut;
    if (cut > 0)
        atomic_store(&proxy->cut, cut - size);
    atomic_fetch_add(&proxy->to_client, size);
    return send_all(client, piece, size, proxy) && !is_cut;
}

/* Whether a connection that is held still has both its sides. */
static bool wait_held(test_proxy *proxy, int client)
{
    struct pollfd fds[2] = {
        {.fd = proxy->stop_fd, .events = POLLIN},
        {.fd = client, .events = POLLRDHUP},
    };
    poll(fds, 2, HOLD_MS);
    return !fds[0].revents && !fds[1].revents;
}

/* Until one side ends, or the proxy is stopped: false. */
static bool serve(test_proxy *proxy, int client, int server)
{
    struct pollfd fds[3] = {
        {.fd = proxy->stop_fd, .events = POLLIN},
        {.fd = client, .events = POLLIN},
        {.fd = server, .events = POLLIN},
    };
    for (;;) {
        bool is_held = atomic_load(&proxy->is_held);
        if (is_held && !wait_held(proxy, client))
            return true;
        if (is_held)
            continue;
        if (poll(fds, 3, -1) < 0 && errno != EINTR)
            return false;
        if (fds[0].revents)
            return false;
        if (atomic_load(&proxy->is_held))
            continue;
        if (fds[1].revents && !pass_to_server(proxy, client, server))
            return true;
        if (fds[2].revents && !pass_to_client(proxy, client, server))
            return true;
    }
}

static void *run(void *ctx)
{
    test_proxy *proxy = ctx;
    bool goes_on = true;
    while (goes_on) {
        struct pollfd fds[2] = {
            {.fd = proxy->stop_fd, .events = POLLIN},
            {.fd = proxy->listener, .events = POLLIN},
        };
        if (poll(fds, 2, -1) < 0 || fds[0].revents)
            return NULL;
        int client = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC);
        int server = connect_to(proxy->server_port);
        if (client >= 0)
            send_at_once(client);
        if (client >= 0 && server >= 0)
            goes_on = serve(proxy, client, server);
        if (client >= 0)
            close(client);
        if (server >= 0)
            close(server);
    }
    return NULL;
}

static bool listen_on_loopback(test_proxy *proxy)
{
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    proxy->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (proxy->listener < 0 ||
        bind(proxy->listener, (struct sockaddr *)&address, size) != 0 ||
        listen(proxy->listener, 16) != 0 ||
        getsockname(proxy->listener, (struct sockaddr *)&address, &size) != 0)
        return false;
    proxy->port = ntohs(address.sin_port);
    return true;
}

static void free_proxy(test_proxy *proxy)
{
    if (proxy->listener >= 0)
        close(proxy->listener);
    if (proxy->stop_fd >= 0)
        close(proxy->stop_fd);
    free(proxy);
}

test_proxy *test_proxy_start(int server_port, const test_proxy_delays *delays)
{
    test_proxy *proxy = calloc(1, sizeof *proxy);
    if (!proxy)
        return NULL;
    proxy->server_port = server_port;
    proxy->split = PIECE_SIZE;
    if (delays)
        proxy->delays = *delays;
    proxy->listener = -1;
    proxy->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (proxy->stop_fd < 0 || !listen_on_loopback(proxy) ||
        pthread_create(&proxy->thread, NULL, run, proxy) != 0) {
        free_proxy(proxy);
        return NULL;
    }
    return proxy;
}

int test_proxy_port(const test_proxy *proxy)
{
    return proxy->port;
}

void test_proxy_cut(test_proxy *proxy, size_t size)
{
    atomic_store(&proxy->cut, size);
}

void test_proxy_split(test_proxy *proxy, size_t size)
{
    atomic_store(&proxy->split, size);
}

void test_proxy_split_at_random(test_proxy *proxy, uint32_t max)
{
    atomic_store(&proxy->random_split, max);
}

void test_proxy_throttle(test_proxy *proxy, uint32_t bytes_per_ms)
{
    atomic_store(&proxy->bytes_per_ms, bytes_per_ms);
}

void test_proxy_hold(test_proxy *proxy, bool is_held)
{
    atomic_store(&proxy->is_held, is_held);
}

void test_proxy_reset(test_proxy *proxy)
{
    atomic_store(&proxy->is_to_reset, true);
}

size_t test_proxy_to_server(const test_proxy *proxy)
{
    return atomic_load(&proxy->to_server);
}

size_t test_proxy_to_client(const test_proxy *proxy)
{
    return atomic_load(&proxy->to_client);
}

uint64_t test_proxy_delayed(const test_proxy *proxy)
{
    return atomic_load(&proxy->delayed);
}

void test_proxy_stop(test_proxy *proxy)
{
    uint64_t one = 1;
    if (write(proxy->stop_fd, &one, sizeof one) == (ssize_t)sizeof one)
        pthread_join(proxy->thread, NULL);
    free_proxy(proxy);
}
