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

#include "base/clock.h"
#include "base/error.h"
#include "redis/watch.h"
#include "base/hash.h"
#include "tier/redis/await.h"
#include "tier/redis/bulk.h"
#include "tier/redis/lease.h"
#include "tier/redis/options.h"
#include "tier/redis/refusals.h"

#define PART           "redis"
#define VALUE_SIZE_MAX (((size_t)512 << 20) - MTCI_REDIS_FRAME_ROOM)
#define KEY_SIZE_MAX   ((size_t)512 << 20)

typedef struct redis_tier {
    mtc_tier base;
    mtci_redis_client *client; /* one of the two */
    mtci_redis_cluster *cluster;
    mtci_watch watch;
    mtci_redis_form form; /* constant once attached */
    const mtc_tier_host *host;
    mtci_redis_refusals refusals;
    mtci_sentinel_settings *sentinels; /* NULL: none */
    _Atomic uint64_t damaged;
    mtci_redis_awaits awaits;
    uint64_t lease_seed;
    _Atomic uint64_t lease_count; /* with the seed: tickets that differ */
} redis_tier;

static const mtc_tier_ops redis_ops;

/* -- requests ------------------------------------------------------------ */

static void submit_each(redis_tier *tier, mtc_verb verb,
                        mtc_request *const *requests, size_t count);

/* How a command failed, its own way or the server's; MTC_OK: it did not. */
static mtc_status explain(redis_tier *tier, const mtci_redis_command *command,
                          char failure[MTCI_REDIS_FAILURE_SIZE])
{
    const mtci_reply *error = mtci_command_error(command);
    if (command->status != MTC_OK) {
        snprintf(failure, MTCI_REDIS_FAILURE_SIZE, "%s",
                 command->failure ? command->failure : "");
        return command->status;
    }
    if (!error)
        return MTC_OK;
    mtci_redis_refusals_note(&tier->refusals, tier->host, error);
    mtci_reply_error_text(error, failure, MTCI_REDIS_FAILURE_SIZE);
    return mtci_reply_error_status(error);
}

static void complete(mtc_request *request, mtc_status status,
                     const char *failure)
{
    mtc_request_complete(request, status, failure[0] ? failure : NULL);
}

/* What was not stored under a key by a tier is a miss, and counted. */
static mtc_status count_damage(redis_tier *tier, mtc_status status)
{
    if (status != MTC_E_CORRUPT)
        return status;
    atomic_fetch_add_explicit(&tier->damaged, 1, memory_order_relaxed);
    return MTC_MISS;
}

/* What the server said of a key goes to its request. */
static void answer(redis_tier *tier, mtc_request *request,
                   const mtci_reply *life, mtci_reply *found)
{
    char failure[MTCI_REDIS_FAILURE_SIZE] = "";
    mtc_status status =
        mtci_redis_entry_found(&tier->form, request, life, found, failure);
    complete(request, count_damage(tier, status), failure);
}

/* A command's request knows its tier by its link. */
static void finish_read(mtci_redis_command *command)
{
    mtc_request *request = command->ctx;
    redis_tier *tier = request->link;
    char failure[MTCI_REDIS_FAILURE_SIZE] = "";
    mtc_status status = explain(tier, command, failure);
    if (status == MTC_OK)
        answer(tier, request, &command->replies[0], &command->replies[1]);
    else
        complete(request, status, failure);
    mtci_command_free(command);
}

/* Whether the answer is to this command alone: others would get another. */
static bool may_ask_alone(const mtci_redis_command *command, mtc_status status)
{
    return command->status == MTC_OK &&
           (status == MTC_E_TOO_LARGE || status == MTC_E_DENIED);
}

