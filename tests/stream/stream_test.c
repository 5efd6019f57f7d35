/*
 * labels: quick server
 *
 * Streams: against a real server, and without one.
 */
#include "mtc/stream.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/redis_rig.h"
#include "support/server.h"

#define WAIT_MS 10000

typedef struct rig {
    test_server server;
    mtc_cache *cache;
    unsigned number; /* makes keys of this test its own */
} rig;

static rig the_rig;

static mtc_cache *open_cache(const char *url)
{
    char tiers[128];
    mtc_cache *cache = NULL;
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    snprintf(tiers, sizeof tiers, "memory %s?prefix=prefix:", url);
    options.tiers = tiers;
    assert_int_equal(mtc_cache_open(&options, NULL, &cache), MTC_OK);
    return cache;
}

static int start(void **state)
{
    *state = &the_rig;
    if (!test_server_installed(TEST_REDIS))
        return 0;
    return test_server_start(&the_rig.server, TEST_REDIS, NULL) ? 0 : -1;
}

static int stop(void **state)
{
    rig *rig = *state;
    test_server_stop(&rig->server);
    return 0;
}

static int setup(void **state)
{
    rig *rig = *state;
    rig->number++;
    if (test_server_installed(TEST_REDIS))
        rig->cache = open_cache(rig->server.url);
    return 0;
}

static int teardown(void **state)
{
    rig *rig = *state;
    if (rig->cache)
        mtc_cache_close(&rig->cache);
    return 0;
}

/* -- what the tests are made of ------------------------------------------- */

static mtc_stream *open_stream(rig *rig, const mtc_stream_options *given)
{
    char key[32];
    mtc_error error;
    mtc_stream *stream = NULL;
    mtc_stream_options options = MTC_STREAM_OPTIONS_INIT;
    test_server_require(TEST_REDIS);
    options.deadline_ms = WAIT_MS;
    snprintf(key, sizeof key, "events:%u", rig->number);
    assert_int_equal(mtc_stream_open(rig->cache, mtc_str(key),
                                     given ? given : &options, &error, &stream),
                     MTC_OK);
    return stream;
}

static mtc_stream_id publish(mtc_stream *stream, const char *value)
{
    mtc_stream_id id;
    mtc_field field = {mtc_str("n"), mtc_str(value)};
    assert_int_equal(mtc_stream_publish(stream, &field, 1, &id), MTC_OK);
    return id;
}

static void expect_entry(const mtc_stream_batch *batch, size_t index,
                         const char *value)
{
    mtc_field field = mtc_stream_batch_field(batch, index, 0);
    assert_int_equal(field.value.size, strlen(value));
    assert_memory_equal(field.value.data, value, field.value.size);
}

static bool is_same(mtc_stream_id a, mtc_stream_id b)
{
    return a.ms == b.ms && a.sequence == b.sequence;
}

/* -- publish and read ----------------------------------------------------- */

static void the_newest_come_first(void **state)
{
    mtc_stream *stream = open_stream(*state, NULL);
    mtc_stream_batch *batch = NULL;
    assert_int_equal(mtc_stream_read_newest(stream, 10, &batch), MTC_MISS);
    assert_null(batch);
    publish(stream, "1");
    publish(stream, "2");
    mtc_stream_id last = publish(stream, "3");
    assert_int_equal(mtc_stream_read_newest(stream, 2, &batch), MTC_OK);
    assert_int_equal(mtc_stream_batch_count(batch), 2);
    expect_entry(batch, 0, "3");
    expect_entry(batch, 1, "2");
    assert_true(is_same(mtc_stream_batch_id(batch, 0), last));
    mtc_stream_batch_free(&batch);
    mtc_stream_batch_free(&batch);
    mtc_stream_close(&stream);
}

