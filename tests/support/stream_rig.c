/*
 * Streams for tests. See stream_rig.h. One thread.
 */
#include "support/stream_rig.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define ANY_REPLY                                                              \
    (MTCI_REPLY_NIL | MTCI_REPLY_STATUS | MTCI_REPLY_INTEGER |                 \
     MTCI_REPLY_BULK | MTCI_REPLY_ARRAY)

static stream_rig the_rig;

int stream_rig_start(void **state)
{
    static const char *const ARGS[] = {"--appendonly", "yes", "--appendfsync",
                                       "always", NULL};
    *state = &the_rig;
    if (!test_server_installed(TEST_REDIS))
        return 0;
    return test_server_start(&the_rig.server, TEST_REDIS, ARGS) ? 0 : -1;
}

int stream_rig_stop(void **state)
{
    stream_rig *rig = *state;
    test_server_stop(&rig->server);
    return 0;
}

int stream_rig_setup(void **state)
{
    stream_rig *rig = *state;
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    char tiers[96];
    rig->number++;
    if (!test_server_installed(TEST_REDIS))
        return 0;
    snprintf(tiers, sizeof tiers, "memory %s", rig->server.url);
    options.tiers = tiers;
    rig->client = redis_rig_client(rig->server.port);
    return mtc_cache_open(&options, NULL, &rig->cache) == MTC_OK ? 0 : -1;
}

int stream_rig_teardown(void **state)
{
    stream_rig *rig = *state;
    mtci_client_free(rig->client);
    rig->client = NULL;
    if (rig->cache)
        mtc_cache_close(&rig->cache);
    return 0;
}

mtc_stream *stream_rig_open(stream_rig *rig, const char *name,
                            mtc_stream_options *options)
{
    char key[64];
    mtc_stream *stream = NULL;
    mtc_stream_options patient = MTC_STREAM_OPTIONS_INIT;
    if (!options)
        options = &patient;
    options->deadline_ms = STREAM_WAIT_MS;
    test_server_require(TEST_REDIS);
    snprintf(key, sizeof key, "%s:%u", name, rig->number);
    assert_int_equal(mtc_stream_open(rig->cache, mtc_str(key), options, NULL,
                                     &stream),
                     MTC_OK);
    return stream;
}

const char *stream_rig_ask(stream_rig *rig, const char *format,
                           const char *name)
{
    char words[256];
    char *at = words;
    const char *mark = strstr(format, "%s");
    if (!mark)
        mark = format + strlen(format);
    at += snprintf(at, 100, "%.*s", (int)(mark - format), format);
    if (*mark != '\0')
        snprintf(at, 140, "%s:%u%s", name, rig->number, mark + 2);
    return redis_rig_ask(rig->client, ANY_REPLY, words, rig->text,
                         sizeof rig->text);
}

mtc_stream_id stream_rig_publish(mtc_stream *stream, const char *value)
{
    mtc_stream_id id = {0, 0};
    mtc_field field = {mtc_str("n"), mtc_str(value)};
    assert_int_equal(mtc_stream_publish(stream, &field, 1, &id), MTC_OK);
    return id;
}

bool stream_rig_is_entry(const mtc_stream_batch *batch, size_t index,
                         const char *value)
{
    mtc_slice found = mtc_stream_batch_field(batch, index, 0).value;
    return found.size == strlen(value) &&
           memcmp(found.data, value, found.size) == 0;
}

void stream_rig_await_blocked(stream_rig *rig)
{
    int64_t until_ms = mtci_boot_ms() + STREAM_WAIT_MS;
    do {
        stream_rig_ask(rig, "INFO clients", "");
        assert_true(mtci_boot_ms() < until_ms);
    } while (!strstr(rig->text, "blocked_clients:1"));
}

void stream_rig_kill_and_restart(stream_rig *rig)
{
    int64_t until_ms = mtci_boot_ms() + STREAM_WAIT_MS;
    test_server_kill(&rig->server);
    assert_true(test_server_restart(&rig->server));
    mtci_client_free(rig->client);
    rig->client = redis_rig_client(rig->server.port);
    do {
        stream_rig_ask(rig, "PING", "");
        assert_true(mtci_boot_ms() < until_ms);
    } while (strcmp(rig->text, "+PONG") != 0);
}
