/*
 * labels: server
 *
 * A cache on a master that sentinels know, where all speak TLS alone. The last
 * sentinel shows a certificate for another host.
 */
#include "mtc/cache.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "mtc/stream.h"
#include "support/redis_pair.h"
#include "support/sentinel_rig.h"

#define WAIT_MS 20000
#define ANY     (MTCI_REPLY_STATUS | MTCI_REPLY_BULK | MTCI_REPLY_NIL)

static char dir[64];
static sentinel_rig rig;

static int start(void **state)
{
    (void)state;
    if (!test_server_installed(TEST_SENTINEL_TLS))
        return 0;
    if (!tls_rig_make(dir))
        return -1;
    sentinel_rig_start_tls(&rig, dir);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    sentinel_rig_stop(&rig);
    if (dir[0] != '\0')
        tls_rig_remove(dir);
    return 0;
}

static mtc_cache *open_cache(void)
{
    char tiers[256];
    mtc_cache *cache = NULL;
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    snprintf(tiers, sizeof tiers,
             "rediss+sentinel://127.0.0.1:%d,127.0.0.1:%d/mymaster"
             "?ca=%s/ca.crt&connect=5s&deadline=20s",
             rig.sentinels[2].port, rig.sentinels[0].port, dir);
    options.tiers = tiers;
    assert_int_equal(mtc_cache_open(&options, NULL, &cache), MTC_OK);
    return cache;
}

static void expect_found(const test_server *server, const char *value)
{
    assert_string_equal(sentinel_rig_ask(server, ANY, "GET k"), value);
}

/* -- the master ----------------------------------------------------------- */

/* A stream reads on a connection of its own. */
static void publish_and_read(mtc_cache *cache)
{
    mtc_stream *stream = NULL;
    mtc_stream_id cursor = {0};
    mtc_stream_batch *batch = NULL;
    mtc_field field = {mtc_str("n"), mtc_str("v")};
    mtc_stream_options options = MTC_STREAM_OPTIONS_INIT;
    options.deadline_ms = WAIT_MS;
    assert_int_equal(mtc_stream_open(cache, mtc_str("events"), &options, NULL,
                                     &stream),
                     MTC_OK);
    assert_int_equal(mtc_stream_publish(stream, &field, 1, NULL), MTC_OK);
    assert_int_equal(mtc_stream_read_after(stream, &cursor, 1, 1000, &batch),
                     MTC_OK);
    mtc_stream_batch_free(&batch);
    mtc_stream_close(&stream);
}

static void the_master_is_found_also_after_it_has_moved(void **state)
{
    (void)state;
    test_server_require(TEST_SENTINEL_TLS);
    mtc_cache *cache = open_cache();
    mtc_slice key = mtc_str("k");
    assert_int_equal(mtc_cache_set(cache, key, mtc_str("1"), NULL), MTC_OK);
    expect_found(&rig.servers[0], "1");
    publish_and_read(cache);
    sentinel_rig_await_sync(&rig);
    assert_string_equal(sentinel_rig_ask(&rig.sentinels[0], ANY,
                                         "SENTINEL FAILOVER mymaster"),
                        "+OK");
    sentinel_rig_await_master(&rig, &rig.servers[1]);
    int64_t until_ms = mtci_boot_ms() + WAIT_MS;
    while (strcmp(sentinel_rig_ask(&rig.servers[1], ANY, "GET k"), "2") != 0) {
        mtc_cache_set(cache, key, mtc_str("2"), NULL);
        assert_true(mtci_boot_ms() < until_ms);
    }
    publish_and_read(cache);
    mtc_cache_close(&cache);
}

/* -- refusals ------------------------------------------------------------- */

/* What a read gets by way of one sentinel. */
static void expect(const char *scheme, const test_server *sentinel,
                   const char *params, mtc_status status, const char *words)
{
    char url[256];
    snprintf(url, sizeof url, "%s://127.0.0.1:%d/mymaster?connect=5s%s", scheme,
             sentinel->port, params);
    mtc_tier *tier = redis_rig_tier(url, NULL);
    assert_non_null(tier);
    redis_asked asked = redis_pair_ask(tier, MTC_VERB_READ, mtc_str("none"));
    if (asked.request.status != status || !strstr(asked.failure, words))
        fail_msg("%s: %s", mtc_status_name(asked.request.status),
                 asked.failure);
    mtc_tier_close(tier);
}

static void a_sentinel_is_verified(void **state)
{
    char params[96];
    (void)state;
    test_server_require(TEST_SENTINEL_TLS);
    snprintf(params, sizeof params, "&ca=%s/ca.crt", dir);
    expect("rediss+sentinel", &rig.sentinels[0], params, MTC_MISS, "");
    expect("rediss+sentinel", &rig.sentinels[2], params, MTC_E_DENIED,
           "a sentinel: the certificate is for another host than 127.0.0.1; "
           "tls_name=HOST says");
    snprintf(params, sizeof params, "&ca=%s/other_ca.crt", dir);
    expect("valkeys+sentinel", &rig.sentinels[0], params, MTC_E_DENIED,
           "a sentinel: the certificate is not signed by a known authority");
}

/* Here the sentinel has the name, the master has not. */
static void tls_name_is_expected_of_sentinels_and_of_the_master(void **state)
{
    char params[128];
    (void)state;
    test_server_require(TEST_SENTINEL_TLS);
    snprintf(params, sizeof params, "&ca=%s/ca.crt&tls_name=cache.example",
             dir);
    expect("rediss+sentinel", &rig.sentinels[0], params, MTC_E_DENIED,
           "a sentinel: the certificate is for another host than "
           "cache.example (tls_name)");
    expect("rediss+sentinel", &rig.sentinels[2], params, MTC_E_DENIED,
           "the certificate is for another host than cache.example (tls_name)");
}

static void a_plain_client_is_told_of_the_scheme(void **state)
{
    (void)state;
    test_server_require(TEST_SENTINEL_TLS);
    expect("redis+sentinel", &rig.sentinels[0], "", MTC_E_UNAVAILABLE,
           "write rediss+sentinel://");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sentinel_is_verified),
        cmocka_unit_test(tls_name_is_expected_of_sentinels_and_of_the_master),
        cmocka_unit_test(a_plain_client_is_told_of_the_scheme),
        cmocka_unit_test(the_master_is_found_also_after_it_has_moved),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