static void any_bytes_are_fields(void **state)
{
    mtc_stream *stream = open_stream(*state, NULL);
    mtc_stream_batch *batch;
    const mtc_field fields[3] = {
        {mtc_bytes("\r\n$-1\r\n", 7), mtc_bytes("a\0b\xff", 4)},
        {mtc_str(""), mtc_str("")},
        {mtc_str("twice"), mtc_str("*1\r\n")},
    };
    assert_int_equal(mtc_stream_publish(stream, fields, 3, NULL), MTC_OK);
    assert_int_equal(mtc_stream_read_newest(stream, 1, &batch), MTC_OK);
    assert_int_equal(mtc_stream_batch_field_count(batch, 0), 3);
    for (size_t i = 0; i < 3; i++) {
        mtc_field field = mtc_stream_batch_field(batch, 0, i);
        assert_int_equal(field.name.size, fields[i].name.size);
        assert_int_equal(field.value.size, fields[i].value.size);
        assert_memory_equal(field.name.data, fields[i].name.data,
                            field.name.size);
        assert_memory_equal(field.value.data, fields[i].value.data,
                            field.value.size);
    }
    assert_int_equal(mtc_stream_batch_field(batch, 0, 3).name.size, 0);
    assert_int_equal(mtc_stream_batch_field_count(batch, 1), 0);
    mtc_stream_batch_free(&batch);
    mtc_stream_close(&stream);
}

static void a_stream_is_trimmed_to_about_its_length(void **state)
{
    mtc_stream_options options = MTC_STREAM_OPTIONS_INIT;
    options.length_max = 100;
    options.deadline_ms = WAIT_MS;
    mtc_stream *stream = open_stream(*state, &options);
    mtc_stream_batch *batch;
    for (int i = 0; i < 450; i++)
        publish(stream, "v");
    assert_int_equal(mtc_stream_read_newest(stream, 1000, &batch), MTC_OK);
    assert_in_range(mtc_stream_batch_count(batch), 100, 200);
    mtc_stream_batch_free(&batch);
    mtc_stream_close(&stream);
}

static void a_cursor_reads_everything_once_and_in_order(void **state)
{
    mtc_stream *stream = open_stream(*state, NULL);
    mtc_stream_batch *batch;
    mtc_stream_id cursor = {0, 0};
    char value[16];
    for (int i = 0; i < 25; i++) {
        snprintf(value, sizeof value, "%d", i);
        publish(stream, value);
    }
    int seen = 0;
    while (mtc_stream_read_after(stream, &cursor, 10, 0, &batch) == MTC_OK) {
        for (size_t i = 0; i < mtc_stream_batch_count(batch); i++, seen++) {
            snprintf(value, sizeof value, "%d", seen);
            expect_entry(batch, i, value);
        }
        mtc_stream_batch_free(&batch);
    }
    assert_int_equal(seen, 25);
    mtc_stream_close(&stream);
}

static void the_key_of_a_stream_has_no_prefix(void **state)
{
    rig *rig = *state;
    mtc_stream *stream = open_stream(rig, NULL);
    char words[64], text[64];
    publish(stream, "v");
    mtci_redis_client *client = redis_rig_client(rig->server.port);
    snprintf(words, sizeof words, "XLEN events:%u", rig->number);
    assert_string_equal(redis_rig_ask(client, MTCI_REPLY_INTEGER, words, text,
                                      sizeof text),
                        ":1");
    mtci_client_free(client);
    mtc_stream_close(&stream);
}

/* -- waiting -------------------------------------------------------------- */

typedef struct reader {
    pthread_t thread;
    mtc_stream *stream;
    mtc_stream_id cursor;
    int64_t wait_ms;
    mtc_status status;
    mtc_stream_batch *batch;
} reader;

static void *read_on(void *ctx)
{
    reader *reader = ctx;
    reader->status = mtc_stream_read_after(reader->stream, &reader->cursor, 10,
                                           reader->wait_ms, &reader->batch);
    return NULL;
}

/* Waits until the server holds so many blocked clients. */
static void await_blocked(rig *rig, const char *count)
{
    char text[8192], wanted[64];
    mtci_redis_client *client = redis_rig_client(rig->server.port);
    int64_t until_ms = mtci_boot_ms() + WAIT_MS;
    snprintf(wanted, sizeof wanted, "blocked_clients:%s", count);
    do {
        redis_rig_ask(client, MTCI_REPLY_BULK, "INFO clients", text,
                      sizeof text);
        assert_true(mtci_boot_ms() < until_ms);
    } while (!strstr(text, wanted));
    mtci_client_free(client);
}

