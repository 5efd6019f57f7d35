/*
 * Following: what comes into streams behind a cursor each. XREAD, re-armed.
 * One thread at a time.
 */
#ifndef MTCI_STREAM_FOLLOW_H
#define MTCI_STREAM_FOLLOW_H

#include "stream/stream.h"

typedef struct mtci_followed {
    mtc_stream *stream;
    mtc_stream_id cursor;
} mtci_followed;

typedef struct mtci_follow {
    mtci_link *link; /* NULL: never wait */
    mtci_followed *items;
    size_t count;
} mtci_follow;

/* Reads up to entries_max entries of each, waiting up to wait_ms. Cursors of
 * MTC_STREAM_END are replaced by what is the newest now, once; those of
 * streams that are gone, or begun anew with smaller ids, by 0. MTC_OK with the
 * reply; MTC_MISS: nothing came; or why not. */
mtc_status mtci_follow_read(const mtci_follow *follow, size_t entries_max,
                            int64_t wait_ms, mtci_reply *reply);

#endif
