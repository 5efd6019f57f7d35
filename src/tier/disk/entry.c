/*
 * Requests and rows; see entry.h.
 */
#include "tier/disk/entry.h"

#include "base/slice.h"

mtc_status mtci_disk_frame_of(sqlite3_stmt *row, const mtc_request *request,
                              mtc_frame *frame)
{
    if (sqlite3_column_type(row, 1) == SQLITE_NULL)
        return MTC_MISS;
    const void *data = sqlite3_column_blob(row, 1);
    size_t size = (size_t)sqlite3_column_bytes(row, 1);
    if (!data && size > 0)
        return MTC_E_NO_MEMORY;
    if (mtc_frame_read(mtc_bytes(data, size), frame) != MTC_OK ||
        frame->time_ms <= 0 || !mtci_slices_equal(frame->key, request->key))
        return MTC_E_CORRUPT;
    return frame->time_ms <= request->sent_ms ? MTC_MISS : MTC_OK;
}
