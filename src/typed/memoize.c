/*
 * Memoising: a loader that calls a function, under a key of its arguments.
 * Uses the public interface alone; any thread.
 */
#include "mtc/memoize.h"

#include "mtc/key.h"
#include "typed/writer.h"

typedef struct invocation {
    const mtc_function *function;
    const mtc_slice *arguments;
    size_t count;
} invocation;

static bool function_is_valid(const mtc_function *function)
{
    return function != NULL && function->struct_size >= sizeof(*function) &&
           function->reserved == 0 && function->name != NULL &&
           function->name[0] != '\0' && function->call != NULL;
}

static mtc_status invocation_load(mtc_load *load, void *ctx)
{
    const invocation *invocation = ctx;
    const mtc_function *function = invocation->function;
    MTCI_WRITER_SCOPED writer = {{0}};
    mtc_status status = function->call(invocation->arguments, invocation->count,
                                       function->ctx, &writer);

    if (status != MTC_MISS) {
        status = mtci_writer_end(&writer, status);
    }
    if (status == MTC_OK) {
        status = mtc_load_set_value(load, mtci_writer_slice(&writer));
    }
    return status;
}

static mtc_status key_make(const invocation *invocation, mtc_key *key,
                           mtc_slice *out)
{
    mtc_key_add(key, mtc_str(invocation->function->name));
    for (size_t i = 0; i < invocation->count; i++) {
        mtc_key_add(key, invocation->arguments[i]);
    }
    return mtc_key_slice(key, out);
}

mtc_status mtc_memoize(mtc_cache *cache, const mtc_function *function,
                       const mtc_slice *arguments, size_t count,
                       mtc_value *result)
{
    invocation invocation = {function, arguments, count};
    mtc_status status;
    mtc_slice bytes;
    mtc_key key __attribute__((cleanup(mtc_key_fini))) = {0};

    if (result == NULL) {
        return MTC_E_INVALID;
    }
    memset(result, 0, sizeof(*result));
    if (!function_is_valid(function) || (arguments == NULL && count > 0)) {
        return MTC_E_INVALID;
    }
    status = key_make(&invocation, &key, &bytes);
    if (status == MTC_OK) {
        status = mtc_cache_get_or_load(cache, bytes, function->strategy,
                                       invocation_load, &invocation, result);
    }
    return status;
}
