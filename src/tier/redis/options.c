/*
 * What the URL of a Redis tier says. See options.h.
 */
#include "tier/redis/options.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/compress.h"
#include "base/error.h"
#include "redis/tls.h"

#define PART          "redis"
#define PORT_DEFAULT  6379
#define DB_MAX        2147483647.0
#define BULK_SIZE_MAX (((size_t)64 << 20) + MTCI_REDIS_FRAME_ROOM)

/* By the numbers of mtc_compression. */
static const char *const COMPRESSIONS[] = {"none", "lz4", "zstd"};
#define COMPRESSION_COUNT (sizeof COMPRESSIONS / sizeof *COMPRESSIONS)

static bool copy_text(const char *from, char *to, size_t size)
{
    return snprintf(to, size, "%s", from) < (int)size;
}

static mtc_status read_socket_path(const mtci_url *url,
                                   mtci_redis_settings *settings,
                                   mtc_error *error)
{
    if (url->host[0] != '\0' || url->path[0] != '/')
        return mtci_fail(error, MTC_E_INVALID, PART,
                         "redis: a Unix socket is written as "
                         "redis+unix:///PATH, without a host");
    if (!copy_text(url->path, settings->path, sizeof settings->path))
        return mtci_fail(error, MTC_E_INVALID, PART,
                         "redis: the socket's path is longer than %zu bytes",
                         sizeof settings->path - 1);
    return MTC_OK;
}

/* "", "/" or "/NUMBER". */
static bool read_db(const char *path, int64_t *db)
{
    char *end = NULL;
    if (path[0] == '\0' || path[1] == '\0')
        return true;
    if (path[1] < '0' || path[1] > '9')
        return false;
    long long number = strtoll(path + 1, &end, 10);
    *db = number;
    return *end == '\0' && number <= (long long)DB_MAX;
}

static mtc_status read_address(const mtci_url *url,
                               mtci_redis_settings *settings, mtc_error *error)
{
    const char *host = url->host[0] != '\0' ? url->host : "127.0.0.1";
    mtci_address *address = &settings->address;
    address->port = url->port != 0 ? url->port : PORT_DEFAULT;
    if (!copy_text(host, address->host, sizeof address->host))
        return mtci_fail(error, MTC_E_INVALID, PART,
                         "redis: the host is longer than %zu bytes",
                         sizeof address->host - 1);
    if (!read_db(url->path, &settings->db))
        return mtci_fail(error, MTC_E_INVALID, PART,
                         "redis: the path must be a database number, 0 to "
                         "2147483647");
    return MTC_OK;
}

static mtc_status read_login(const mtci_url *url, mtci_redis_settings *settings,
                             mtc_error *error)
{
    if (url->user[0] != '\0' && url->password[0] == '\0')
        return mtci_fail(error, MTC_E_INVALID, PART,
                         "redis: a user without a password; a password alone "
                         "is written as redis://:PASSWORD@HOST");
    if (!copy_text(url->user, settings->user, sizeof settings->user) ||
        !copy_text(url->password, settings->password,
                   sizeof settings->password))
        return mtci_fail(error, MTC_E_INVALID, PART,
                         "redis: the user is longer than %zu bytes or the "
                         "password longer than %zu",
                         sizeof settings->user - 1,
                         sizeof settings->password - 1);
    return MTC_OK;
}

bool mtci_redis_names_cluster(const mtci_url *url)
{
    return strstr(url->scheme, "+cluster") != NULL;
}

/* rediss, rediss+cluster and so on; as valkeys, too. */
static bool means_tls(const char *scheme)
{
    return strncmp(scheme, "rediss", 6) == 0 ||
           strncmp(scheme, "valkeys", 7) == 0 ||
           strcmp(scheme, "redis+tls") == 0;
}

/* What to write for TLS to the same servers. */
static const char *tls_scheme(const mtci_url *url)
{
    if (mtci_redis_names_cluster(url))
        return "rediss+cluster";
    return mtci_redis_sentinels_are_meant(url) ? "rediss+sentinel" : "rediss";
}

