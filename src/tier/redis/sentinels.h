/*
 * Sentinels in the URL of a Redis tier:
 * redis+sentinel://[user:password@]host:port,host2:port2/MASTER[/DB]
 *
 * Works on a parsed URL. Stateless; any thread.
 */
#ifndef MTCI_TIER_REDIS_SENTINELS_H
#define MTCI_TIER_REDIS_SENTINELS_H

#include "base/url.h"
#include "redis/settings.h"

/* How to log in to the sentinels, from the URL's parameters. */
typedef struct mtci_sentinel_login {
    char user[256];
    char password[2048];
} mtci_sentinel_login;

/* Whether the hosts of the URL are sentinels. */
bool mtci_redis_sentinels_are_meant(const mtci_url *url);

/* What the URL says of them, NULL if none are meant; *db only if it says so.
 * MTC_OK; MTC_E_INVALID, MTC_E_NO_MEMORY with the error, which shows no
 * password. */
mtc_status mtci_redis_sentinels_read(const mtci_url *url,
                                     const mtci_sentinel_login *login,
                                     mtc_error *error,
                                     mtci_sentinel_settings **out, int64_t *db);

/* Wipes the password; NULL is fine. */
void mtci_redis_sentinels_free(mtci_sentinel_settings *sentinels);

#endif
