/*
 * labels: server
 *
 * A cache on a cluster that speaks TLS alone: every node is verified, and
 * values, moved slots and streams are as without.
 */
#include "mtc/cache.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "mtc/stream.h"
#include "redis/slots.h"
#include "support/redis_cluster.h"
#include "support/redis_pair.h"
#include "support/redis_rig.h"
#include "support/standing.h"

#define KEYS      300
#define TEXT_SIZE 24
#define WAIT_MS   20000
#define ROUNDS    3

static char dir[64];
static test_cluster the_cluster;
static mtc_cache *the_cache;

static int start(void **state)
{
    char tiers[256];
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    (void)state;
    mtct_standing_shares_connections();
    if (!test_server_installed(TEST_REDIS_TLS))
        return 0;
    if (!tls_rig_make(dir) || !test_cluster_start_tls(&the_cluster, dir))
        return -1;
    snprintf(tiers, sizeof tiers, "%s&connect=5s&deadline=20s",
             the_cluster.url);
    options.tiers = tiers;
    return mtc_cache_open(&options, NULL, &the_cache) == MTC_OK ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    mtc_cache_close(&the_cache);
    test_cluster_stop(&the_cluster);
    if (dir[0] != '\0')
        tls_rig_remove(dir);
    return 0;
}

/* A key that this master serves. */
static const char *key_of(int master)
{
    static char key[TEXT_SIZE];
    for (unsigned i = 0;; i++) {
        snprintf(key, sizeof key, "key:%u", i);
        unsigned slot = mtci_slot_of_key(mtc_str(key));
        if (test_cluster_owner(&the_cluster, slot) == master)
            return key;
    }
}

/* -- values --------------------------------------------------------------- */

static void values_are_kept_on_every_node(void **state)
{
    static char texts[KEYS][TEXT_SIZE];
    static mtc_item items[KEYS];
    char text[32];
    (void)state;
    test_server_require(TEST_REDIS_TLS);
    for (unsigned i = 0; i < KEYS; i++) {
        snprintf(texts[i], TEXT_SIZE, "many:%u", i);
        items[i].key = items[i].bytes = mtc_str(texts[i]);
    }
    assert_int_equal(mtc_cache_set_many(the_cache, items, KEYS, &MTC_LONG_TERM),
                     MTC_OK);
    for (int i = 0; i < TEST_CLUSTER_MASTERS; i++) {
        redis_rig_ask(the_cluster.admins[i], MTCI_REPLY_INTEGER, "DBSIZE", text,
                      sizeof text);
        assert_true(atoi(text + 1) > KEYS / 6);
    }
    assert_int_equal(mtc_cache_get_many(the_cache, items, KEYS), MTC_OK);
    for (unsigned i = 0; i < KEYS; i++) {
        assert_int_equal(items[i].value.size, strlen(texts[i]));
        assert_memory_equal(items[i].value.data, texts[i], strlen(texts[i]));
        mtc_value_free(&items[i].value);
    }
}

static void expect_found(const char *key, const char *text)
{
    mtc_value value = {0};
    assert_int_equal(mtc_cache_get(the_cache, mtc_str(key), &value), MTC_OK);
    assert_int_equal(value.size, strlen(text));
    assert_memory_equal(value.data, text, value.size);
    mtc_value_free(&value);
}

static void a_slot_that_moved_is_followed(void **state)
{
    (void)state;
    test_server_require(TEST_REDIS_TLS);
    unsigned slot = mtci_slot_of_key(mtc_str("mover"));
    int owner = test_cluster_owner(&the_cluster, slot);
    int to = (owner + 1) % TEST_CLUSTER_MASTERS;
    mtc_slice key = mtc_str("mover");
    assert_int_equal(mtc_cache_set(the_cache, key, mtc_str("before"), NULL),
                     MTC_OK);
    assert_true(test_cluster_move(&the_cluster, slot, owner, to));
    expect_found("mover", "before");
    assert_true(test_cluster_begin_move(&the_cluster, slot, to, owner));
    assert_int_equal(mtc_cache_set(the_cache, key, mtc_str("after"), NULL),
                     MTC_OK);
    expect_found("mover", "after");
    assert_true(test_cluster_move(&the_cluster, slot, to, owner));
    expect_found("mover", "after");
}

