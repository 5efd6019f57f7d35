/*
 * The Redis tier: entries as keys of a Redis or Valkey server, or of a cluster.
 *
 * It owns one client or one cluster, which all threads share; requests.c turns
 * requests into commands and replies into answers. Any thread.
 */
#include "tier/redis/redis.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/hash.h"
#include "tier/redis/options.h"
#include "tier/redis/redis_state.h"

#define PART           "redis"
#define VALUE_SIZE_MAX (((size_t)512 << 20) - MTCI_REDIS_FRAME_ROOM)
#define KEY_SIZE_MAX   ((size_t)512 << 20)

static const mtc_tier_ops redis_ops;

/* What a caller of drive waits for: its request, or that somebody's wait for a
 * lease is due before the time until which it drives. */
typedef struct watch {
    mtci_redis_tier *tier;
    const mtc_request *awaited;
    int64_t until_ms;
} watch;

static bool is_over(const void *ctx)
{
    const watch *watch = ctx;
    return mtc_request_is_complete(watch->awaited) ||
           mtci_awaits_due_ms(&watch->tier->awaits) < watch->until_ms;
}

static void drive_links(mtci_redis_tier *tier, const watch *watch)
{
    const mtc_request *awaited = watch->awaited;
    mtci_awaited one = {is_over, watch};
    if (tier->cluster)
        mtci_cluster_drive(tier->cluster, awaited ? &awaited->mark : NULL,
                           awaited ? &one : NULL, watch->until_ms);
    else
        mtci_client_drive(tier->client, awaited ? &one : NULL, watch->until_ms);
}

static void redis_drive(mtc_tier *base, const mtc_request *awaited,
                        int64_t until_ms)
{
    mtci_redis_tier *tier = (mtci_redis_tier *)base;
    bool is_done = false;
    while (!is_done) {
        int64_t due_ms = mtci_awaits_due_ms(&tier->awaits);
        watch watch = {tier, awaited, due_ms < until_ms ? due_ms : until_ms};
        drive_links(tier, &watch);
        int64_t time_ms = mtci_redis_tier_now_ms(tier);
        mtci_awaits_expire(&tier->awaits, time_ms);
        is_done =
            !awaited || mtc_request_is_complete(awaited) || time_ms >= until_ms;
    }
}

static void redis_abandon(mtc_tier *base, mtc_request *request)
{
    mtci_redis_tier *tier = (mtci_redis_tier *)base;
    mtci_sent sent = {request->sent_ms, request->deadline_ms};
    mtci_awaits_drop(&tier->awaits, request);
    if (tier->cluster)
        mtci_cluster_abandon(tier->cluster, &request->mark, request, &sent);
    else
        mtci_client_abandon(tier->client, request);
}

static void redis_tend(mtc_tier *base, int64_t time_ms)
{
    mtci_redis_tier *tier = (mtci_redis_tier *)base;
    mtci_awaits_expire(&tier->awaits, time_ms);
    if (tier->client)
        mtci_client_tend(tier->client);
    else
        mtci_cluster_drive(tier->cluster, NULL, NULL, 0);
}

static int redis_descriptor(mtc_tier *base)
{
    return mtci_watch_descriptor(&((mtci_redis_tier *)base)->watch);
}

static void redis_usage(mtc_tier *base, mtc_tier_usage *out)
{
    mtci_redis_tier *tier = (mtci_redis_tier *)base;
    *out = (mtc_tier_usage){
        .damaged = atomic_load_explicit(&tier->damaged, memory_order_relaxed),
    };
    if (tier->cluster)
        mtci_cluster_parts(tier->cluster, &out->parts, &out->parts_down);
}

/* -- beginning and end --------------------------------------------------- */

static mtc_status redis_attach(mtc_tier *base, const mtc_tier_host *host)
{
    mtci_redis_tier *tier = (mtci_redis_tier *)base;
    mtci_redis_settings *settings = tier->cluster
                                        ? mtci_cluster_settings(tier->cluster)
                                        : mtci_client_settings(tier->client);
    tier->host = host;
    if (tier->cluster)
        mtci_cluster_watch(tier->cluster, &tier->watch);
    else
        mtci_client_watch(tier->client, &tier->watch);
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
    mtci_redis_tier *tier = (mtci_redis_tier *)base;
    mtci_client_free(tier->client);
    mtci_cluster_free(tier->cluster);
    mtci_redis_sentinels_free(tier->sentinels);
    mtci_watch_fini(&tier->watch);
    mtci_awaits_fini(&tier->awaits);
    free(tier);
}

