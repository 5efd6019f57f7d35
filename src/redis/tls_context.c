/*
 * Whom TLS believes, and what it shows: the files of the settings, and the
 * host that a certificate must be for. See tls_state.h. One thread at a time.
 */
#include "redis/tls_state.h"

#include <openssl/x509v3.h>

#include "base/error.h"

/* What one recv takes in. */
#define INPUT_SIZE ((size_t)64 << 10)

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
    SSL_CTX_sess_set_new_cb(context, mtci_tls_session_keep);
    return context;
}

mtc_status mtci_tls_context_open(const mtci_tls_settings *settings,
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

bool mtci_tls_expect_host(mtci_tls *tls)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(tls->ssl);
    X509_VERIFY_PARAM_set_hostflags(param,
                                    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (X509_VERIFY_PARAM_set1_ip_asc(param, tls->host))
        return true;
    return SSL_set_tlsext_host_name(tls->ssl, tls->host) == 1 &&
           X509_VERIFY_PARAM_set1_host(param, tls->host, 0) == 1;
}

mtc_status mtci_tls_check(const mtci_redis_settings *settings, mtc_error *error)
{
    SSL_CTX *context;
    mtc_status status = mtci_tls_context_open(&settings->tls, error, &context);
    SSL_CTX_free(context);
    return status;
}
