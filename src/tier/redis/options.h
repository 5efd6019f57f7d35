/*
 * What the URL of a Redis tier says: where the server is, who logs in, and how
 * values are stored. Stateless; any thread.
 */
#ifndef MTCI_TIER_REDIS_OPTIONS_H
#define MTCI_TIER_REDIS_OPTIONS_H

#include "redis/settings.h"
#include "tier/open.h"
#include "tier/redis/entry.h"
#include "tier/redis/sentinels.h"

typedef struct mtci_redis_options {
    int64_t connect_ms;
    int64_t db;
    int64_t compress_size_min;
    char compress[8];
    bool is_checked;
    mtci_sentinel_login sentinel;
    int64_t protocol;
    int64_t ping_ms;
    mtci_tls_settings tls;
} mtci_redis_options;

extern const mtci_option_table mtci_redis_option_table;

/* The settings of a connection; MTC_OK, or why not, in error as well. The
 * settings hold a password: the caller wipes them. */
mtc_status mtci_redis_read_settings(const mtci_url *url,
                                    const mtci_redis_options *options,
                                    mtc_error *error,
                                    mtci_redis_settings *settings);

bool mtci_redis_names_cluster(const mtci_url *url);

/* The nodes of a cluster that are asked first; seeds has room for
 * MTCI_URL_HOSTS_MAX. */
mtc_status mtci_redis_read_seeds(const mtci_url *url, mtc_error *error,
                                 mtci_address *seeds, size_t *count);

mtc_status mtci_redis_read_form(const mtci_redis_options *options,
                                mtc_error *error, mtci_redis_form *form);

#endif
