/*
 * Requests and rows: what a row's frame says, what is left in a request.
 *
 * The frame alone says what a row is: its checksum, its key and its end
 * decide, and the columns only find it. Stateless.
 */
#ifndef MTCI_TIER_DISK_ENTRY_H
#define MTCI_TIER_DISK_ENTRY_H

#include <sqlite3.h>
#include <stdint.h>

#include "mtc/tier.h"

/* How a request ended, until it is completed. */
static inline void mtci_disk_mark(mtc_request *request, mtc_status status)
{
    request->mark = (uint64_t)(int64_t)status;
}

static inline mtc_status mtci_disk_marked(const mtc_request *request)
{
    return (mtc_status)(int64_t)request->mark;
}

/* How long a lease a read takes if it can; its lease_ms is for the answer. */
static inline void mtci_disk_want(mtc_request *request)
{
    request->link = (void *)(intptr_t)request->lease_ms;
}

static inline int64_t mtci_disk_wanted_ms(const mtc_request *request)
{
    return (intptr_t)request->link;
}

/* A point in time, which has an end. */
static inline int64_t mtci_disk_after(int64_t from_ms, int64_t length_ms)
{
    return length_ms > INT64_MAX - from_ms ? INT64_MAX : from_ms + length_ms;
}

/* Reads the frame of a found row, in column 1. MTC_OK; MTC_MISS: a tombstone,
 * or an end that has passed; MTC_E_CORRUPT; MTC_E_NO_MEMORY. */
mtc_status mtci_disk_frame_of(sqlite3_stmt *row, const mtc_request *request,
                              mtc_frame *frame);

#endif
