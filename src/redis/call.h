/*
 * One command and its reply, waited for: for callers that have a thread to
 * spend. Any thread.
 */
#ifndef MTCI_REDIS_CALL_H
#define MTCI_REDIS_CALL_H

#include "redis/cluster.h"

#define MTCI_CALL_FAILURE_SIZE 160

/* Sends a command of one reply, takes it over, and waits until until_ms.
 * MTC_OK with the reply, which is not an error reply; what an error reply
 * means; MTC_E_TIMEOUT; or as the client's submit says. failure receives one
 * line unless MTC_OK is returned. */
mtc_status mtci_redis_call(mtci_redis_client *client,
                           mtci_redis_command *command, int64_t until_ms,
                           char failure[MTCI_CALL_FAILURE_SIZE],
                           mtci_reply *reply);

/* Where a command goes: a client, or else the node of a key in a cluster. */
typedef struct mtci_redis_target {
    mtci_redis_client *client;
    mtci_redis_cluster *cluster;
    mtc_slice key;
} mtci_redis_target;

/* The same for a target. */
mtc_status mtci_redis_call_at(const mtci_redis_target *target,
                              mtci_redis_command *command, int64_t until_ms,
                              char failure[MTCI_CALL_FAILURE_SIZE],
                              mtci_reply *reply);

/* A reply, or why there is none. */
typedef struct mtci_answer {
    mtci_reply reply;
    char failure[MTCI_CALL_FAILURE_SIZE];
} mtci_answer;

/* As mtci_redis_call, on a client that no other thread drives; ends with
 * MTC_E_CANCELLED once *cancelled is not 0 and the client is interrupted. */
mtc_status mtci_redis_call_cancellable(mtci_redis_client *client,
                                       mtci_redis_command *command,
                                       int64_t until_ms,
                                       const _Atomic uint32_t *cancelled,
                                       mtci_answer *answer);

#endif
