/*
 * The slots of a cluster: which one a key is in, and what servers say about
 * where slots are. Reads bytes from outside. Stateless; any thread.
 */
#ifndef MTCI_REDIS_SLOTS_H
#define MTCI_REDIS_SLOTS_H

#include "redis/address.h"
#include "redis/reply.h"

#define MTCI_SLOT_COUNT 16384u

/* The CRC16 that the cluster specification asks for (XMODEM). */
uint16_t mtci_crc16(mtc_slice bytes);

/* The slot of a key: of what is between its first '{' and the next '}' if that
 * is not empty, else of all of it. */
uint16_t mtci_slot_of_key(mtc_slice key);

/* What an error reply tells a client of a cluster to do. */
typedef enum mtci_redirection {
    MTCI_REDIRECT_NONE,  /* nothing: it is an error like any other */
    MTCI_REDIRECT_MOVED, /* the slot is elsewhere */
    MTCI_REDIRECT_ASK,   /* this key is elsewhere, this once */
    MTCI_REDIRECT_LATER, /* TRYAGAIN: after a pause */
    MTCI_REDIRECT_DOWN   /* CLUSTERDOWN: likewise, if it serves again */
} mtci_redirection;

/* Judges an error reply (or its text). MOVED and ASK with a slot or an address
 * that cannot be read are NONE. An empty host is the answering node's, from. */
mtci_redirection mtci_redirect_read(mtc_slice error, const mtci_address *from,
                                    uint16_t *slot, mtci_address *to);

/* A run of slots, both ends included, and the node that serves it. */
typedef struct mtci_slot_range {
    uint16_t first, last;
    mtci_address address;
} mtci_slot_range;

/* Reads item i of a reply to CLUSTER SLOTS. MTC_OK; MTC_MISS: the node's
 * address is not known; MTC_E_CORRUPT: it has another shape. */
mtc_status mtci_slot_range_read(const mtci_reply *slots, size_t i,
                                const mtci_address *from,
                                mtci_slot_range *range);

#endif
