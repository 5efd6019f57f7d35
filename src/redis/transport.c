/*
 * The transport, and the plain one. See transport.h. One thread at a time.
 */
#include "redis/transport.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "redis/tls.h"

static ssize_t plain_receive(mtci_transport *transport, void *bytes,
                             size_t size)
{
    ssize_t got = recv(transport->fd, bytes, size, MSG_DONTWAIT);
    transport->has_more = got > 0 && (size_t)got == size;
    if (got > 0)
        return got;
    if (got == 0)
        return mtci_transport_lost(transport, 0);
    if (errno == EAGAIN || errno == EINTR)
        return 0;
    return mtci_transport_lost(transport, errno);
}

static ssize_t plain_send(mtci_transport *transport, const struct iovec *parts,
                          size_t count)
{
    struct msghdr message = {
        .msg_iov = (struct iovec *)(uintptr_t)parts,
        .msg_iovlen = count,
    };
    ssize_t sent;
    do {
        sent = sendmsg(transport->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0 || errno == EAGAIN)
        return sent >= 0 ? sent : 0;
    return mtci_transport_lost(transport, errno);
}

static const mtci_transport_ops plain_ops = {
    .receive = plain_receive,
    .send = plain_send,
};

int mtci_transport_lost(mtci_transport *transport, int error)
{
    char text[80];
    transport->status = MTC_E_UNAVAILABLE;
    if (error == 0)
        snprintf(transport->failure, sizeof transport->failure,
                 "the server closed the connection");
    else
        snprintf(transport->failure, sizeof transport->failure,
                 "connection lost: %s", strerror_r(error, text, sizeof text));
    return -1;
}

mtc_status mtci_transport_begin(mtci_transport *transport,
                                const mtci_redis_settings *settings, int fd)
{
    transport->fd = fd;
    transport->must_flush = false;
    transport->has_more = false;
    if (settings->tls.is_on)
        return mtci_tls_begin(transport, settings);
    transport->ops = &plain_ops;
    return MTC_OK;
}

mtc_status mtci_transport_handshake(mtci_transport *transport)
{
    return transport->ops->handshake(transport);
}

ssize_t mtci_transport_receive(mtci_transport *transport, void *bytes,
                               size_t size)
{
    return transport->ops->receive(transport, bytes, size);
}

ssize_t mtci_transport_send(mtci_transport *transport,
                            const struct iovec *parts, size_t count)
{
    return transport->ops->send(transport, parts, count);
}

void mtci_transport_flush(mtci_transport *transport)
{
    if (transport->must_flush)
        transport->ops->flush(transport);
}

void mtci_transport_end(mtci_transport *transport, bool has_served)
{
    transport->must_flush = false;
    transport->has_more = false;
    if (transport->ops && transport->ops->end)
        transport->ops->end(transport, has_served);
}

void mtci_transport_fini(mtci_transport *transport)
{
    if (transport->ops && transport->ops->fini)
        transport->ops->fini(transport);
    transport->ops = NULL;
}
