/*
 * Sessions: the next connection resumes the one before. See tls_state.h. One
 * thread at a time.
 */
#include "redis/tls_state.h"

int mtci_tls_session_keep(SSL *ssl, SSL_SESSION *session)
{
    mtci_tls *tls = SSL_get_app_data(ssl);
    SSL_SESSION_free(tls->session);
    tls->session = session;
    return 1;
}

void mtci_tls_session_offer(mtci_tls *tls)
{
    if (tls->session)
        SSL_set_session(tls->ssl, tls->session);
}

void mtci_tls_session_forget(mtci_tls *tls)
{
    SSL_SESSION_free(tls->session);
    tls->session = NULL;
}
