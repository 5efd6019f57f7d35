/*
 * The stream that a command works on, and writing its entries.
 */
#ifndef MTC_CLI_STREAM_SESSION_H
#define MTC_CLI_STREAM_SESSION_H

#include "mtc/stream.h"
#include "session.h"

typedef struct stream_session {
    const args *args;
    const char *what; /* the command, for complaints */
    mtc_cache *cache;
    mtc_stream *stream;
} stream_session;

/* Opens cache and stream; complains and tells how the tool ends if not. */
tool_exit stream_session_open(const args *args, const char *what,
                              const char *key, stream_session *session);

/* Closes both. How the tool ends after a call, of which it complains if it
 * failed. */
tool_exit stream_session_end(stream_session *session, mtc_status status);

/* The same for a cache, which stays open. */
tool_exit stream_session_tell(const args *args, const char *what,
                              mtc_cache *cache, mtc_status status);

/* Complains of what cannot be opened. How the tool ends. */
tool_exit stream_session_refuse(mtc_status status, const mtc_error *error);

/* Reads an id, if there is a text; complains if it is none. where: what stands
 * before it, as "--after". */
bool stream_session_place(const char *where, const char *text,
                          mtc_stream_id *id);

/* The same for the id of an entry, which $ is not. */
bool stream_session_id(const char *where, const char *text, mtc_stream_id *id);

/* How many entries are wanted. */
size_t stream_session_count(const args *args);

/* Writes an entry as one line. */
void stream_session_write(const mtc_stream_batch *batch, size_t index);

/* Writes an entry as a member of an object, or name NULL: of a list. */
void stream_session_write_json(json *json, const char *name,
                               const mtc_stream_batch *batch, size_t index);

/* Writes a batch; oldest first, as a log reads, whichever way it is sorted. */
void stream_session_report(const args *args, mtc_status status,
                           const mtc_stream_batch *batch, bool is_newest_first);

#endif
