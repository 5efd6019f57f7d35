/*
 * Dialling. See dial.h. One thread at a time.
 */
#include "redis/watch.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

__attribute__((format(printf, 2, 3))) static void note(mtci_dial *dial,
                                                       const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(dial->failure, sizeof dial->failure, format, arguments);
    va_end(arguments);
}

static void note_errno(mtci_dial *dial, int error)
{
    char text[80];
    note(dial, "cannot connect: %s", strerror_r(error, text, sizeof text));
}

static void hang_up(mtci_dial *dial)
{
    if (dial->fd >= 0) {
        mtci_watch_forget(dial->watch, dial->fd);
        close(dial->fd);
    }
    dial->fd = -1;
}

static mtc_status give_up(mtci_dial *dial)
{
    mtci_dial_stop(dial);
    return MTC_E_UNAVAILABLE;
}

/* Begins to connect. Whether it is under way or done. */
static bool try_address(mtci_dial *dial, const struct sockaddr *address,
                        socklen_t size)
{
    int on = 1;
    dial->fd = socket(address->sa_family,
                      SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (dial->fd < 0) {
        note_errno(dial, errno);
        return false;
    }
    if (address->sa_family != AF_UNIX)
        setsockopt(dial->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    /* An interrupted connect goes on by itself. */
    if (connect(dial->fd, address, size) == 0 || errno == EINPROGRESS ||
        errno == EINTR)
        return true;
    note_errno(dial, errno);
    hang_up(dial);
    return false;
}

static int64_t share_of(const mtci_dial *dial, int64_t now_ms)
{
    int64_t count = 1;
    for (const struct addrinfo *a = dial->next; a; a = a->ai_next)
        count++;
    return now_ms + (dial->deadline_ms - now_ms) / count;
}

static mtc_status try_next(mtci_dial *dial, int64_t now_ms)
{
    hang_up(dial);
    while (dial->next && now_ms < dial->deadline_ms) {
        const struct addrinfo *address = dial->next;
        dial->next = address->ai_next;
        dial->due_ms = share_of(dial, now_ms);
        if (try_address(dial, address->ai_addr, address->ai_addrlen))
            return MTC_PENDING;
    }
    return give_up(dial);
}

static mtc_status try_path(mtci_dial *dial)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s",
             dial->settings->path);
    if (!try_address(dial, (const struct sockaddr *)&address, sizeof address))
        return give_up(dial);
    return MTC_PENDING;
}

static mtc_status step_lookup(mtci_dial *dial, int64_t now_ms)
{
    if (!mtci_lookup_is_done(dial->lookup)) {
        if (now_ms < dial->deadline_ms)
            return MTC_PENDING;
        note(dial, "the host's name was not looked up in time");
        return give_up(dial);
    }
    const char *failure;
    dial->next = mtci_lookup_result(dial->lookup, &failure);
    if (!dial->next) {
        note(dial, "cannot look up the host: %s", failure);
        return give_up(dial);
    }
    return try_next(dial, now_ms);
}

static mtc_status step_connect(mtci_dial *dial, int64_t now_ms)
{
    struct pollfd ready = {.fd = dial->fd, .events = POLLOUT};
    if (poll(&ready, 1, 0) <= 0) {
        if (now_ms < dial->due_ms)
            return MTC_PENDING;
        note(dial, "cannot connect: no answer in time");
        return try_next(dial, now_ms);
    }
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(dial->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error == 0)
        return MTC_OK;
    note_errno(dial, error);
    return try_next(dial, now_ms);
}

mtc_status mtci_dial_start(mtci_dial *dial, const mtci_redis_settings *settings,
                           int64_t now_ms)
{
    *dial = (mtci_dial){.settings = settings, .fd = -1, .watch = dial->watch};
    dial->deadline_ms = now_ms + settings->connect_ms;
    dial->due_ms = dial->deadline_ms;
    mtc_status status;
    if (settings->path[0] != '\0')
        status = try_path(dial);
    else
        status = mtci_lookup_start(&settings->address, &dial->lookup);
    if (status == MTC_E_NO_MEMORY || (status < 0 && dial->failure[0] == '\0'))
        note(dial, "cannot look up the host: no memory or no thread");
    if (status < 0)
        return give_up(dial);
    return mtci_dial_step(dial, now_ms);
}

mtc_status mtci_dial_step(mtci_dial *dial, int64_t now_ms)
{
    mtc_status status = MTC_PENDING;
    if (dial->fd < 0)
        status = step_lookup(dial, now_ms);
    if (status == MTC_PENDING && dial->fd >= 0)
        status = step_connect(dial, now_ms);
    return status;
}

int mtci_dial_fd(const mtci_dial *dial, short *events)
{
    *events = dial->fd < 0 ? POLLIN : POLLOUT;
    return dial->fd < 0 ? mtci_lookup_fd(dial->lookup) : dial->fd;
}

int mtci_dial_take(mtci_dial *dial)
{
    int fd = dial->fd;
    dial->fd = -1;
    mtci_dial_stop(dial);
    return fd;
}

void mtci_dial_stop(mtci_dial *dial)
{
    hang_up(dial);
    if (dial->lookup)
        mtci_watch_forget(dial->watch, mtci_lookup_fd(dial->lookup));
    mtci_lookup_stop(dial->lookup);
    dial->lookup = NULL;
    dial->next = NULL;
}
