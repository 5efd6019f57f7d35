/*
 * Certificates and the proxy. See tls_rig.h.
 */
#include "support/tls_rig.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

static const char MAKE[] =
    "set -e; cd %s; exec >log 2>&1\n"
    "authority() { openssl req -x509 -newkey rsa:2048 -nodes -days 30 \\\n"
    "  -keyout $1.key -out $1.crt -subj /CN=$1; }\n"
    "signed() { echo \"subjectAltName=$3\" >ext\n"
    "  openssl req -newkey rsa:2048 -nodes -keyout $1.key -out csr \\\n"
    "    -subj /CN=$1\n"
    "  openssl x509 -req -in csr -CA $2.crt -CAkey $2.key -CAcreateserial \\\n"
    "    -days $4 -extfile ext -out $1.crt; }\n"
    "here=DNS:localhost,IP:127.0.0.1\n"
    "authority ca; authority other_ca\n"
    "signed good ca $here 30; signed again ca $here 30\n"
    "signed expired ca $here -1; signed client ca DNS:client 30\n"
    "signed elsewhere ca DNS:cache.example 30\n"
    "signed stranger other_ca $here 30\n"
    "openssl req -x509 -newkey rsa:2048 -nodes -days 30 -keyout self.key \\\n"
    "  -out self.crt -subj /CN=self -addext subjectAltName=$here\n"
    "openssl rsa -in good.key -aes128 -passout pass:x -out locked.key\n";

bool tls_rig_make(char dir[64])
{
    char script[sizeof MAKE + 64];
    snprintf(dir, 64, "/tmp/mtc_tls_XXXXXX");
    if (!mkdtemp(dir))
        return false;
    snprintf(script, sizeof script, MAKE, dir);
    return system(script) == 0;
}

void tls_rig_remove(const char *dir)
{
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    if (system(command) != 0)
        fprintf(stderr, "%s stays\n", dir);
}

/* -- the proxy ------------------------------------------------------------ */

#define CHUNK 65536u

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static int dial_server(const tls_proxy *proxy)
{
    struct sockaddr_in address = loopback(proxy->server_port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 &&
        connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool pass_all(int fd, const char *bytes, size_t size, size_t step)
{
    while (size > 0) {
        size_t part = size < step ? size : step;
        ssize_t sent = send(fd, bytes, part, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        bytes += sent;
        size -= (size_t)sent;
    }
    return true;
}

static bool pass_to_server(tls_proxy *proxy, int client, int server)
{
    char bytes[CHUNK];
    ssize_t got = recv(client, bytes, sizeof bytes, 0);
    if (got <= 0)
        return false;
    atomic_fetch_add(&proxy->to_server, (size_t)got);
    return pass_all(server, bytes, (size_t)got, CHUNK);
}

static bool pass_to_client(tls_proxy *proxy, int client, int server)
{
    char bytes[CHUNK];
    ssize_t got = recv(server, bytes, sizeof bytes, 0);
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
    return pass_all(client, bytes, size, atomic_load(&proxy->step)) && !is_cut;
}

/* False: the proxy is being stopped. */
static bool serve(tls_proxy *proxy, int client, int server)
{
    struct pollfd fds[3] = {
        {.fd = proxy->stop_fd, .events = POLLIN},
        {.fd = client, .events = POLLIN},
        {.fd = server, .events = POLLIN},
    };
    for (;;) {
        if (poll(fds, 3, -1) < 0 && errno != EINTR)
            return false;
        if (fds[0].revents)
            return false;
        if (fds[1].revents && !pass_to_server(proxy, client, server))
            return true;
        if (fds[2].revents && !pass_to_client(proxy, client, server))
            return true;
    }
}

static void *run(void *ctx)
{
    tls_proxy *proxy = ctx;
    bool is_on = true;
    int on = 1;
    while (is_on) {
        struct pollfd fds[2] = {{.fd = proxy->stop_fd, .events = POLLIN},
                                {.fd = proxy->listener, .events = POLLIN}};
        poll(fds, 2, -1);
        if (fds[0].revents)
            return NULL;
        int client = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC);
        int server = dial_server(proxy);
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (client >= 0 && server >= 0)
            is_on = serve(proxy, client, server);
        close(client);
        close(server);
    }
    return NULL;
}

bool tls_proxy_start(tls_proxy *proxy, int server_port)
{
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    *proxy = (tls_proxy){.server_port = server_port, .step = CHUNK};
    proxy->stop_fd = eventfd(0, EFD_CLOEXEC);
    proxy->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(proxy->listener, (struct sockaddr *)&address, size) != 0 ||
        listen(proxy->listener, 16) != 0 ||
        getsockname(proxy->listener, (struct sockaddr *)&address, &size) != 0)
        return false;
    proxy->port = ntohs(address.sin_port);
    return pthread_create(&proxy->thread, NULL, run, proxy) == 0;
}

void tls_proxy_stop(tls_proxy *proxy)
{
    uint64_t one = 1;
    if (write(proxy->stop_fd, &one, sizeof one) < 0)
        return;
    pthread_join(proxy->thread, NULL);
    close(proxy->listener);
    close(proxy->stop_fd);
}
