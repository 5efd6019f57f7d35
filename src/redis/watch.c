/*
 * One descriptor for many connections; see watch.h.
 */
#include "redis/watch.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#define SIGNALLED_MAX 32

void mtci_watch_init(mtci_watch *watch)
{
    atomic_init(&watch->fd, -1);
}

void mtci_watch_fini(mtci_watch *watch)
{
    int fd = atomic_load_explicit(&watch->fd, memory_order_relaxed);
    if (fd >= 0)
        close(fd);
}

int mtci_watch_descriptor(mtci_watch *watch)
{
    int fd = atomic_load_explicit(&watch->fd, memory_order_acquire);
    if (fd >= 0)
        return fd;
    int fresh = epoll_create1(EPOLL_CLOEXEC);
    if (fresh < 0 || atomic_compare_exchange_strong(&watch->fd, &fd, fresh))
        return fresh;
    close(fresh); /* another thread was first */
    return fd;
}

static bool is_as_before(const mtci_watched *watched,
                         const mtci_redis_conn *conn, short events)
{
    return watched->is_ready && conn->state == MTCI_CONN_READY &&
           watched->opened == conn->opened && watched->events == events;
}

void mtci_watch_forget(mtci_watch *watch, int fd)
{
    if (mtci_watch_is_on(watch))
        epoll_ctl(atomic_load_explicit(&watch->fd, memory_order_relaxed),
                  EPOLL_CTL_DEL, fd, NULL);
}

/* The number of a socket that was closed may come again: it was taken out. */
void mtci_watch_conn(mtci_watch *watch, mtci_watched *watched,
                     const mtci_redis_conn *conn, void *client)
{
    short events;
    if (!mtci_watch_is_on(watch))
        return;
    int fd = mtci_conn_fd(conn, &events);
    if (is_as_before(watched, conn, events))
        return;
    *watched =
        (mtci_watched){conn->opened, events, conn->state == MTCI_CONN_READY};
    if (fd < 0)
        return;
    struct epoll_event event = {.data.ptr = client};
    event.events =
        (events & POLLIN ? EPOLLIN : 0u) | (events & POLLOUT ? EPOLLOUT : 0u);
    int at = atomic_load_explicit(&watch->fd, memory_order_relaxed);
    bool is_done =
        epoll_ctl(at, EPOLL_CTL_MOD, fd, &event) == 0 ||
        (errno == ENOENT && epoll_ctl(at, EPOLL_CTL_ADD, fd, &event) == 0);
    watched->is_ready &= is_done; /* else again next time */
}

size_t mtci_watch_signalled(const mtci_watch *watch, void **clients,
                            size_t count_max)
{
    struct epoll_event events[SIGNALLED_MAX];
    if (!mtci_watch_is_on(watch))
        return 0;
    if (count_max > SIGNALLED_MAX)
        count_max = SIGNALLED_MAX;
    int count =
        epoll_wait(atomic_load_explicit(&watch->fd, memory_order_relaxed),
                   events, (int)count_max, 0);
    for (int i = 0; i < count; i++)
        clients[i] = events[i].data.ptr;
    return count > 0 ? (size_t)count : 0;
}