static void finish_bulk(mtci_redis_command *command)
{
    mtci_redis_bulk *bulk = command->ctx;
    redis_tier *tier = bulk->requests[0]->link;
    mtc_request *alone[MTCI_REDIS_BULK_KEYS_MAX];
    size_t alone_count = 0;
    char failure[MTCI_REDIS_FAILURE_SIZE] = "";
    mtc_status status = explain(tier, command, failure);
    bool is_alone = may_ask_alone(command, status);
    for (size_t i = 0; i < bulk->count; i++) {
        if (is_alone ||
            (status == MTC_OK && mtci_redis_bulk_is_open(command, i)))
            alone[alone_count++] = bulk->requests[i];
        else if (status == MTC_OK)
            answer(tier, bulk->requests[i], mtci_redis_bulk_life(command, i),
                   mtci_redis_bulk_found(command, i));
        else
            complete(bulk->requests[i], status, failure);
    }
    mtci_command_free(command);
    free(bulk);
    if (alone_count > 0)
        submit_each(tier, MTC_VERB_READ, alone, alone_count);
}

/* Whoever waits for the key's lease here need not wait for a message. */
static void finish_write(mtci_redis_command *command)
{
    mtc_request *request = command->ctx;
    redis_tier *tier = request->link;
    char failure[MTCI_REDIS_FAILURE_SIZE] = "";
    mtc_status status = explain(tier, command, failure);
    mtci_command_free(command);
    mtci_redis_awaits_wake(&tier->awaits, request->key);
    complete(request, status, failure);
}

/* -- leases -------------------------------------------------------------- */

static int64_t now_ms(const redis_tier *tier)
{
    return tier->host ? tier->host->now_ms(tier->host->ctx) : mtci_boot_ms();
}

static uint64_t new_ticket(redis_tier *tier)
{
    uint64_t count =
        atomic_fetch_add_explicit(&tier->lease_count, 1, memory_order_relaxed);
    uint64_t ticket =
        mtci_hash(mtc_bytes(&count, sizeof count), tier->lease_seed);
    return ticket ? ticket : 1;
}

/* Whether the connection that a command is about to be sent on can tell of
 * leases; without that nobody could wait. By the driver of it. */
static bool has_pushes(const mtci_redis_command *command)
{
    const mtc_request *request = command->ctx;
    const redis_tier *tier = request->link;
    return tier->cluster ? mtci_cluster_has_pushes(tier->cluster, command)
                         : mtci_client_has_pushes(tier->client);
}

static bool prepare_take(mtci_redis_command *command, int64_t time_ms)
{
    (void)time_ms;
    mtci_redis_lease_allow(command, has_pushes(command));
    return true;
}

static bool prepare_await(mtci_redis_command *command, int64_t time_ms)
{
    (void)time_ms;
    return has_pushes(command);
}

static void finish_take(mtci_redis_command *command)
{
    mtc_request *request = command->ctx;
    redis_tier *tier = request->link;
    char failure[MTCI_REDIS_FAILURE_SIZE] = "";
    mtc_status status = explain(tier, command, failure);
    if (status == MTC_OK) {
        status = mtci_redis_lease_found(&tier->form, request,
                                        &command->replies[0], failure);
        status = count_damage(tier, status);
    } else {
        request->ticket = 0;
        request->lease_ms = 0;
    }
    mtci_command_free(command);
    complete(request, status, failure);
}

/* A fill, a renewal or a lease given back: 0 says that it was not held. */
static void finish_held(mtci_redis_command *command)
{
    mtc_request *request = command->ctx;
    redis_tier *tier = request->link;
    char failure[MTCI_REDIS_FAILURE_SIZE] = "";
    mtc_status status = explain(tier, command, failure);
    if (status == MTC_OK && command->replies[0].integer != 1)
        status = MTC_E_CANCELLED;
    mtci_command_free(command);
    complete(request, status, failure);
}

/* What is left of the lease that an await found. */
static int64_t lease_left(redis_tier *tier, mtci_redis_command *command)
{
    mtc_request *request = command->ctx;
    char failure[MTCI_REDIS_FAILURE_SIZE] = "";
    mtci_redis_entry_found(&tier->form, request, &command->replies[0],
                           &command->replies[1], failure);
    mtc_value_free(&request->value);
    request->facts = (mtc_facts){.kind = MTC_KIND_VALUE};
    return request->lease_ms;
}

