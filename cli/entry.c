/*
 * mtc get, set and remove: one key and its value.
 *
 * One thread.
 */
#include <stdlib.h>
#include <unistd.h>

#include "command.h"
#include "input.h"
#include "session.h"
#include "value_output.h"

tool_exit command_get(const args *args, char **words)
{
    mtc_cache *cache = NULL;
    mtc_value value = {0};
    tool_exit opened = session_open(args, &cache);
    if (opened != TOOL_DONE)
        return opened;
    mtc_slice key = mtc_str(words[0]);
    mtc_status status = mtc_cache_get(cache, key, &value);
    if (status < 0)
        session_complain(cache, "get", mtc_status_text(status));
    tool_exit exit = value_output(args, cache, key, status, &value);
    mtc_value_free(&value);
    mtc_cache_close(&cache);
    return exit;
}

/* A tier that is away is told later by a process that lives; this one does
 * not, so that only a plain OK is done. */
static const char *explain_write(mtc_status status)
{
    return status == MTC_PARTIAL   ? "not every tier holds it"
           : status == MTC_PENDING ? "not every tier could be told"
                                   : mtc_status_text(status);
}

static tool_exit report_write(const args *args, mtc_cache *cache,
                              const char *what, mtc_status status)
{
    if (status != MTC_OK)
        session_complain(cache, what, explain_write(status));
    if (args->json) {
        json json = session_json(status);
        session_json_end(&json);
    }
    return status == MTC_OK ? TOOL_DONE : TOOL_FAILED;
}

static tool_exit set(const args *args, const char *key, mtc_slice value)
{
    mtc_cache *cache = NULL;
    mtc_strategy strategy = MTC_STRATEGY_INIT(args->ttl_ms);
    tool_exit opened = session_open(args, &cache);
    if (opened != TOOL_DONE)
        return opened;
    mtc_status status = mtc_cache_set(cache, mtc_str(key), value,
                                      args->ttl_ms > 0 ? &strategy : NULL);
    tool_exit exit = report_write(args, cache, "set", status);
    if (exit == TOOL_DONE)
        session_warn_if_forgetful(cache);
    mtc_cache_close(&cache);
    return exit;
}

tool_exit command_set(const args *args, char **words)
{
    input_bytes input = {0};
    if (words[1] != NULL)
        return set(args, words[0], mtc_str(words[1]));
    if (!input_read(STDIN_FILENO, &input)) {
        input_fini(&input);
        return TOOL_FAILED;
    }
    tool_exit exit = set(args, words[0], mtc_bytes(input.data, input.size));
    input_fini(&input);
    return exit;
}

tool_exit command_remove(const args *args, char **words)
{
    mtc_cache *cache = NULL;
    tool_exit opened = session_open(args, &cache);
    if (opened != TOOL_DONE)
        return opened;
    mtc_status worst = MTC_OK;
    for (size_t i = 0; words[i] != NULL; i++) {
        mtc_status status = mtc_cache_remove(cache, mtc_str(words[i]));
        if (worst == MTC_OK || status < 0)
            worst = status;
    }
    tool_exit exit = report_write(args, cache, "remove", worst);
    mtc_cache_close(&cache);
    return exit;
}
