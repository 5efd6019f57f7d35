/*
 * What went wrong with TLS, in plain words. See tls_state.h. One thread at a
 * time.
 */
#include "redis/tls_state.h"

#include <stdio.h>

mtc_status mtci_tls_fail(mtci_transport *transport, mtc_status status,
                         const char *text)
{
    transport->status = status;
    snprintf(transport->failure, sizeof transport->failure, "%.*s",
             (int)sizeof transport->failure - 1, text);
    return status;
}

static mtc_status fail_certificate(mtci_transport *transport, long result)
{
    const mtci_tls *tls = transport->state;
    char text[sizeof transport->failure];
    switch (result) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        snprintf(text, sizeof text,
                 "the certificate is for another host than %.100s%s", tls->host,
                 tls->is_named ? " (tls_name)"
                               : "; tls_name=HOST says for which it must be");
        return mtci_tls_fail(transport, MTC_E_DENIED, text);
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return mtci_tls_fail(transport, MTC_E_DENIED,
                             "the certificate has expired");
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return mtci_tls_fail(transport, MTC_E_DENIED,
                             "the certificate is not valid yet");
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return mtci_tls_fail(transport, MTC_E_DENIED,
                             "the certificate is signed by itself alone");
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        return mtci_tls_fail(
            transport, MTC_E_DENIED,
            "the certificate is not signed by a known authority");
    default:
        snprintf(text, sizeof text, "the certificate was not accepted: %s",
                 X509_verify_cert_error_string(result));
        return mtci_tls_fail(transport, MTC_E_DENIED, text);
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
mtc_status mtci_tls_failed(mtci_transport *transport)
{
    const mtci_tls *tls = transport->state;
    unsigned long error = ERR_peek_error();
    int reason = ERR_GET_REASON(error);
    char text[sizeof transport->failure];
    long result = SSL_get_verify_result(tls->ssl);
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && result != X509_V_OK)
        return fail_certificate(transport, result);
    for (size_t i = 0; i < sizeof REASONS / sizeof *REASONS; i++)
        if (REASONS[i].reason == reason)
            return mtci_tls_fail(transport, REASONS[i].status, REASONS[i].text);
    if (tls->is_ended || error == 0) {
        mtci_transport_lost(transport, tls->error);
        return transport->status;
    }
    const char *words = ERR_reason_error_string(error);
    snprintf(text, sizeof text, "TLS failed: %s", words ? words : "unknown");
    return mtci_tls_fail(transport, MTC_E_UNAVAILABLE, text);
}
