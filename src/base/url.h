/*
 * URLs that name tiers: scheme:[//[user[:password]@]host[:port]][path][?k=v&…]
 * Several hosts are separated by commas, each with its own port.
 *
 * Parts are percent-decoded; a NUL byte, a bad escape or a bad port is
 * refused. Owns one allocation that holds every part. One thread.
 */
#ifndef MTCI_BASE_URL_H
#define MTCI_BASE_URL_H

#include "mtc/status.h"

/* The most parameters in one URL. */
#define MTCI_URL_PARAMS_MAX 32
/* The most hosts in one URL. */
#define MTCI_URL_HOSTS_MAX 32

typedef struct mtci_url_host {
    const char *name; /* without brackets for IPv6 */
    int port;         /* 0: none given */
} mtci_url_host;

typedef struct mtci_url_param {
    const char *name;
    const char *value; /* "" when there is no '=' */
} mtci_url_param;

/* Strings are owned by the URL; absent parts are "", never NULL. */
typedef struct mtci_url {
    char *memory;
    const char *scheme; /* as written, lower case */
    const char *user;
    const char *password;
    const char *host; /* the first host's name; "" for none */
    int port;         /* and its port; 0: none given */
    mtci_url_host hosts[MTCI_URL_HOSTS_MAX]; /* all of them */
    size_t host_count;
    const char *path; /* with its leading '/', if it has one */
    mtci_url_param params[MTCI_URL_PARAMS_MAX];
    size_t param_count;
} mtci_url;

/* Parses text. MTC_OK, MTC_E_INVALID (error says what and where, and shows no
 * password), MTC_E_NO_MEMORY. */
mtc_status mtci_url_parse(const char *text, mtc_error *error, mtci_url *url);

/* A zeroed URL is valid. The password's bytes are wiped. */
void mtci_url_fini(mtci_url *url);

#endif