static void finish_await(mtci_redis_command *command)
{
    mtc_request *request = command->ctx;
    redis_tier *tier = request->link;
    char failure[MTCI_REDIS_FAILURE_SIZE] = "";
    mtc_status status = explain(tier, command, failure);
    int64_t left_ms = status == MTC_OK ? lease_left(tier, command) : 0;
    mtci_command_free(command);
    if (left_ms > 0) {
        mtci_redis_awaits_add(&tier->awaits, request, left_ms, now_ms(tier));
        return;
    }
    /* Not sent though there was time: see prepare_await. */
    if (status == MTC_E_TIMEOUT && now_ms(tier) < request->deadline_ms) {
        complete(request, MTC_E_UNSUPPORTED, "the server has no pushes");
        return;
    }
    complete(request, status, failure);
}

static void set_lease_calls(mtci_redis_command *command, mtc_verb verb)
{
    command->done = finish_held;
    if (verb == MTC_VERB_READ) {
        command->prepare = prepare_take;
        command->done = finish_take;
    } else if (verb == MTC_VERB_AWAIT) {
        command->prepare = prepare_await;
        command->done = finish_await;
    }
}

/* -- submitting ---------------------------------------------------------- */

/* The command for one request, or NULL: the request has ended. */
static mtci_redis_command *make_one(redis_tier *tier, mtc_verb verb,
                                    mtc_request *request)
{
    bool is_lease = mtci_redis_lease_is(verb, request);
    if (is_lease && verb == MTC_VERB_READ)
        request->ticket = new_ticket(tier);
    mtci_redis_command *command =
        is_lease ? mtci_redis_lease_command(&tier->form, verb, request)
                 : mtci_redis_entry_command(&tier->form, verb, request);
    request->link = tier;
    if (!command) {
        complete(request, MTC_E_NO_MEMORY, "out of memory");
        return NULL;
    }
    if (is_lease)
        set_lease_calls(command, verb);
    else
        command->done = verb == MTC_VERB_READ ? finish_read : finish_write;
    if (tier->cluster)
        mtci_cluster_route(tier->cluster, command, request->key,
                           &request->mark);
    return command;
}

static void submit_each(redis_tier *tier, mtc_verb verb,
                        mtc_request *const *requests, size_t count)
{
    mtci_command_queue commands = {0};
    for (size_t i = 0; i < count; i++) {
        mtci_redis_command *command = make_one(tier, verb, requests[i]);
        if (command)
            mtci_queue_push(&commands, command);
    }
    if (tier->cluster)
        mtci_cluster_submit(tier->cluster, &commands);
    else
        mtci_client_submit(tier->client, &commands);
}

/* As one command; where there is no memory for it, one by one. */
static void submit_bulk(redis_tier *tier, mtc_request *const *requests,
                        size_t count)
{
    mtci_command_queue one = {0};
    mtci_redis_command *command = mtci_redis_bulk_command(requests, count);
    if (!command) {
        submit_each(tier, MTC_VERB_READ, requests, count);
        return;
    }
    for (size_t i = 0; i < count; i++)
        requests[i]->link = tier;
    command->done = finish_bulk;
    mtci_queue_push(&one, command);
    mtci_client_submit(tier->client, &one);
}

static void redis_submit(mtc_tier *base, mtc_verb verb,
                         mtc_request *const *requests, size_t count)
{
    redis_tier *tier = (redis_tier *)base;
    if (verb != MTC_VERB_READ || tier->cluster) {
        submit_each(tier, verb, requests, count);
        return;
    }
    for (size_t done = 0; done < count;) {
        size_t run = requests[done]->lease_ms > 0
                         ? 1
                         : mtci_redis_bulk_run(requests + done, count - done);
        if (run > 1)
            submit_bulk(tier, requests + done, run);
        else
            submit_each(tier, verb, requests + done, 1);
        done += run;
    }
}

