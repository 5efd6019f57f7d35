/*
 * The no-op tier: every read misses, every write succeeds and is forgotten.
 *
 * The smallest example of the contract in mtc/tier.h, and a second tier for
 * tests that want none. Owns nothing but itself; any thread.
 */
#include <stdlib.h>

#include "base/error.h"
#include "tier/open.h"

static const mtc_tier_ops noop_ops;

static void noop_submit(mtc_tier *tier, mtc_verb verb,
                        mtc_request *const *requests, size_t count)
{
    mtc_status status = verb == MTC_VERB_READ ? MTC_MISS : MTC_OK;

    (void)tier;
    for (size_t i = 0; i < count; i++) {
        mtc_request_complete(requests[i], status, NULL);
    }
}

static void noop_close(mtc_tier *tier)
{
    free(tier);
}

static mtc_status noop_open(const mtci_url *url, const void *options,
                            mtc_error *error, mtc_tier **tier)
{
    (void)options;
    if (url->host[0] != '\0' || url->path[0] != '\0') {
        return mtci_fail(error, MTC_E_INVALID, "noop",
                         "noop: takes neither a host nor a path");
    }
    *tier = malloc(sizeof(**tier));
    if (*tier == NULL) {
        return mtci_fail(error, MTC_E_NO_MEMORY, "noop", "out of memory");
    }
    (*tier)->ops = &noop_ops;
    return MTC_OK;
}

static const mtc_tier_ops noop_ops = {
    .struct_size = sizeof(mtc_tier_ops),
    .abilities = MTC_TIER_TELLS_LEFT | MTC_TIER_KEEPS_FACTS,
    .scheme = "noop",
    .key_size_max = SIZE_MAX,
    .life_ms_max = MTC_NO_END,
    .life_step_ms = 1,
    .submit = noop_submit,
    .close = noop_close,
};

static const mtci_option_table noop_options = {.scope = "noop"};

const mtci_tier_kind mtci_noop_kind = {
    .schemes = "noop",
    .options = &noop_options,
    .open = noop_open,
};
