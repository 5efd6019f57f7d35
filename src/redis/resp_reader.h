/*
 * An incremental reader of RESP2 and RESP3 replies. Attributes are read and
 * dropped, streamed types refused. It does no I/O: the caller receives into
 * the room that it offers.
 *
 * Everything is bounded, no byte is searched again, terminators are
 * checked. The first violation poisons the reader for good: what follows can
 * no longer be told apart. A bulk over the caller's limit is no violation: its
 * bytes are dropped as they come, and the reply that it belongs to is an error
 * of the reader's own, MTCI_REPLY_OVERSIZE. Bulks of MTCI_RESP_DIRECT_SIZE and
 * more are received straight into the value that is handed out. One owner, one
 * thread.
 */
#ifndef MTCI_REDIS_RESP_READER_H
#define MTCI_REDIS_RESP_READER_H

#include "redis/reply.h"

/* Longest line, its CRLF included. */
#define MTCI_RESP_LINE_SIZE_MAX ((size_t)64 << 10)
/* Arrays within arrays. */
#define MTCI_RESP_DEPTH_MAX 8
/* Elements of one reply, at all depths together. */
#define MTCI_RESP_ELEMENTS_MAX ((size_t)1 << 20)
/* A longer bulk is a violation, whatever the caller's limit. */
#define MTCI_RESP_BULK_SIZE_MAX ((size_t)512 << 20)
/* Bytes of one reply, all its lines and bulks together. */
#define MTCI_RESP_REPLY_SIZE_MAX ((size_t)1 << 30)
/* From here on a bulk is received in place. */
#define MTCI_RESP_DIRECT_SIZE ((size_t)16 << 10)

/* An array that is not complete yet. */
typedef struct mtci_resp_level {
    mtci_reply array;
    char type; /* as in its header */
    size_t capacity;
    size_t expected;
} mtci_resp_level;

typedef struct mtci_resp_reader {
    char *input; /* MTCI_RESP_LINE_SIZE_MAX bytes */
    size_t begin, end;
    size_t scanned;       /* no LF in input from begin up to here */
    size_t bulk_size_max; /* a longer one is skipped */
    size_t skip_size;     /* what is still to come of one that is */
    size_t oversize;      /* its size; 0: none in the reply under way */
    bool in_bulk;         /* a bulk's header was read, its CRLF was not */
    bool is_resp2; /* types of RESP3 alone are violations; set after init */
    mtci_reply bulk;
    bool is_verbatim;
    char *bulk_bytes;
    size_t bulk_filled;
    size_t depth;
    mtci_resp_level levels[MTCI_RESP_DEPTH_MAX];
    size_t elements, reply_size; /* of the reply under way */
    mtc_status status;           /* MTC_OK until poisoned */
    const char *violation;
} mtci_resp_reader;

/* MTC_OK or MTC_E_NO_MEMORY. A zeroed reader is a valid argument of fini. */
mtc_status mtci_resp_reader_init(mtci_resp_reader *reader,
                                 size_t bulk_size_max);
void mtci_resp_reader_fini(mtci_resp_reader *reader);

/* Where to receive to, at least one byte, valid until the next call; the
 * caller tells with fed how much came. Only after next has said PENDING. */
void *mtci_resp_reader_room(mtci_resp_reader *reader, size_t *size);
void mtci_resp_reader_fed(mtci_resp_reader *reader, size_t size);

/* The next whole reply. MTC_OK; MTC_PENDING: more bytes are needed;
 * MTC_E_CORRUPT, MTC_E_NO_MEMORY: poisoned, violation says why. */
mtc_status mtci_resp_reader_next(mtci_resp_reader *reader, mtci_reply *reply);

/* Whether part of a reply, or more, was received and not handed out. */
bool mtci_resp_reader_is_amid(const mtci_resp_reader *reader);

#endif
