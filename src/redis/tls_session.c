/*
 * Sessions: the next connection to a server resumes the one before. See
 * tls_state.h. One thread at a time.
 */
#include "redis/tls_state.h"

int mtci_tls_session_keep(SSL *ssl, SSL_SESSION *session)
{
    mtci_tls *tls = SSL_get_app_data(ssl);
    SSL_SESSION_free(tls->session);
    tls->session = session;
    return 1;
}

void mtci_tls_session_offer(mtci_tls *tls, const mtci_address *server)
{
    if (!mtci_address_is(&tls->server, server))
        mtci_tls_session_forget(tls);
    tls->server = *server;
    if (tls->session)
        SSL_set_session(tls->ssl, tls->session);
}

void mtci_tls_session_forget(mtci_tls *tls)
{
    SSL_SESSION_free(tls->session);
    tls->session = NULL;
}
