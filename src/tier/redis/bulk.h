/*
 * Many reads in one command: the PTTL of each key, then one MGET of all, which
 * costs the server less than half of as many GETs. For one server; in a
 * cluster the keys of an MGET would have to share their slot.
 *
 * MGET says nil where GET says more: of a key of another type, of one that it
 * may not read, and an answer over the reader's limit stands for all. Such
 * keys are to be asked once more, alone. Stateless; any thread.
 */
#ifndef MTCI_TIER_REDIS_BULK_H
#define MTCI_TIER_REDIS_BULK_H

#include "redis/command.h"

#define MTCI_REDIS_BULK_KEYS_MAX 128

typedef struct mtci_redis_bulk {
    size_t count;
    size_t wanted; /* not given up; under the client's mutex */
    bool is_given_up[MTCI_REDIS_BULK_KEYS_MAX];
    mtc_request *requests[];
} mtci_redis_bulk;

/* How many of the requests, from the first on, go into one command. The first
 * takes no lease. */
size_t mtci_redis_bulk_run(mtc_request *const *requests, size_t count);

/* The command for these, with a bulk as its ctx, which its done frees; NULL:
 * out of memory. */
mtci_redis_command *mtci_redis_bulk_command(mtc_request *const *requests,
                                            size_t count);

/* What a command that was answered without an error says of a key. */
const mtci_reply *mtci_redis_bulk_life(const mtci_redis_command *command,
                                       size_t index);
mtci_reply *mtci_redis_bulk_found(const mtci_redis_command *command,
                                  size_t index);

/* Whether a key has to be asked alone: it is there, but has no value. */
bool mtci_redis_bulk_is_open(const mtci_redis_command *command, size_t index);

#endif