static mtc_status read_tls(const mtci_url *url,
                           const mtci_redis_options *options,
                           mtci_redis_settings *settings, mtc_error *error)
{
    const mtci_tls_settings *tls = &options->tls;
    bool is_any = tls->is_insecure || tls->ca[0] != '\0' ||
                  tls->cert[0] != '\0' || tls->key[0] != '\0' ||
                  tls->name[0] != '\0';
    settings->tls = *tls;
    settings->tls.is_on = means_tls(url->scheme);
    settings->tls.scheme = tls_scheme(url);
    if (is_any && !settings->tls.is_on)
        return mtci_fail(error, MTC_E_INVALID, PART,
                         "redis: ca, cert, key, tls_name and tls_insecure "
                         "are for %s://",
                         settings->tls.scheme);
    if (tls->key[0] != '\0' && tls->cert[0] == '\0')
        return mtci_fail(error, MTC_E_INVALID, PART,
                         "redis: a key without its cert");
    return settings->tls.is_on ? mtci_tls_check(settings, error) : MTC_OK;
}

mtc_status mtci_redis_read_settings(const mtci_url *url,
                                    const mtci_redis_options *options,
                                    mtc_error *error,
                                    mtci_redis_settings *settings)
{
    *settings = (mtci_redis_settings){
        .clock = mtci_clock_boot,
        .connect_ms = options->connect_ms,
        .db = options->db,
        .protocol = options->protocol,
        .ping_ms = options->ping_ms,
        .bulk_size_max = BULK_SIZE_MAX,
    };
    mtc_status status = MTC_OK;
    if (strstr(url->scheme, "+unix"))
        status = read_socket_path(url, settings, error);
    else if (!mtci_redis_sentinels_are_meant(url))
        status = read_address(url, settings, error);
    if (status == MTC_OK)
        status = read_login(url, settings, error);
    return status == MTC_OK ? read_tls(url, options, settings, error) : status;
}

mtc_status mtci_redis_read_seeds(const mtci_url *url, mtc_error *error,
                                 mtci_address *seeds, size_t *count)
{
    *count = url->host_count > 0 ? url->host_count : 1;
    seeds[0] = (mtci_address){"127.0.0.1", PORT_DEFAULT};
    for (size_t i = 0; i < url->host_count; i++) {
        const mtci_url_host *host = &url->hosts[i];
        seeds[i].port = host->port != 0 ? host->port : PORT_DEFAULT;
        if (!copy_text(host->name, seeds[i].host, sizeof seeds[i].host))
            return mtci_fail(error, MTC_E_INVALID, PART,
                             "redis: a host is longer than %zu bytes",
                             sizeof seeds[i].host - 1);
    }
    return MTC_OK;
}

mtc_status mtci_redis_read_form(const mtci_redis_options *options,
                                mtc_error *error, mtci_redis_form *form)
{
    size_t method = 0;
    while (method < COMPRESSION_COUNT &&
           strcmp(options->compress, COMPRESSIONS[method]) != 0)
        method++;
    if (method == COMPRESSION_COUNT)
        return mtci_fail(error, MTC_E_INVALID, PART,
                         "redis: compress must be none, lz4 or zstd");
    if (method > 0 && !mtci_compress_has((int)method))
        return mtci_fail(error, MTC_E_UNSUPPORTED, PART,
                         "redis: this build cannot compress with %s",
                         COMPRESSIONS[method]);
    *form = (mtci_redis_form){
        .compression = (mtc_compression)method,
        .compress_size_min = (size_t)options->compress_size_min,
        .is_checked = options->is_checked,
        .value_size_max = BULK_SIZE_MAX - MTCI_REDIS_FRAME_ROOM,
    };
    return MTC_OK;
}

