/*
 * TLS under a connection, by OpenSSL. See tls.h. One thread at a time.
 *
 * OpenSSL reads from the socket and writes into the output buffer here, by a
 * BIO of ours: so that no signal is raised, and so that SSL_write, which is
 * called only when the buffer has room, never has to be repeated with the
 * same bytes.
 */
#include "redis/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"

#define RECORD_SIZE ((size_t)SSL3_RT_MAX_PLAIN_LENGTH)
/* What a record, and what OpenSSL may say before it, takes of the output. */
#define RECORD_ROOM ((size_t)20 << 10)
/* What one recv takes in. */
#define INPUT_SIZE ((size_t)64 << 10)

typedef struct tls_state {
    mtci_transport *transport;
    pid_t pid;
    char host[256]; /* whose certificate it must be */
    BIO_METHOD *method;
    SSL_CTX *context;
    SSL *ssl;
    SSL_SESSION *session; /* to be resumed by the next connection */
    bool is_ended;        /* the socket, by the server or by an error */
    int error;            /* errno of that; 0: closed by the server */
    bool awaits_flush;    /* reading stopped for want of room */
    size_t output_begin, output_end;
    char output[MTCI_TLS_OUTPUT_SIZE];
    char record[RECORD_SIZE]; /* small commands, gathered */
} tls_state;

/* -- the socket ----------------------------------------------------------- */

static void note_end(tls_state *tls, int error)
{
    tls->is_ended = true;
    tls->error = error;
}

static void tls_flush(mtci_transport *transport)
{
    tls_state *tls = transport->state;
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

static size_t output_room(tls_state *tls)
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
    tls_state *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (size < 0 || (size_t)size > output_room(tls)) {
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
    tls_state *tls = BIO_get_data(bio);
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
    tls_state *tls = BIO_get_data(bio);
    (void)number;
    (void)pointer;
    if (command == BIO_CTRL_EOF)
        return tls->is_ended;
    return command == BIO_CTRL_FLUSH;
}

/* -- what went wrong ------------------------------------------------------ */

static mtc_status fail(mtci_transport *transport, mtc_status status,
                       const char *text)
{
    transport->status = status;
    snprintf(transport->failure, sizeof transport->failure, "%.*s",
             (int)sizeof transport->failure - 1, text);
    return status;
}

static mtc_status fail_certificate(mtci_transport *transport, long result)
{
    const tls_state *tls = transport->state;
    char text[sizeof transport->failure];
    switch (result) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        snprintf(text, sizeof text,
                 "the certificate is for another host than %.120s", tls->host);
        return fail(transport, MTC_E_DENIED, text);
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return fail(transport, MTC_E_DENIED, "the certificate has expired");
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return fail(transport, MTC_E_DENIED,
                    "the certificate is not valid yet");
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return fail(transport, MTC_E_DENIED,
                    "the certificate is signed by itself alone");
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        return fail(transport, MTC_E_DENIED,
                    "the certificate is not signed by a known authority");
    default:
        snprintf(text, sizeof text, "the certificate was not accepted: %s",
                 X509_verify_cert_error_string(result));
        return fail(transport, MTC_E_DENIED, text);
    }
}

/* What OpenSSL's first error means. */
static const struct {
    int reason;
    mtc_status status;
    const char *text;
} REASONS[] = {
    {SSL_R_WRONG_VERSION_NUMBER, MTC_E_UNAVAILABLE,
     "the server does not speak TLS"},
    {SSL_R_HTTP_REQUEST, MTC_E_UNAVAILABLE, "the server does not speak TLS"},
    {SSL_R_PACKET_LENGTH_TOO_LONG, MTC_E_UNAVAILABLE,
     "the server does not speak TLS"},
    {SSL_R_UNSUPPORTED_PROTOCOL, MTC_E_UNAVAILABLE,
     "the server's TLS is older than 1.2"},
    {SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, MTC_E_UNAVAILABLE,
     "the server's TLS is older than 1.2"},
    {SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, MTC_E_DENIED,
     "the server wants a client certificate (cert=, key=)"},
    {SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, MTC_E_DENIED,
     "the server refused the handshake; it may want a client certificate "
     "(cert=, key=)"},
    {SSL_R_TLSV1_ALERT_UNKNOWN_CA, MTC_E_DENIED,
     "the server does not know who signed the client certificate"},
    {SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, MTC_E_DENIED,
     "the server does not accept the client certificate"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, MTC_E_DENIED,
     "the server does not accept the client certificate"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, MTC_E_DENIED,
     "the client certificate has expired"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED, MTC_E_DENIED,
     "the client certificate was revoked"},
    {SSL_R_TLSV1_ALERT_ACCESS_DENIED, MTC_E_DENIED,
     "the server does not accept the client certificate"},
    {ERR_R_MALLOC_FAILURE, MTC_E_UNAVAILABLE, "out of memory for TLS"},
};

