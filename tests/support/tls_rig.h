/*
 * Certificates made by the openssl tool, and a proxy between a client and a
 * TLS server that counts, cuts and splits what passes.
 *
 * One thread; the proxy has one of its own.
 */
#ifndef TESTS_SUPPORT_TLS_RIG_H
#define TESTS_SUPPORT_TLS_RIG_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* Makes a fresh folder below /tmp with NAME.crt and NAME.key for: ca, other_ca
 * (authorities); good, again, expired, elsewhere, client (of ca; the first
 * three and self for localhost and 127.0.0.1); self (by itself); stranger (of
 * other_ca); locked.key is good's, with a password. False: it failed. */
bool tls_rig_make(char dir[64]);
void tls_rig_remove(const char *dir);

typedef struct tls_proxy {
    pthread_t thread;
    int listener, stop_fd, port, server_port;
    _Atomic size_t to_server; /* bytes that passed */
    _Atomic size_t to_client;
    _Atomic size_t cut;  /* closes after so many bytes to the client, counted
                           from here on; 0: never */
    _Atomic size_t step; /* bytes that one send passes to the client */
} tls_proxy;

/* Serves one connection at a time. */
bool tls_proxy_start(tls_proxy *proxy, int server_port);
void tls_proxy_stop(tls_proxy *proxy);

#endif