static const mtci_option redis_rows[] = {
    {
        .name = "connect",
        .kind = MTCI_OPTION_DURATION,
        .offset = offsetof(mtci_redis_options, connect_ms),
        .min = 1,
        .max = 60000,
        .fallback = "500ms",
        .range = "1ms to 1m",
        .text = "how long connecting and logging in may take",
    },
    {
        .name = "db",
        .kind = MTCI_OPTION_COUNT,
        .offset = offsetof(mtci_redis_options, db),
        .min = 0,
        .max = DB_MAX,
        .fallback = "0",
        .range = "0 to 2147483647; with a host, the path says it as well",
        .text = "number of the database",
    },
    {
        .name = "compress",
        .kind = MTCI_OPTION_TEXT,
        .offset = offsetof(mtci_redis_options, compress),
        .size = sizeof(((mtci_redis_options *)NULL)->compress),
        .fallback = "none",
        .range = "none, lz4, zstd",
        .text = "how large values are compressed where that saves an eighth; "
                "values compressed either way are read whatever this says",
    },
    {
        .name = "compress_min",
        .kind = MTCI_OPTION_SIZE,
        .offset = offsetof(mtci_redis_options, compress_size_min),
        .min = 64,
        .max = 512.0 * 1024 * 1024,
        .fallback = "1KiB",
        .range = "64 to 512MiB",
        .text = "values smaller than this are not compressed",
    },
    {
        .name = "checksum",
        .kind = MTCI_OPTION_BOOL,
        .offset = offsetof(mtci_redis_options, is_checked),
        .fallback = "off",
        .range = "on, off",
        .text = "every value is stored with a checksum, in a frame; what was "
                "stored without is a miss",
    },
    {
        .name = "sentinel_user",
        .kind = MTCI_OPTION_TEXT,
        .offset = offsetof(mtci_redis_options, sentinel.user),
        .size = sizeof(((mtci_redis_options *)NULL)->sentinel.user),
        .range = "at most 255 bytes",
        .text = "user for logging in to the sentinels; default: the default "
                "user",
    },
    {
        .name = "sentinel_password",
        .kind = MTCI_OPTION_TEXT,
        .offset = offsetof(mtci_redis_options, sentinel.password),
        .size = sizeof(((mtci_redis_options *)NULL)->sentinel.password),
        .range = "at most 2047 bytes",
        .text = "password for logging in to the sentinels",
    },
    {
        .name = "protocol",
        .kind = MTCI_OPTION_COUNT,
        .offset = offsetof(mtci_redis_options, protocol),
        .min = 2,
        .max = 3,
        .range = "2 or 3; default: 3 where the server has it",
        .text = "version of RESP that is spoken",
    },
    {
        .name = "ping",
        .kind = MTCI_OPTION_DURATION,
        .offset = offsetof(mtci_redis_options, ping_ms),
        .min = 0,
        .max = 3600000,
        .fallback = "10s",
        .range = "0s (never) to 1h",
        .text = "silence after which the server is asked whether it lives",
    },
    {
        .name = "ca",
        .kind = MTCI_OPTION_TEXT,
        .offset = offsetof(mtci_redis_options, tls.ca),
        .size = sizeof(((mtci_redis_options *)NULL)->tls.ca),
        .range = "a file in PEM, with TLS; default: the system's",
        .text = "authorities that may have signed the server's certificate",
    },
    {
        .name = "cert",
        .kind = MTCI_OPTION_TEXT,
        .offset = offsetof(mtci_redis_options, tls.cert),
        .size = sizeof(((mtci_redis_options *)NULL)->tls.cert),
        .range = "a file in PEM, with TLS",
        .text = "client certificate, if the server wants one",
    },
    {
        .name = "key",
        .kind = MTCI_OPTION_TEXT,
        .offset = offsetof(mtci_redis_options, tls.key),
        .size = sizeof(((mtci_redis_options *)NULL)->tls.key),
        .range = "a file in PEM without password; default: that of cert",
        .text = "private key of cert",
    },
    {
        .name = "tls_name",
        .kind = MTCI_OPTION_TEXT,
        .offset = offsetof(mtci_redis_options, tls.name),
        .size = sizeof(((mtci_redis_options *)NULL)->tls.name),
        .range = "a host, with TLS; default: each server's own host or IP",
        .text = "for whom every server's certificate must be",
    },
    {
        .name = "tls_insecure",
        .kind = MTCI_OPTION_BOOL,
        .offset = offsetof(mtci_redis_options, tls.is_insecure),
        .fallback = "off",
        .range = "with TLS; logged as a warning",
        .text = "believe any certificate: whoever listens in can read all",
    },
};

const mtci_option_table mtci_redis_option_table = {
    .scope = "redis",
    .options = redis_rows,
    .count = sizeof redis_rows / sizeof *redis_rows,
};
