/*
 * Groups: consumers that share the entries of a stream.
 *
 * The server gives each entry to one consumer of a group, and keeps it pending
 * for that consumer until it is acknowledged: every entry is handled at least
 * once, and twice where a consumer ended, or the server was lost, between
 * handling and acknowledging. mtc_group_run is the whole loop of a consumer;
 * the other calls are its parts.
 */
#ifndef MTC_GROUP_H
#define MTC_GROUP_H

#include "mtc/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A group as one of its consumers sees it: opaque. */
typedef struct mtc_group mtc_group;

/** Entries that were given and not acknowledged: opaque and immutable. */
typedef struct mtc_pending_list mtc_pending_list;

/** Who consumes. */
typedef struct mtc_group_names {
    /** The group, 1 to 4096 bytes. */
    mtc_slice group;
    /** The consumer, 1 to 4096 bytes: one that runs alone, and has the same
     *  name after a restart, so that it finds what it left. */
    mtc_slice consumer;
} mtc_group_names;

/** Options of a group; set struct_size with MTC_GROUP_OPTIONS_INIT. */
typedef struct mtc_group_options {
    /** sizeof(mtc_group_options). */
    uint32_t struct_size;
    /** Must be 0. */
    uint32_t reserved;
    /** Where a group begins that is not there yet: behind this id.
     *  MTC_STREAM_END: with what comes from then on. Default (zeroed): with
     *  the first entry. Since 0.1. */
    mtc_stream_id start;
    /** How many entries mtc_group_run takes at a time. Default (0) 10, range 1
     *  to MTC_STREAM_COUNT_MAX. Since 0.1. */
    int64_t batch_count;
    /** How long an entry must have been pending before mtc_group_run takes it
     *  from its consumer, in milliseconds: longer than handling one batch ever
     *  takes. Default (0) 60,000, up to 31,536,000,000. Since 0.1. */
    int64_t claim_idle_ms;
    /** How often mtc_group_run looks for such entries, in milliseconds.
     *  Default (0) 30,000; -1: never, which Redis before 6.2 needs. Up to
     *  31,536,000,000. Since 0.1. */
    int64_t claim_every_ms;
} mtc_group_options;

/** Options with every default. */
#define MTC_GROUP_OPTIONS_INIT                                                 \
    {                                                                          \
        (uint32_t)sizeof(mtc_group_options), 0, {0, 0}, 0, 0, 0                \
    }

/** What is pending in a group. */
typedef struct mtc_group_summary {
    /** Entries that were given and not acknowledged. */
    uint64_t count;
    /** How many consumers have such entries. */
    uint64_t consumer_count;
    /** The oldest of them; zeroed when there is none. */
    mtc_stream_id first;
    /** The newest of them; zeroed when there is none. */
    mtc_stream_id last;
} mtc_group_summary;

/** A pending entry. */
typedef struct mtc_pending {
    /** Its id. */
    mtc_stream_id id;
    /** Whom it was given to; good until the list is freed. */
    mtc_slice consumer;
    /** Milliseconds since then. */
    int64_t idle_ms;
    /** How often it was given to anybody. */
    uint64_t deliveries;
} mtc_pending;

/**
 * Handles one entry of a batch for mtc_group_run.
 *
 * @param batch the batch; it is freed when all its entries are handled.
 * @param index of the entry.
 * @param ctx as given to mtc_group_run.
 * @return MTC_OK: acknowledge it; anything else: it stays pending, and comes
 *         again when it has been for claim_idle_ms, or after a restart.
 *
 * Called in the thread of mtc_group_run, with no lock held; while it runs, no
 * other entry is handled. It may end its thread, or be cancelled: then the loop
 * is over, and what it had in hand stays pending.
 */
typedef mtc_status (*mtc_group_handler)(const mtc_stream_batch *batch,
                                        size_t index, void *ctx);

