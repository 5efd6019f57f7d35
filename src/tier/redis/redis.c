/*
 * The Redis tier: entries as keys of a Redis or Valkey server, or of a cluster.
 *
 * It owns one client or one cluster, which all threads share; it turns requests
 * into commands and replies into answers. Any thread.
 */
#include "tier/redis/redis.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/compress.h"
#include "base/error.h"
#include "redis/tls.h"
#include "tier/open.h"
#include "tier/redis/entry.h"
#include "tier/redis/refusals.h"
#include "tier/redis/sentinels.h"

#define PART           "redis"
#define PORT_DEFAULT   6379
#define DB_MAX         2147483647.0
#define VALUE_SIZE_MAX (((size_t)512 << 20) - MTCI_REDIS_FRAME_ROOM)
#define BULK_SIZE_MAX  (((size_t)64 << 20) + MTCI_REDIS_FRAME_ROOM)
#define KEY_SIZE_MAX   ((size_t)512 << 20)
#define FAILURE_SIZE   160

/* By the numbers of mtc_compression. */
static const char *const COMPRESSIONS[] = {"none", "lz4", "zstd"};
#define COMPRESSION_COUNT (sizeof COMPRESSIONS / sizeof *COMPRESSIONS)

typedef struct redis_options {
    int64_t connect_ms;
    int64_t db;
    int64_t compress_size_min;
    char compress[8];
    bool is_checked;
    mtci_sentinel_login sentinel;
    int64_t protocol;
    int64_t ping_ms;
    mtci_tls_settings tls;
} redis_options;

typedef struct redis_tier {
    mtc_tier base;
    mtci_redis_client *client; /* one of the two */
    mtci_redis_cluster *cluster;
    mtci_redis_form form; /* constant once attached */
    const mtc_tier_host *host;
    mtci_redis_refusals refusals;
    mtci_sentinel_settings *sentinels; /* NULL: none */
    _Atomic uint64_t damaged;
} redis_tier;

static const mtc_tier_ops redis_ops;

/* -- requests ------------------------------------------------------------ */

/* How a command failed, its own way or the server's; MTC_OK: it did not. */
static mtc_status explain(redis_tier *tier, const mtci_redis_command *command,
                          char failure[FAILURE_SIZE])
{
    const mtci_reply *error = mtci_command_error(command);
    if (command->status != MTC_OK) {
        snprintf(failure, FAILURE_SIZE, "%s",
                 command->failure ? command->failure : "");
        return command->status;
    }
    if (!error)
        return MTC_OK;
    mtci_redis_refusals_note(&tier->refusals, tier->host, error);
    mtci_reply_error_text(error, failure, FAILURE_SIZE);
    return mtci_reply_error_status(error);
}

/* A command's request is told how it ended, and knows its tier by its link. */
static void finish_read(mtci_redis_command *command)
{
    mtc_request *request = command->ctx;
    redis_tier *tier = request->link;
    char failure[FAILURE_SIZE] = "";
    bool is_damaged = false;
    mtc_status status = explain(tier, command, failure);
    if (status == MTC_OK)
        status = mtci_redis_entry_found(&tier->form, command, failure,
                                        sizeof failure, &is_damaged);
    if (is_damaged)
        atomic_fetch_add_explicit(&tier->damaged, 1, memory_order_relaxed);
    mtci_command_free(command);
    mtc_request_complete(request, status, failure[0] ? failure : NULL);
}

static void finish_write(mtci_redis_command *command)
{
    mtc_request *request = command->ctx;
    char failure[FAILURE_SIZE] = "";
    mtc_status status = explain(request->link, command, failure);
    mtci_command_free(command);
    mtc_request_complete(request, status, failure[0] ? failure : NULL);
}

static void redis_submit(mtc_tier *base, mtc_verb verb,
                         mtc_request *const *requests, size_t count)
{
    redis_tier *tier = (redis_tier *)base;
    mtci_command_queue commands = {0};
    for (size_t i = 0; i < count; i++) {
        mtci_redis_command *command =
            mtci_redis_entry_command(&tier->form, verb, requests[i]);
        if (!command) {
            mtc_request_complete(requests[i], MTC_E_NO_MEMORY, "out of memory");
            continue;
        }
        requests[i]->link = tier;
        command->done = verb == MTC_VERB_READ ? finish_read : finish_write;
        if (tier->cluster)
            mtci_cluster_route(tier->cluster, command, requests[i]->key,
                               &requests[i]->mark);
        mtci_queue_push(&commands, command);
    }
    if (tier->cluster)
        mtci_cluster_submit(tier->cluster, &commands);
    else
        mtci_client_submit(tier->client, &commands);
}

