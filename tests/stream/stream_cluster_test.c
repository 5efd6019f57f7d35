/*
 * labels: server
 *
 * Streams on a real cluster, while slots move and when a node dies.
 */
#include "mtc/stream.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "mtc/cache.h"
#include "mtc/group.h"
#include "redis/slots.h"
#include "support/redis_cluster.h"
#include "support/standing.h"

#define WAIT_MS 20000
#define ROUNDS  12

static test_cluster the_cluster;
static mtc_cache *the_cache;

static int start(void **state)
{
    char tiers[200];
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    (void)state;
    mtct_standing_shares_connections();
    if (!test_server_installed(TEST_REDIS))
        return 0;
    if (!test_cluster_start(&the_cluster))
        return -1;
    snprintf(tiers, sizeof tiers, "memory %s", the_cluster.url);
    options.tiers = tiers;
    return mtc_cache_open(&options, NULL, &the_cache) == MTC_OK ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    mtc_cache_close(&the_cache);
    test_cluster_stop(&the_cluster);
    return 0;
}

static mtc_stream *open_stream(const char *key)
{
    mtc_stream_options options = MTC_STREAM_OPTIONS_INIT;
    mtc_stream *stream = NULL;
    options.deadline_ms = WAIT_MS;
    assert_int_equal(mtc_stream_open(the_cache, mtc_str(key), &options, NULL,
                                     &stream),
                     MTC_OK);
    return stream;
}

static mtc_status publish(mtc_stream *stream, unsigned number)
{
    char text[16];
    snprintf(text, sizeof text, "%u", number);
    mtc_field field = {mtc_str("n"), mtc_str(text)};
    return mtc_stream_publish(stream, &field, 1, NULL);
}

/* Whether the one entry has that number. */
static bool is_number(mtc_stream_batch *batch, unsigned number)
{
    char text[16];
    snprintf(text, sizeof text, "%u", number);
    mtc_field field = mtc_stream_batch_field(batch, 0, 0);
    return mtc_stream_batch_count(batch) == 1 &&
           field.value.size == strlen(text) &&
           memcmp(field.value.data, text, strlen(text)) == 0;
}

/* Takes in one entry after the other, waiting, until count have come. */
typedef struct reader {
    mtc_stream *stream;
    unsigned count, wrong;
    mtc_status status;
} reader;

static void *read_all(void *ctx)
{
    reader *reader = ctx;
    mtc_stream_id cursor = {0, 0};
    for (unsigned next = 0; next < reader->count; next++) {
        mtc_stream_batch *batch;
        reader->status =
            mtc_stream_read_after(reader->stream, &cursor, 1, WAIT_MS, &batch);
        if (reader->status != MTC_OK)
            break;
        reader->wrong += !is_number(batch, next);
        mtc_stream_batch_free(&batch);
    }
    return NULL;
}

/* Publishes while the stream moves from master to master; a thread takes all
 * of it in. */
static void follow(mtc_stream *stream, const char *key,
                   void *(*take_in)(void *))
{
    reader reader = {.stream = stream, .count = 2 * ROUNDS};
    unsigned slot = mtci_slot_of_key(mtc_str(key));
    int owner = test_cluster_owner(&the_cluster, slot);
    bool is_moved = true;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, take_in, &reader), 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        assert_int_equal(publish(stream, 2 * i), MTC_OK);
        int to = (owner + 1) % TEST_CLUSTER_MASTERS;
        is_moved &= test_cluster_move(&the_cluster, slot, owner, to);
        owner = to;
        assert_int_equal(publish(stream, 2 * i + 1), MTC_OK);
    }
    pthread_join(thread, NULL);
    assert_true(is_moved);
    assert_int_equal(reader.status, MTC_OK);
    assert_int_equal(reader.wrong, 0);
}

static void a_waiting_reader_follows_its_stream(void **state)
{
    (void)state;
    test_server_require(TEST_REDIS);
    mtc_stream *stream = open_stream("news");
    follow(stream, "news", read_all);
    mtc_stream_close(&stream);
}

static void a_reader_waits_while_the_slot_is_half_way(void **state)
{
    (void)state;
    test_server_require(TEST_REDIS);
    mtc_stream *stream = open_stream("half");
    unsigned slot = mtci_slot_of_key(mtc_str("half"));
    int owner = test_cluster_owner(&the_cluster, slot);
    int to = (owner + 1) % TEST_CLUSTER_MASTERS;
    assert_true(test_cluster_begin_move(&the_cluster, slot, owner, to));
    reader reader = {.stream = stream, .count = 2};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, read_all, &reader), 0);
    assert_int_equal(publish(stream, 0), MTC_OK);
    assert_true(test_cluster_move(&the_cluster, slot, owner, to));
    assert_int_equal(publish(stream, 1), MTC_OK);
    pthread_join(thread, NULL);
    assert_int_equal(reader.status, MTC_OK);
    assert_int_equal(reader.wrong, 0);
    mtc_stream_close(&stream);
}

static void the_newest_entries_are_read(void **state)
{
    mtc_stream_batch *batch;
    (void)state;
    test_server_require(TEST_REDIS);
    mtc_stream *stream = open_stream("newest");
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(publish(stream, i), MTC_OK);
    assert_int_equal(mtc_stream_read_newest(stream, 2, &batch), MTC_OK);
    assert_int_equal(mtc_stream_batch_count(batch), 2);
    for (size_t i = 0; i < 2; i++) {
        mtc_slice value = mtc_stream_batch_field(batch, i, 0).value;
        assert_int_equal(value.size, 1);
        assert_memory_equal(value.data, i == 0 ? "2" : "1", 1);
    }
    mtc_stream_batch_free(&batch);
    mtc_stream_close(&stream);
}

