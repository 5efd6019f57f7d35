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
/** The most streams of one tail. */
#define MTC_TAIL_STREAMS_MAX 64u

/** A stream of a cache's Redis tier: opaque. */
typedef struct mtc_stream mtc_stream;

/** The entries that a read returned: opaque and immutable. */
typedef struct mtc_stream_batch mtc_stream_batch;

/** Several streams that are followed over one connection: opaque. */
typedef struct mtc_tail mtc_tail;

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

/** Of a stream's options: what is too much is trimmed at once, to the entry,
 *  which costs the server more than trimming in steps. */
#define MTC_STREAM_TRIM_EXACTLY 1u

/** Options of a stream; set struct_size with MTC_STREAM_OPTIONS_INIT. */
typedef struct mtc_stream_options {
    /** sizeof(mtc_stream_options). */
    uint32_t struct_size;
    /** 0, or MTC_STREAM_TRIM_EXACTLY. Since 0.1. */
    uint32_t flags;
    /** How many entries are kept when one is published; about, for the server
     *  trims in steps and may keep some more, unless told otherwise by flags.
     *  Default (0) 1000, or never trimmed by length when age_ms_max is set;
     *  -1: never. Range -1 to 1,000,000,000. Since 0.1. */
    int64_t length_max;
    /** Deadline of one call, in milliseconds; a wait for entries comes on top,
     *  and the same again when a node of a cluster fails during that wait.
     *  Default (0) 250, range 1 to 600,000. Since 0.1. */
    int64_t deadline_ms;
    /** How old entries get before they are trimmed, in milliseconds, by their
     *  ids and the server's clock, when one is published; not together with a
     *  length_max. Asks the server for its time once a minute. Not for ids of
     *  one's own that are no times. Default (0): not trimmed by age; up to
     *  31,536,000,000,000. Since 0.1. */
    int64_t age_ms_max;
} mtc_stream_options;

/** Options with every default. */
#define MTC_STREAM_OPTIONS_INIT                                                \
    {                                                                          \
        (uint32_t)sizeof(mtc_stream_options), 0, 0, 0, 0                       \
    }

/** Of publishing: only into a stream that exists. */
#define MTC_PUBLISH_EXISTING_ONLY 1u

/** How one entry is published; begin with MTC_PUBLISH_OPTIONS_INIT. */
typedef struct mtc_publish_options {
    /** sizeof(mtc_publish_options). */
    uint32_t struct_size;
    /** 0, or MTC_PUBLISH_EXISTING_ONLY. Since 0.1. */
    uint32_t flags;
    /** The id of the entry; it must grow from entry to entry, as the number of
     *  a row of the source does. So one producer can publish again what may
     *  have been published, and no entry comes twice. Default (zeroed): the
     *  server makes one. Since 0.1. */
    mtc_stream_id id;
} mtc_publish_options;