static void a_reader_that_waits_is_woken_by_an_entry(void **state)
{
    mtc_stream *stream = open_stream(*state, NULL);
    reader reader = {.stream = stream,
                     .cursor = MTC_STREAM_END,
                     .wait_ms = 60000};
    publish(stream, "before");
    pthread_create(&reader.thread, NULL, read_on, &reader);
    await_blocked(*state, "1");
    mtc_stream_id id = publish(stream, "after");
    pthread_join(reader.thread, NULL);
    assert_int_equal(reader.status, MTC_OK);
    assert_int_equal(mtc_stream_batch_count(reader.batch), 1);
    expect_entry(reader.batch, 0, "after");
    assert_true(is_same(reader.cursor, id));
    mtc_stream_batch_free(&reader.batch);
    mtc_stream_close(&stream);
}

static void a_reader_that_waits_holds_nobody_up(void **state)
{
    rig *rig = *state;
    mtc_stream *stream = open_stream(rig, NULL);
    reader reader = {.stream = stream,
                     .cursor = MTC_STREAM_END,
                     .wait_ms = 60000};
    pthread_create(&reader.thread, NULL, read_on, &reader);
    await_blocked(rig, "1");
    /* The default deadline is a quarter of what a block lasts. */
    mtc_value value;
    assert_int_equal(mtc_cache_set(rig->cache, mtc_str("k"), mtc_str("v"),
                                   &MTC_SHORT_TERM),
                     MTC_OK);
    assert_int_equal(mtc_cache_get(rig->cache, mtc_str("k"), &value), MTC_OK);
    mtc_value_free(&value);
    await_blocked(rig, "1");
    publish(stream, "wake");
    pthread_join(reader.thread, NULL);
    assert_int_equal(reader.status, MTC_OK);
    mtc_stream_batch_free(&reader.batch);
    mtc_stream_close(&stream);
}

static void the_end_is_resolved_once(void **state)
{
    mtc_stream *stream = open_stream(*state, NULL);
    mtc_stream_batch *batch;
    mtc_stream_id cursor = MTC_STREAM_END;
    mtc_stream_id last = publish(stream, "old");
    assert_int_equal(mtc_stream_read_after(stream, &cursor, 10, 0, &batch),
                     MTC_MISS);
    assert_true(is_same(cursor, last));
    publish(stream, "between two calls");
    assert_int_equal(mtc_stream_read_after(stream, &cursor, 10, 1, &batch),
                     MTC_OK);
    expect_entry(batch, 0, "between two calls");
    mtc_stream_batch_free(&batch);
    mtc_stream_close(&stream);
}

static void a_wait_outlives_the_deadline_of_a_command(void **state)
{
    mtc_stream_options options = MTC_STREAM_OPTIONS_INIT;
    options.deadline_ms = 200;
    mtc_stream *stream = open_stream(*state, &options);
    mtc_stream_batch *batch;
    mtc_stream_id cursor = {0, 0};
    int64_t began_ms = mtci_boot_ms();
    /* Longer than a block as well: it is armed anew. */
    assert_int_equal(mtc_stream_read_after(stream, &cursor, 10, 1300, &batch),
                     MTC_MISS);
    assert_true(mtci_boot_ms() - began_ms >= 1300);
    mtc_stream_close(&stream);
}

static void closing_ends_a_wait(void **state)
{
    mtc_stream *stream = open_stream(*state, NULL);
    reader reader = {.stream = stream,
                     .cursor = MTC_STREAM_END,
                     .wait_ms = 3600000};
    pthread_create(&reader.thread, NULL, read_on, &reader);
    await_blocked(*state, "1");
    mtc_stream_close(&stream);
    pthread_join(reader.thread, NULL);
    assert_int_equal(reader.status, MTC_E_CLOSED);
    assert_null(stream);
}

/* -- failures ------------------------------------------------------------- */

