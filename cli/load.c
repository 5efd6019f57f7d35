/*
 * mtc load: the value of a key, or what a command prints.
 *
 * Among the processes of a host a lock file lets one run the command; within
 * the cache the load is an ordinary get_or_load, so that a remove by somebody
 * else during the run keeps the outdated value out. One thread.
 */
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "load_lock.h"
#include "load_run.h"
#include "session.h"
#include "value_output.h"

/* What the loader is given. */
typedef struct load_context {
    char **command;
    const load_lock *lock;
} load_context;

static mtc_status run_command(mtc_load *load, void *ctx)
{
    const load_context *context = ctx;
    input_bytes printed = {0};
    mtc_status status = MTC_E_LOAD_FAILED;
    if (load_run(context->command, context->lock, &printed))
        status =
            mtc_load_set_value(load, mtc_bytes(printed.data, printed.size));
    input_fini(&printed);
    return status;
}

/* Gets the value under the lock: by now another process may have stored it.
 * The lock is held until the stores have ended, so that the next one to hold
 * it finds the value; the value outlives the cache. */
static mtc_status load_locked(const args *args, mtc_cache **cache,
                              mtc_slice key, load_context *context,
                              mtc_value *value)
{
    mtc_strategy strategy = MTC_STRATEGY_INIT(args->ttl_ms);
    mtc_status status =
        mtc_cache_get_or_load(*cache, key, args->ttl_ms > 0 ? &strategy : NULL,
                              run_command, context, value);
    if (status == MTC_OK)
        session_warn_if_forgetful(*cache);
    else if (status < 0 && status != MTC_E_LOAD_FAILED)
        session_complain(*cache, "load", mtc_status_text(status));
    if (mtc_cache_close(cache) == MTC_PARTIAL)
        complain("warning: a tier was too slow to store the value");
    return status;
}

static mtc_status load(const args *args, mtc_cache **cache, char **words,
                       mtc_value *value)
{
    load_lock lock = LOAD_LOCK_INIT;
    mtc_slice key = mtc_str(words[0]);
    load_context context = {words + 1, &lock};
    if (!load_lock_take(args, key, &lock))
        return MTC_E_LOAD_FAILED;
    mtc_status status = load_locked(args, cache, key, &context, value);
    load_lock_release(&lock);
    return status;
}

tool_exit command_load(const args *args, char **words)
{
    mtc_cache *cache = NULL;
    mtc_value value = {0};
    /* "mtc load -- -key -- command": the second dashes are a word. */
    bool is_key_dashed = args->words_before_dashes == 1;
    if (is_key_dashed && strcmp(words[1], "--") == 0 && words[2] != NULL) {
        words[1] = words[0];
        words++;
    } else if (args->words_before_dashes != 2) {
        complain("load: the command stands behind --, after one key");
        return TOOL_USAGE;
    }
    tool_exit opened = session_open(args, &cache);
    if (opened != TOOL_DONE)
        return opened;
    mtc_slice key = mtc_str(words[0]);
    mtc_status status = mtc_cache_get(cache, key, &value);
    if (status != MTC_OK)
        status = load(args, &cache, words, &value);
    tool_exit exit = value_output(args, cache, key, status, &value);
    mtc_value_free(&value);
    if (cache != NULL)
        mtc_cache_close(&cache);
    return exit;
}
