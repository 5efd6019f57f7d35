/*
 * The cache that a command works on, and telling how a call on it ended.
 */
#ifndef MTC_CLI_SESSION_H
#define MTC_CLI_SESSION_H

#include "args.h"
#include "json.h"
#include "mtc/stats.h"
#include "output.h"

/* Opens the cache that the options name. TOOL_DONE; or it complains: that an
 * option is wrong (TOOL_USAGE), or that the cache does not open
 * (TOOL_FAILED). */
tool_exit session_open(const args *args, mtc_cache **cache);

/* The same, for so many loads at a time; 0: the default. */
tool_exit session_open_for(const args *args, uint32_t loads_max,
                           mtc_cache **cache);

/* Complains of what was asked for in the words of text, and of the first tier
 * that failed. */
void session_complain(mtc_cache *cache, const char *what, const char *text);

/* Warns that what is stored ends with this process, if that is so. */
void session_warn_if_forgetful(mtc_cache *cache);

/* Health from the cache, zeroed when it has none. */
mtc_health session_health(mtc_cache *cache);

/* Opens a JSON object on standard output; status is its first member. */
json session_json(mtc_status status);

/* Closes the object and ends the line. */
void session_json_end(json *json);

#endif