static mtc_group *open_group(mtc_stream *stream)
{
    mtc_group *group = NULL;
    mtc_group_names names = {mtc_str("g"), mtc_str("c")};
    assert_int_equal(mtc_group_open(stream, &names, NULL, NULL, &group),
                     MTC_OK);
    return group;
}

/* The same as a consumer of a group, who acknowledges each. */
static void *consume_all(void *ctx)
{
    reader *reader = ctx;
    mtc_group *group = open_group(reader->stream);
    for (unsigned next = 0; next < reader->count; next++) {
        mtc_stream_batch *batch;
        reader->status = mtc_group_read(group, 1, WAIT_MS, &batch);
        if (reader->status != MTC_OK)
            break;
        mtc_stream_id id = mtc_stream_batch_id(batch, 0);
        reader->wrong += !is_number(batch, next);
        mtc_stream_batch_free(&batch);
        reader->wrong += mtc_group_acknowledge(group, &id, 1, NULL) != MTC_OK;
    }
    mtc_group_close(&group);
    return NULL;
}

static void a_consumer_follows_its_stream(void **state)
{
    (void)state;
    test_server_require(TEST_REDIS);
    mtc_stream *stream = open_stream("work");
    mtc_group *group = open_group(stream);
    assert_int_equal(mtc_group_create(group), MTC_OK);
    assert_int_equal(mtc_group_create(group), MTC_EXISTS);
    follow(stream, "work", consume_all);
    mtc_group_close(&group);
    mtc_stream_close(&stream);
}

static void a_tail_follows_streams_of_one_tag(void **state)
{
    (void)state;
    test_server_require(TEST_REDIS);
    mtc_stream *streams[] = {open_stream("{t}a"), open_stream("{t}b")};
    const mtc_stream_id cursors[2] = {{0, 0}, {0, 0}};
    mtc_tail *tail = NULL;
    unsigned slot = mtci_slot_of_key(mtc_str("{t}a"));
    int owner = test_cluster_owner(&the_cluster, slot);
    assert_int_equal(mtc_tail_open(streams, cursors, 2, NULL, &tail), MTC_OK);
    for (unsigned i = 0; i < 4; i++) {
        mtc_stream_batch *batch;
        size_t index = 2;
        assert_int_equal(publish(streams[i % 2], i), MTC_OK);
        assert_int_equal(mtc_tail_read(tail, 9, WAIT_MS, &index, &batch),
                         MTC_OK);
        assert_int_equal(index, i % 2);
        assert_true(is_number(batch, i));
        mtc_stream_batch_free(&batch);
        int to = (owner + 1) % TEST_CLUSTER_MASTERS;
        assert_true(test_cluster_move(&the_cluster, slot, owner, to));
        owner = to;
    }
    mtc_tail_close(&tail);
    mtc_stream_close(&streams[0]);
    mtc_stream_close(&streams[1]);
}

static void a_tail_of_several_slots_is_refused(void **state)
{
    (void)state;
    test_server_require(TEST_REDIS);
    mtc_stream *streams[] = {open_stream("a"), open_stream("b")};
    mtc_error error;
    mtc_tail *tail = NULL;
    assert_int_equal(mtc_tail_open(streams, NULL, 2, &error, &tail),
                     MTC_E_UNSUPPORTED);
    assert_non_null(strstr(error.text, "slot"));
    assert_null(tail);
    mtc_stream_close(&streams[0]);
    mtc_stream_close(&streams[1]);
}

/* Reads as a tail and as a group until one entry has come by both. */
static void a_node_that_dies_has_an_heir(void **state)
{
    (void)state;
    test_server_require(TEST_REDIS);
    mtc_stream *stream = open_stream("heir");
    mtc_group *group = open_group(stream);
    mtc_tail *tail = NULL;
    mtc_stream_batch *batch;
    size_t index;
    const mtc_stream_id begin = {0, 0};
    int owner =
        test_cluster_owner(&the_cluster, mtci_slot_of_key(mtc_str("heir")));
    assert_int_equal(mtc_tail_open(&stream, &begin, 1, NULL, &tail), MTC_OK);
    assert_int_equal(mtc_tail_read(tail, 1, 10, &index, &batch), MTC_MISS);
    assert_int_equal(mtc_group_read(group, 1, 10, &batch), MTC_MISS);
    test_server_kill(&the_cluster.servers[owner]);
    mtc_status status;
    int64_t until_ms = mtci_boot_ms() + 3 * (int64_t)WAIT_MS;
    do
        status = publish(stream, 7);
    while (status != MTC_OK && mtci_boot_ms() < until_ms);
    assert_int_equal(status, MTC_OK);
    assert_int_equal(mtc_tail_read(tail, 1, WAIT_MS, &index, &batch), MTC_OK);
    assert_true(is_number(batch, 7));
    mtc_stream_batch_free(&batch);
    do
        status = mtc_group_read(group, 1, 100, &batch);
    while (status != MTC_OK && mtci_boot_ms() < until_ms);
    assert_int_equal(status, MTC_OK);
    assert_true(is_number(batch, 7));
    mtc_stream_batch_free(&batch);
    mtc_tail_close(&tail);
    mtc_group_close(&group);
    mtc_stream_close(&stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_entries_are_read),
        cmocka_unit_test(a_waiting_reader_follows_its_stream),
        cmocka_unit_test(a_reader_waits_while_the_slot_is_half_way),
        cmocka_unit_test(a_consumer_follows_its_stream),
        cmocka_unit_test(a_tail_follows_streams_of_one_tag),
        cmocka_unit_test(a_tail_of_several_slots_is_refused),
        cmocka_unit_test(a_node_that_dies_has_an_heir),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