/* A call of OpenSSL failed for good. */
static mtc_status fail_tls(mtci_transport *transport)
{
    const tls_state *tls = transport->state;
    unsigned long error = ERR_peek_error();
    int reason = ERR_GET_REASON(error);
    char text[sizeof transport->failure];
    long result = SSL_get_verify_result(tls->ssl);
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && result != X509_V_OK)
        return fail_certificate(transport, result);
    for (size_t i = 0; i < sizeof REASONS / sizeof *REASONS; i++)
        if (REASONS[i].reason == reason)
            return fail(transport, REASONS[i].status, REASONS[i].text);
    if (tls->is_ended || error == 0) {
        mtci_transport_lost(transport, tls->error);
        return transport->status;
    }
    const char *words = ERR_reason_error_string(error);
    snprintf(text, sizeof text, "TLS failed: %s", words ? words : "unknown");
    return fail(transport, MTC_E_UNAVAILABLE, text);
}

/* -- the context ---------------------------------------------------------- */

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    tls_state *tls = SSL_get_app_data(ssl);
    SSL_SESSION_free(tls->session);
    tls->session = session;
    return 1;
}

/* Nobody is at a terminal to be asked. */
static int no_password(char *text, int size, int is_writing, void *ctx)
{
    (void)text;
    (void)size;
    (void)is_writing;
    (void)ctx;
    return -1;
}

static mtc_status load_authorities(const mtci_tls_settings *settings,
                                   SSL_CTX *context, mtc_error *error)
{
    if (settings->ca[0] == '\0' && SSL_CTX_set_default_verify_paths(context))
        return MTC_OK;
    if (settings->ca[0] != '\0' &&
        SSL_CTX_load_verify_file(context, settings->ca))
        return MTC_OK;
    return mtci_fail(error, MTC_E_UNAVAILABLE, "redis",
                     "redis: ca=%.160s: no certificates could be read",
                     settings->ca);
}

static mtc_status load_own(const mtci_tls_settings *settings, SSL_CTX *context,
                           mtc_error *error)
{
    const char *key = settings->key[0] != '\0' ? settings->key : settings->cert;
    if (settings->cert[0] == '\0')
        return MTC_OK;
    SSL_CTX_set_default_passwd_cb(context, no_password);
    if (SSL_CTX_use_certificate_chain_file(context, settings->cert) != 1)
        return mtci_fail(error, MTC_E_UNAVAILABLE, "redis",
                         "redis: cert=%.160s: no certificate could be read",
                         settings->cert);
    if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context) != 1)
        return mtci_fail(error, MTC_E_UNAVAILABLE, "redis",
                         "redis: key=%.120s: it could not be read, has a "
                         "password, or does not belong to cert",
                         key);
    return MTC_OK;
}

static SSL_CTX *new_context(const mtci_tls_settings *settings)
{
    /* Threads may still run when the program exits. */
    OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, NULL);
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (!context)
        return NULL;
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_quiet_shutdown(context, 1);
    SSL_CTX_set_verify(context,
                       settings->is_insecure ? SSL_VERIFY_NONE
                                             : SSL_VERIFY_PEER,
                       NULL);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_default_read_buffer_len(context, INPUT_SIZE);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT |
                                                SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, keep_session);
    return context;
}

static mtc_status open_context(const mtci_tls_settings *settings,
                               mtc_error *error, SSL_CTX **out)
{
    *out = new_context(settings);
    if (!*out)
        return mtci_fail(error, MTC_E_NO_MEMORY, "redis",
                         "redis: out of memory for TLS");
    mtc_status status = load_authorities(settings, *out, error);
    if (status == MTC_OK)
        status = load_own(settings, *out, error);
    ERR_clear_error();
    if (status == MTC_OK)
        return MTC_OK;
    SSL_CTX_free(*out);
    *out = NULL;
    return status;
}

/* -- a connection --------------------------------------------------------- */

static bool set_host(tls_state *tls)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(tls->ssl);
    X509_VERIFY_PARAM_set_hostflags(param,
                                    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (X509_VERIFY_PARAM_set1_ip_asc(param, tls->host))
        return true;
    return SSL_set_tlsext_host_name(tls->ssl, tls->host) == 1 &&
           X509_VERIFY_PARAM_set1_host(param, tls->host, 0) == 1;
}

static BIO *new_bio(tls_state *tls)
{
    BIO *bio = BIO_new(tls->method);
    if (!bio)
        return NULL;
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    return bio;
}

