/*
 * Settings of a cache: options and environment, checked and filled in.
 *
 * Precedence: made tiers, tier URLs, MTC_TIERS, REDIS_URL, the default. Owns
 * the tiers that it opened until a cache takes them. One thread.
 */
#ifndef MTCI_CORE_SETTINGS_H
#define MTCI_CORE_SETTINGS_H

#include "base/log.h"
#include "mtc/cache.h"

typedef struct mtci_settings {
    mtc_tier_config tiers[MTC_TIERS_MAX];
    size_t tier_count;
    bool owns_tiers; /* opened here, not given by the caller */
    mtc_strategy strategy;
    size_t value_size_max;
    int64_t grace_ms;
    mtc_eviction_function evicted;
    void *evicted_ctx;
    mtc_weigh_function weigh;
    void *weigh_ctx;
    uint64_t hash_seed;
    unsigned loads_max;
    char name[72];
    char note[160]; /* why the default second tier is missing */
} mtci_settings;

/* Checks options (NULL: none), sets the log up, opens the tiers. */
mtc_status mtci_settings_init(mtci_settings *settings,
                              const mtc_cache_options *options, mtci_log *log,
                              mtci_clock clock, mtc_error *error);

/* Closes the tiers that it opened, unless they were taken. */
void mtci_settings_fini(mtci_settings *settings, bool is_taken);

#endif
