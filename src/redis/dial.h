/*
 * Dialling: from settings to a connected socket, without blocking.
 *
 * Looks the host up, then tries its addresses one after the other; each is
 * given its share of what is left of the deadline. Owns the lookup and the
 * socket until it is taken. One thread at a time.
 */
#ifndef MTCI_REDIS_DIAL_H
#define MTCI_REDIS_DIAL_H

#include "redis/lookup.h"
#include "redis/settings.h"

/* A zeroed dial with fd -1 is at rest. */
typedef struct mtci_dial {
    const mtci_redis_settings *settings;
    mtci_lookup *lookup;
    const struct addrinfo *next; /* to try after the present one */
    int fd;                      /* -1: none yet */
    struct mtci_watch *watch;    /* NULL: none; told before a socket closes */
    int64_t due_ms;              /* of the step under way */
    int64_t deadline_ms;
    char failure[160];
} mtci_dial;

/* Steps return MTC_OK: connected, take the socket; MTC_PENDING;
 * MTC_E_UNAVAILABLE: at rest again, failure says why. */
mtc_status mtci_dial_start(mtci_dial *dial, const mtci_redis_settings *settings,
                           int64_t now_ms);
mtc_status mtci_dial_step(mtci_dial *dial, int64_t now_ms);

/* What to poll for between the steps. */
int mtci_dial_fd(const mtci_dial *dial, short *events);

int mtci_dial_take(mtci_dial *dial);
void mtci_dial_stop(mtci_dial *dial);

#endif