static bool is_complete(const void *ctx)
{
    return mtc_request_is_complete(ctx);
}

static void redis_drive(mtc_tier *base, const mtc_request *awaited,
                        int64_t until_ms)
{
    redis_tier *tier = (redis_tier *)base;
    mtci_awaited one = {is_complete, awaited};
    if (tier->cluster)
        mtci_cluster_drive(tier->cluster, awaited ? &awaited->mark : NULL,
                           awaited ? &one : NULL, until_ms);
    else
        mtci_client_drive(tier->client, awaited ? &one : NULL, until_ms);
}

static void redis_abandon(mtc_tier *base, mtc_request *request)
{
    redis_tier *tier = (redis_tier *)base;
    if (tier->cluster)
        mtci_cluster_abandon(tier->cluster, &request->mark, request);
    else
        mtci_client_abandon(tier->client, request);
}

static void redis_tend(mtc_tier *base, int64_t now_ms)
{
    redis_tier *tier = (redis_tier *)base;
    (void)now_ms; /* the client's clock is the same */
    if (tier->client)
        mtci_client_tend(tier->client);
}

static void redis_usage(mtc_tier *base, mtc_tier_usage *out)
{
    redis_tier *tier = (redis_tier *)base;
    *out = (mtc_tier_usage){
        .damaged = atomic_load_explicit(&tier->damaged, memory_order_relaxed),
    };
}

/* -- beginning and end --------------------------------------------------- */

static mtc_status redis_attach(mtc_tier *base, const mtc_tier_host *host)
{
    redis_tier *tier = (redis_tier *)base;
    mtci_redis_settings *settings = tier->cluster
                                        ? mtci_cluster_settings(tier->cluster)
                                        : mtci_client_settings(tier->client);
    tier->host = host;
    settings->clock = (mtci_clock){host->now_ms, host->ctx, false};
    settings->log = host->log;
    settings->log_ctx = host->ctx;
    snprintf(settings->name, sizeof settings->name, "%.64s",
             host->name ? host->name : "");
    settings->bulk_size_max = host->value_size_max + MTCI_REDIS_FRAME_ROOM;
    tier->form.value_size_max = host->value_size_max;
    if (settings->tls.is_insecure && host->log)
        host->log(host->ctx, MTC_LOG_WARNING,
                  "tls_insecure=1: the server's certificate is not verified");
    return MTC_OK;
}

static void redis_close(mtc_tier *base)
{
    redis_tier *tier = (redis_tier *)base;
    mtci_client_free(tier->client);
    mtci_cluster_free(tier->cluster);
    mtci_redis_sentinels_free(tier->sentinels);
    free(tier);
}

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

static bool means_tls(const char *scheme)
{
    return strcmp(scheme, "rediss") == 0 || strcmp(scheme, "valkeys") == 0 ||
           strcmp(scheme, "redis+tls") == 0;
}

static mtc_status read_tls(const mtci_url *url, const redis_options *options,
                           mtci_redis_settings *settings, mtc_error *error)
{
    const mtci_tls_settings *tls = &options->tls;
    bool is_any = tls->is_insecure || tls->ca[0] != '\0' ||
                  tls->cert[0] != '\0' || tls->key[0] != '\0' ||
                  tls->name[0] != '\0';
    settings->tls = *tls;
    settings->tls.is_on = means_tls(url->scheme);
    if (is_any && !settings->tls.is_on)
        return mtci_fail(error, MTC_E_INVALID, PART,
                         "redis: ca, cert, key, tls_name and tls_insecure "
                         "are for rediss://");
    if (tls->key[0] != '\0' && tls->cert[0] == '\0')
        return mtci_fail(error, MTC_E_INVALID, PART,
                         "redis: a key without its cert");
    return settings->tls.is_on ? mtci_tls_check(settings, error) : MTC_OK;
}

static mtc_status read_url(const mtci_url *url, const redis_options *options,
                           mtc_error *error, mtci_redis_settings *settings)
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

static bool names_cluster(const mtci_url *url)
{
    return strstr(url->scheme, "+cluster") != NULL;
}