static void a_key_that_is_no_stream_is_an_error(void **state)
{
    rig *rig = *state;
    mtc_stream *stream = open_stream(rig, NULL);
    mtc_stream_batch *batch;
    mtc_stream_id cursor = {0, 0};
    mtc_field field = {mtc_str("n"), mtc_str("v")};
    char words[64], text[64];
    mtci_redis_client *client = redis_rig_client(rig->server.port);
    snprintf(words, sizeof words, "SET events:%u v", rig->number);
    redis_rig_ask(client, MTCI_REPLY_STATUS, words, text, sizeof text);
    mtci_client_free(client);
    assert_int_equal(mtc_stream_publish(stream, &field, 1, NULL),
                     MTC_E_INVALID);
    assert_int_equal(mtc_stream_read_newest(stream, 1, &batch), MTC_E_INVALID);
    assert_int_equal(mtc_stream_read_after(stream, &cursor, 1, 10, &batch),
                     MTC_E_INVALID);
    mtc_stream_close(&stream);
}

static void wrong_arguments_are_refused(void **state)
{
    mtc_stream *stream = open_stream(*state, NULL);
    mtc_stream_batch *batch;
    mtc_stream_id cursor = {0, 0};
    mtc_field field = {mtc_str("n"), mtc_str("v")};
    assert_int_equal(mtc_stream_publish(stream, &field, 0, NULL),
                     MTC_E_INVALID);
    assert_int_equal(mtc_stream_publish(NULL, &field, 1, NULL), MTC_E_INVALID);
    assert_int_equal(mtc_stream_publish(stream, &field,
                                        MTC_STREAM_FIELDS_MAX + 1, NULL),
                     MTC_E_TOO_LARGE);
    assert_int_equal(mtc_stream_read_newest(stream, 0, &batch), MTC_E_INVALID);
    assert_int_equal(mtc_stream_read_newest(stream, 1, NULL), MTC_E_INVALID);
    assert_int_equal(mtc_stream_read_after(stream, NULL, 1, 0, &batch),
                     MTC_E_INVALID);
    assert_int_equal(mtc_stream_read_after(stream, &cursor, 1, -1, &batch),
                     MTC_E_INVALID);
    mtc_stream_close(&stream);
    mtc_stream_close(&stream);
}

static void a_server_that_is_away_is_an_error_within_the_deadline(void **state)
{
    rig *rig = *state;
    mtc_stream_options options = MTC_STREAM_OPTIONS_INIT;
    mtc_stream *stream = open_stream(rig, &options);
    mtc_stream_batch *batch;
    mtc_stream_id cursor = {0, 0};
    mtc_field field = {mtc_str("n"), mtc_str("v")};
    publish(stream, "before");
    test_server_kill(&rig->server);
    assert_int_equal(mtc_stream_publish(stream, &field, 1, NULL),
                     MTC_E_UNAVAILABLE);
    assert_int_equal(mtc_stream_read_newest(stream, 1, &batch),
                     MTC_E_UNAVAILABLE);
    assert_int_equal(mtc_stream_read_after(stream, &cursor, 1, 3600000, &batch),
                     MTC_E_UNAVAILABLE);
    assert_true(test_server_restart(&rig->server));
    mtc_stream_close(&stream);
}

static void a_hanging_server_is_an_error_at_the_deadline(void **state)
{
    rig *rig = *state;
    mtc_stream_options options = MTC_STREAM_OPTIONS_INIT;
    options.deadline_ms = 500;
    mtc_stream *stream = open_stream(rig, &options);
    mtc_stream_batch *batch;
    mtc_field field = {mtc_str("n"), mtc_str("v")};
    assert_int_equal(mtc_stream_read_newest(stream, 1, &batch), MTC_MISS);
    test_server_pause(&rig->server);
    mtc_status status = mtc_stream_publish(stream, &field, 1, NULL);
    test_server_resume(&rig->server);
    assert_int_equal(status, MTC_E_TIMEOUT);
    mtc_stream_close(&stream);
}

static void
without_redis_a_stream_is_refused_and_the_message_helps(void **state)
{
    (void)state;
    mtc_cache *cache = NULL;
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    mtc_stream *stream;
    mtc_error error;
    options.tiers = "memory";
    assert_int_equal(mtc_cache_open(&options, NULL, &cache), MTC_OK);
    assert_int_equal(mtc_stream_open(cache, mtc_str("events"), NULL, &error,
                                     &stream),
                     MTC_E_UNSUPPORTED);
    assert_non_null(strstr(error.text, "REDIS_URL"));
    assert_null(stream);
    mtc_cache_close(&cache);
}

