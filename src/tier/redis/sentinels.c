/*
 * Sentinels from a URL. See sentinels.h. Stateless; any thread.
 */
#include "tier/redis/sentinels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define PART         "redis"
#define PORT_DEFAULT 26379
#define DB_MAX       2147483647

static mtc_status refuse(mtc_error *error, const char *what)
{
    return mtci_fail(error, MTC_E_INVALID, PART, "redis+sentinel: %s", what);
}

static mtc_status read_hosts(const mtci_url *url, mtc_error *error,
                             mtci_sentinel_settings *sentinels)
{
    if (url->host_count > MTCI_SENTINELS_MAX)
        return refuse(error, "more than 8 sentinels");
    for (size_t i = 0; i < url->host_count; i++) {
        const mtci_url_host *host = &url->hosts[i];
        mtci_address *address = &sentinels->addresses[i];
        int size =
            snprintf(address->host, sizeof address->host, "%s", host->name);
        if (size == 0 || size >= (int)sizeof address->host)
            return refuse(error, "a sentinel's host is empty or longer than "
                                 "255 bytes");
        address->port = host->port != 0 ? host->port : PORT_DEFAULT;
    }
    sentinels->count = url->host_count;
    return sentinels->count > 0
               ? MTC_OK
               : refuse(error, "needs the hosts of the sentinels");
}

static bool read_db(const char *text, int64_t *db)
{
    char *end;
    if (*text < '0' || *text > '9')
        return false;
    long long number = strtoll(text, &end, 10);
    *db = number;
    return *end == '\0' && number <= DB_MAX;
}

/* "/MASTER" or "/MASTER/DB". */
static mtc_status read_path(const char *path, mtc_error *error,
                            mtci_sentinel_settings *sentinels, int64_t *db)
{
    const char *name = path[0] == '/' ? path + 1 : path;
    size_t size = strcspn(name, "/");
    if (size == 0 || size >= sizeof sentinels->master ||
        memchr(name, ' ', size))
        return refuse(error, "the path must begin with the master's name, 1 "
                             "to 255 bytes without spaces");
    memcpy(sentinels->master, name, size);
    if (name[size] == '\0' || name[size + 1] == '\0')
        return MTC_OK;
    return read_db(name + size + 1, db)
               ? MTC_OK
               : refuse(error, "behind the master's name only a database "
                               "number may stand, 0 to 2147483647");
}

static mtc_status read_login(const mtci_sentinel_login *login, mtc_error *error,
                             mtci_sentinel_settings *sentinels)
{
    if (login->user[0] != '\0' && login->password[0] == '\0')
        return refuse(error, "sentinel_user without sentinel_password");
    memcpy(sentinels->user, login->user, sizeof login->user);
    memcpy(sentinels->password, login->password, sizeof login->password);
    return MTC_OK;
}

bool mtci_redis_sentinels_are_meant(const mtci_url *url)
{
    return strstr(url->scheme, "+sentinel") != NULL;
}

static mtc_status read_all(const mtci_url *url,
                           const mtci_sentinel_login *login, mtc_error *error,
                           mtci_sentinel_settings *sentinels, int64_t *db)
{
    mtc_status status = read_hosts(url, error, sentinels);
    if (status == MTC_OK)
        status = read_path(url->path, error, sentinels, db);
    return status == MTC_OK ? read_login(login, error, sentinels) : status;
}

mtc_status mtci_redis_sentinels_read(const mtci_url *url,
                                     const mtci_sentinel_login *login,
                                     mtc_error *error,
                                     mtci_sentinel_settings **out, int64_t *db)
{
    *out = NULL;
    if (!mtci_redis_sentinels_are_meant(url)) {
        bool is_vain = login->user[0] != '\0' || login->password[0] != '\0';
        return is_vain ? mtci_fail(error, MTC_E_INVALID, PART,
                                   "redis: sentinel_user and "
                                   "sentinel_password are for "
                                   "redis+sentinel://")
                       : MTC_OK;
    }
    mtci_sentinel_settings *sentinels = calloc(1, sizeof *sentinels);
    if (!sentinels)
        return mtci_fail(error, MTC_E_NO_MEMORY, PART, "redis: out of memory");
    mtc_status status = read_all(url, login, error, sentinels, db);
    if (status == MTC_OK)
        *out = sentinels;
    else
        mtci_redis_sentinels_free(sentinels);
    return status;
}

void mtci_redis_sentinels_free(mtci_sentinel_settings *sentinels)
{
    if (sentinels)
        explicit_bzero(sentinels, sizeof *sentinels);
    free(sentinels);
}
