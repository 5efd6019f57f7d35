/*
 * Streams: logs of entries on a Redis tier, that many may write to and read.
 *
 * An entry is a list of fields under an id that grows. A stream is trimmed to
 * about its newest entries while it is written to. Its key is used as it is:
 * the prefix of the tier is for cached entries and not put before it.
 */
#ifndef MTC_STREAM_H
#define MTC_STREAM_H

#include "mtc/cache.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The most entries that one read returns. */
#define MTC_STREAM_COUNT_MAX 100000u
/** The most fields of one entry. */
#define MTC_STREAM_FIELDS_MAX 10000u
/** Room for the text of an id, its final NUL included. */
#define MTC_STREAM_ID_SIZE 42u

/** A stream of a cache's Redis tier: opaque. */
typedef struct mtc_stream mtc_stream;

/** The entries that a read returned: opaque and immutable. */
typedef struct mtc_stream_batch mtc_stream_batch;

/** The id of an entry, as the server gave it: later entries have larger ones.
 *  A zeroed id lies before every entry. */
typedef struct mtc_stream_id {
    /** Milliseconds, by the server's clock when the entry was added. */
    uint64_t ms;
    /** Tells entries of one millisecond apart. */
    uint64_t sequence;
} mtc_stream_id;

/** As a cursor: behind the entry that is the newest when reading begins. */
static const mtc_stream_id MTC_STREAM_END = {UINT64_MAX, UINT64_MAX};

/** A field of an entry; names may occur twice, name and value may be empty. */
typedef struct mtc_field {
    /** Any bytes. */
    mtc_slice name;
    /** Any bytes. */
    mtc_slice value;
} mtc_field;

/** Options of a stream; set struct_size with MTC_STREAM_OPTIONS_INIT. */
typedef struct mtc_stream_options {
    /** sizeof(mtc_stream_options). */
    uint32_t struct_size;
    /** Must be 0. */
    uint32_t reserved;
    /** About how many entries are kept when one is published; the server trims
     *  in steps and may keep some more. Default (0) 1000; -1: never trimmed.
     *  Range -1 to 1,000,000,000. Since 0.1. */
    int64_t length_max;
    /** Deadline of one call, in milliseconds; a wait for entries comes on top.
     *  Default (0) 250, range 1 to 600,000. Since 0.1. */
    int64_t deadline_ms;
} mtc_stream_options;

/** Options with every default. */
#define MTC_STREAM_OPTIONS_INIT                                                \
    {                                                                          \
        (uint32_t)sizeof(mtc_stream_options), 0, 0, 0                          \
    }

/**
 * Opens a stream on the first Redis tier of a cache. Nothing is sent: the
 * stream comes to be with its first entry.
 *
 * @param cache the cache; it is to be closed after its streams. If it is
 *        closed before, it waits for them as long as its grace time.
 * @param key 0 to MTC_KEY_SIZE_MAX bytes, copied.
 * @param options NULL: every default.
 * @param error optional; receives what is wrong.
 * @param stream receives the stream; NULL when the call fails.
 * @return MTC_OK; MTC_E_UNSUPPORTED when the cache has no Redis tier (error
 *         names REDIS_URL); MTC_E_INVALID for wrong options or NULL;
 *         MTC_E_TOO_LARGE for the key; MTC_E_NO_MEMORY; MTC_E_CLOSED;
 *         MTC_E_FORKED.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_stream_open(mtc_cache *cache, mtc_slice key,
                                   const mtc_stream_options *options,
                                   mtc_error *error, mtc_stream **stream);

/**
 * Closes a stream and sets the variable to NULL. Calls that wait in other
 * threads return MTC_E_CLOSED; batches stay readable.
 *
 * @param stream address of the variable; NULL or *stream NULL is fine.
 *
 * **Returns** nothing.
 * **Threads** one; the caller sees to it that no call on the stream begins
 * once this one has begun.
 * **Blocks** until the calls of other threads have ended: about a second and
 * the deadline of one call.
 * **Since** 0.1
 */
MTC_API void mtc_stream_close(mtc_stream **stream);

