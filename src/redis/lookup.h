/*
 * Looking up the addresses of a host within a deadline.
 *
 * The resolver of the C library blocks for as long as it likes, so that names
 * are looked up by a short-lived thread; whoever asked may leave before it
 * ends. Numeric addresses need no thread. One asker.
 */
#ifndef MTCI_REDIS_LOOKUP_H
#define MTCI_REDIS_LOOKUP_H

#include <netdb.h>
#include <stdbool.h>

#include "mtc/status.h"
#include "redis/address.h"

typedef struct mtci_lookup mtci_lookup;

/* MTC_OK; MTC_E_NO_MEMORY, MTC_E_UNAVAILABLE (no thread, no descriptor). */
mtc_status mtci_lookup_start(const mtci_address *address, mtci_lookup **out);

/* Readable once it is done. */
int mtci_lookup_fd(const mtci_lookup *lookup);
bool mtci_lookup_is_done(const mtci_lookup *lookup);

/* Once done: the addresses, or NULL and why in *failure. */
const struct addrinfo *mtci_lookup_result(const mtci_lookup *lookup,
                                          const char **failure);

/* Leaves; NULL is fine. The addresses are gone. */
void mtci_lookup_stop(mtci_lookup *lookup);

#endif