/* -- streams -------------------------------------------------------------- */

typedef struct reader {
    mtc_stream *stream;
    mtc_status status;
    unsigned count;
} reader;

static void *read_all(void *ctx)
{
    reader *reader = ctx;
    mtc_stream_id cursor = {0, 0};
    while (reader->status == MTC_OK && reader->count < 2 * ROUNDS) {
        mtc_stream_batch *batch = NULL;
        reader->status =
            mtc_stream_read_after(reader->stream, &cursor, 1, WAIT_MS, &batch);
        if (reader->status == MTC_OK)
            reader->count++;
        mtc_stream_batch_free(&batch);
    }
    return NULL;
}

static void publish(mtc_stream *stream)
{
    mtc_field field = {mtc_str("n"), mtc_str("v")};
    assert_int_equal(mtc_stream_publish(stream, &field, 1, NULL), MTC_OK);
}

/* The stream is on each master in turn; its links are made there. */
static void a_waiting_reader_follows_its_stream(void **state)
{
    (void)state;
    test_server_require(TEST_REDIS_TLS);
    mtc_stream_options options = MTC_STREAM_OPTIONS_INIT;
    reader reader = {.status = MTC_OK};
    pthread_t thread;
    options.deadline_ms = WAIT_MS;
    assert_int_equal(mtc_stream_open(the_cache, mtc_str("news"), &options, NULL,
                                     &reader.stream),
                     MTC_OK);
    unsigned slot = mtci_slot_of_key(mtc_str("news"));
    int owner = test_cluster_owner(&the_cluster, slot);
    assert_int_equal(pthread_create(&thread, NULL, read_all, &reader), 0);
    for (int i = 0; i < ROUNDS; i++) {
        int to = (owner + 1) % TEST_CLUSTER_MASTERS;
        publish(reader.stream);
        assert_true(test_cluster_move(&the_cluster, slot, owner, to));
        publish(reader.stream);
        owner = to;
    }
    pthread_join(thread, NULL);
    assert_int_equal(reader.status, MTC_OK);
    mtc_stream_close(&reader.stream);
}

/* -- refusals ------------------------------------------------------------- */

static mtc_tier *open_tier(const char *scheme, const char *params)
{
    char url[256];
    snprintf(url, sizeof url, "%s://127.0.0.1:%d,127.0.0.1:%d?connect=5s%s",
             scheme, the_cluster.servers[0].port, the_cluster.servers[4].port,
             params);
    mtc_tier *tier = redis_rig_tier(url, NULL);
    assert_non_null(tier);
    return tier;
}

/* What a read says in the end; the failure begins with the node's name. */
static void expect(mtc_tier *tier, const char *key, mtc_status status,
                   const char *words)
{
    redis_asked asked = redis_pair_ask(tier, MTC_VERB_READ, mtc_str(key));
    if (asked.request.status != status || !strstr(asked.failure, words))
        fail_msg("%s: %s", mtc_status_name(asked.request.status),
                 asked.failure);
}

static void an_unknown_authority_is_refused(void **state)
{
    char params[96];
    (void)state;
    test_server_require(TEST_REDIS_TLS);
    snprintf(params, sizeof params, "&ca=%s/other_ca.crt", dir);
    mtc_tier *tier = open_tier("rediss+cluster", params);
    expect(tier, "k", MTC_E_DENIED,
           ": the certificate is not signed by a known authority");
    mtc_tier_close(tier);
}

static void a_plain_client_is_told_of_the_scheme(void **state)
{
    (void)state;
    test_server_require(TEST_REDIS_TLS);
    mtc_tier *tier = open_tier("valkey+cluster", "");
    expect(tier, "k", MTC_E_UNAVAILABLE, "write rediss+cluster://");
    mtc_tier_close(tier);
}

/* From here on the node shows this certificate. */
static void show(int node, const char *name)
{
    char words[256], text[64];
    snprintf(words, sizeof words,
             "CONFIG SET tls-cert-file %s/%s.crt tls-key-file %s/%s.key", dir,
             name, dir, name);
    assert_string_equal(redis_rig_ask(the_cluster.admins[node],
                                      MTCI_REPLY_STATUS, words, text,
                                      sizeof text),
                        "+OK");
}

