/*
 * A reply of a Redis server: a tree of typed values that own their bytes.
 *
 * Owned by whoever received it; given back with mtci_reply_fini. One thread
 * at a time.
 */
#ifndef MTCI_REDIS_REPLY_H
#define MTCI_REDIS_REPLY_H

#include "mtc/tier.h"

/* How the error begins that the reader puts in place of a reply with a bulk
 * over its limit. */
#define MTCI_REPLY_OVERSIZE "OVERSIZE"

/* Bits, so that a command can say which types answer it. */
typedef enum mtci_reply_type {
    MTCI_REPLY_NIL = 1,     /* also RESP3 null */
    MTCI_REPLY_STATUS = 2,  /* "OK", in bytes */
    MTCI_REPLY_ERROR = 4,   /* "ERR ...", in bytes */
    MTCI_REPLY_INTEGER = 8, /* also RESP3 boolean */
    MTCI_REPLY_BULK = 16,   /* in bytes; also RESP3 verbatim, double, number */
    MTCI_REPLY_ARRAY = 32,  /* also RESP3 set, and map as key, value, ... */
    MTCI_REPLY_PUSH = 64,   /* answers no command; its kind comes first */
    MTCI_REPLY_LOST = 128   /* from no server: a connection has ended, and what
                               its pushes would have said is not known */
} mtci_reply_type;

/* A zeroed reply is valid and empty. */
typedef struct mtci_reply {
    mtci_reply_type type;
    union {
        int64_t integer;
        mtc_value bytes;
        struct {
            struct mtci_reply *items;
            size_t count;
        };
    };
} mtci_reply;

/* Frees what the reply owns and zeroes it. */
void mtci_reply_fini(mtci_reply *reply);

/* The bytes of a status, error or bulk; else empty. */
mtc_slice mtci_reply_slice(const mtci_reply *reply);

/* What an error reply means to a caller; docs/errors.md has the table. */
mtc_status mtci_reply_error_status(const mtci_reply *reply);

/* Numbers the kinds that the table tells apart, those it does not know as one;
 * below MTCI_REPLY_ERROR_KINDS. */
#define MTCI_REPLY_ERROR_KINDS 32
size_t mtci_reply_error_kind(const mtci_reply *reply);

/* Whether it is the error of a replica that was asked to write. */
bool mtci_reply_is_readonly(const mtci_reply *reply);

/* Writes the text of an error reply, cut to size and without control
 * characters. */
void mtci_reply_error_text(const mtci_reply *reply, char *text, size_t size);

/* The same, but only its first word: for replies that may quote a password.*/
void mtci_reply_error_code(const mtci_reply *reply, char *text, size_t size);

#endif
