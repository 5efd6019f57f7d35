/*
 * Batches: replies to whatever reads entries, checked, with accessors.
 * Immutable once made; any thread.
 */
#ifndef MTCI_STREAM_BATCH_H
#define MTCI_STREAM_BATCH_H

#include "mtc/stream.h"
#include "redis/reply.h"

/* Takes over a list of entries, [[id, [name, value, ...]], ...]. MTC_OK;
 * MTC_MISS: it is empty or nil; MTC_E_CORRUPT: it has another shape;
 * MTC_E_NO_MEMORY. The reply is given back in any case. */
mtc_status mtci_batch_new(mtci_reply *entries, mtc_stream_batch **out);

/* What XREAD answers: entries by key, [[key, entries], ...] or, as RESP3 maps
 * are read, [key, entries, ...]. The count of keys; 0: another shape. */
size_t mtci_streams_count(const mtci_reply *reply);

/* The key of one, borrowed; its entries are moved out. */
mtc_slice mtci_streams_take(mtci_reply *reply, size_t index,
                            mtci_reply *entries);

/* The entries of the only one; the reply is given back. MTC_OK; MTC_MISS: it is
 * nil; MTC_E_CORRUPT: there is not one. */
mtc_status mtci_streams_take_only(mtci_reply *reply, mtci_reply *entries);

/* The id of the last entry of a batch, which has one. */
mtc_stream_id mtci_batch_last_id(const mtc_stream_batch *batch);

/* Entries that a group still has pending but the stream no longer has, [id,
 * nil] or nil, are taken out of the list; their ids, as far as they are told,
 * go to deleted, which has room for all. The last id of either kind goes to
 * last, if there is one. The count of deleted. */
size_t mtci_entries_sift(mtci_reply *entries, mtc_stream_id *deleted,
                         mtc_stream_id *last);

#endif
