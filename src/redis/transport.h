/*
 * How the bytes of a connection pass its socket: as they are, or through TLS.
 *
 * No call blocks. What TLS has encrypted and the socket did not take yet waits
 * here, so that what send has taken is sent for good, as if the kernel had it.
 * Borrows the socket. One thread at a time, the driver.
 */
#ifndef MTCI_REDIS_TRANSPORT_H
#define MTCI_REDIS_TRANSPORT_H

#include <sys/types.h>
#include <sys/uio.h>

#include "redis/settings.h"

typedef struct mtci_transport mtci_transport;

typedef struct mtci_transport_ops {
    mtc_status (*handshake)(mtci_transport *transport);
    ssize_t (*receive)(mtci_transport *transport, void *bytes, size_t size);
    ssize_t (*send)(mtci_transport *transport, const struct iovec *parts,
                    size_t count);
    void (*flush)(mtci_transport *transport);
    void (*end)(mtci_transport *transport, bool has_served);
    void (*fini)(mtci_transport *transport);
} mtci_transport_ops;

/* A zeroed transport is at rest. */
struct mtci_transport {
    const mtci_transport_ops *ops;
    int fd;
    void *state;       /* of TLS; kept from one connection to the next */
    bool must_flush;   /* bytes wait for the socket: poll for it, then flush */
    bool has_more;     /* receive again: more bytes may be there, which poll
                         does not show */
    mtc_status status; /* why a call failed, in one line */
    char failure[200];
};

/* Begins on a connected socket. MTC_OK: bytes may pass; MTC_PENDING: after a
 * handshake; else it failed. */
mtc_status mtci_transport_begin(mtci_transport *transport,
                                const mtci_redis_settings *settings, int fd);

/* MTC_OK, MTC_PENDING, or the failure. */
mtc_status mtci_transport_handshake(mtci_transport *transport);

/* Bytes received or taken; 0: none for now; -1: the connection has ended. */
ssize_t mtci_transport_receive(mtci_transport *transport, void *bytes,
                               size_t size);
ssize_t mtci_transport_send(mtci_transport *transport,
                            const struct iovec *parts, size_t count);

/* The socket takes bytes again. */
void mtci_transport_flush(mtci_transport *transport);

/* The connection is over; nothing is said to the server. has_served: it was
 * ready for commands; otherwise nothing learnt from it is used again. */
void mtci_transport_end(mtci_transport *transport, bool has_served);
void mtci_transport_fini(mtci_transport *transport);

/* Notes the failure of a call with errno; returns -1. */
int mtci_transport_lost(mtci_transport *transport, int error);

#endif
