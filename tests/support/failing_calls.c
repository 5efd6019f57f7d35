/*
 * The wraps around calls of the system; see failing_calls.h.
 */
#include "support/failing_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>

static struct {
    _Atomic mtct_call_kind kind;
    _Atomic long left; /* calls until one fails; 0: none will */
    _Atomic bool goes_on;
    _Atomic bool has_failed;
} fuse;

void mtct_calls_arm(mtct_call_kind kind, long n, bool goes_on)
{
    atomic_store(&fuse.kind, kind);
    atomic_store(&fuse.has_failed, false);
    atomic_store(&fuse.goes_on, goes_on);
    atomic_store(&fuse.left, n);
}

bool mtct_calls_disarm(void)
{
    atomic_store(&fuse.left, 0);
    atomic_store(&fuse.goes_on, false);
    return atomic_load(&fuse.has_failed);
}

/* Whether this call fails; then errno is set. */
static bool fails(mtct_call_kind kind, int error)
{
    if (atomic_load(&fuse.kind) != kind)
        return false;
    bool is_this = false;
    if (atomic_load(&fuse.left) > 0)
        is_this = atomic_fetch_sub(&fuse.left, 1) == 1;
    else
        is_this = atomic_load(&fuse.goes_on) && atomic_load(&fuse.has_failed);
    if (is_this) {
        atomic_store(&fuse.has_failed, true);
        errno = error;
    }
    return is_this;
}

/* kind, what it fails with, type, name, parameters, arguments, result */
#define CALLS(WRAP)                                                            \
    WRAP(MAKE, EMFILE, int, socket, (int a, int b, int c), (a, b, c), -1)      \
    WRAP(MAKE, EAGAIN, int, connect,                                           \
         (int fd, const struct sockaddr *address, socklen_t size),             \
         (fd, address, size), -1)                                              \
    WRAP(MAKE, EMFILE, int, epoll_create1, (int flags), (flags), -1)           \
    WRAP(MAKE, ENOMEM, int, epoll_ctl,                                         \
         (int at, int what, int fd, struct epoll_event *event),                \
         (at, what, fd, event), -1)                                            \
    WRAP(MAKE, EMFILE, int, eventfd, (unsigned count, int flags),              \
         (count, flags), -1)                                                   \
    WRAP(MAKE, EAGAIN, int, pthread_create,                                    \
         (pthread_t * thread, const pthread_attr_t *attributes,                \
          void *(*run)(void *), void *arg),                                    \
         (thread, attributes, run, arg), EAGAIN)                               \
    WRAP(MAKE, ENOMEM, void *, mmap,                                           \
         (void *at, size_t size, int access, int flags, int fd, off_t offset), \
         (at, size, access, flags, fd, offset), MAP_FAILED)                    \
    WRAP(MAKE, ENOSPC, int, posix_fallocate,                                   \
         (int fd, off_t offset, off_t size), (fd, offset, size), ENOSPC)       \
    WRAP(MAKE, ENOLCK, int, flock, (int fd, int how), (fd, how), -1)           \
    WRAP(MAKE, ENOMEM, int, getaddrinfo,                                       \
         (const char *host, const char *port, const struct addrinfo *hints,    \
          struct addrinfo **addresses),                                        \
         (host, port, hints, addresses), EAI_MEMORY)                           \
    WRAP(MOVE, ECONNRESET, ssize_t, recv,                                      \
         (int fd, void *bytes, size_t size, int flags),                        \
         (fd, bytes, size, flags), -1)                                         \
    WRAP(MOVE, ENOBUFS, ssize_t, sendmsg,                                      \
         (int fd, const struct msghdr *message, int flags),                    \
         (fd, message, flags), -1)

#define WRAP(kind, error, type, name, parameters, arguments, result)           \
    type __real_##name parameters;                                             \
    type __wrap_##name parameters;                                             \
    type __wrap_##name parameters                                              \
    {                                                                          \
        return fails(MTCT_CALLS_##kind, error) ? result                        \
                                               : __real_##name arguments;      \
    }

CALLS(WRAP)

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return fails(MTCT_CALLS_MAKE, EMFILE) ? -1 : __real_open(path, flags, mode);
}

/* Once and no more: it would be a loop without rest until the deadline. */
int __real_poll(struct pollfd *fds, nfds_t count, int wait_ms);
int __wrap_poll(struct pollfd *fds, nfds_t count, int wait_ms);
int __wrap_poll(struct pollfd *fds, nfds_t count, int wait_ms)
{
    if (!atomic_load(&fuse.goes_on) && fails(MTCT_CALLS_MOVE, ENOMEM))
        return -1;
    return __real_poll(fds, count, wait_ms);
}
