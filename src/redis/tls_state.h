/*
 * The inside of TLS under a connection, shared by tls.c, which is the
 * transport, tls_socket.c, which moves encrypted bytes, tls_context.c, which
 * reads the files and says who is believed, tls_session.c, which resumes, and
 * tls_failure.c, which says what went wrong.
 *
 * All of it belongs to one transport. One thread at a time, the driver.
 */
#ifndef MTCI_REDIS_TLS_STATE_H
#define MTCI_REDIS_TLS_STATE_H

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "redis/tls.h"

#define MTCI_TLS_RECORD_SIZE ((size_t)SSL3_RT_MAX_PLAIN_LENGTH)

typedef struct mtci_tls {
    mtci_transport *transport;
    pid_t pid;
    char host[256]; /* whose certificate it must be */
    bool is_named;  /* by tls_name */
    BIO_METHOD *method;
    SSL_CTX *context;
    SSL *ssl;
    mtci_address server;  /* whose the session is */
    SSL_SESSION *session; /* to be resumed by the next connection */
    bool is_ended;        /* the socket, by the server or by an error */
    int error;            /* errno of that; 0: closed by the server */
    bool awaits_flush;    /* reading stopped for want of room */
    size_t output_begin, output_end;
    char output[MTCI_TLS_OUTPUT_SIZE];
    char record[MTCI_TLS_RECORD_SIZE]; /* small commands, gathered */
} mtci_tls;

/* -- tls_socket.c --------------------------------------------------------- */

/* The methods of the BIO below; NULL: no memory. */
BIO_METHOD *mtci_tls_bio_method(void);

/* What OpenSSL reads from and writes to; NULL: no memory. */
BIO *mtci_tls_bio_new(mtci_tls *tls);

/* Sends encrypted bytes that wait, as far as the socket takes them. */
void mtci_tls_flush(mtci_transport *transport);

/* Bytes that may be written before a flush. */
size_t mtci_tls_output_room(mtci_tls *tls);

/* -- tls_context.c -------------------------------------------------------- */

/* Reads the files. MTC_OK; MTC_E_UNAVAILABLE, MTC_E_NO_MEMORY. */
mtc_status mtci_tls_context_open(const mtci_tls_settings *settings,
                                 mtc_error *error, SSL_CTX **out);

/* For whom the certificate must be: the host, by name or as an IP address.
 * False: no memory. */
bool mtci_tls_expect_host(mtci_tls *tls);

/* -- tls_session.c -------------------------------------------------------- */

/* Keeps what the server gave for resuming; as OpenSSL calls it. */
int mtci_tls_session_keep(SSL *ssl, SSL_SESSION *session);

/* Has the connection that begins resume what was kept, if it goes to the same
 * server: another one would be believed without a look at its certificate. */
void mtci_tls_session_offer(mtci_tls *tls, const mtci_address *server);
void mtci_tls_session_forget(mtci_tls *tls);

/* -- tls_failure.c -------------------------------------------------------- */

/* Notes a failure in one line; returns its status. */
mtc_status mtci_tls_fail(mtci_transport *transport, mtc_status status,
                         const char *text);

/* A call of OpenSSL failed for good: notes why. */
mtc_status mtci_tls_failed(mtci_transport *transport);

#endif
