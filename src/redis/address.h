/*
 * Where a server is: its host, by name or number, and its port. Reads what
 * servers say of each other. Stateless; any thread.
 */
#ifndef MTCI_REDIS_ADDRESS_H
#define MTCI_REDIS_ADDRESS_H

#include <stdbool.h>

#include "mtc/value.h"

#define MTCI_PORT_MAX 65535

typedef struct mtci_address {
    char host[256];
    int port;
} mtci_address;

bool mtci_address_is(const mtci_address *a, const mtci_address *b);

/* Takes over a host; false: it is empty, too long, or has blanks or what does
 * not print. */
bool mtci_address_set_host(mtci_address *address, mtc_slice host);

/* Takes over a port in digits; false: it is none of 1 to 65535. */
bool mtci_address_set_port(mtci_address *address, mtc_slice port);

#endif
