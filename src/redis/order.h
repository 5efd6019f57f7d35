/*
 * The order of the commands of one key: while a write of a key is unanswered,
 * what comes after it is held back.
 *
 * A write that a node of a cluster refuses is sent on to another; were a later
 * one under way meanwhile, it could arrive first. Keys are told apart by their
 * hashes: two that share one wait for each other, and nothing worse. Owns
 * nothing; the lock is its owner's.
 */
#ifndef MTCI_REDIS_ORDER_H
#define MTCI_REDIS_ORDER_H

#include "redis/command.h"

#define MTCI_ORDER_BUCKETS 1024u

/* A zeroed order is empty. */
typedef struct mtci_order {
    mtci_redis_command *buckets[MTCI_ORDER_BUCKETS];
} mtci_order;

/* NULL: the command may be sent, and is noted if it is a write. Else the write
 * that it has to wait for, which holds it from now on. */
mtci_redis_command *mtci_order_enter(mtci_order *order,
                                     mtci_redis_command *command);

/* A write is answered: what was held by it and may be sent now, up to and
 * with the next write, goes behind ready. */
void mtci_order_leave(mtci_order *order, mtci_redis_command *write,
                      mtci_command_queue *ready);

#endif
