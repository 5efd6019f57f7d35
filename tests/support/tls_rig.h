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
 * three and self for localhost and 127.0.0.1); named (of ca; for hosts of these
 * names, and for no IP address); self (by itself); stranger (of other_ca);
 * locked.key is good's, with a password. False: it failed. */
bool tls_rig_make(char dir[64]);
void tls_rig_remove(const char *dir);

/* What a redis-server is told. */
typedef struct tls_rig_args {
    char files[3][112];
    const char *words[7]; /* for test_server_start */
    const char *lines[7]; /* the same for a sentinel */
} tls_rig_args;

/* Of a server that shows NAME.crt, asks no client for its own, and speaks TLS
 * to other servers. */
void tls_rig_args_init(tls_rig_args *args, const char *dir, const char *name);

#endif
