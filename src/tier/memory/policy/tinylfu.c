/*
 * TinyLFU: a window of a hundredth, and admission by how often a key is seen.
 * See queues.h. Guarded by the mutex of the shard.
 */
#include <stdlib.h>

#include "tier/memory/policy/queued.h"

static mtci_policy_shared *tinylfu_open(const mtci_policy_env *env)
{
    static const mtci_setup setup = {MTCI_RULE_TINYLFU, 41};
    mtci_queued *queued = calloc(1, sizeof(*queued));
    if (!queued)
        return NULL;
    if (mtci_queued_init(queued, env, setup))
        return &queued->base;
    mtci_queued_fini(queued);
    free(queued);
    return NULL;
}

static void tinylfu_close(mtci_policy_shared *shared)
{
    mtci_queued_fini((mtci_queued *)shared);
    free(shared);
}

const mtci_policy_ops mtci_policy_tinylfu = {
    .name = "tinylfu",
    .open = tinylfu_open,
    .close = tinylfu_close,
    .shard_open = mtci_queued_shard_open,
    .shard_close = mtci_queued_shard_close,
    .add = mtci_queued_add,
    .expect = mtci_queued_expect,
    .drop = mtci_queued_drop,
    .swap = mtci_queued_swap,
    .evict = mtci_queued_evict,
};