static mtc_status read_seeds(const mtci_url *url, mtc_error *error,
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

static mtc_status make_cluster(const mtci_url *url,
                               const mtci_redis_settings *settings,
                               redis_tier *tier, mtc_error *error)
{
    mtci_address seeds[MTCI_URL_HOSTS_MAX];
    size_t count;
    if (settings->db != 0)
        return mtci_fail(error, MTC_E_INVALID, PART,
                         "redis: a cluster has database 0 alone");
    mtc_status status = read_seeds(url, error, seeds, &count);
    if (status != MTC_OK)
        return status;
    status = mtci_cluster_new(settings, seeds, count, &tier->cluster);
    if (status != MTC_OK)
        mtci_fail(error, status, PART, "redis: no memory for a cluster");
    return status;
}

static mtc_status read_form(const redis_options *options, mtc_error *error,
                            mtci_redis_form *form)
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

/* The client, too, knows the sentinels by what the tier owns. */
static mtc_status make_client(const mtci_url *url, const redis_options *options,
                              mtci_redis_settings *settings, redis_tier *tier,
                              mtc_error *error)
{
    mtc_status status =
        mtci_redis_sentinels_read(url, &options->sentinel, error,
                                  &tier->sentinels, &settings->db);
    if (status != MTC_OK)
        return status;
    settings->sentinels = tier->sentinels;
    status = mtci_client_new(settings, &tier->client);
    if (status != MTC_OK)
        mtci_fail(error, status, PART,
                  "redis: no memory or no descriptor for a client");
    return status;
}

static mtc_status make_link(redis_tier *tier, const mtci_url *url,
                            const redis_options *options, mtc_error *error)
{
    mtci_redis_settings settings;
    mtc_status status = read_form(options, error, &tier->form);
    if (status == MTC_OK)
        status = read_url(url, options, error, &settings);
    if (status != MTC_OK)
        return status;
    if (names_cluster(url))
        status = make_cluster(url, &settings, tier, error);
    else
        status = make_client(url, options, &settings, tier, error);
    explicit_bzero(&settings, sizeof settings);
    return status;
}

static mtc_status redis_open(const mtci_url *url, const void *options,
                             mtc_error *error, mtc_tier **out)
{
    redis_tier *tier = calloc(1, sizeof *tier);
    if (!tier)
        return mtci_fail(error, MTC_E_NO_MEMORY, PART, "redis: out of memory");
    tier->base.ops = &redis_ops;
    mtc_status status = make_link(tier, url, options, error);
    if (status == MTC_OK)
        *out = &tier->base;
    else
        redis_close(&tier->base);
    return status;
}

mtci_redis_client *mtci_redis_tier_client(mtc_tier *tier)
{
    if (!tier || tier->ops != &redis_ops)
        return NULL;
    return ((redis_tier *)tier)->client;
}

mtci_redis_cluster *mtci_redis_tier_cluster(mtc_tier *tier)
{
    if (!tier || tier->ops != &redis_ops)
        return NULL;
    return ((redis_tier *)tier)->cluster;
}

static const mtc_tier_ops redis_ops = {
    .struct_size = sizeof(mtc_tier_ops),
    .abilities = MTC_TIER_TELLS_LEFT | MTC_TIER_SHARED | MTC_TIER_KEEPS_FACTS,
    .scheme = "redis",
    .key_size_max = KEY_SIZE_MAX,
    .value_size_max = VALUE_SIZE_MAX,
    .life_ms_max = MTC_NO_END,
    .life_step_ms = 1,
    .attach = redis_attach,
    .submit = redis_submit,
    .drive = redis_drive,
    .abandon = redis_abandon,
    .tend = redis_tend,
    .usage = redis_usage,
    .close = redis_close,
};

static const mtci_option redis_rows[] = {
    {
        .name = "connect",
        .kind = MTCI_OPTION_DURATION,
        .offset = offsetof(redis_options, connect_ms),
        .min = 1,
        .max = 60000,
        .fallback = "500ms",
        .range = "1ms to 1m",
        .text = "how long connecting and logging in may take",
    },
    {
        .name = "db",
        .kind = MTCI_OPTION_COUNT,
        .offset = offsetof(redis_options, db),
        .min = 0,
        .max = DB_MAX,
        .fallback = "0",
        .range = "0 to 2147483647; with a host, the path says it as well",
        .text = "number of the database",
    },
    {
        .name = "compress",
        .kind = MTCI_OPTION_TEXT,
        .offset = offsetof(redis_options, compress),
        .size = sizeof(((redis_options *)NULL)->compress),
        .fallback = "none",
        .range = "none, lz4, zstd",
        .text = "how large values are compressed where that saves an eighth; "
                "values compressed either way are read whatever this says",
    },
    {
        .name = "compress_min",
        .kind = MTCI_OPTION_SIZE,
        .offset = offsetof(redis_options, compress_size_min),
        .min = 64,
        .max = 512.0 * 1024 * 1024,
        .fallback = "1KiB",
        .range = "64 to 512MiB",
        .text = "values smaller than this are not compressed",
    },
    {
        .name = "checksum",
        .kind = MTCI_OPTION_BOOL,
        .offset = offsetof(redis_options, is_checked),
        .fallback = "off",
        .range = "on, off",
        .text = "every value is stored with a checksum, in a frame; what was "
                "stored without is a miss",
    },
    {
        .name = "sentinel_user",
        .kind = MTCI_OPTION_TEXT,
        .offset = offsetof(redis_options, sentinel.user),
        .size = sizeof(((redis_options *)NULL)->sentinel.user),
        .range = "at most 255 bytes",
        .text = "user for logging in to the sentinels; default: the default "
                "user",
    },
    {
        .name = "sentinel_password",
        .kind = MTCI_OPTION_TEXT,
        .offset = offsetof(redis_options, sentinel.password),
        .size = sizeof(((redis_options *)NULL)->sentinel.password),
        .range = "at most 2047 bytes",
        .text = "password for logging in to the sentinels",
    },
    {
        .name = "protocol",
        .kind = MTCI_OPTION_COUNT,
        .offset = offsetof(redis_options, protocol),
        .min = 2,
        .max = 3,
        .range = "2 or 3; default: 3 where the server has it",
        .text = "version of RESP that is spoken",
    },
    {
        .name = "ping",
        .kind = MTCI_OPTION_DURATION,
        .offset = offsetof(redis_options, ping_ms),
        .min = 0,
        .max = 3600000,
        .fallback = "10s",
        .range = "0s (never) to 1h",
        .text = "silence after which the server is asked whether it lives",
    },
    {
        .name = "ca",
        .kind = MTCI_OPTION_TEXT,
        .offset = offsetof(redis_options, tls.ca),
        .size = sizeof(((redis_options *)NULL)->tls.ca),
        .range = "a file in PEM, with rediss://; default: the system's",
        .text = "authorities that may have signed the server's certificate",
    },
    {
        .name = "cert",
        .kind = MTCI_OPTION_TEXT,
        .offset = offsetof(redis_options, tls.cert),
        .size = sizeof(((redis_options *)NULL)->tls.cert),
        .range = "a file in PEM, with rediss://",
        .text = "client certificate, if the server wants one",
    },
    {
        .name = "key",
        .kind = MTCI_OPTION_TEXT,
        .offset = offsetof(redis_options, tls.key),
        .size = sizeof(((redis_options *)NULL)->tls.key),
        .range = "a file in PEM without password; default: that of cert",
        .text = "private key of cert",
    },
    {
        .name = "tls_name",
        .kind = MTCI_OPTION_TEXT,
        .offset = offsetof(redis_options, tls.name),
        .size = sizeof(((redis_options *)NULL)->tls.name),
        .range = "a host, with rediss://; default: the URL's",
        .text = "for whom the server's certificate must be",
    },
    {
        .name = "tls_insecure",
        .kind = MTCI_OPTION_BOOL,
        .offset = offsetof(redis_options, tls.is_insecure),
        .fallback = "off",
        .range = "with rediss://; logged as a warning",
        .text = "believe any certificate: whoever listens in can read all",
    },
};

static const mtci_option_table redis_table = {
    .scope = "redis",
    .options = redis_rows,
    .count = sizeof redis_rows / sizeof *redis_rows,
};

const mtci_tier_kind mtci_redis_kind = {
    .schemes = "redis valkey rediss valkeys redis+tls redis+unix valkey+unix "
               "redis+cluster valkey+cluster redis+sentinel valkey+sentinel",
    .schemes_of_many =
        "redis+cluster valkey+cluster redis+sentinel valkey+sentinel",
    .options = &redis_table,
    .options_size = sizeof(redis_options),
    .open = redis_open,
};