static mtc_status make_cluster(const mtci_url *url,
                               const mtci_redis_settings *settings,
                               mtci_redis_tier *tier, mtc_error *error)
{
    mtci_address seeds[MTCI_URL_HOSTS_MAX];
    size_t count;
    if (settings->db != 0)
        return mtci_fail(error, MTC_E_INVALID, PART,
                         "redis: a cluster has database 0 alone");
    mtc_status status = mtci_redis_read_seeds(url, error, seeds, &count);
    if (status != MTC_OK)
        return status;
    status = mtci_cluster_new(settings, seeds, count, &tier->cluster);
    if (status != MTC_OK)
        mtci_fail(error, status, PART, "redis: no memory for a cluster");
    return status;
}

/* The client, too, knows the sentinels by what the tier owns. */
static mtc_status make_client(const mtci_url *url,
                              const mtci_redis_options *options,
                              mtci_redis_settings *settings,
                              mtci_redis_tier *tier, mtc_error *error)
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

static mtc_status make_link(mtci_redis_tier *tier, const mtci_url *url,
                            const mtci_redis_options *options, mtc_error *error)
{
    mtci_redis_settings settings;
    mtc_status status = mtci_redis_read_form(options, error, &tier->form);
    if (status == MTC_OK)
        status = mtci_redis_read_settings(url, options, error, &settings);
    if (status != MTC_OK)
        return status;
    settings.push = mtci_redis_await_push;
    settings.is_awaited = mtci_redis_await_is_any;
    settings.push_ctx = &tier->awaits;
    if (mtci_redis_names_cluster(url))
        status = make_cluster(url, &settings, tier, error);
    else
        status = make_client(url, options, &settings, tier, error);
    explicit_bzero(&settings, sizeof settings);
    return status;
}

static mtc_status redis_open(const mtci_url *url, const void *options,
                             mtc_error *error, mtc_tier **out)
{
    mtci_redis_tier *tier = calloc(1, sizeof *tier);
    if (!tier)
        return mtci_fail(error, MTC_E_NO_MEMORY, PART, "redis: out of memory");
    tier->base.ops = &redis_ops;
    mtci_watch_init(&tier->watch);
    tier->lease_seed = mtci_seed();
    mtci_awaits_init(&tier->awaits);
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
    return ((mtci_redis_tier *)tier)->client;
}

mtci_redis_cluster *mtci_redis_tier_cluster(mtc_tier *tier)
{
    if (!tier || tier->ops != &redis_ops)
        return NULL;
    return ((mtci_redis_tier *)tier)->cluster;
}

static const mtc_tier_ops redis_ops = {
    .struct_size = sizeof(mtc_tier_ops),
    .abilities = MTC_TIER_TELLS_LEFT | MTC_TIER_SHARED | MTC_TIER_KEEPS_FACTS |
                 MTC_TIER_LEASES,
    .scheme = "redis",
    .key_size_max = KEY_SIZE_MAX,
    .value_size_max = VALUE_SIZE_MAX,
    .life_ms_max = MTC_NO_END,
    .life_step_ms = 1,
    .attach = redis_attach,
    .submit = mtci_redis_submit,
    .drive = redis_drive,
    .abandon = redis_abandon,
    .tend = redis_tend,
    .usage = redis_usage,
    .close = redis_close,
    .descriptor = redis_descriptor,
};

#define SCHEMES_OF_MANY                                                        \
    "redis+cluster valkey+cluster rediss+cluster valkeys+cluster "             \
    "redis+sentinel valkey+sentinel rediss+sentinel valkeys+sentinel"

const mtci_tier_kind mtci_redis_kind = {
    .schemes = "redis valkey rediss valkeys redis+tls redis+unix "
               "valkey+unix " SCHEMES_OF_MANY,
    .schemes_of_many = SCHEMES_OF_MANY,
    .options = &mtci_redis_option_table,
    .options_size = sizeof(mtci_redis_options),
    .open = redis_open,
};
