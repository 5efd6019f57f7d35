/*
 * Redis tiers, clients and settings for tests. Stateless.
 */
#include "support/redis_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis/call.h"
#include "tier/open.h"

#define ASK_MS 2000

static mtc_status apply_params(const mtci_url *url, mtc_error *error,
                               void *options)
{
    mtci_options_default(mtci_redis_kind.options, options);
    for (size_t i = 0; i < url->param_count; i++) {
        bool is_known;
        mtc_status status =
            mtci_options_set(mtci_redis_kind.options, &url->params[i], error,
                             options, &is_known);
        if (status != MTC_OK)
            return status;
    }
    return MTC_OK;
}

mtc_tier *redis_rig_tier(const char *url, mtc_error *error)
{
    mtc_tier *tier = NULL;
    mtci_url parts;
    if (mtci_url_parse(url, error, &parts) != MTC_OK)
        return NULL;
    void *options = calloc(1, mtci_redis_kind.options_size);
    if (options && apply_params(&parts, error, options) == MTC_OK)
        mtci_redis_kind.open(&parts, options, error, &tier);
    free(options);
    mtci_url_fini(&parts);
    return tier;
}

mtci_redis_settings redis_rig_settings(int port)
{
    mtci_redis_settings settings = {
        .address = {"127.0.0.1", port},
        .connect_ms = 500,
        .bulk_size_max = (size_t)64 << 20,
        .clock = mtci_clock_boot,
    };
    return settings;
}

mtci_redis_client *redis_rig_client(int port)
{
    mtci_redis_settings settings = redis_rig_settings(port);
    mtci_redis_client *client = NULL;
    mtci_client_new(&settings, &client);
    return client;
}

mtci_redis_client *redis_rig_client_to(const test_server *server)
{
    mtci_redis_settings settings = redis_rig_settings(server->port);
    mtci_redis_client *client = NULL;
    settings.tls.is_on =
        server->kind == TEST_REDIS_TLS || server->kind == TEST_SENTINEL_TLS;
    settings.tls.is_insecure = true;
    mtci_client_new(&settings, &client);
    return client;
}

mtci_redis_settings redis_rig_sentinels(const int *ports,
                                        mtci_sentinel_settings *sentinels)
{
    mtci_redis_settings settings = redis_rig_settings(0);
    *sentinels = (mtci_sentinel_settings){.master = "mymaster"};
    for (; ports[sentinels->count] != 0; sentinels->count++) {
        mtci_address *address = &sentinels->addresses[sentinels->count];
        *address = (mtci_address){"127.0.0.1", ports[sentinels->count]};
    }
    settings.address.host[0] = '\0';
    settings.sentinels = sentinels;
    return settings;
}

mtci_redis_command *redis_rig_command(uint32_t expects, const char *words)
{
    mtci_redis_command *command = mtci_command_new(expects);
    size_t count = 1;
    for (const char *c = words; *c != '\0'; c++)
        count += *c == ' ';
    mtci_resp_begin(&command->bytes, count);
    for (size_t i = 0; i < count; i++) {
        size_t size = strcspn(words, " ");
        mtci_resp_add(&command->bytes, mtc_bytes(words, size));
        words += size + 1;
    }
    return command;
}

static void show(const mtci_reply *reply, char *text, size_t size)
{
    mtc_slice bytes = mtci_reply_slice(reply);
    const char *mark = reply->type == MTCI_REPLY_STATUS ? "+" : "";
    if (reply->type == MTCI_REPLY_NIL)
        snprintf(text, size, "nil");
    else if (reply->type == MTCI_REPLY_INTEGER)
        snprintf(text, size, ":%lld", (long long)reply->integer);
    else if (reply->type == MTCI_REPLY_ARRAY)
        snprintf(text, size, "*%zu", reply->count);
    else
        snprintf(text, size, "%s%.*s", mark, (int)bytes.size,
                 (const char *)bytes.data);
}

const char *redis_rig_ask(mtci_redis_client *client, uint32_t expects,
                          const char *words, char *text, size_t size)
{
    char failure[MTCI_CALL_FAILURE_SIZE];
    mtci_reply reply;
    mtc_status status =
        mtci_redis_call(client, redis_rig_command(expects, words),
                        mtci_boot_ms() + ASK_MS, failure, &reply);
    if (status == MTC_OK)
        show(&reply, text, size);
    else
        snprintf(text, size, "%s %s", mtc_status_name(status), failure);
    mtci_reply_fini(&reply);
    return text;
}