static void
a_node_is_verified_by_the_address_that_the_cluster_says(void **state)
{
    char params[96], words[160];
    (void)state;
    test_server_require(TEST_REDIS_TLS);
    snprintf(params, sizeof params, "&ca=%s/ca.crt", dir);
    show(1, "elsewhere");
    mtc_tier *tier = open_tier("valkeys+cluster", params);
    expect(tier, key_of(0), MTC_MISS, "");
    snprintf(words, sizeof words,
             "127.0.0.1:%d: the certificate is for another host than "
             "127.0.0.1; tls_name=HOST says",
             the_cluster.servers[1].port);
    expect(tier, key_of(1), MTC_E_DENIED, words);
    expect(tier, key_of(2), MTC_MISS, "");
    mtc_tier_close(tier);
    show(1, "good");
}

static void tls_name_is_expected_of_every_node(void **state)
{
    char params[128];
    (void)state;
    test_server_require(TEST_REDIS_TLS);
    snprintf(params, sizeof params, "&ca=%s/ca.crt&tls_name=cache.example",
             dir);
    for (int i = 0; i < TEST_CLUSTER_NODES; i++)
        show(i, i == 2 ? "good" : "elsewhere");
    mtc_tier *tier = open_tier("rediss+cluster", params);
    expect(tier, key_of(0), MTC_MISS, "");
    expect(tier, key_of(1), MTC_MISS, "");
    expect(tier, key_of(2), MTC_E_DENIED,
           "another host than cache.example (tls_name)");
    mtc_tier_close(tier);
    for (int i = 0; i < TEST_CLUSTER_NODES; i++)
        show(i, "good");
}

static void announce(const char *type, const char *host)
{
    char words[128], text[64];
    snprintf(words, sizeof words,
             "CONFIG SET cluster-preferred-endpoint-type %s "
             "cluster-announce-hostname %s",
             type, host);
    for (int i = 0; i < TEST_CLUSTER_NODES; i++)
        assert_string_equal(redis_rig_ask(the_cluster.admins[i],
                                          MTCI_REPLY_STATUS, words, text,
                                          sizeof text),
                            "+OK");
}

/* Until this node has heard the names of all. */
static void await_names(int node)
{
    static char text[4096];
    int64_t until_ms = mtci_boot_ms() + WAIT_MS;
    for (unsigned count = 0; count < TEST_CLUSTER_NODES;) {
        assert_true(mtci_boot_ms() < until_ms);
        const char *at =
            redis_rig_ask(the_cluster.admins[node], MTCI_REPLY_BULK,
                          "CLUSTER NODES", text, sizeof text);
        for (count = 0; (at = strstr(at, ",localhost")) != NULL; at++)
            count++;
    }
}

static void a_node_is_verified_by_the_name_that_the_cluster_says(void **state)
{
    char url[160];
    (void)state;
    test_server_require(TEST_REDIS_TLS);
    announce("hostname", "localhost");
    await_names(0);
    for (int i = 0; i < TEST_CLUSTER_NODES; i++)
        show(i, "named");
    snprintf(url, sizeof url,
             "rediss+cluster://localhost:%d?ca=%s/ca.crt&connect=5s",
             the_cluster.servers[0].port, dir);
    mtc_tier *tier = redis_rig_tier(url, NULL);
    for (int i = 0; i < TEST_CLUSTER_MASTERS; i++)
        expect(tier, key_of(i), MTC_MISS, "");
    mtc_tier_close(tier);
    for (int i = 0; i < TEST_CLUSTER_NODES; i++)
        show(i, "good");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_kept_on_every_node),
        cmocka_unit_test(a_slot_that_moved_is_followed),
        cmocka_unit_test(a_waiting_reader_follows_its_stream),
        cmocka_unit_test(an_unknown_authority_is_refused),
        cmocka_unit_test(a_plain_client_is_told_of_the_scheme),
        cmocka_unit_test(
            a_node_is_verified_by_the_address_that_the_cluster_says),
        cmocka_unit_test(tls_name_is_expected_of_every_node),
        cmocka_unit_test(a_node_is_verified_by_the_name_that_the_cluster_says),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
