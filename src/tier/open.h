/*
 * What a tier's constructor is given and the table of all constructors.
 *
 * Each folder under src/tier/ exports one mtci_tier_kind; mtc_tier_open finds
 * it by the scheme of the URL. Stateless; any thread.
 */
#ifndef MTCI_TIER_OPEN_H
#define MTCI_TIER_OPEN_H

#include "base/options.h"
#include "mtc/tier.h"

typedef struct mtci_tier_kind {
    /* Schemes that it answers to, separated by spaces: "redis valkey". */
    const char *schemes;
    /* Those of them whose URLs may name several hosts; NULL: none. */
    const char *schemes_of_many;
    /* Its own URL parameters. */
    const mtci_option_table *options;
    /* Size of the struct that the options fill; zeroed, then defaults. */
    size_t options_size;
    /* Makes the tier. options has defaults and parameters of the URL applied,
     * and is borrowed for the call, as is url. */
    mtc_status (*open)(const mtci_url *url, const void *options,
                       mtc_error *error, mtc_tier **tier);
} mtci_tier_kind;

extern const mtci_tier_kind mtci_noop_kind;
extern const mtci_tier_kind mtci_memory_kind;
extern const mtci_tier_kind mtci_disk_kind;
extern const mtci_tier_kind mtci_redis_kind;
extern const mtci_tier_kind mtci_memcached_kind;

#endif