static void wrong_options_are_refused_by_name(void **state)
{
    rig *rig = *state;
    test_server_require(TEST_REDIS);
    mtc_stream *stream;
    mtc_error error;
    mtc_stream_options options = MTC_STREAM_OPTIONS_INIT;
    options.length_max = -2;
    assert_int_equal(mtc_stream_open(rig->cache, mtc_str("events"), &options,
                                     &error, &stream),
                     MTC_E_INVALID);
    assert_non_null(strstr(error.text, "length_max"));
    options.length_max = 0;
    options.struct_size = 4;
    assert_int_equal(mtc_stream_open(rig->cache, mtc_str("events"), &options,
                                     &error, &stream),
                     MTC_E_INVALID);
    assert_null(stream);
}

static void a_forked_child_cannot_touch_the_parents_stream(void **state)
{
    mtc_stream *stream = open_stream(*state, NULL);
    mtc_field field = {mtc_str("n"), mtc_str("child")};
    publish(stream, "parent");
    pid_t child = fork();
    if (child == 0) {
        mtc_status status = mtc_stream_publish(stream, &field, 1, NULL);
        mtc_stream_close(&stream);
        _exit(status == MTC_E_FORKED ? 0 : 1);
    }
    int result = -1;
    waitpid(child, &result, 0);
    assert_int_equal(result, 0);
    publish(stream, "parent again");
    mtc_stream_close(&stream);
}

/* -- ids ------------------------------------------------------------------ */

static void ids_are_read_as_they_are_written(void **state)
{
    (void)state;
    mtc_stream_id id;
    char text[MTC_STREAM_ID_SIZE];
    static const char *const WRONG[] = {
        "", "-", "1-", "-1", "1-2-3", "a", "1a", "18446744073709551616", "+",
    };
    const mtc_stream_id largest = {UINT64_MAX, UINT64_MAX - 1};
    mtc_stream_id_format(largest, text);
    assert_string_equal(text, "18446744073709551615-18446744073709551614");
    assert_int_equal(mtc_stream_id_parse(mtc_str(text), &id), MTC_OK);
    assert_true(is_same(id, largest));
    assert_int_equal(mtc_stream_id_parse(mtc_str("17"), &id), MTC_OK);
    assert_true(id.ms == 17 && id.sequence == 0);
    assert_int_equal(mtc_stream_id_parse(mtc_str("$"), &id), MTC_OK);
    assert_true(is_same(id, MTC_STREAM_END));
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++)
        assert_int_equal(mtc_stream_id_parse(mtc_str(WRONG[i]), &id),
                         MTC_E_INVALID);
}

#define STREAM_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STREAM_TEST(the_newest_come_first),
        STREAM_TEST(any_bytes_are_fields),
        STREAM_TEST(a_stream_is_trimmed_to_about_its_length),
        STREAM_TEST(a_cursor_reads_everything_once_and_in_order),
        STREAM_TEST(the_key_of_a_stream_has_no_prefix),
        STREAM_TEST(a_reader_that_waits_is_woken_by_an_entry),
        STREAM_TEST(a_reader_that_waits_holds_nobody_up),
        STREAM_TEST(the_end_is_resolved_once),
        STREAM_TEST(a_wait_outlives_the_deadline_of_a_command),
        STREAM_TEST(closing_ends_a_wait),
        STREAM_TEST(a_key_that_is_no_stream_is_an_error),
        STREAM_TEST(wrong_arguments_are_refused),
        STREAM_TEST(a_server_that_is_away_is_an_error_within_the_deadline),
        STREAM_TEST(a_hanging_server_is_an_error_at_the_deadline),
        STREAM_TEST(without_redis_a_stream_is_refused_and_the_message_helps),
        STREAM_TEST(wrong_options_are_refused_by_name),
        STREAM_TEST(a_forked_child_cannot_touch_the_parents_stream),
        cmocka_unit_test(ids_are_read_as_they_are_written),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
