/*
 * Where the master is, as its sentinels say.
 *
 * All sentinels are asked at once; the first that knows is believed, and those
 * that it names are asked the next time. From then on all are listened to:
 * the first that says that the master has moved is believed. Owns the
 * sentinels. One thread at a time, the driver of the client; nothing here
 * blocks.
 */
#ifndef MTCI_REDIS_MASTER_H
#define MTCI_REDIS_MASTER_H

#include <poll.h>

#include "redis/settings.h"

/* How soon what the sentinels said is heard by a client that is driven. */
#define MTCI_MASTER_LOOK_MS 100
/* For so long an address that the master left is not believed: sentinels hear
 * of each other's decisions within seconds. */
#define MTCI_MASTER_LEFT_MS 10000

typedef struct mtci_master mtci_master;

/* settings with sentinels, borrowed. MTC_OK or MTC_E_NO_MEMORY. */
mtc_status mtci_master_new(const mtci_redis_settings *settings,
                           mtci_master **out);

/* Sends nothing; NULL is fine. */
void mtci_master_free(mtci_master *master);

/* Finds out where to connect to. MTC_OK: as found says; MTC_PENDING: ask again
 * after a step; MTC_E_UNAVAILABLE, MTC_E_DENIED: nobody told within the time
 * for connecting, failure says why. After the end of a search the next call
 * begins another, unless the master has moved meanwhile. */
mtc_status mtci_master_find(mtci_master *master, int64_t now_ms);
const char *mtci_master_failure(const mtci_master *master);

/* The client's settings with the address that was found last, and what the
 * search left of the time for connecting. Valid as long as the master. */
const mtci_redis_settings *mtci_master_found(const mtci_master *master);

/* Whether a search is under way. */
bool mtci_master_is_sought(const mtci_master *master);

/* Whether the master is known to be elsewhere than was found last. */
bool mtci_master_is_elsewhere(const mtci_master *master);

/* Listens, reconnects, and asks what is to be asked; at rest until the first
 * search. */
void mtci_master_step(mtci_master *master, int64_t now_ms);

/* When to step again, in boot time. */
int64_t mtci_master_due_ms(const mtci_master *master);

/* What to poll for; when something comes, say so, and step. */
size_t mtci_master_poll(const mtci_master *master,
                        struct pollfd fds[MTCI_SENTINELS_MAX]);
void mtci_master_heard(mtci_master *master);

#endif
