/*
 * TLS under a connection, by OpenSSL.
 *
 * The certificate and the host it is for, a name or an IP address, are verified
 * unless the settings say otherwise; TLS 1.2 is the oldest version. A new
 * connection resumes the session of the one before, if that was to the same
 * address; one that did not become ready is not built upon: the next reads the
 * files anew. In a build without TLS both calls say so. One thread at a time,
 * the driver.
 */
#ifndef MTCI_REDIS_TLS_H
#define MTCI_REDIS_TLS_H

#include "redis/transport.h"

/* Encrypted bytes that wait for the socket. */
#define MTCI_TLS_OUTPUT_SIZE ((size_t)256 << 10)

/* Whether the files of the settings can be used. MTC_OK;
 * MTC_E_UNAVAILABLE (a file), MTC_E_UNSUPPORTED (no TLS in this build),
 * MTC_E_NO_MEMORY. */
mtc_status mtci_tls_check(const mtci_redis_settings *settings,
                          mtc_error *error);

/* Begins a handshake: MTC_PENDING, or the failure. */
mtc_status mtci_tls_begin(mtci_transport *transport,
                          const mtci_redis_settings *settings);

#endif