/** Options with every default. */
#define MTC_PUBLISH_OPTIONS_INIT                                               \
    {                                                                          \
        (uint32_t)sizeof(mtc_publish_options), 0,                              \
        {                                                                      \
            0, 0                                                               \
        }                                                                      \
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
 * @param stream address of the variable; NULL or *stream NULL is fine. Its
 *        tails and groups are to be closed before.
 *
 * **Returns** nothing.
 * **Threads** one; the caller sees to it that no call on the stream begins
 * once this one has begun.
 * **Blocks** until the calls of other threads have ended: waits end at once,
 * the rest by the deadline of one call.
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
 * Appends an entry with options, and trims the stream. With an id of the
 * caller's it is sent once more if the connection is lost; it cannot come
 * twice.
 *
 * @param stream the stream.
 * @param fields borrowed for the call.
 * @param count of fields, 1 to MTC_STREAM_FIELDS_MAX.
 * @param options NULL: every default, as mtc_stream_publish.
 * @param id optional; receives the id of the entry when MTC_OK is returned.
 * @return as mtc_stream_publish; MTC_EXISTS: the stream has, or had, an entry
 *         with this id or a larger one, and nothing was added; MTC_MISS: with
 *         MTC_PUBLISH_EXISTING_ONLY, there is no stream. MTC_E_INVALID also
 *         when the stream holds the largest id and takes no more.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** until the deadline; twice as long when the stream is trimmed by
 * age and the server's time is asked first.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_stream_publish_with(mtc_stream *stream,
                                           const mtc_field *fields,
                                           size_t count,
                                           const mtc_publish_options *options,
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
 * Reads the entries from one id to another, both included, the oldest first,
 * and moves the first id behind the last entry: the next call reads the next
 * page.
 *
 * @param stream the stream.
 * @param first where to begin; zeroed: with the first entry. Changed as said.
 * @param last where to end; MTC_STREAM_END: with the last entry.
 * @param count the most entries, 1 to MTC_STREAM_COUNT_MAX.
 * @param batch as for mtc_stream_read_newest.
 * @return as mtc_stream_read_newest; MTC_MISS: no entry is left in the range.
 *
 * **Returns** as above.
 * **Threads** any; each call has a first id to itself.
 * **Blocks** until the deadline.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_stream_read_range(mtc_stream *stream,
                                         mtc_stream_id *first,
                                         mtc_stream_id last, size_t count,
                                         mtc_stream_batch **batch);

/**
 * Reads the entries behind a cursor, the oldest first, and moves the cursor
 * behind the last one. With a wait it has a connection of its own, and holds
 * nobody up.
 *
 * A cursor of MTC_STREAM_END is first replaced by the id of what is the newest
 * now, also when nothing comes: so nothing is lost between two calls. When the
 * stream was deleted, or begun anew with smaller ids, which is looked for
 * whenever nothing comes and once a second, reading goes on at its beginning.
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
 * Opens a tail: what comes into several streams, read over one connection.
 * Nothing is sent yet.
 *
 * @param streams of one cache and on one server, with different keys, which in
 *        a cluster share one {tag}; they are to be closed after the tail.
 *        Borrowed for the call.
 * @param cursors where to read each from, as for mtc_stream_read_after; NULL:
 *        MTC_STREAM_END for all.
 * @param count of streams, 1 to MTC_TAIL_STREAMS_MAX.
 * @param error optional; receives what is wrong.
 * @param tail receives the tail; NULL when the call fails.
 * @return MTC_OK; MTC_E_INVALID for NULL, a wrong count or a key that is there
 *         twice; MTC_E_UNSUPPORTED for streams of several servers or,
 *         in a cluster, slots;
 *         MTC_E_NO_MEMORY; MTC_E_CLOSED; MTC_E_FORKED.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_tail_open(mtc_stream *const *streams,
                                 const mtc_stream_id *cursors, size_t count,
                                 mtc_error *error, mtc_tail **tail);

/**
 * Reads what came into one of the streams, the oldest first, and moves its
 * cursor behind that. What came into others at the same time is returned by
 * the next calls. When the server is away it is waited for as entries are, and
 * reading goes on behind the cursors: nothing is lost or read twice.
 * Cursors are resolved and begin anew as for mtc_stream_read_after.
 *
 * @param tail the tail.
 * @param count the most entries of each stream, 1 to MTC_STREAM_COUNT_MAX.
 * @param wait_ms how long to wait for an entry, 0 to 3,600,000.
 * @param index receives which of the streams.
 * @param batch as for mtc_stream_read_newest.
 * @return as mtc_stream_read_newest; MTC_MISS: nothing came within the wait;
 *         MTC_E_UNAVAILABLE, MTC_E_TIMEOUT: the server was still away at its
 *         end; MTC_E_CANCELLED after mtc_tail_cancel.
 *
 * **Returns** as above.
 * **Threads** one at a time.
 * **Blocks** until the wait and the deadline have passed.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_tail_read(mtc_tail *tail, size_t count, int64_t wait_ms,
                                 size_t *index, mtc_stream_batch **batch);

/**
 * Where a tail is in a stream: to be kept, and given to mtc_tail_open by the
 * next process.
 *
 * @param tail the tail.
 * @param index of the stream.
 * @return the id of the last entry that was read, or the cursor given; zeroed
 *         past the last stream.
 *
 * **Returns** as above.
 * **Threads** the one that reads.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_stream_id mtc_tail_cursor(const mtc_tail *tail, size_t index);

/**
 * Ends a read that waits, at once, and every later one: MTC_E_CANCELLED.
 *
 * @param tail the tail, not closed yet; NULL is fine.
 *
 * **Returns** nothing.
 * **Threads** any.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API void mtc_tail_cancel(mtc_tail *tail);

/**
 * Closes a tail and sets the variable to NULL.
 *
 * @param tail address of the variable; NULL or *tail NULL is fine.
 *
 * **Returns** nothing.
 * **Threads** the one that reads, or another once no read is under way.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API void mtc_tail_close(mtc_tail **tail);

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