static bool open_ssl(tls_state *tls)
{
    tls->ssl = SSL_new(tls->context);
    BIO *bio = tls->ssl ? new_bio(tls) : NULL;
    if (!bio)
        return false;
    SSL_set_bio(tls->ssl, bio, bio);
    SSL_set_app_data(tls->ssl, tls);
    SSL_set_connect_state(tls->ssl);
    if (tls->session)
        SSL_set_session(tls->ssl, tls->session);
    return set_host(tls);
}

static mtc_status tls_handshake(mtci_transport *transport)
{
    tls_state *tls = transport->state;
    tls_flush(transport);
    ERR_clear_error();
    int result = SSL_do_handshake(tls->ssl);
    int error = SSL_get_error(tls->ssl, result);
    mtc_status status = MTC_OK;
    if (result != 1 &&
        (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE))
        status = MTC_PENDING;
    else if (result != 1)
        status = fail_tls(transport);
    ERR_clear_error();
    /* Also the alert that says why not. */
    tls_flush(transport);
    transport->has_more = result == 1;
    return status;
}

static ssize_t tls_receive(mtci_transport *transport, void *bytes, size_t size)
{
    tls_state *tls = transport->state;
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
        fail_tls(transport);
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
static const char *next_record(tls_state *tls, cursor *at, size_t *size)
{
    const char *record = tls->record;
    *size = 0;
    while (at->count > 0 && *size < RECORD_SIZE) {
        const char *from = (const char *)at->part->iov_base + at->offset;
        size_t left = at->part->iov_len - at->offset;
        size_t room = RECORD_SIZE - *size;
        size_t taken = left < room ? left : room;
        if (taken == RECORD_SIZE)
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
    tls_state *tls = transport->state;
    cursor at = {parts, count, 0};
    size_t sent = 0;
    bool is_failed = false;
    tls_flush(transport);
    if (tls->is_ended)
        return mtci_transport_lost(transport, tls->error);
    ERR_clear_error();
    while (at.count > 0 && !is_failed && output_room(tls) >= RECORD_ROOM) {
        size_t size, written = 0;
        const char *record = next_record(tls, &at, &size);
        is_failed = SSL_write_ex(tls->ssl, record, size, &written) != 1;
        sent += written;
    }
    if (is_failed)
        fail_tls(transport);
    ERR_clear_error();
    tls_flush(transport);
    return is_failed && sent == 0 ? -1 : (ssize_t)sent;
}

static void forget(tls_state *tls)
{
    SSL_SESSION_free(tls->session);
    SSL_CTX_free(tls->context);
    tls->session = NULL;
    tls->context = NULL;
}

/* In a forked child a lock of OpenSSL may be held by a thread that is not
 * there: nothing is touched. */
static bool is_forked(const tls_state *tls)
{
    return tls->pid != getpid();
}

static void tls_end(mtci_transport *transport, bool has_served)
{
    tls_state *tls = transport->state;
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
    tls_state *tls = transport->state;
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
    .flush = tls_flush,
    .end = tls_end,
    .fini = tls_fini,
};

static tls_state *new_state(void)
{
    tls_state *tls = calloc(1, sizeof *tls);
    if (!tls)
        return NULL;
    tls->pid = getpid();
    tls->method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "mtc");
    if (!tls->method) {
        free(tls);
        return NULL;
    }
    BIO_meth_set_write(tls->method, bio_write);
    BIO_meth_set_read(tls->method, bio_read);
    BIO_meth_set_ctrl(tls->method, bio_control);
    return tls;
}

static void reset(tls_state *tls, const mtci_redis_settings *settings)
{
    const char *name = settings->tls.name[0] != '\0' ? settings->tls.name
                                                     : settings->address.host;
    snprintf(tls->host, sizeof tls->host, "%s", name);
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

mtc_status mtci_tls_check(const mtci_redis_settings *settings, mtc_error *error)
{
    SSL_CTX *context;
    mtc_status status = open_context(&settings->tls, error, &context);
    SSL_CTX_free(context);
    return status;
}

mtc_status mtci_tls_begin(mtci_transport *transport,
                          const mtci_redis_settings *settings)
{
    mtc_error error = {0};
    mtc_status status = MTC_OK;
    if (!transport->state)
        transport->state = new_state();
    tls_state *tls = transport->state;
    if (!tls)
        return fail(transport, MTC_E_UNAVAILABLE, "out of memory for TLS");
    transport->ops = &tls_ops;
    tls->transport = transport;
    reset(tls, settings);
    if (!tls->context)
        status = open_context(&settings->tls, &error, &tls->context);
    if (status != MTC_OK)
        return fail(transport, MTC_E_UNAVAILABLE, error.text);
    if (!open_ssl(tls))
        return fail(transport, MTC_E_UNAVAILABLE, "out of memory for TLS");
    return MTC_PENDING;
}