/**
 * Opens a group of a stream as one of its consumers. Nothing is sent; a group
 * that is not there is made by mtc_group_create or the first read.
 *
 * @param stream the stream; it is to be closed after its groups.
 * @param names the group and the consumer, copied.
 * @param options NULL: every default.
 * @param error optional; receives what is wrong.
 * @param group receives the group; NULL when the call fails.
 * @return MTC_OK; MTC_E_INVALID for wrong options, names or NULL;
 *         MTC_E_NO_MEMORY; MTC_E_CLOSED; MTC_E_FORKED.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_group_open(mtc_stream *stream,
                                  const mtc_group_names *names,
                                  const mtc_group_options *options,
                                  mtc_error *error, mtc_group **group);

/**
 * Closes a group and sets the variable to NULL. On the server it stays, and
 * so does what is pending.
 *
 * @param group address of the variable; NULL or *group NULL is fine.
 *
 * **Returns** nothing.
 * **Threads** one, when no call on it is under way.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API void mtc_group_close(mtc_group **group);

/**
 * Makes the group on the server, and the stream if there is none.
 *
 * @param group the group.
 * @return MTC_OK; MTC_EXISTS: it was there, and is as it was; MTC_E_INVALID
 *         for NULL, or when the key holds something else; MTC_E_UNAVAILABLE,
 *         MTC_E_DENIED, MTC_E_BUSY, MTC_E_TIMEOUT, MTC_E_CORRUPT,
 *         MTC_E_NO_MEMORY, MTC_E_CLOSED, MTC_E_FORKED.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** until the stream's deadline.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_group_create(mtc_group *group);

/**
 * Removes the group from the server, with what is pending in it.
 *
 * @param group the group.
 * @return MTC_OK; MTC_MISS: there was none; errors as of mtc_group_create.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** until the stream's deadline.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_group_remove(mtc_group *group);

/**
 * Removes the consumer from the group, with what is pending for it: those
 * entries are given to nobody any more.
 *
 * @param group the group.
 * @param dropped optional; receives how many were pending for it.
 * @return MTC_OK, also when there was no such consumer; MTC_MISS: there is no
 *         group; errors as of mtc_group_create.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** until the stream's deadline.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_group_remove_consumer(mtc_group *group, size_t *dropped);

/**
 * Reads entries that were given to no consumer yet, the oldest first; they are
 * pending for this one then. It has a connection of its own and holds nobody
 * up. A group that is not there is made, at the start of the options; one that
 * is gone (FLUSHALL, the stream was deleted) is made anew from the stream's
 * first entry.
 *
 * After an error, entries may be pending that were not returned:
 * mtc_group_read_own finds them.
 *
 * @param group the group.
 * @param count the most entries, 1 to MTC_STREAM_COUNT_MAX.
 * @param wait_ms how long to wait for an entry, 0 to 3,600,000.
 * @param batch receives the entries, to be freed with mtc_stream_batch_free;
 *        NULL unless MTC_OK is returned.
 * @return MTC_OK; MTC_MISS: nothing came within the wait; MTC_E_CANCELLED
 *         after mtc_group_stop; errors as of mtc_group_create.
 *
 * **Returns** as above.
 * **Threads** one at a time.
 * **Blocks** until the wait and the stream's deadline have passed.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_group_read(mtc_group *group, size_t count,
                                  int64_t wait_ms, mtc_stream_batch **batch);

/**
 * Reads entries that are pending for this consumer, behind a cursor, the
 * oldest first, and moves the cursor behind the last one. Entries that the
 * stream no longer has are acknowledged and left out.
 *
 * @param group the group.
 * @param cursor where to read from; zeroed: all.
 * @param count the most entries, 1 to MTC_STREAM_COUNT_MAX.
 * @param batch as for mtc_group_read.
 * @return MTC_OK; MTC_MISS: no more are pending; errors as of
 *         mtc_group_create.
 *
 * **Returns** as above.
 * **Threads** any; each call has a cursor to itself.
 * **Blocks** until the stream's deadline; for entries that the stream no longer
 * has, once more to acknowledge them and again to read on.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_group_read_own(mtc_group *group, mtc_stream_id *cursor,
                                      size_t count, mtc_stream_batch **batch);

/**
 * Acknowledges entries: they are pending no longer, whoever's they were.
 *
 * @param group the group.
 * @param ids of the entries, borrowed for the call.
 * @param count of ids, 1 to MTC_STREAM_COUNT_MAX.
 * @param acknowledged optional; receives how many were pending. If the
 *        connection was lost in between, those done before are not counted.
 * @return MTC_OK, also for entries that were not pending; errors as of
 *         mtc_group_create.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** until the stream's deadline.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_group_acknowledge(mtc_group *group,
                                         const mtc_stream_id *ids, size_t count,
                                         size_t *acknowledged);

/**
 * Takes over entries that have been pending for long, as those of a consumer
 * that died have. Entries that the stream no longer has are left out, and
 * acknowledged where the server tells their ids. Needs Redis 6.2.
 *
 * @param group the group.
 * @param idle_ms how long at least, in milliseconds; 0: any.
 * @param cursor where to look on; zeroed at first, and again when all have
 *        been looked at. Changed as said.
 * @param count the most entries, 1 to MTC_STREAM_COUNT_MAX.
 * @param batch as for mtc_group_read.
 * @return MTC_OK; MTC_MISS: none among those that were looked at;
 *         MTC_E_UNSUPPORTED: an older server; errors as of mtc_group_create.
 *
 * **Returns** as above.
 * **Threads** any; each call has a cursor to itself.
 * **Blocks** until the stream's deadline; twice as long when entries are
 * acknowledged that the stream no longer has.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_group_claim(mtc_group *group, int64_t idle_ms,
                                   mtc_stream_id *cursor, size_t count,
                                   mtc_stream_batch **batch);

/**
 * Tells how much is pending in the group.
 *
 * @param group the group.
 * @param summary receives it; zeroed unless MTC_OK is returned.
 * @return MTC_OK; MTC_MISS: there is no group; errors as of mtc_group_create.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** until the stream's deadline.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_group_pending(mtc_group *group,
                                     mtc_group_summary *summary);

/**
 * Lists what is pending in the group, the oldest first, and moves the first id
 * behind the last one listed.
 *
 * @param group the group.
 * @param first where to begin; zeroed: with the oldest. Changed as said.
 * @param count the most entries, 1 to MTC_STREAM_COUNT_MAX.
 * @param list receives the list, to be freed with mtc_pending_list_free; NULL
 *        unless MTC_OK is returned.
 * @return MTC_OK; MTC_MISS: no more is pending, or there is no group; errors
 *         as of mtc_group_create.
 *
 * **Returns** as above.
 * **Threads** any; each call has a first id to itself.
 * **Blocks** until the stream's deadline.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_group_list_pending(mtc_group *group,
                                          mtc_stream_id *first, size_t count,
                                          mtc_pending_list **list);

/**
 * How many entries a list has.
 *
 * @param list the list; NULL has none.
 * @return the count.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API size_t mtc_pending_list_count(const mtc_pending_list *list);

/**
 * A pending entry of a list.
 *
 * @param list the list.
 * @param index from 0.
 * @return the entry; a zeroed one past the last.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_pending mtc_pending_list_at(const mtc_pending_list *list,
                                        size_t index);

/**
 * Frees a list and sets the variable to NULL.
 *
 * @param list address of the variable; NULL or *list NULL is fine.
 *
 * **Returns** nothing.
 * **Threads** any, one at a time.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API void mtc_pending_list_free(mtc_pending_list **list);

/**
 * Consumes until mtc_group_stop: handles what is pending for this consumer
 * from an earlier run, then what comes, and now and then what others left. An
 * entry is acknowledged once the handler has returned MTC_OK for it. A server
 * that is away is waited for, with pauses of up to a second.
 *
 * @param group the group.
 * @param handler called for one entry after the other, in this thread.
 * @param ctx passed on to handler.
 * @return MTC_OK after mtc_group_stop: the entry in hand was handled and what
 *         was handled was acknowledged, once, if the server could be reached;
 *         MTC_E_CLOSED: the stream or cache is closing; MTC_E_INVALID,
 *         MTC_E_DENIED, MTC_E_UNSUPPORTED, MTC_E_CORRUPT, MTC_E_NO_MEMORY,
 *         MTC_E_FORKED: not what waiting would mend.
 *
 * **Returns** as above.
 * **Threads** one at a time.
 * **Blocks** until then.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_group_run(mtc_group *group, mtc_group_handler handler,
                                 void *ctx);

/**
 * Stops mtc_group_run, or a read that waits; later ones end at once, too.
 * To go on, open the group anew.
 *
 * @param group the group, not closed yet; NULL is fine.
 *
 * **Returns** nothing.
 * **Threads** any, the handler's, too; not a signal handler.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API void mtc_group_stop(mtc_group *group);

#ifdef __cplusplus
}
#endif

#endif
