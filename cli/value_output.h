/*
 * Writing a value that a get or a load found.
 */
#ifndef MTC_CLI_VALUE_OUTPUT_H
#define MTC_CLI_VALUE_OUTPUT_H

#include "session.h"

/* Writes the value, its bytes alone or as JSON, if status says that there is
 * one. Returns how the tool ends. cache may be NULL: closed already. */
tool_exit value_output(const args *args, mtc_cache *cache, mtc_slice key,
                       mtc_status status, const mtc_value *value);

#endif