/* What a caller of drive waits for: its request, or that somebody's wait for a
 * lease is due before the time until which it drives. */
typedef struct watch {
    redis_tier *tier;
    const mtc_request *awaited;
    int64_t until_ms;
} watch;

static bool is_over(const void *ctx)
{
    const watch *watch = ctx;
    return mtc_request_is_complete(watch->awaited) ||
           mtci_redis_awaits_due_ms(&watch->tier->awaits) < watch->until_ms;
}

static void drive_links(redis_tier *tier, const watch *watch)
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
    redis_tier *tier = (redis_tier *)base;
    bool is_done = false;
    while (!is_done) {
        int64_t due_ms = mtci_redis_awaits_due_ms(&tier->awaits);
        watch watch = {tier, awaited, due_ms < until_ms ? due_ms : until_ms};
        drive_links(tier, &watch);
        int64_t time_ms = now_ms(tier);
        mtci_redis_awaits_expire(&tier->awaits, time_ms);
        is_done =
            !awaited || mtc_request_is_complete(awaited) || time_ms >= until_ms;
    }
}

static void redis_abandon(mtc_tier *base, mtc_request *request)
{
    redis_tier *tier = (redis_tier *)base;
    mtci_sent sent = {request->sent_ms, request->deadline_ms};
    mtci_redis_awaits_drop(&tier->awaits, request);
    if (tier->cluster)
        mtci_cluster_abandon(tier->cluster, &request->mark, request, &sent);
    else
        mtci_client_abandon(tier->client, request);
}

static void redis_tend(mtc_tier *base, int64_t time_ms)
{
    redis_tier *tier = (redis_tier *)base;
    mtci_redis_awaits_expire(&tier->awaits, time_ms);
    if (tier->client)
        mtci_client_tend(tier->client);
    else
        mtci_cluster_drive(tier->cluster, NULL, NULL, 0);
}

static int redis_descriptor(mtc_tier *base)
{
    return mtci_watch_descriptor(&((redis_tier *)base)->watch);
}

static void redis_usage(mtc_tier *base, mtc_tier_usage *out)
{
    redis_tier *tier = (redis_tier *)base;
    *out = (mtc_tier_usage){
        .damaged = atomic_load_explicit(&tier->damaged, memory_order_relaxed),
    };
    if (tier->cluster)
        mtci_cluster_parts(tier->cluster, &out->parts, &out->parts_down);
}

/* -- beginning and end --------------------------------------------------- */

static mtc_status redis_attach(mtc_tier *base, const mtc_tier_host *host)
{
    redis_tier *tier = (redis_tier *)base;
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
    redis_tier *tier = (redis_tier *)base;
    mtci_client_free(tier->client);
    mtci_cluster_free(tier->cluster);
    mtci_redis_sentinels_free(tier->sentinels);
    mtci_watch_fini(&tier->watch);
    mtci_redis_awaits_fini(&tier->awaits);
    free(tier);
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
                            const mtci_redis_options *options, mtc_error *error)
{
    mtci_redis_settings settings;
    mtc_status status = mtci_redis_read_form(options, error, &tier->form);
    if (status == MTC_OK)
        status = mtci_redis_read_settings(url, options, error, &settings);
    if (status != MTC_OK)
        return status;
    settings.push = mtci_redis_awaits_push;
    settings.is_awaited = mtci_redis_awaits_any;
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
    redis_tier *tier = calloc(1, sizeof *tier);
    if (!tier)
        return mtci_fail(error, MTC_E_NO_MEMORY, PART, "redis: out of memory");
    tier->base.ops = &redis_ops;
    mtci_watch_init(&tier->watch);
    tier->lease_seed = mtci_seed();
    mtci_redis_awaits_init(&tier->awaits);
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
    .abilities = MTC_TIER_TELLS_LEFT | MTC_TIER_SHARED | MTC_TIER_KEEPS_FACTS |
                 MTC_TIER_LEASES,
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
