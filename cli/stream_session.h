/*
 * The stream that a command works on, and writing its entries.
 */
#ifndef MTC_CLI_STREAM_SESSION_H
#define MTC_CLI_STREAM_SESSION_H

#include "mtc/stream.h"
#include "session.h"

#define STREAM_COUNT_DEFAULT 10

/* Opens cache and stream; complains and tells how the tool ends if not. */
tool_exit stream_session_open(const args *args, const char *key,
                              mtc_cache **cache, mtc_stream **stream);
void stream_session_close(mtc_cache **cache, mtc_stream **stream);

/* How the tool ends after a call. */
tool_exit stream_session_exit(mtc_status status);

/* Reads the id of an option, if it was given; complains if it is none. */
bool stream_session_id(const char *option, const char *text, mtc_stream_id *id);

/* Writes an entry as one line. */
void stream_session_write(const mtc_stream_batch *batch, size_t index);
void stream_session_write_json(json *json, const mtc_stream_batch *batch,
                               size_t index);

/* Writes a batch; oldest first, as a log reads, whichever way it is sorted. */
void stream_session_report(const args *args, mtc_status status,
                           const mtc_stream_batch *batch, bool is_newest_first);

#endif