/**
 * Appends an entry and trims the stream. It is sent once: an entry whose fate
 * is unknown is not sent again.
 *
 * @param stream the stream.
 * @param fields borrowed for the call.
 * @param count of fields, 1 to MTC_STREAM_FIELDS_MAX.
 * @param id optional; receives the id of the entry.
 * @return MTC_OK; MTC_E_INVALID for no field or NULL, or when the key holds
 *         something else; MTC_E_TOO_LARGE for too many fields or one over the
 *         cache's largest value; MTC_E_UNAVAILABLE, MTC_E_DENIED,
 *         MTC_E_BUSY: not done, or unknown when the connection was lost;
 *         MTC_E_TIMEOUT: unknown; MTC_E_CORRUPT: a wrong answer;
 *         MTC_E_NO_MEMORY; MTC_E_CLOSED; MTC_E_FORKED.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** until the deadline.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_stream_publish(mtc_stream *stream,
                                      const mtc_field *fields, size_t count,
                                      mtc_stream_id *id);

/**
 * Reads the newest entries, the newest first.
 *
 * @param stream the stream.
 * @param count the most entries, 1 to MTC_STREAM_COUNT_MAX.
 * @param batch receives the entries, to be freed with mtc_stream_batch_free;
 *        NULL unless MTC_OK is returned.
 * @return MTC_OK; MTC_MISS: the stream has no entry; MTC_E_INVALID,
 *         MTC_E_UNAVAILABLE, MTC_E_DENIED, MTC_E_BUSY, MTC_E_TIMEOUT,
 *         MTC_E_CORRUPT, MTC_E_NO_MEMORY, MTC_E_CLOSED, MTC_E_FORKED.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** until the deadline.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_stream_read_newest(mtc_stream *stream, size_t count,
                                          mtc_stream_batch **batch);

/**
 * Reads the entries behind a cursor, the oldest first, and moves the cursor
 * behind the last one. With a wait it has a connection of its own, and holds
 * nobody up.
 *
 * A cursor of MTC_STREAM_END is first replaced by the id of what is the newest
 * now, also when nothing comes: so nothing is lost between two calls. A stream
 * that is deleted and begun anew with smaller ids is not noticed.
 *
 * @param stream the stream.
 * @param cursor where to read from; changed as said.
 * @param count the most entries, 1 to MTC_STREAM_COUNT_MAX.
 * @param wait_ms how long to wait for an entry, 0 to 3,600,000.
 * @param batch as for mtc_stream_read_newest.
 * @return as mtc_stream_read_newest; MTC_MISS: nothing came within the wait.
 *
 * **Returns** as above.
 * **Threads** any; each call has a cursor to itself.
 * **Blocks** until the wait and the deadline have passed.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_stream_read_after(mtc_stream *stream,
                                         mtc_stream_id *cursor, size_t count,
                                         int64_t wait_ms,
                                         mtc_stream_batch **batch);

/**
 * Frees a batch and sets the variable to NULL.
 *
 * @param batch address of the variable; NULL or *batch NULL is fine.
 *
 * **Returns** nothing.
 * **Threads** any, one at a time.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API void mtc_stream_batch_free(mtc_stream_batch **batch);

/**
 * How many entries a batch has.
 *
 * @param batch the batch; NULL has none.
 * @return the count.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API size_t mtc_stream_batch_count(const mtc_stream_batch *batch);

/**
 * The id of an entry.
 *
 * @param batch the batch.
 * @param index of the entry, from 0.
 * @return the id; a zeroed one past the last.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_stream_id mtc_stream_batch_id(const mtc_stream_batch *batch,
                                          size_t index);

/**
 * How many fields an entry has.
 *
 * @param batch the batch.
 * @param index of the entry, from 0.
 * @return the count; 0 past the last entry.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API size_t mtc_stream_batch_field_count(const mtc_stream_batch *batch,
                                            size_t index);

/**
 * A field of an entry, in the order in which it was published.
 *
 * @param batch the batch.
 * @param index of the entry, from 0.
 * @param field of the entry, from 0.
 * @return slices that are good until the batch is freed; empty ones past the
 *         last.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_field mtc_stream_batch_field(const mtc_stream_batch *batch,
                                         size_t index, size_t field);

/**
 * Writes an id as the server spells it: "1700000000000-0".
 *
 * @param id the id.
 * @param text room for MTC_STREAM_ID_SIZE bytes; receives the text and a NUL.
 * @return text.
 *
 * **Returns** always.
 * **Threads** any.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API char *mtc_stream_id_format(mtc_stream_id id,
                                   char text[MTC_STREAM_ID_SIZE]);

/**
 * Reads an id: "1700000000000-0", "1700000000000", "0", or "$" for
 * MTC_STREAM_END.
 *
 * @param text the text.
 * @param id receives the id.
 * @return MTC_OK; MTC_E_INVALID for anything else.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_stream_id_parse(mtc_slice text, mtc_stream_id *id);

#ifdef __cplusplus
}
#endif

#endif
