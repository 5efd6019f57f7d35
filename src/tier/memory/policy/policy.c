/*
 * The table of policies; see policy.h.
 */
#include "tier/memory/policy/policy.h"

#include <string.h>

static const mtci_policy_ops *const policies[] = {&mtci_policy_duel,
                                                  &mtci_policy_lru,
                                                  &mtci_policy_s3fifo,
                                                  &mtci_policy_tinylfu};

const mtci_policy_ops *mtci_policy_at(size_t index)
{
    return index < sizeof(policies) / sizeof(policies[0]) ? policies[index]
                                                          : NULL;
}

const mtci_policy_ops *mtci_policy_by_name(const char *name)
{
    const mtci_policy_ops *ops;
    for (size_t i = 0; (ops = mtci_policy_at(i)) != NULL; i++) {
        if (strcmp(ops->name, name) == 0)
            return ops;
    }
    return NULL;
}
