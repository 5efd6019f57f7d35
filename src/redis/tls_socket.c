/*
 * Encrypted bytes to and from the socket. See tls_state.h.
 *
 * OpenSSL reads from the socket and writes into the output buffer here, by a
 * BIO of ours: so that no signal is raised, and so that SSL_write, which is
 * called only when the buffer has room, never has to be repeated with the
 * same bytes. One thread at a time.
 */
#include "redis/tls_state.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static void note_end(mtci_tls *tls, int error)
{
    tls->is_ended = true;
    tls->error = error;
}

void mtci_tls_flush(mtci_transport *transport)
{
    mtci_tls *tls = transport->state;
    while (tls->output_begin < tls->output_end && !tls->is_ended) {
        ssize_t sent = send(transport->fd, tls->output + tls->output_begin,
                            tls->output_end - tls->output_begin,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno != EAGAIN)
            note_end(tls, errno);
        if (sent <= 0)
            break;
        tls->output_begin += (size_t)sent;
    }
    bool is_empty = tls->output_begin == tls->output_end;
    if (is_empty)
        tls->output_begin = tls->output_end = 0;
    transport->must_flush = !is_empty && !tls->is_ended;
    /* An error that sending met is told by receiving. */
    transport->has_more |= tls->is_ended || (is_empty && tls->awaits_flush);
}

size_t mtci_tls_output_room(mtci_tls *tls)
{
    size_t size = tls->output_end - tls->output_begin;
    if (tls->output_begin >= sizeof tls->output / 2) {
        memmove(tls->output, tls->output + tls->output_begin, size);
        tls->output_begin = 0;
        tls->output_end = size;
    }
    return sizeof tls->output - tls->output_end;
}

static int bio_write(BIO *bio, const char *bytes, int size)
{
    mtci_tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (size < 0 || (size_t)size > mtci_tls_output_room(tls)) {
        BIO_set_retry_write(bio);
        return -1;
    }
    memcpy(tls->output + tls->output_end, bytes, (size_t)size);
    tls->output_end += (size_t)size;
    tls->transport->must_flush = true;
    return size;
}

static int bio_read(BIO *bio, char *bytes, int size)
{
    mtci_tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t got = recv(tls->transport->fd, bytes, (size_t)size, MSG_DONTWAIT);
    if (got > 0)
        return (int)got;
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_read(bio);
    else if (!tls->is_ended)
        note_end(tls, got < 0 ? errno : 0);
    return got == 0 ? 0 : -1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    mtci_tls *tls = BIO_get_data(bio);
    (void)number;
    (void)pointer;
    if (command == BIO_CTRL_EOF)
        return tls->is_ended;
    return command == BIO_CTRL_FLUSH;
}

BIO_METHOD *mtci_tls_bio_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "mtc");
    if (!method)
        return NULL;
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_ctrl(method, bio_control);
    return method;
}

BIO *mtci_tls_bio_new(mtci_tls *tls)
{
    BIO *bio = BIO_new(tls->method);
    if (!bio)
        return NULL;
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    return bio;
}
