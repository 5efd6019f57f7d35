/*
 * Addresses. See address.h. Stateless; any thread.
 */
#include "redis/address.h"

#include <string.h>

#include "redis/resp_number.h"

bool mtci_address_is(const mtci_address *a, const mtci_address *b)
{
    return a->port == b->port && strcmp(a->host, b->host) == 0;
}

bool mtci_address_set_host(mtci_address *address, mtc_slice host)
{
    const unsigned char *bytes = host.data;
    if (host.size == 0 || host.size >= sizeof address->host)
        return false;
    for (size_t i = 0; i < host.size; i++)
        if (bytes[i] <= ' ' || bytes[i] > '~')
            return false;
    memcpy(address->host, bytes, host.size);
    address->host[host.size] = '\0';
    return true;
}

bool mtci_address_set_port(mtci_address *address, mtc_slice port)
{
    int64_t number;
    if (!mtci_resp_parse_integer(port, &number) || number < 1 ||
        number > MTCI_PORT_MAX)
        return false;
    address->port = (int)number;
    return true;
}
