/*
 * TLS under a connection: the transport. See tls.h and tls_state.h. One thread
 * at a time.
 */
#include "redis/tls_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a record, and what OpenSSL may say before it, takes of the output. */
#define RECORD_ROOM ((size_t)20 << 10)

static bool open_ssl(mtci_tls *tls, const mtci_address *server)
{
    tls->ssl = SSL_new(tls->context);
    BIO *bio = tls->ssl ? mtci_tls_bio_new(tls) : NULL;
    if (!bio)
        return false;
    SSL_set_bio(tls->ssl, bio, bio);
    SSL_set_app_data(tls->ssl, tls);
    SSL_set_connect_state(tls->ssl);
    mtci_tls_session_offer(tls, server);
    return mtci_tls_expect_host(tls);
}

static mtc_status tls_handshake(mtci_transport *transport)
{
    mtci_tls *tls = transport->state;
    mtci_tls_flush(transport);
    ERR_clear_error();
    int result = SSL_do_handshake(tls->ssl);
    int error = SSL_get_error(tls->ssl, result);
    mtc_status status = MTC_OK;
    if (result != 1 &&
        (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE))
        status = MTC_PENDING;
    else if (result != 1)
        status = mtci_tls_failed(transport);
    ERR_clear_error();
    /* Also the alert that says why not. */
    mtci_tls_flush(transport);
    transport->has_more = result == 1;
    return status;
}

static ssize_t tls_receive(mtci_transport *transport, void *bytes, size_t size)
{
    mtci_tls *tls = transport->state;
    size_t got = 0;
    ERR_clear_error();
    tls->awaits_flush = false;
    transport->has_more = false;
    int result = SSL_read_ex(tls->ssl, bytes, size, &got);
    int error = SSL_get_error(tls->ssl, result);
    if (result == 1) {
        transport->has_more = true;
        return (ssize_t)got;
    }
    ssize_t answer = 0;
    tls->awaits_flush = error == SSL_ERROR_WANT_WRITE;
    /* The socket's end, met while sending, when all was read. */
    if (error == SSL_ERROR_ZERO_RETURN || tls->is_ended)
        answer = mtci_transport_lost(transport, tls->error);
    if (error == SSL_ERROR_SSL) {
        mtci_tls_failed(transport);
        answer = -1;
    }
    ERR_clear_error();
    return answer;
}

/* A place in what is to be sent. */
typedef struct cursor {
    const struct iovec *part;
    size_t count;  /* of parts left */
    size_t offset; /* in the first of them */
} cursor;

/* The bytes of the next record: the caller's own where they fill one, else
 * gathered. */
static const char *next_record(mtci_tls *tls, cursor *at, size_t *size)
{
    const char *record = tls->record;
    *size = 0;
    while (at->count > 0 && *size < MTCI_TLS_RECORD_SIZE) {
        const char *from = (const char *)at->part->iov_base + at->offset;
        size_t left = at->part->iov_len - at->offset;
        size_t room = MTCI_TLS_RECORD_SIZE - *size;
        size_t taken = left < room ? left : room;
        if (taken == MTCI_TLS_RECORD_SIZE)
            record = from;
        else
            memcpy(tls->record + *size, from, taken);
        *size += taken;
        at->offset += taken;
        if (taken < left)
            continue;
        at->part++;
        at->count--;
        at->offset = 0;
    }
    return record;
}

/* Once a byte was taken the call says so, and the next one fails: what may
 * have reached the server is never called unsent. */
static ssize_t tls_send(mtci_transport *transport, const struct iovec *parts,
                        size_t count)
{
    mtci_tls *tls = transport->state;
    cursor at = {parts, count, 0};
    size_t sent = 0;
    bool is_failed = false;
    mtci_tls_flush(transport);
    if (tls->is_ended)
        return mtci_transport_lost(transport, tls->error);
    ERR_clear_error();
    while (at.count > 0 && !is_failed &&
           mtci_tls_output_room(tls) >= RECORD_ROOM) {
        size_t size, written = 0;
        const char *record = next_record(tls, &at, &size);
        is_failed = SSL_write_ex(tls->ssl, record, size, &written) != 1;
        sent += written;
    }
    if (is_failed)
        mtci_tls_failed(transport);
    ERR_clear_error();
    mtci_tls_flush(transport);
    return is_failed && sent == 0 ? -1 : (ssize_t)sent;
}

static void forget(mtci_tls *tls)
{
    mtci_tls_session_forget(tls);
    SSL_CTX_free(tls->context);
    tls->context = NULL;
}

/* In a forked child a lock of OpenSSL may be held by a thread that is not
 * there: nothing is touched. */
static bool is_forked(const mtci_tls *tls)
{
    return tls->pid != getpid();
}

static void tls_end(mtci_transport *transport, bool has_served)
{
    mtci_tls *tls = transport->state;
    if (!tls || is_forked(tls))
        return;
    /* A quiet one: says nothing, and keeps the session good. */
    if (tls->ssl && has_served)
        SSL_shutdown(tls->ssl);
    SSL_free(tls->ssl);
    tls->ssl = NULL;
    if (!has_served)
        forget(tls);
    ERR_clear_error();
}

static void tls_fini(mtci_transport *transport)
{
    mtci_tls *tls = transport->state;
    if (!tls)
        return;
    tls_end(transport, false);
    if (!is_forked(tls))
        BIO_meth_free(tls->method);
    explicit_bzero(tls->record, sizeof tls->record);
    free(tls);
    transport->state = NULL;
}

static const mtci_transport_ops tls_ops = {
    .handshake = tls_handshake,
    .receive = tls_receive,
    .send = tls_send,
    .flush = mtci_tls_flush,
    .end = tls_end,
    .fini = tls_fini,
};

static mtci_tls *new_state(void)
{
    mtci_tls *tls = calloc(1, sizeof *tls);
    if (!tls)
        return NULL;
    tls->pid = getpid();
    tls->method = mtci_tls_bio_method();
    if (tls->method)
        return tls;
    free(tls);
    return NULL;
}

static void reset(mtci_tls *tls, const mtci_redis_settings *settings)
{
    tls->is_named = settings->tls.name[0] != '\0';
    snprintf(tls->host, sizeof tls->host, "%s",
             tls->is_named ? settings->tls.name : settings->address.host);
    size_t size = strlen(tls->host);
    if (size > 0 && tls->host[size - 1] == '.')
        tls->host[size - 1] = '\0';
    tls->is_ended = false;
    tls->awaits_flush = false;
    tls->error = 0;
    tls->output_begin = 0;
    tls->output_end = 0;
}

/* -- public --------------------------------------------------------------- */

mtc_status mtci_tls_begin(mtci_transport *transport,
                          const mtci_redis_settings *settings)
{
    mtc_error error = {0};
    mtc_status status = MTC_OK;
    if (!transport->state)
        transport->state = new_state();
    mtci_tls *tls = transport->state;
    if (!tls)
        return mtci_tls_fail(transport, MTC_E_UNAVAILABLE,
                             "out of memory for TLS");
    transport->ops = &tls_ops;
    tls->transport = transport;
    reset(tls, settings);
    if (!tls->context)
        status = mtci_tls_context_open(&settings->tls, &error, &tls->context);
    if (status != MTC_OK)
        return mtci_tls_fail(transport, MTC_E_UNAVAILABLE, error.text);
    if (!open_ssl(tls, &settings->address))
        return mtci_tls_fail(transport, MTC_E_UNAVAILABLE,
                             "out of memory for TLS");
    return MTC_PENDING;
}
