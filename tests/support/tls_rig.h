/*
 * Certificates for a TLS server and its clients, made by the openssl tool.
 *
 * One thread.
 */
#ifndef TESTS_SUPPORT_TLS_RIG_H
#define TESTS_SUPPORT_TLS_RIG_H

#include <stdbool.h>

/* Makes a fresh folder below /tmp with NAME.crt and NAME.key for: ca, other_ca
 * (authorities); good, again, expired, elsewhere, client (of ca; the first
 * three and self for localhost and 127.0.0.1); self (by itself); stranger (of
 * other_ca); locked.key is good's, with a password. False: it failed. */
bool tls_rig_make(char dir[64]);
void tls_rig_remove(const char *dir);

#endif
